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
// metrics that the job has learnt thresholds for.
func (w *Worker) learnDrift(ctx context.Context, c *comparison, b modelwatch.Baseline, training *profile.Set) (map[modelwatch.Series][]float64, error) {
	metrics := learns(c.a.job.Thresholds)
	if len(metrics) == 0 {
		return nil, nil
	}
	key := lesson{baseline: b.ID, model: c.a.job.Model, job: c.a.job.Name, revision: c.a.job.Revision, with: fmt.Sprint(c.groups, c.importance)}
	if known, ok := w.lessons.get(key); ok {
		return known.chunks, nil
	}
	job := c.a.job
	job.Metrics = metrics
	values := map[modelwatch.Series][]float64{}
	err := w.opts.Baselines.Chunks(ctx, b, training, baselineChunks, func(chunk *profile.Set) error {
		part := comparison{w: w, a: &attempt{job: job, run: c.a.run}, version: b.Version, baseline: training, current: chunk, groups: c.groups, importance: c.importance}
		ms := part.measure()
		ms = append(ms, drift.Group(ms, part.members, part.groups)...)
		for i := range ms {
			if m := &ms[i]; m.Value.Value != nil {
				values[m.Series()] = append(values[m.Series()], *m.Value.Value)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("learn from baseline %s: %w", b.ID, err)
	}
	if len(values) == 0 {
		c.a.warn("version %s: nothing is learnt from a baseline of %d rows: a tenth of it is under minimum_rows, %d", b.Version, b.Rows, job.MinimumRows)
	}
	w.lessons.put(key, learnt{chunks: values})
	return values, nil
}
