package ingest

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// fileKey says in which data file of a batch a row goes.
type fileKey struct {
	version *version
	kind    modelwatch.Kind
	hour    int64 // of event time, since 1970
	rate    float64
	// Where the type of a prediction or label is by value, numbers and
	// categories go in files apart: a column has one type per file.
	numberPredicted, numberLabel bool
}

// builder collects the rows of one data file, column by column, in the order of
// arrival.
type builder struct {
	key      fileKey
	rows     int
	room     int          // for how many rows there are pages
	bytes    int64        // estimated, in memory
	revision int64        // of the schema, when sealed
	schema   []fileColumn // when sealed

	lent                   *pages
	blank                  []uint64 // the page of columns that were not there yet
	ids                    arena
	times, received, ranks words
	columns                []filling // by slot
	stage                  stage
	set                    []words   // which columns a row has a value for: each has 64 of a columnSet
	some, all              columnSet // the columns that any row, and that every row, has a value for
	invalid, extra         sparse
}

// filling is a column that is being filled: with the words of events, but what is
// longer is kept, and its word is where.
type filling struct {
	words
	kept *kept // nil: nothing is longer
}

// rowBytes is what each row costs beside its words: id, and what sorting needs.
const rowBytes = 24 + 12

// add appends the event as a row.
func (b *builder) add(e *event, r *row) {
	if b.rows == b.room {
		b.makeRoom()
	}
	if n := len(e.layout.columns); len(b.columns) < n {
		b.widen(n)
	}
	b.bytes += rowBytes + int64(len(r.id))
	b.ids.add(r.id)
	at := b.rows % pageRows
	b.times.tail[at], b.received.tail[at], b.ranks.tail[at] = uint64(r.micros), uint64(r.received), uint64(r.rank)
	for _, i := range e.long {
		e.words[i] = b.keep(e, i)
	}
	if b.rows >= stageFrom {
		b.hold(e, at)
	} else {
		b.fill(e, at)
	}
	if e.invalidValues > 0 {
		b.bytes += b.invalid.add(b.rows, e.appendInvalid)
	}
	if e.unknownFields > 0 {
		b.bytes += b.extra.add(b.rows, e.appendExtra)
	}
	if b.rows++; b.rows%stageRows == 0 {
		b.pour()
	}
}

// fill takes the words of the event into the last page.
func (b *builder) fill(e *event, at int) {
	for k := range b.set {
		set := b.note(k, e.set[k], at)
		for rest := set; rest != 0; rest &= rest - 1 {
			i := k<<6 | bits.TrailingZeros64(rest)
			b.columns[i].tail[at] = e.words[i]
		}
	}
}

// note takes the k-th word of the columns that the row has a value for.
func (b *builder) note(k int, set uint64, at int) uint64 {
	if newborn := set &^ b.some[k]; newborn != 0 {
		b.bear(k, newborn)
	}
	b.all[k] &= set
	b.set[k].tail[at] = set
	return set
}

// keep keeps the text or the vector that the event has for column i.
func (b *builder) keep(e *event, i int32) (place uint64) {
	c := &b.columns[i]
	if c.kept == nil {
		c.kept = new(kept)
	}
	if e.layout.columns[i].base == cellVector {
		v := slices.Clone(e.vectors[e.words[i]>>32 : e.words[i]&math.MaxUint32])
		c.kept.vectors = append(c.kept.vectors, v)
		b.bytes += int64(24 + 4*len(v))
		return uint64(len(c.kept.vectors) - 1)
	}
	place, added := c.kept.place(e.texts[i])
	if added {
		b.bytes += int64(len(e.texts[i])) + textBytes
	}
	return place
}

// makeRoom extends all columns that have pages.
func (b *builder) makeRoom() {
	before := b.room
	if b.room += pageRows; before < pageRows {
		b.room = max(firstRows, 2*before)
	}
	for _, w := range []*words{&b.times, &b.received, &b.ranks} {
		b.extend(w, before)
	}
	for k := range b.set {
		b.extend(&b.set[k], before)
		for rest := b.some[k]; rest != 0; rest &= rest - 1 {
			b.extend(&b.columns[k<<6|bits.TrailingZeros64(rest)].words, before)
		}
	}
}

func (b *builder) extend(w *words, before int) {
	w.extend(b.lent, b.room)
	b.bytes += int64(8 * (b.room - before))
}

// widen makes the builder one of n columns. They get pages when they are born.
func (b *builder) widen(n int) {
	b.dropStage()
	b.columns = append(b.columns, make([]filling, n-len(b.columns))...)
	b.some.grow(n)
	for len(b.set) < len(b.some) {
		all := uint64(0) // the rows before have no value
		if b.rows == 0 {
			all = math.MaxUint64
		}
		b.all = append(b.all, all)
		b.set = append(b.set, words{})
		b.begin(&b.set[len(b.set)-1])
		clear(b.set[len(b.set)-1].tail)
	}
}

