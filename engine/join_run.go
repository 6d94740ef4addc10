package engine

import (
	"context"
	"math"
	"math/bits"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// joinRun is the state of a FileJoin. Reading and decoding a chunk, and looking up
// the one before, go on at the same time.
type joinRun struct {
	FileJoin
	report  JoinReport
	classes *joinClasses
	groups  *joinClasses
	truth   *joinTable // ids that have a label
	without *joinTable // ids predicted that have none
	pass    int
	done    int64
	fetched uint32 // see joinTable.fetch

	label       joinColumn
	predictions joinReader
}

// joinBlock is a chunk on its way from the reader to the look-up and on.
type joinBlock struct {
	batch modelwatch.JoinedBatch
	keys  []int64
	ok    []bool // which rows have an id

	// What the look-up found: the rows that count, their labels, and these rows alone.
	keep   []int32
	codes  []int32
	values []float64
	kept   modelwatch.JoinedBatch
}

const joinBlocks = 4

func newJoinRun(j FileJoin) *joinRun {
	r := &joinRun{FileJoin: j, classes: newJoinClasses(MaxJoinClasses), groups: newJoinClasses(MaxJoinGroups)}
	r.report.Passes = r.passes()
	r.label = joinColumn{name: j.Columns.Label, part: "labels"}
	if j.Labels == nil {
		r.label.part = "predictions"
	}
	r.predictions = newJoinReader(r)
	return r
}

func (r *joinRun) run(ctx context.Context, f func(*modelwatch.JoinedBatch) error) error {
	if r.Labels == nil {
		return r.stream(ctx, func(b *joinBlock) error {
			r.progress(b.batch.Rows)
			return f(&b.batch)
		})
	}
	r.Predictions, r.Labels = withKeys(r.Predictions, r.Columns.ID), withKeys(r.Labels, r.Columns.ID)
	for r.pass = range r.report.Passes {
		r.truth = newJoinTable(r.Labels.Rows()/int64(r.report.Passes), r.stride())
		r.without = newJoinTable(0, setOfIDs)
		if err := r.readLabels(ctx); err != nil {
			return err
		}
		l := lookup{joinRun: r, f: f}
		if err := r.stream(ctx, l.look, l.hand); err != nil {
			return err
		}
		r.report.LabelsWithoutPrediction += r.truth.len() - l.matched
	}
	return nil
}

// mine reports whether a key is of this pass.
func (r *joinRun) mine(key uint64) bool {
	if r.report.Passes == 1 {
		return true
	}
	hi, _ := bits.Mul64(key, uint64(r.report.Passes))
	return int(hi) == r.pass
}

// progress counts rows that were read.
func (r *joinRun) progress(rows int) {
	r.done += int64(rows)
	if r.Progress == nil {
		return
	}
	total := r.Predictions.Rows()
	if r.Labels != nil {
		total += r.Labels.Rows()
	}
	r.Progress(r.done, total*int64(r.report.Passes))
}

// pipe reads a file's columns into blocks and hands them from stage to stage. Each
// stage has a goroutine of its own and sees the blocks in order, one at a time.
func (r *joinRun) pipe(ctx context.Context, s JoinSource, columns []string, read func(*table.Chunk, *joinBlock) error, stages ...func(*joinBlock) error) error {
	free, first := make(chan *joinBlock, joinBlocks), make(chan *joinBlock, joinBlocks)
	for range joinBlocks {
		free <- &joinBlock{}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(first)
		return s.Scan(ctx, columns, func(c *table.Chunk) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case b := <-free:
				if err := read(c, b); err != nil {
					return err
				}
				first <- b // every channel has room for all blocks
				return nil
			}
		})
	})
	in := first
	for i, stage := range stages {
		from, to := in, free
		if i < len(stages)-1 {
			to = make(chan *joinBlock, joinBlocks)
		}
		g.Go(func() error {
			if i < len(stages)-1 {
				defer close(to)
			}
			for b := range from {
				if err := stage(b); err != nil {
					return err
				}
				to <- b
			}
			return nil
		})
		in = to
	}
	return g.Wait()
}

// readLabels fills the table of this pass.
func (r *joinRun) readLabels(ctx context.Context) error {
	place := int64(0)
	read := func(c *table.Chunk, b *joinBlock) (err error) {
		b.keys, b.ok = keysOf(c.Rows, &c.Columns[0], b.keys, b.ok)
		if b.batch.Rows = c.Rows; r.Numbers {
			b.batch.Label.Values = r.label.valuesOf(c.Rows, &c.Columns[1], b.batch.Label.Values, r.counted(place))
		} else {
			b.batch.Label.Codes, err = r.label.codesOf(r.classes, c.Rows, &c.Columns[1], b.batch.Label.Codes)
		}
		place += int64(c.Rows)
		return err
	}
	entered := int64(0)
	err := r.pipe(ctx, r.Labels, []string{r.Columns.ID, r.Columns.Label}, read, func(b *joinBlock) error {
		r.ahead(b.keys, func(from, to int) { r.enter(b, from, to, entered) })
		entered += int64(b.batch.Rows)
		r.progress(b.batch.Rows)
		return nil
	})
	r.report.Labels = entered
	return err
}

