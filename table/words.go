package table

import (
	"hash/maphash"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// trimWords is how many words a dictionary may gather from plain pages before
// the next chunk starts afresh.
const trimWords = 8_192

// words is the dictionary of one column chunk: what the file's dictionary page
// holds, and what plain values add, each once. New words gather in an arena and
// become strings together, so that a chunk of distinct ids costs two
// allocations, not one per row.
type words struct {
	dict   []string
	base   int // words of the dictionary page: they stay when the rest is trimmed
	seed   maphash.Seed
	slots  []uint32 // open addressing: a word's place plus one, 0 free
	hashes []uint64 // of every word, once slots are in use
	arena  []byte
	ends   []int // of the pending words in the arena
}

func (w *words) reset() {
	w.dict, w.base = w.dict[:0], 0
	w.forget()
}

func (w *words) forget() {
	clear(w.slots)
	w.hashes, w.arena, w.ends = w.hashes[:0], w.arena[:0], w.ends[:0]
}

// trim drops the words that plain pages added, if they are many.
func (w *words) trim() {
	if len(w.dict)-w.base > trimWords {
		w.dict = w.dict[:w.base]
		w.forget()
	}
}

// setDictionary takes over a dictionary page: value i is data[offsets[i]:offsets[i+1]].
func (w *words) setDictionary(n int, value func(i int) []byte) {
	w.reset()
	for i := range n {
		w.arena = append(w.arena, valid(view(value(i)))...)
		w.ends = append(w.ends, len(w.arena))
	}
	w.flush()
	w.base = len(w.dict)
}

// valid replaces what is not UTF-8, which neither JSON nor a database can hold.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// view is a string over bytes that do not change while it is in use: it saves
// an allocation per value in the loops over files.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// place returns the index of a word, which flush makes part of the dictionary.
// The word itself is not kept.
func (w *words) place(s string) int32 {
	s = valid(s)
	if 2*(w.len()+1) > len(w.slots) || len(w.hashes) < w.len() {
		w.rehash()
	}
	h := maphash.String(w.seed, s)
	mask := uint64(len(w.slots) - 1)
	for slot := h & mask; ; slot = (slot + 1) & mask {
		at := w.slots[slot]
		if at == 0 {
			w.slots[slot] = uint32(w.len()) + 1
			w.hashes = append(w.hashes, h)
			w.arena = append(w.arena, s...)
			w.ends = append(w.ends, len(w.arena))
			return int32(w.len() - 1)
		}
		if w.hashes[at-1] == h && w.word(int(at-1)) == s {
			return int32(at - 1)
		}
	}
}

func (w *words) len() int { return len(w.dict) + len(w.ends) }

func (w *words) word(at int) string {
	if at < len(w.dict) {
		return w.dict[at]
	}
	at -= len(w.dict)
	start := 0
	if at > 0 {
		start = w.ends[at-1]
	}
	return view(w.arena[start:w.ends[at]])
}

// rehash grows the slots and enters every word.
func (w *words) rehash() {
	if w.seed == (maphash.Seed{}) {
		w.seed = maphash.MakeSeed()
	}
	for i := len(w.hashes); i < len(w.dict); i++ { // pending words have their hashes
		w.hashes = append(w.hashes, maphash.String(w.seed, w.dict[i]))
	}
	size := max(256, len(w.slots))
	for size < 4*(w.len()+1) {
		size *= 2
	}
	w.slots = grown(w.slots, size)
	clear(w.slots)
	mask := uint64(size - 1)
	for i, h := range w.hashes {
		s := h & mask
		for w.slots[s] != 0 {
			s = (s + 1) & mask
		}
		w.slots[s] = uint32(i) + 1
	}
}

// flush turns the pending words into strings that share one allocation.
func (w *words) flush() {
	if len(w.ends) == 0 {
		return
	}
	text, start := string(w.arena), 0
	for _, end := range w.ends {
		w.dict = append(w.dict, text[start:end])
		start = end
	}
	w.arena, w.ends = w.arena[:0], w.ends[:0]
}
