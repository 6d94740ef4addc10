package table

import "fmt"

// columnView is a run of rows of one column. Without values every row is missing.
type columnView struct {
	values  bool
	valid   []bool
	floats  []float64
	ints    []int64
	bools   []bool
	dict    []string
	index   []int32
	vectors [][]float32
}

func viewOf(c *Column) columnView {
	if len(c.Floats)+len(c.Ints)+len(c.Bools)+len(c.Index)+len(c.Vectors) == 0 {
		return columnView{}
	}
	return columnView{
		values: true, valid: c.Valid, floats: c.Floats, ints: c.Ints, bools: c.Bools,
		dict: c.Dict, index: c.Index, vectors: c.Vectors,
	}
}

func (v *columnView) missing(i int) bool { return !v.values || v.valid != nil && !v.valid[i] }

// columnBuffer gathers the rows of small chunks into one row group.
type columnBuffer struct {
	rows  int
	all   columnView
	known map[string]int32 // of all.dict; built when a second dictionary arrives
	remap []int32
}

func (b *columnBuffer) view() columnView { return b.all }

func (b *columnBuffer) reset() {
	a := &b.all
	clear(a.dict)
	clear(a.vectors)
	*b = columnBuffer{remap: b.remap, all: columnView{
		valid: a.valid[:0], floats: a.floats[:0], ints: a.ints[:0], bools: a.bools[:0],
		dict: a.dict[:0], index: a.index[:0], vectors: a.vectors[:0],
	}}
}

// add appends n rows and returns how many bytes of strings and vectors they brought.
func (b *columnBuffer) add(store storage, v columnView, n int) (bytes int, err error) {
	a := &b.all
	for i := range n {
		a.valid = append(a.valid, !v.missing(i))
	}
	switch store {
	case storeFloats:
		a.floats = extend(a.floats, v.floats, n)
	case storeInts, storeTimes:
		a.ints = extend(a.ints, v.ints, n)
	case storeBools:
		a.bools = extend(a.bools, v.bools, n)
	case storeStrings:
		bytes, err = b.addStrings(v, n)
	case storeVectors:
		bytes = b.addVectors(v, n)
	}
	a.values = true
	b.rows += n
	return bytes, err
}

// extend appends the values, or n zeros where there are none.
func extend[T any](dst, values []T, n int) []T {
	if len(values) == 0 {
		return append(dst, make([]T, n)...)
	}
	return append(dst, values...)
}

// addStrings appends indexes into the merged dictionary, which holds only what
// is used, in order of first use.
func (b *columnBuffer) addStrings(v columnView, n int) (bytes int, err error) {
	a := &b.all
	if len(v.index) == 0 {
		a.index = extend(a.index, nil, n)
		return 0, nil
	}
	if b.known == nil && len(a.dict) > 0 {
		b.known = make(map[string]int32, 2*len(a.dict))
		for i, s := range a.dict {
			b.known[s] = int32(i)
		}
	}
	b.remap = grown(b.remap, len(v.dict))
	clear(b.remap)
	for i, old := range v.index {
		if v.missing(i) {
			a.index = append(a.index, 0)
			continue
		}
		if old < 0 || int(old) >= len(v.dict) {
			return 0, fmt.Errorf("row %d has index %d into a dictionary of %d", b.rows+i, old, len(v.dict))
		}
		if b.remap[old] == 0 {
			at, added := b.place(v.dict[old])
			b.remap[old] = at + 1
			bytes += added
		}
		a.index = append(a.index, b.remap[old]-1)
	}
	return bytes, nil
}

func (b *columnBuffer) place(s string) (at int32, bytes int) {
	if at, ok := b.known[s]; ok {
		return at, 0
	}
	at = int32(len(b.all.dict))
	b.all.dict = append(b.all.dict, s)
	if b.known != nil {
		b.known[s] = at
	}
	return at, len(s)
}

func (b *columnBuffer) addVectors(v columnView, n int) (bytes int) {
	for i := range n {
		var own []float32
		if !v.missing(i) {
			own = append([]float32{}, v.vectors[i]...)
			bytes += 4 * len(own)
		}
		b.all.vectors = append(b.all.vectors, own)
	}
	return bytes
}

// grown returns a slice of length n, s itself if it is large enough.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
