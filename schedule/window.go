package schedule

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Windows returns the windows of a job that end in (from, until], oldest first,
// at most MaxWindows of them: the rest follows when it is called again from the
// end of the last. A window ends when the cron expression fires and begins
// job.Window earlier, so windows overlap if they are longer than the cadence.
func Windows(job modelwatch.Job, from, until time.Time) ([]modelwatch.Window, error) {
	zone, err := loadZone(job.Timezone)
	if err != nil {
		return nil, fmt.Errorf("job %s of model %s: %w", job.Name, job.Model, err)
	}
	ends, err := ticks(job.Cron, zone, from, until, MaxWindows)
	if err != nil {
		return nil, fmt.Errorf("job %s of model %s: %w", job.Name, job.Model, err)
	}
	windows := make([]modelwatch.Window, len(ends))
	for i, end := range ends {
		windows[i] = modelwatch.Window{Start: end.Add(-job.Window), End: end}
	}
	return windows, nil
}

// DueAfter is how long after its end a window of the job is computed first.
func DueAfter(job modelwatch.Job) time.Duration {
	if job.Kind == modelwatch.JobBacktest {
		return job.Delay + job.LabelDelay
	}
	return job.Delay
}

// RunAdder queues runs.
type RunAdder interface {
	AddRun(ctx context.Context, run modelwatch.Run) (stored modelwatch.Run, created bool, err error)
}

// MaxBackfill is the number of windows that one backfill may ask for.
const MaxBackfill = 10_000

// Backfill queues the job's windows that end in (span.Start, span.End] and
// returns their runs. A window that has a run already keeps it.
func Backfill(ctx context.Context, runs RunAdder, job modelwatch.Job, span modelwatch.Window) ([]modelwatch.Run, error) {
	var windows []modelwatch.Window
	for from := span.Start; ; from = windows[len(windows)-1].End {
		more, err := Windows(job, from, span.End)
		if err != nil {
			return nil, err
		}
		windows = append(windows, more...)
		if len(windows) > MaxBackfill {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "backfill of job %s of model %s: more than %d windows end between %s and %s; ask for a shorter span",
				job.Name, job.Model, MaxBackfill, span.Start.Format(time.RFC3339), span.End.Format(time.RFC3339))
		}
		if len(more) < MaxWindows {
			break
		}
	}
	out := make([]modelwatch.Run, 0, len(windows))
	for _, w := range windows {
		run, _, err := runs.AddRun(ctx, modelwatch.Run{Model: job.Model, Job: job.Name, Kind: job.Kind, Window: w, Revision: 1})
		if err != nil {
			return out, fmt.Errorf("backfill job %s of model %s: %w", job.Name, job.Model, err)
		}
		out = append(out, run)
	}
	return out, nil
}

// windowLabel writes a span as people write it: "15m", "1h", "7d".
func windowLabel(d time.Duration) string {
	units := []struct {
		suffix string
		size   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for _, u := range units {
		if d != 0 && d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.suffix
		}
	}
	return d.String()
}
