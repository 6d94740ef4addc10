package ingest

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestKept: each text has one place, which is that of the order in which texts came,
// whatever its length and whatever it has in common with others.
func TestKept(t *testing.T) {
	t.Parallel()
	var k kept
	want := map[string]uint64{}
	place := func(text []byte) {
		t.Helper()
		at, known := want[string(text)]
		if !known {
			at = uint64(len(want))
			want[string(text)] = at
		}
		if got, added := k.place(text); got != at || added == known {
			t.Fatalf("%q: got place %d, new %v; want %d, %v", text, got, added, at, !known)
		}
	}
	for n := range 40 { // of one byte over and over, of zeros, which are like what is not there
		for _, c := range []byte{0, 'a', 0xff} {
			text := make([]byte, n)
			for i := range text {
				text[i] = c
			}
			place(text)
			for i := range text {
				text[i] ^= 1
				place(text)
				text[i] ^= 1
			}
			place(text)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		text := make([]byte, random.IntN(20))
		for i := range text {
			text[i] = byte(random.IntN(4))
		}
		place(text)
	}
	for text, at := range want {
		if k.texts[at] != text {
			t.Fatalf("place %d has %q, want %q", at, k.texts[at], text)
		}
	}
	if len(k.texts) != len(want) {
		t.Errorf("%d texts, want %d", len(k.texts), len(want))
	}
}

// BenchmarkKept places texts of 40 categories, and texts that are all different.
func BenchmarkKept(b *testing.B) {
	for _, size := range []int{4, 8, 24} {
		for _, distinct := range []int{40, 40_000} {
			b.Run(fmt.Sprintf("bytes=%d/distinct=%d", size, distinct), func(b *testing.B) {
				random := rand.New(rand.NewPCG(1, 2))
				texts := make([][]byte, 1<<16)
				for i := range texts {
					texts[i] = fmt.Appendf(nil, "%0*d", size, random.IntN(distinct))
				}
				var k kept
				for i := 0; b.Loop(); i++ {
					k.place(texts[i&(len(texts)-1)])
				}
			})
		}
	}
}
