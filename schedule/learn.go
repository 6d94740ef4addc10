package schedule

import (
	"context"
	"fmt"
	"sync"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
)

// baselineChunks is into how many chunks a baseline is cut for learnt limits:
// consecutive rows, as many in each.
const baselineChunks = 10

// maxLearnt bounds the memory for learnt values; past it they are learnt anew.
const maxLearnt = 100

// lessons remembers what was learnt from baselines. Neither a baseline nor a
// revision of a job changes, so nothing becomes wrong.
type lessons struct {
	mu    sync.Mutex
	known map[lesson]learnt
}

// learnt is what a baseline's own rows say.
type learnt struct {
	chunks map[modelwatch.Series][]float64 // values of the metrics, chunk by chunk
	own    ownValues                       // of backtests
	// crossings are the segments that were found, as the job names their columns;
	// without Known, a window's own rows say which there are.
	crossings []modelwatch.Crossing
}

type lesson struct {
	baseline, model, job string
	revision             int64
	with                 string // what else the values depend on
}

func (l *lessons) get(key lesson) (learnt, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	values, ok := l.known[key]
	return values, ok
}

func (l *lessons) put(key lesson, values learnt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxLearnt {
		l.known = make(map[lesson]learnt)
	}
	l.known[key] = values
}

// learnDrift measures the chunks of a baseline against the whole of it, for the
// metrics that the job has learnt thresholds for, in the way the job measures.
func (w *Worker) learnDrift(ctx context.Context, c comparison, training *profile.Set) (map[modelwatch.Series][]float64, error) {
	job, b := c.a.job, c.sides.Training
	metrics := learns(job.Thresholds)
	if len(metrics) == 0 {
		return nil, nil
	}
	key := lesson{baseline: b.ID, model: job.Model, job: job.Name, revision: job.Revision, with: fmt.Sprint(c.groups, c.importance)}
	if known, ok := w.lessons.get(key); ok {
		return known.chunks, nil
	}
	job.Metrics = metrics
	job.Exact = false // what the grid leaves open is less than what chunks differ by
	learner := comparison{w: w, a: &attempt{job: job, run: c.a.run}, sides: c.sides, groups: c.groups, importance: c.importance, baseline: training}
	chunks, err := learner.chunks(ctx)
	if err != nil {
		return nil, fmt.Errorf("learn from baseline %s: %w", b.ID, err)
	}
	values := map[modelwatch.Series][]float64{}
	for _, ms := range chunks {
		for i := range ms {
			if m := &ms[i]; m.Value.Value != nil {
				values[m.Series()] = append(values[m.Series()], *m.Value.Value)
			}
		}
	}
	switch {
	case len(values) == 0 && b.DataKey == "":
		c.a.warn("version %s: nothing is learnt: baseline %s has no rows, only a profile", b.Version, b.ID)
	case len(values) == 0:
		c.a.warn("version %s: nothing is learnt from a baseline of %d rows: a tenth of it is under minimum_rows, %d", b.Version, b.Rows, job.MinimumRows)
	}
	w.lessons.put(key, learnt{chunks: values})
	return values, nil
}

// chunks measures each chunk of the training set, and its groups.
func (c *comparison) chunks(ctx context.Context) ([][]modelwatch.Measurement, error) {
	if c.a.job.Compat != "" {
		return c.compatChunks(ctx)
	}
	var all [][]modelwatch.Measurement
	err := c.w.opts.Baselines.Chunks(ctx, c.sides.Training, c.baseline, baselineChunks, func(chunk *profile.Set) error {
		part := *c
		part.current = chunk
		ms, err := part.measure(ctx)
		all = append(all, append(ms, drift.Group(ms, part.members, part.groups)...))
		return err
	})
	return all, err
}

// compatChunks does so by the rules of another tool, a column at a time.
func (c *comparison) compatChunks(ctx context.Context) ([][]modelwatch.Measurement, error) {
	job := c.a.job
	all := make([][]modelwatch.Measurement, baselineChunks)
	for _, col := range c.baseline.Columns {
		match, exact := matchColumn(job.Columns, col.Column)
		metrics, ok := columnMetrics(job, col.Column, exact)
		if !match || !ok || col.View != modelwatch.ViewValue {
			continue
		}
		c.member(col.Column)
		whole, chunks, err := c.w.opts.Rows.ChunkSamples(ctx, c.sides.Training, col.Column, baselineChunks, maxSampleRows)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", col.Name, err)
		}
		for i, chunk := range chunks[:min(len(chunks), baselineChunks)] {
			values, err := compat(job.Compat, whole, chunk, col.Column, metrics, drift.Options{MinimumRows: job.MinimumRows})
			if err != nil {
				return nil, err
			}
			for _, v := range values {
				all[i] = append(all[i], c.measurement(v, col.Subject, col.Name))
			}
		}
	}
	for i, ms := range all {
		all[i] = append(ms, drift.Group(ms, c.members, c.groups)...)
	}
	return all, nil
}
