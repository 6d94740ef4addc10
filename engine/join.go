package engine

import (
	"context"
	"errors"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// JoinSource is a table that is joined: a file ([table.Reader]) or several
// ([table.Union]).
type JoinSource interface {
	Rows() int64
	Column(name string) (table.ColumnInfo, bool)
	Scan(ctx context.Context, columns []string, f func(*table.Chunk) error) error
}

// JoinColumns name the columns of a join of files; "" is a column that there is
// none of.
type JoinColumns struct {
	ID, Score, Predicted, Label, Group, Weight, Time string
	ClassScores, Segments                            []string
}

// DefaultJoinBytes is the memory that a join may take for its ids and labels.
const DefaultJoinBytes = 256 << 20

// FileJoin joins the predictions of a file with their truth: from the labels by
// id or, if Labels is nil, from a column of the same rows; without one no row has
// a label.
//
// An id that was predicted more than once counts once, with its first row, and of
// several labels of an id the last counts, in the order of the files; a label
// without a value is none. Ids are told apart by the keys of
// [table.Reader.AsKeys]: "1" and 1 are the same id.
//
// The labels are read first and kept in a table, 12 bytes each for classes and 16
// for numbers, and a third more; then predictions are streamed through it. An id
// without a label takes 10 bytes more, because it may come again. If that can be
// more than MemoryBytes, both files are read several times, each time for an
// equal share of the keys. That was chosen over sorting to disk: it needs no room
// there, and a pass takes about as long as writing and reading what it saves.
// Batches then come in the order of the predictions within each pass only; their
// Places say where a row stands.
type FileJoin struct {
	Predictions, Labels JoinSource
	Columns             JoinColumns
	// Numbers gives labels and predictions as numbers instead of as classes.
	Numbers bool
	// MemoryBytes bounds the table; 0 is DefaultJoinBytes.
	MemoryBytes int64
	// Progress is told how many rows of how many have been read; nil for nobody.
	Progress func(done, total int64)
}

// JoinReport says what a join came across.
type JoinReport struct {
	Predictions, Labels     int64      // rows
	PredictionsWithoutID    JoinPlaces // not joined
	LabelsWithoutID         JoinPlaces
	RepeatedPredictions     JoinPlaces // rows after the first of their id: not counted
	RepeatedLabels          JoinPlaces // rows that replace an earlier label of their id
	LabelsWithoutPrediction int64      // ids
	Passes                  int
	Strange                 []JoinStrange
}

// JoinPlaces counts rows and says where the first of them is.
type JoinPlaces struct {
	Rows  int64
	First int64 // the file's first row is 0
}

func (p *JoinPlaces) add(place int64) {
	if p.Rows == 0 || place < p.First {
		p.First = place
	}
	p.Rows++
}

// JoinStrange counts the texts of a column that stand where a number should.
type JoinStrange struct {
	Part, Column string // of "predictions" or "labels"
	JoinPlaces
	Text string // of the first
}

// Run calls f for each batch of predictions, from one goroutine. An error of f
// ends the join and is returned as it is.
func (j FileJoin) Run(ctx context.Context, f func(*modelwatch.JoinedBatch) error) (*JoinReport, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	r := newJoinRun(j)
	if err := r.run(ctx, f); err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// passes is how often the files are read.
func (j *FileJoin) passes() int {
	if j.Labels == nil {
		return 1
	}
	budget := j.MemoryBytes
	if budget <= 0 {
		budget = DefaultJoinBytes
	}
	need := float64(j.Labels.Rows())*slotBytes(j.stride()) + float64(j.Predictions.Rows())*slotBytes(setOfIDs)
	return int(need/float64(budget)) + 1
}

// stride is that of the table of labels.
func (j *FileJoin) stride() int {
	if j.Numbers {
		return numbersOfIDs
	}
	return classesOfIDs
}

// check names a column that is asked for and not there.
func (j *FileJoin) check() error {
	c, p := j.Columns, j.Predictions
	err := errors.Join(
		optional(p, "predictions", "score", c.Score), optional(p, "predictions", "predicted", c.Predicted),
		optional(p, "predictions", "group", c.Group), optional(p, "predictions", "weight", c.Weight), optional(p, "predictions", "time", c.Time),
	)
	for _, name := range c.ClassScores {
		err = errors.Join(err, required(p, "predictions", "score", name))
	}
	for _, name := range c.Segments {
		err = errors.Join(err, required(p, "predictions", "segments", name))
	}
	if j.Labels == nil {
		return errors.Join(err, optional(p, "predictions", "label", c.Label))
	}
	return errors.Join(err, required(p, "predictions", "id", c.ID), required(j.Labels, "labels", "id", c.ID), required(j.Labels, "labels", "label", c.Label))
}

func optional(r JoinSource, file, part, name string) error {
	if name == "" {
		return nil
	}
	return required(r, file, part, name)
}

func required(r JoinSource, file, part, name string) error {
	if _, ok := r.Column(name); !ok {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the %s have no column %q: say which it is with --%s", file, name, part)
	}
	return nil
}

// withKeys reads a file's ids as keys, if it can.
func withKeys(s JoinSource, id string) JoinSource {
	switch r := s.(type) {
	case *table.Reader:
		return r.AsKeys(id)
	case *table.Union:
		return r.AsKeys(id)
	}
	return s
}
