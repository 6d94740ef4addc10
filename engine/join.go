package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dchest/siphash"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/table"
)

// JoinColumns name the columns of a join of files; "" is a column that there is none of.
type JoinColumns struct {
	ID, Score, Predicted, Label string
}

// JoinWindow calls f for each prediction of the window, in the order of ranks,
// with its label if one has arrived: archive.JoinLabels. A request id that stands
// in the archive more than once counts once, with its first prediction and its
// last label.
func (e *Engine) JoinWindow(ctx context.Context, predictions, labels []modelwatch.DataFile, w modelwatch.Window, f func(modelwatch.Joined) error) error {
	return e.archive.JoinLabels(ctx, predictions, labels, w, f)
}

// JoinFiles calls f for each prediction of a file with its truth: from the labels
// file by id, or, if labels is nil, from a column of the same row. With labels, an
// id that was predicted more than once counts once, with its first row, and of
// several labels of an id the last counts, in the order of the file. Ids are told
// apart by 64 bits of hash (two of ten million share one with odds of 1 in 370,000).
// Predictions are streamed; held in memory are some 60 bytes per label and 10 per
// id predicted. Time and weight come from the columns _time and _weight of the
// predictions, if there are any; without, the weight is 1.
func JoinFiles(ctx context.Context, predictions, labels *table.Reader, columns JoinColumns, f func(modelwatch.Joined) error) error {
	if err := columns.check(predictions, labels); err != nil {
		return err
	}
	if labels == nil {
		j := &fileJoin{f: f, label: func(_ uint64, inRow joinedValue) joinedValue { return inRow }}
		return predictions.Scan(ctx, columns.list("", columns.Label), j.chunk)
	}
	predictions, labels = predictions.AsText(columns.ID), labels.AsText(columns.ID)
	truth, err := readLabels(ctx, labels, columns)
	if err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	j := &fileJoin{f: f, seen: map[uint64]struct{}{}, label: func(id uint64, _ joinedValue) joinedValue { return truth[id] }}
	return predictions.Scan(ctx, columns.list(columns.ID, ""), j.chunk)
}

// check names a column that is asked for and not there.
func (c JoinColumns) check(predictions, labels *table.Reader) error {
	err := errors.Join(optional(predictions, "predictions", "score", c.Score), optional(predictions, "predictions", "predicted", c.Predicted))
	if labels == nil {
		return errors.Join(err, required(predictions, "predictions", "label", c.Label))
	}
	return errors.Join(err, required(predictions, "predictions", "id", c.ID), required(labels, "labels", "id", c.ID), required(labels, "labels", "label", c.Label))
}

func optional(r *table.Reader, file, part, name string) error {
	if name == "" {
		return nil
	}
	return required(r, file, part, name)
}

func required(r *table.Reader, file, part, name string) error {
	if _, ok := r.Column(name); !ok {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the %s have no column %q: say which it is with --%s", file, name, part)
	}
	return nil
}

// list names the columns that a join reads; "" is one that no file has.
func (c JoinColumns) list(id, label string) []string {
	return []string{id, c.Score, c.Predicted, label, modelwatch.ColumnWeight, modelwatch.ColumnTime}
}

// joinedValue is one value in both forms, as archive.Values gives them.
type joinedValue struct {
	text  string
	value float64
	ok    bool
}

// valueAt is row i's value; a number that is not finite is none.
func valueAt(v *archive.Values, i int) joinedValue {
	text, value, ok := v.At(i)
	return joinedValue{text, value, ok && text != "NaN" && !math.IsInf(value, 0)}
}

func readLabels(ctx context.Context, labels *table.Reader, columns JoinColumns) (map[uint64]joinedValue, error) {
	truth := make(map[uint64]joinedValue, labels.Rows())
	var ids, values archive.Values
	err := labels.Scan(ctx, []string{columns.ID, columns.Label}, func(c *table.Chunk) error {
		ids.Use(&c.Columns[0])
		values.Use(&c.Columns[1])
		for i := range c.Rows {
			id := valueAt(&ids, i)
			if v := valueAt(&values, i); id.ok && v.ok {
				truth[hashID(id.text)] = v
			}
		}
		return nil
	})
	return truth, err
}

// hashID is unkeyed: the ids are the user's own.
func hashID(id string) uint64 { return siphash.Hash(0, 0, []byte(id)) }

// fileJoin streams the predictions.
type fileJoin struct {
	f     func(modelwatch.Joined) error
	label func(id uint64, inRow joinedValue) joinedValue
	seen  map[uint64]struct{} // nil: rows need no id

	ids, scores, predicted, labels, weights archive.Values
}

func (j *fileJoin) chunk(c *table.Chunk) error {
	for k, v := range []*archive.Values{&j.ids, &j.scores, &j.predicted, &j.labels, &j.weights} {
		v.Use(&c.Columns[k])
	}
	for i := range c.Rows {
		var key uint64
		id := valueAt(&j.ids, i)
		if j.seen != nil {
			if !id.ok {
				continue
			}
			key = hashID(id.text)
			if _, again := j.seen[key]; again {
				continue
			}
			j.seen[key] = struct{}{}
		}
		if err := j.f(j.row(c, i, id, j.label(key, valueAt(&j.labels, i)))); err != nil {
			return err
		}
	}
	return nil
}

func (j *fileJoin) row(c *table.Chunk, i int, id, label joinedValue) modelwatch.Joined {
	score, predicted, weight := valueAt(&j.scores, i), valueAt(&j.predicted, i), valueAt(&j.weights, i)
	out := modelwatch.Joined{
		ID: id.text, Score: score.value, HasScore: score.ok && !math.IsNaN(score.value), Weight: 1,
		Predicted: predicted.text, PredictedValue: predicted.value, HasPredicted: predicted.ok,
		Label: label.text, LabelValue: label.value, HasLabel: label.ok,
	}
	if weight.ok && !math.IsNaN(weight.value) {
		out.Weight = weight.value
	}
	if at := &c.Columns[len(c.Columns)-1]; at.Type == modelwatch.TypeTimestamp && !at.Missing(i) {
		out.Time = time.UnixMicro(at.Ints[i]).UTC()
	}
	return out
}
