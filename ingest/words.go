package ingest

// pageRows is how many rows a page of a column has. A builder of fewer rows has one
// page of each column, which doubles from firstRows on.
const (
	pageRows  = 1024
	firstRows = 32
)

// pages are lent to builders, and come back when their file is made.
type pages = slabs[uint64]

// words are a column of 64-bit words, one a row, in pages that never move once they
// are full.
type words struct {
	pages [][]uint64
	born  int      // pages before this one are a blank one, which others have, too
	tail  []uint64 // the last page
}

// begin makes the pages of a column that so many rows have none of.
func (w *words) begin(lent *pages, room int, blank []uint64) {
	w.born = (room - 1) / pageRows
	for range w.born {
		w.pages = append(w.pages, blank)
	}
	w.tail = lent.get(min(room, pageRows))[:min(room, pageRows)]
	w.pages = append(w.pages, w.tail)
}

// extend makes room for so many rows: those of another page, or twice as many as now.
func (w *words) extend(lent *pages, room int) {
	if room > pageRows {
		w.tail = lent.get(pageRows)[:pageRows]
		w.pages = append(w.pages, w.tail)
		return
	}
	old := w.tail
	w.tail = lent.get(room)[:room]
	w.pages = append(w.pages[:0], w.tail)
	copy(w.tail, old)
	lent.put(old)
}

// release gives the pages back.
func (w *words) release(lent *pages) {
	for _, p := range w.pages[w.born:] {
		lent.put(p)
	}
	*w = words{}
}
