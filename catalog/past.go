package catalog

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
)

const selectPastRuns = `SELECT ` + runColumns + ` FROM run
WHERE model = $1 AND job = $2 AND state = 'succeeded' AND window_end > $3 AND window_end < $4 AND window_end - window_start = $5
	AND NOT EXISTS (
		SELECT 1 FROM run AS newer
		WHERE newer.model = run.model AND newer.job = run.job AND newer.window_start = run.window_start AND newer.window_end = run.window_end
			AND newer.revision > run.revision AND newer.state = 'succeeded')
ORDER BY window_end DESC LIMIT $6`

// PastRuns returns, of each window of that length of the job whose end lies
// between after and before, the newest revision that succeeded: the newest window
// first, at most limit of them.
func (c *Catalog) PastRuns(ctx context.Context, model, job string, length time.Duration, after, before time.Time, limit int) ([]modelwatch.Run, error) {
	return find(ctx, c, "find earlier runs", scanRun, selectPastRuns, model, job, micros(after), micros(before), length.Microseconds(), limit)
}

const selectRunMeasurements = `SELECT ` + measurementColumns + ` FROM measurement AS m WHERE m.run_id = $1 AND m.metric IN`

// RunMeasurements returns the measurements of a run in these metrics.
func (c *Catalog) RunMeasurements(ctx context.Context, run string, metrics []string) ([]modelwatch.Measurement, error) {
	var found []modelwatch.Measurement
	err := eachBatch(metrics, 1, func(batch []string) error {
		text, args := inList(selectRunMeasurements, " ORDER BY m.id", batch, []any{run})
		ms, err := find(ctx, c, "read the measurements of run "+run, scanMeasurement, text, args...)
		found = append(found, ms...)
		return err
	})
	return found, err
}