// counted is a place, or less than 0 where a pass before has counted.
func (r *joinRun) counted(place int64) int64 {
	if r.pass > 0 {
		return -1
	}
	return place
}

// ahead calls f for runs of rows whose slots have been fetched.
func (r *joinRun) ahead(keys []int64, f func(from, to int)) {
	for from := 0; from < len(keys); from += joinAhead {
		to := min(from+joinAhead, len(keys))
		r.fetched += r.truth.fetch(keys[from:to])
		f(from, to)
	}
}

// enter puts labels into the table: the last of an id counts.
func (r *joinRun) enter(b *joinBlock, from, to int, first int64) {
	label := &b.batch.Label
	for i := from; i < to; i++ {
		if !b.ok[i] {
			if r.pass == 0 {
				r.report.LabelsWithoutID.add(first + int64(i))
			}
			continue
		}
		key := notFree(b.keys[i])
		if !r.mine(key) || (r.Numbers && math.IsNaN(label.Values[i])) || (!r.Numbers && label.Codes[i] < 0) {
			continue
		}
		p, slot, again := r.truth.insert(key)
		if again {
			r.report.RepeatedLabels.add(first + int64(i))
		}
		if r.Numbers {
			p.setNumber(slot, label.Values[i])
		} else {
			p.setClass(slot, label.Codes[i])
		}
	}
}

// stream reads the predictions.
func (r *joinRun) stream(ctx context.Context, stages ...func(*joinBlock) error) error {
	r.predictions.place = 0
	err := r.pipe(ctx, r.Predictions, r.predictions.columns, r.predictions.read, stages...)
	r.report.Predictions = r.predictions.place
	return err
}

// lookup gives predictions their labels.
type lookup struct {
	*joinRun
	f       func(*modelwatch.JoinedBatch) error
	matched int64 // ids
}

// look finds the labels of a block's rows.
func (l *lookup) look(b *joinBlock) error {
	b.keep, b.codes, b.values = b.keep[:0], b.codes[:0], b.values[:0]
	l.ahead(b.keys, func(from, to int) { l.find(b, from, to) })
	return nil
}

// hand gives the rows that count to who asked for the join.
func (l *lookup) hand(b *joinBlock) error {
	l.progress(b.batch.Rows)
	if len(b.keep) == 0 {
		return nil
	}
	out := &b.batch
	if len(b.keep) < out.Rows {
		b.kept.Take(out, b.keep)
		out = &b.kept
	}
	if l.Numbers {
		out.Label = modelwatch.JoinedColumn{Values: b.values}
	} else {
		out.Label = modelwatch.JoinedColumn{Codes: b.codes, Classes: b.batch.Predicted.Classes}
	}
	return l.f(out)
}

// find lists the rows that count, and their labels.
func (l *lookup) find(b *joinBlock, from, to int) {
	var slots [joinAhead]int
	l.locate(b, from, to, &slots)
	for i := from; i < to; i++ {
		if !b.ok[i] {
			if l.pass == 0 {
				l.report.PredictionsWithoutID.add(b.batch.Places[i])
			}
			continue
		}
		key := notFree(b.keys[i])
		if !l.mine(key) {
			continue
		}
		p, slot := l.truth.at(key), slots[i-from]
		found, again := slot >= 0, false
		if !found {
			_, _, again = l.without.insert(key)
		} else if again = p.isSeen(slot); !again {
			p.see(slot)
			l.matched++
		}
		if again {
			l.report.RepeatedPredictions.add(b.batch.Places[i])
			continue
		}
		b.keep = append(b.keep, int32(i))
		l.append(b, p, slot, found)
	}
}

// locate finds the slots of rows, -1 for an id without a label, whose slot among
// those without is fetched instead.
func (l *lookup) locate(b *joinBlock, from, to int, slots *[joinAhead]int) {
	for i := from; i < to; i++ {
		key := notFree(b.keys[i])
		if !b.ok[i] || !l.mine(key) {
			continue
		}
		slot, found := l.truth.at(key).place(key)
		if !found {
			slot = -1
			l.fetched += l.without.touch(key)
		}
		slots[i-from] = slot
	}
}

// append adds the label of a row, or that it has none.
func (l *lookup) append(b *joinBlock, p *joinPart, slot int, found bool) {
	switch {
	case l.Numbers && found:
		b.values = append(b.values, p.number(slot))
	case l.Numbers:
		b.values = append(b.values, math.NaN())
	case found:
		b.codes = append(b.codes, p.class(slot))
	default:
		b.codes = append(b.codes, -1)
	}
}

// finish completes the report.
func (r *joinRun) finish() *JoinReport {
	for _, c := range append([]*joinColumn{&r.label}, r.predictions.numbers()...) {
		if c.strange.Rows > 0 {
			r.report.Strange = append(r.report.Strange, JoinStrange{Part: c.part, Column: c.name, JoinPlaces: c.strange, Text: c.text})
		}
	}
	return &r.report
}
