package engine

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// Sample is one column of some rows as it was read, for what a profile cannot
// answer: its numbers, or its categories with their counts. Rows are counted as a
// profile counts them.
type Sample struct {
	Kind       profile.Kind
	Floats     []float64 // number: the valid values, in the order of rows unless Sorted
	Sorted     bool      // Floats ascend
	Weights    []float64 // of Floats; nil if rows carry none
	Categories []profile.CategoryCount
	Present    int64 // presence: rows with a value
	Missing    int64
	Invalid    int64 // with those that are out of range
	OutOfRange int64
}

// ReadSamples reads a column whole, in one piece or, where chunkRows is over 0,
// in pieces of so many rows, the last one shorter. weight names the column of
// weights, "" if there is none; only numbers have them. It takes the memory of the
// column's values.
func ReadSamples(ctx context.Context, src Source, column modelwatch.Column, weight string, chunkRows int64) ([]Sample, error) {
	return readSamples(ctx, src, column, weight, chunkRows, nil)
}

// readSamples is ReadSamples into a buffer with room for the numbers of all rows; nil: there is none.
func readSamples(ctx context.Context, src Source, column modelwatch.Column, weight string, chunkRows int64, buffer []float64) ([]Sample, error) {
	r := &sampler{column: column, weight: weight, rows: chunkRows, kind: kindOf(column.Type), buffer: buffer}
	if r.rows <= 0 {
		r.rows = max(src.Rows(), 1)
	}
	r.room = min(r.rows, src.Rows())
	names := []string{column.Column}
	if weight != "" {
		names = append(names, weight)
	}
	r.start()
	err := src.Scan(ctx, names, func(c *table.Chunk) error {
		for from := 0; from < c.Rows; {
			n := int(min(int64(c.Rows-from), r.rows-r.done))
			r.add(piece(c, from, n))
			if from += n; r.done == r.rows {
				r.finish()
				r.start()
			}
		}
		return nil
	})
	if err == nil && (r.done > 0 || len(r.samples) == 0) {
		r.finish()
	}
	if err == nil {
		err = r.named(ctx, src)
	}
	if err != nil {
		return nil, fmt.Errorf("read column %s: %w", column.Name, err)
	}
	return r.samples, nil
}

func kindOf(t modelwatch.FeatureType) profile.Kind {
	switch t {
	case modelwatch.TypeNumber:
		return profile.KindNumber
	case modelwatch.TypeCategory:
		return profile.KindCategory
	case modelwatch.TypeBoolean:
		return profile.KindBoolean
	}
	return profile.KindPresence
}

// sampler reads one column.
type sampler struct {
	column  modelwatch.Column
	weight  string
	kind    profile.Kind
	rows    int64 // of a piece
	done    int64 // of the piece
	samples []Sample

	now    Sample
	counts map[string]int64
	order  []string // of counts: the order of first appearance
	texts  texts
	limits ranged
	room   int64 // for numbers: what a piece may hold at most
	buffer []float64
}

func (r *sampler) start() {
	r.done, r.now, r.counts, r.order = 0, Sample{Kind: r.kind}, map[string]int64{}, nil
	if r.buffer != nil {
		r.now.Floats = r.buffer[:0]
	}
}

func (r *sampler) finish() {
	for _, value := range r.order {
		r.now.Categories = append(r.now.Categories, profile.CategoryCount{Value: value, Count: r.counts[value]})
	}
	r.samples = append(r.samples, r.now)
	if n := len(r.now.Floats); r.buffer != nil {
		r.buffer = r.now.Floats[n:]
	}
}

func (r *sampler) count(value string, n int64) {
	if _, known := r.counts[value]; !known {
		r.order = append(r.order, value)
	}
	r.counts[value] += n
}

func (r *sampler) add(c *table.Chunk) {
	r.done += int64(c.Rows)
	col := &c.Columns[0]
	switch {
	case col.Type == "":
		r.now.Missing += int64(c.Rows)
	case !fits(r.column.Type, col):
		for i := range c.Rows {
			if col.Missing(i) {
				r.now.Missing++
			} else {
				r.now.Invalid++
			}
		}
	case r.kind == profile.KindNumber:
		r.numbers(c)
	default:
		r.categories(c.Rows, col)
	}
}

func (r *sampler) numbers(c *table.Chunk) {
	col := &c.Columns[0]
	valid, outside := r.limits.valid(&r.column, c.Rows, col)
	r.now.OutOfRange += outside
	r.now.Missing += int64(c.Rows) - presentRows(c.Rows, col)
	r.now.Invalid += outside
	if r.now.Floats == nil {
		r.now.Floats = make([]float64, 0, r.room)
	}
	for i, v := range col.Floats[:c.Rows] {
		switch {
		case valid != nil && !valid[i]:
		case v-v != 0:
			r.now.Invalid++
		default:
			r.now.Floats = append(r.now.Floats, v)
			if r.weight != "" {
				r.now.Weights = append(r.now.Weights, weightAt(&c.Columns[1], i))
			}
		}
	}
}

// weightAt is the weight of a row: 0 if it has none, so that the row counts for nothing.
func weightAt(col *table.Column, i int) float64 {
	if col.Missing(i) || len(col.Floats) == 0 {
		return 0
	}
	return col.Floats[i]
}

func (r *sampler) categories(rows int, col *table.Column) {
	counts, present := map[int32]int64{}, int64(0)
	var dict []string
	var index []int32
	if r.kind != profile.KindPresence {
		dict, index = r.texts.of(rows, col)
	}
	for i := range rows {
		switch {
		case col.Missing(i):
			r.now.Missing++
			continue
		case index != nil:
			counts[index[i]]++
		}
		present++
	}
	if r.kind == profile.KindPresence {
		r.now.Present += present
		return
	}
	for i, value := range dict {
		if n := counts[int32(i)]; n > 0 {
			r.count(value, n)
		}
	}
}

// named moves what the "_invalid" column says from missing to invalid.
func (r *sampler) named(ctx context.Context, src Source) error {
	t := newTallies([]modelwatch.Column{r.column})
	tallied := make([]tally, 1)
	return eachInvalid(ctx, src, func(row int, object string) {
		tallied[0] = tally{}
		t.add(object, tallied)
		s := &r.samples[min(int64(row)/r.rows, int64(len(r.samples)-1))]
		n := min(tallied[0].invalid, s.Missing)
		s.Missing -= n
		s.Invalid += n
		s.OutOfRange += min(tallied[0].outside, n)
	})
}
