package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Joined is the domain's: one prediction with its label.
type Joined = modelwatch.Joined

// JoinLabels calls f for each prediction of the window, in the order of ranks,
// with the label of the same request id where there is one. Both sides are
// sorted by rank, so they are merged in one pass.
//
// An id that was predicted more than once within the window counts once, with
// its first prediction: the lowest _time, then the lowest place of its file. Of several
// labels the last one counts: the highest _time, then the highest place. All
// rows of the label files take part, whatever their time. Rows without a rank
// or an id are no part of a join and are skipped.
//
// Of fields, a column that a file lacks has no value in its rows.
//
// Memory is bounded by the archive's options whatever the number and size of
// the files: where there are too many to be read at once, parts are merged into
// temporary files first. An error of f ends the join and is in the error's chain.
func (a *Archive) JoinLabels(ctx context.Context, predictions, labels []modelwatch.DataFile, window modelwatch.Window, fields modelwatch.JoinedFields, f func(Joined) error) error {
	if len(predictions) == 0 {
		return nil
	}
	m := &merging{archive: a, ctx: ctx}
	left, err := m.open(&side{
		files:   predictions,
		columns: []string{modelwatch.ColumnPredicted, modelwatch.ColumnScore},
		fields:  fields,
		better:  earlier,
		window:  window,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("join labels: read predictions: %w", err), m.cleanUp())
	}
	right, err := m.open(&side{
		files:   labels,
		columns: []string{modelwatch.ColumnLabel},
		better:  later,
		limit:   highestRank(predictions),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("join labels: read labels: %w", err), left.close(), m.cleanUp())
	}
	return errors.Join(joinStreams(left, right, f), left.close(), right.close(), m.cleanUp())
}

// highestRank is the rank that no prediction of the files reaches: labels from
// there on belong to requests that were sampled away.
func highestRank(files []modelwatch.DataFile) int64 {
	var limit int64
	for _, f := range files {
		limit = max(limit, modelwatch.RankLimit(f.SamplingRate))
	}
	return limit
}

// joinStreams merges two streams of groups, a group being the distinct ids of
// one rank. Ranks rarely collide, so a group is nearly always one row.
func joinStreams(left, right *merger, f func(Joined) error) error {
	labels, err := right.next()
	if err != nil {
		return fmt.Errorf("join labels: read labels: %w", err)
	}
	for {
		predicted, err := left.next()
		if err != nil {
			return fmt.Errorf("join labels: read predictions: %w", err)
		}
		if len(predicted) == 0 {
			return nil
		}
		for len(labels) > 0 && labels[0].rank < predicted[0].rank {
			if labels, err = right.next(); err != nil {
				return fmt.Errorf("join labels: read labels: %w", err)
			}
		}
		var candidates []row
		if len(labels) > 0 && labels[0].rank == predicted[0].rank {
			candidates = labels
		}
		for i := range predicted {
			if err := f(joined(&predicted[i], candidates)); err != nil {
				return err
			}
		}
	}
}

func joined(p *row, labels []row) Joined {
	j := Joined{
		ID: p.id, Time: time.UnixMicro(p.time).UTC(),
		Score: p.score, HasScore: p.hasScore,
		Predicted: p.text, PredictedValue: p.value, HasPredicted: p.hasValue,
		Scores: p.scores, Group: p.group, HasGroup: p.hasGroup, Segments: p.segments,
		Weight: p.weight,
	}
	for i := range labels {
		if l := &labels[i]; l.id == p.id {
			j.Label, j.LabelValue, j.HasLabel = l.text, l.value, l.hasValue
			break
		}
	}
	return j
}