// bear gives pages to columns that have their first value.
func (b *builder) bear(k int, columns uint64) {
	b.some[k] |= columns
	for ; columns != 0; columns &= columns - 1 {
		b.begin(&b.columns[k<<6|bits.TrailingZeros64(columns)].words)
	}
}

func (b *builder) begin(w *words) {
	if b.room > pageRows && b.blank == nil {
		b.blank = make([]uint64, pageRows)
	}
	w.begin(b.lent, b.room, b.blank)
	b.bytes += int64(8 * len(w.tail))
}

// order returns the rows by rank.
func (b *builder) order() []int32 {
	ranks := make([]int64, 0, b.room)
	for _, p := range b.ranks.pages {
		for _, rank := range p {
			ranks = append(ranks, int64(rank))
		}
	}
	return sortedByRank(ranks[:b.rows])
}

// release gives the pages back.
func (b *builder) release() {
	for i := range b.columns {
		b.columns[i].release(b.lent)
	}
	for _, w := range append([]*words{&b.times, &b.received, &b.ranks}, pointers(b.set)...) {
		w.release(b.lent)
	}
}

func pointers[T any](s []T) []*T {
	out := make([]*T, len(s))
	for i := range s {
		out[i] = &s[i]
	}
	return out
}

// fileColumn is a column of the file.
type fileColumn struct {
	name     string
	slot     int
	typ      cellType
	declared bool
}

// seal ends the builder: no row comes after it. What it needs of its version is
// copied, because the decoder goes on changing that while the file is written.
// Features come first, then ours, both by name, whatever order they were found in.
func (b *builder) seal() {
	b.dropStage()
	l := b.key.version.rows
	if b.key.kind == modelwatch.KindLabel {
		l = b.key.version.labels
	}
	b.schema = make([]fileColumn, len(l.columns))
	for i, c := range l.columns {
		b.schema[i] = fileColumn{name: c.name, slot: i, typ: b.key.stored(i, c.base), declared: c.declared && b.key.kind == modelwatch.KindPrediction}
	}
	slices.SortFunc(b.schema, func(x, y fileColumn) int {
		if rx, ry := modelwatch.Reserved(x.name), modelwatch.Reserved(y.name); rx != ry {
			if ry {
				return -1
			}
			return 1
		}
		return strings.Compare(x.name, y.name)
	})
	b.revision = b.key.version.stored.SchemaRevision
}

// stored returns the type that a column has in the file.
func (k *fileKey) stored(slot int, typ cellType) cellType {
	switch {
	case typ != cellByValue:
		return typ
	case slot == int(slotPredicted) && k.numberPredicted, slot == int(slotLabel) && k.numberLabel:
		return cellNumber
	}
	return cellCategory
}

// arena holds many short texts without a string header for each. It doubles when it
// is full.
type arena struct {
	bytes []byte
	ends  []int
}

func (a *arena) add(text []byte) {
	if cap(a.bytes)-len(a.bytes) < len(text) {
		a.bytes = slices.Grow(a.bytes, max(len(text), len(a.bytes)))
	}
	a.bytes = append(a.bytes, text...)
	a.ends = append(a.ends, len(a.bytes))
}

// strings returns the texts; they share one copy of the bytes.
func (a *arena) strings() []string {
	all, out, from := string(a.bytes), make([]string, len(a.ends)), 0
	for i, end := range a.ends {
		out[i] = all[from:end]
		from = end
	}
	return out
}

// sorted returns the texts in that order; they share one copy of the bytes, in which they
// follow each other, too.
func (a *arena) sorted(order []int32) []string {
	var all strings.Builder
	all.Grow(len(a.bytes))
	out := make([]string, len(order))
	for i, row := range order {
		from := 0
		if row > 0 {
			from = a.ends[row-1]
		}
		at := all.Len()
		all.Write(a.bytes[from:a.ends[row]])
		out[i] = all.String()[at:]
	}
	return out
}

// sparse is a text column that few rows have.
type sparse struct {
	arena
	at []int32
}

func (s *sparse) n() int { return len(s.at) }

// add lets appendTo append the text of a row, and notes it if there is any.
func (s *sparse) add(row int, appendTo func([]byte) []byte) int64 {
	n := len(s.bytes)
	s.bytes = appendTo(s.bytes)
	if len(s.bytes) == n {
		return 0
	}
	s.ends = append(s.ends, len(s.bytes))
	s.at = append(s.at, int32(row))
	return int64(len(s.bytes)-n) + 32
}

// spec describes the sealed file.
func (b *builder) spec(commit string, unique string) modelwatch.FileSpec {
	return modelwatch.FileSpec{
		Kind: b.key.kind, Model: b.key.version.model, Version: b.key.version.name,
		Hour: microsTime(b.key.hour * microsPerHour), Unique: unique,
		SamplingRate: b.key.rate, SchemaRevision: b.revision, CommitID: commit,
	}
}
