package ingest

import "math"

// run reads members at pos as streak does, faster, for as long as they are what readRun
// takes. It returns the hint for the next one; done says that there is none.
func (e *event) run(hint *int32) (next *int32, done bool) {
	d := e.data
	n := len(e.long)
	long := e.long[n:cap(e.long)]
	if *hint < 0 || e.pos < valueAt || len(d)-e.pos <= windowRest || len(long) == 0 {
		return hint, false
	}
	end, last, longs, done := readRun(&d[0], len(d), e.pos, &e.layout.columns[0], *hint, e.sifted, &e.words[0], &e.named[0], &e.set[0], &long[0], len(long))
	e.long = e.long[:n]
	for _, i := range long[:longs] {
		e.convert(i)
	}
	e.pos = end
	if last >= 0 {
		hint = &e.layout.columns[last].follow
	}
	if !done {
		e.space() // behind a comma
	}
	return hint, done
}

// convert takes a value that readRun has listed.
func (e *event) convert(i int32) {
	if i >= 0 {
		start, end := e.span(i)
		e.setText(i, e.data[start+1:end-1])
		return
	}
	i = ^i
	start, end := e.span(i)
	v, col := (*window)(e.data[start-valueAt:]), &e.layout.columns[i]
	if f, ok := v.number(valueAt + end - start); ok && f >= col.min && f <= col.max {
		e.setWord(i, math.Float64bits(f))
		return
	}
	e.pos = start
	e.readNumber(i) // a number it is
}

// span returns where the value of a listed column is.
func (e *event) span(i int32) (start, end int) {
	w := e.words[i]
	return int(w >> 32), int(w & math.MaxUint32)
}
