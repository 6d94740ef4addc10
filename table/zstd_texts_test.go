package table

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// textKinds are ids of one size as producers make them, from 128 random bits each.
var textKinds = []struct {
	name  string
	value func(a, b uint64) string
}{
	{"16 hex digits", func(a, _ uint64) string { return fmt.Sprintf("%016x", a) }},
	{"uuid", func(a, b uint64) string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&(1<<48-1))
	}},
	{"time and hex digits", func(a, _ uint64) string { return fmt.Sprintf("2026-11-21T10/%08x", a>>32) }},
	{"decimal digits", func(a, _ uint64) string { return fmt.Sprintf("order-%09d", a%1e9) }},
	{"between brackets", func(a, _ uint64) string { return fmt.Sprintf("<%08x@shop.example>", a>>32) }},
	{"any bytes", func(a, b uint64) string { return string(rawBytes(a, b)) }},
}

func rawBytes(words ...uint64) (out []byte) {
	for _, w := range words {
		for i := range 8 {
			out = append(out, byte(w>>(8*i)))
		}
	}
	return out
}

// textPage is a page of texts as writePlain makes it, behind a head of so many bytes.
func textPage(head int, all []string) *pageWriter {
	p := newPageWriter(nil)
	p.begin()
	p.body = append(p.body, bytes.Repeat([]byte{7}, head)...)
	index := make([]int32, len(all))
	for i := range index {
		index[i] = int32(i)
	}
	p.addTexts(all, index, 0)
	return p
}

// A page of texts of one size takes no more room than the general compressor leaves of it.
func TestPackTexts(t *testing.T) {
	t.Parallel()
	general := packers.Get().(*packer)
	defer packers.Put(general)
	var d doublesPacker
	for kind, k := range textKinds {
		r := rand.New(rand.NewPCG(1, uint64(kind)))
		for _, n := range []int{2, 3, 10, 1_000, RowGroupRows} {
			var all []string
			for range n {
				all = append(all, k.value(r.Uint64(), r.Uint64()))
			}
			all[n/2] = strings.Repeat("~", len(all[0])) // unlike the others
			for _, head := range []int{0, 9, 8_200} {
				p := textPage(head, all)
				if p.texts.n != n {
					t.Fatalf("%s: the texts are not seen as alike", k.name)
				}
				frame := d.packTexts(nil, p.body, p.texts)
				if !bytes.Equal(unpackFrame(t, frame), p.body) {
					t.Fatalf("%s, %d rows from byte %d: it unpacks to something else", k.name, n, head)
				}
				if n == RowGroupRows && head == 9 {
					g := len(general.general.EncodeAll(p.body, nil))
					t.Logf("%-20s %6.3f %6.3f bytes a value", k.name, float64(len(frame))/float64(n), float64(g)/float64(n))
					if len(frame) > g+g/100 {
						t.Errorf("%s: %d bytes, the general compressor leaves %d", k.name, len(frame), g)
					}
				}
			}
		}
	}
}

// Texts that differ in size, are all the same, long or short go the general way.
func TestTextsNotAlike(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]string{
		"none": nil, "one": {"abcdef"}, "two sizes": {"abcdef", "abcde"}, "two sizes at the end": {"abcdef", "abcdeg", "abcdefg"},
		"the same": {"abcdef", "abcdef", "abcdef"}, "short": {"abc", "abd"}, "empty": {"", ""},
		"long": {strings.Repeat("a", maxAlike+1), strings.Repeat("b", maxAlike+1)},
	} {
		if p := textPage(9, all); p.texts.n != 0 {
			t.Errorf("%s: %+v", name, p.texts)
		}
	}
	if p := textPage(blockBytes, []string{"abcd", "abce"}); p.texts.n != 0 {
		t.Errorf("behind a long head: %+v", p.texts)
	}
}

func TestPackTextsInverts(t *testing.T) {
	t.Parallel()
	var d doublesPacker
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(4, maxAlike).Draw(rt, "size")
		prefix := rapid.IntRange(0, size-1).Draw(rt, "prefix")
		suffix := rapid.IntRange(0, size-1-prefix).Draw(rt, "suffix")
		letters := rapid.IntRange(2, 256).Draw(rt, "letters")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		all := make([]string, rapid.IntRange(2, 20_000).Draw(rt, "rows"))
		for i := range all {
			b := []byte(strings.Repeat("p", prefix) + strings.Repeat("m", size-prefix-suffix) + strings.Repeat("s", suffix))
			for j := prefix; j < size-suffix; j++ {
				b[j] = byte(r.IntN(letters))
			}
			all[i] = string(b)
		}
		p := textPage(rapid.IntRange(0, 300).Draw(rt, "levels"), all)
		if p.texts.n == 0 {
			return // all are the same
		}
		if !bytes.Equal(unpackFrame(t, d.packTexts(nil, p.body, p.texts)), p.body) {
			rt.Fatal("it unpacks to something else")
		}
	})
}

// The first eight bytes of texts order them where they differ.
func TestLeading(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("\x00ab\u00ff")), 0, 12, -1)
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if order := cmp.Compare(leading(a), leading(b)); order != 0 && order != strings.Compare(a, b) {
			t.Fatalf("%x and %x of %q and %q", leading(a), leading(b), a, b)
		}
	})
}
