package schedule

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
)

// learnBacktest scores the rows of a version's newest baseline, where they have
// predictions and the truth: all of them for the baseline's own values, and chunk
// by chunk where limits are learnt. What it says of a baseline is kept.
func (w *Worker) learnBacktest(ctx context.Context, s *scoring) (learnt, error) {
	none := learnt{}
	for _, names := range s.a.job.Segments {
		none.crossings = append(none.crossings, modelwatch.Crossing{Columns: names})
	}
	b, err := w.opts.Store.LatestBaseline(ctx, s.a.job.Model, s.version)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		if len(learns(s.a.job.Thresholds)) > 0 {
			s.a.warn("version %s: nothing is learnt: it has no baseline", s.version)
		}
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("find baseline: %w", err)
	}
	key := lesson{baseline: b.ID, model: s.a.job.Model, job: s.a.job.Name, revision: s.a.job.Revision, with: fmt.Sprintf("%q %q", s.config.Positive, s.fields.Classes)}
	if known, ok := w.lessons.get(key); ok {
		return known, nil
	}
	l := none
	if l.crossings, err = w.crossings(ctx, s.a, b, s.fields.Segments, s.columns); err != nil {
		return none, err
	}
	if err := w.scoreBaseline(ctx, s, b, &l); err != nil {
		return none, fmt.Errorf("score baseline %s: %w", b.ID, err)
	}
	w.lessons.put(key, l)
	return l, nil
}

// crossings finds the segments of a job in a baseline, under the names that the job
// has for their columns. Columns that the baseline does not have, such as tags,
// have none that are known.
func (w *Worker) crossings(ctx context.Context, a *attempt, b modelwatch.Baseline, columns []string, places [][]int) ([]modelwatch.Crossing, error) {
	var out []modelwatch.Crossing
	for i, names := range a.job.Segments {
		in := make([]string, len(places[i]))
		for k, at := range places[i] {
			in[k] = columns[at]
		}
		found, err := w.opts.Baselines.Crossings(ctx, b, [][]string{in})
		switch {
		case err == nil:
			out = append(out, modelwatch.Crossing{Columns: names, Known: found[0].Known})
		case modelwatch.ErrorCode(err) == modelwatch.CodeInvalid:
			a.warn("version %s: segments are those of each window: %v", b.Version, err)
			out = append(out, modelwatch.Crossing{Columns: names})
		default:
			return nil, fmt.Errorf("find segments of baseline %s: %w", b.ID, err)
		}
	}
	return out, nil
}

// scoreBaseline sets what the baseline's rows say.
func (w *Worker) scoreBaseline(ctx context.Context, s *scoring, b modelwatch.Baseline, l *learnt) error {
	whole, err := s.board(l.crossings)
	if err != nil {
		return err
	}
	c := chunkScores{scoring: s, crossings: l.crossings}
	if len(learns(s.a.job.Thresholds)) > 0 {
		c.values = map[modelwatch.Series][]float64{}
	}
	ok, err := w.opts.Baselines.Truth(ctx, b, s.fields, func(j modelwatch.Joined) error {
		if err := whole.add(j); err != nil {
			return err
		}
		return c.add(w, b, j)
	})
	switch {
	case err != nil:
		return err
	case !ok && c.values != nil:
		s.a.warn("version %s: nothing is learnt: baseline %s has no predictions with labels", s.version, b.ID)
		return nil
	case !ok:
		return nil
	}
	if err := whole.whole.Err(); err != nil {
		s.a.warn("version %s: baseline %s: %v", s.version, b.ID, err)
		return nil
	}
	c.end(w)
	l.own, l.chunks = whole.own(s.options()), c.values
	if c.values != nil && len(c.values) == 0 {
		s.a.warn("version %s: nothing is learnt from a baseline of %d rows: a tenth of it is under minimum_rows, %d", s.version, b.Rows, s.a.job.MinimumRows)
	}
	return nil
}

// chunkRows is how many rows a chunk of a baseline has.
func chunkRows(rows int64) int64 {
	return max(1, (rows+baselineChunks-1)/baselineChunks)
}

// chunkScores scores the chunks of a baseline, one after the other.
type chunkScores struct {
	scoring   *scoring
	crossings []modelwatch.Crossing
	values    map[modelwatch.Series][]float64 // nil: nothing is learnt
	board     *scoreboard                     // of the chunk; nil between two
	left      int64                           // rows to the end of the chunk
}

func (c *chunkScores) add(w *Worker, b modelwatch.Baseline, j modelwatch.Joined) (err error) {
	if c.values == nil {
		return nil
	}
	if c.board == nil {
		if c.board, err = c.scoring.board(c.crossings); err != nil {
			return err
		}
		c.left = chunkRows(b.Rows)
	}
	err = c.board.add(j)
	if c.left--; c.left == 0 {
		c.end(w)
	}
	return err
}

// end takes the values of the chunk.
func (c *chunkScores) end(w *Worker) {
	if c.board == nil {
		return
	}
	for _, m := range c.scoring.measure(w, c.board) {
		if m.Value.Value != nil {
			c.values[m.Series()] = append(c.values[m.Series()], *m.Value.Value)
		}
	}
	c.board = nil
}
