package engine

import (
	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// joinReader makes batches of chunks of predictions.
type joinReader struct {
	run     *joinRun
	columns []string // as they are read: see read
	place   int64

	score, predicted, group, weight joinColumn
	classScores, segments           []joinColumn
}

func newJoinReader(r *joinRun) joinReader {
	c := r.Columns
	of := func(name string) joinColumn { return joinColumn{name: name, part: "predictions"} }
	j := joinReader{run: r, score: of(c.Score), predicted: of(c.Predicted), group: of(c.Group), weight: of(c.Weight)}
	id, label := c.ID, ""
	if r.Labels == nil {
		id, label = "", c.Label
	}
	j.columns = append([]string{id, c.Score, c.Predicted, label, c.Group, c.Weight, c.Time}, c.ClassScores...)
	for _, name := range c.ClassScores {
		j.classScores = append(j.classScores, of(name))
	}
	for _, name := range c.Segments {
		j.segments = append(j.segments, of(name))
	}
	j.columns = append(j.columns, c.Segments...)
	return j
}

// read fills a block with a chunk, but for labels of another file.
func (j *joinReader) read(c *table.Chunk, b *joinBlock) error {
	n, batch, first := c.Rows, &b.batch, j.run.counted(j.place)
	batch.Rows = n
	batch.Places = resize(batch.Places, n)
	for i := range batch.Places {
		batch.Places[i] = j.place + int64(i)
	}
	j.place += int64(n)
	if j.run.Labels != nil {
		b.keys, b.ok = keysOf(n, &c.Columns[0], b.keys, b.ok)
	}
	if j.score.name != "" {
		batch.Scores = j.score.valuesOf(n, &c.Columns[1], batch.Scores, first)
	}
	if j.weight.name != "" {
		batch.Weights = j.weight.valuesOf(n, &c.Columns[5], batch.Weights, first)
	}
	if j.run.Columns.Time != "" {
		batch.Times = timesOf(n, &c.Columns[6], batch.Times)
	}
	rest := c.Columns[7:]
	batch.ClassScores = resize(batch.ClassScores, len(j.classScores))
	for i := range j.classScores {
		batch.ClassScores[i] = j.classScores[i].valuesOf(n, &rest[i], batch.ClassScores[i], first)
	}
	return j.readClasses(c, batch, first)
}

// readClasses reads the columns that are classes, and those that are classes or
// numbers.
func (j *joinReader) readClasses(c *table.Chunk, batch *modelwatch.JoinedBatch, first int64) error {
	err := j.value(&j.predicted, c.Rows, &c.Columns[2], &batch.Predicted, first)
	if err == nil && j.run.Labels == nil {
		err = j.value(&j.run.label, c.Rows, &c.Columns[3], &batch.Label, first)
	}
	if err == nil && j.group.name != "" {
		batch.Group.Codes, err = j.group.codesOf(j.run.groups, c.Rows, &c.Columns[4], batch.Group.Codes)
	}
	batch.Segments = resize(batch.Segments, len(j.segments))
	for i := range j.segments {
		if err == nil {
			err = j.class(&j.segments[i], c.Rows, &c.Columns[7+len(j.classScores)+i], &batch.Segments[i])
		}
	}
	// All columns share the classes, which a later one may have added to.
	names := j.run.classes.names
	batch.Predicted.Classes, batch.Label.Classes, batch.Group.Classes = names, names, j.run.groups.names
	for i := range batch.Segments {
		batch.Segments[i].Classes = names
	}
	return err
}

func (j *joinReader) class(of *joinColumn, rows int, col *table.Column, into *modelwatch.JoinedColumn) (err error) {
	into.Codes, err = of.codesOf(j.run.classes, rows, col, into.Codes)
	return err
}

// value reads a prediction or a label.
func (j *joinReader) value(of *joinColumn, rows int, col *table.Column, into *modelwatch.JoinedColumn, first int64) error {
	switch {
	case of.name == "":
		return nil
	case j.run.Numbers:
		into.Values = of.valuesOf(rows, col, into.Values, first)
		return nil
	}
	return j.class(of, rows, col, into)
}

// numbers are the columns in which a text is strange.
func (j *joinReader) numbers() []*joinColumn {
	out := []*joinColumn{&j.score, &j.predicted, &j.weight}
	for i := range j.classScores {
		out = append(out, &j.classScores[i])
	}
	return out
}

// timesOf gives the rows' times.
func timesOf(rows int, col *table.Column, into []int64) []int64 {
	into = resize(into, rows)
	for i := range into {
		into[i] = modelwatch.MinTime
		if col.Type == modelwatch.TypeTimestamp && !col.Missing(i) {
			into[i] = col.Ints[i]
		}
	}
	return into
}
