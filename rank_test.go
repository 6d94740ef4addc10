package modelwatch

import (
	"encoding/hex"
	"fmt"
	"math"
	"testing"
)

// The reference vector of the SipHash paper, appendix A: key 00..0f, input
// 00..0e, SipHash-2-4 = a129ca6149be45e5. A rank is its upper 56 bits.
func TestRankIsSipHash24(t *testing.T) {
	t.Parallel()
	var salt Salt
	input := make([]byte, 15)
	for i := range salt {
		salt[i] = byte(i)
	}
	for i := range input {
		input[i] = byte(i)
	}
	if got, want := Rank(salt, input), int64(0xa129ca6149be45); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestSamplesAreNestedAndUniform(t *testing.T) {
	t.Parallel()
	salt, rates := Salt{1, 2, 3}, []float64{0.01, 0.1, 0.5, 1}
	const n = 200_000
	kept := make([]int, len(rates))
	for i := range n {
		rank := Rank(salt, fmt.Appendf(nil, "request-%d", i))
		for j, rate := range rates {
			in := rank < RankLimit(rate)
			if in {
				kept[j]++
			}
			if j > 0 && rank < RankLimit(rates[j-1]) && !in {
				t.Fatalf("kept at %v but not at %v", rates[j-1], rate)
			}
		}
	}
	for j, rate := range rates {
		// Six standard deviations: fails once in half a billion salts.
		if want, limit := rate*n, 6*math.Sqrt(n*rate*(1-rate)); math.Abs(float64(kept[j])-want) > limit {
			t.Errorf("rate %v kept %d of %d, want %v +- %v", rate, kept[j], n, want, limit)
		}
	}
}

func TestRankLimitClamps(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]int64{-1: 0, 0: 0, 1: 1 << 56, 7: 1 << 56, 0.5: 1 << 55} {
		if got := RankLimit(rate); got != want {
			t.Errorf("RankLimit(%v) = %d, want %d", rate, got, want)
		}
	}
	if RankLimit(math.NaN()) != 0 {
		t.Error("a rate that is no number keeps something")
	}
}

func TestParseSalt(t *testing.T) {
	t.Parallel()
	salt, err := ParseSalt("0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSalt(hex.EncodeToString(salt[:]))
	if err != nil || again != salt {
		t.Errorf("got %v, %v after a round trip", again, err)
	}
	for _, bad := range []string{"", "short", "zz23456789abcdef0123456789abcdef"} {
		if _, err := ParseSalt(bad); ErrorCode(err) != CodeInvalid {
			t.Errorf("ParseSalt(%q) gave %v", bad, err)
		}
	}
}
