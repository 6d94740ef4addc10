package schedule

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/modelwatch/modelwatch"
)

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// backOff is how long to wait after that many failures in a row: from a second,
// doubling, to a minute, less up to half of it by chance, so that workers that
// failed together do not come back together.
func (w *Worker) backOff(failures int) time.Duration {
	d := min(lastRetry, firstRetry<<min(max(failures-1, 0), 10))
	return d - time.Duration(w.opts.Jitter()*float64(d)/2)
}

// outage reports a dependency that does not answer once when it goes and once
// when it is back, however often it is tried in between.
type outage struct {
	log      *slog.Logger
	work     string // what cannot be done
	failures int
}

func (o *outage) failed(err error) {
	o.failures++
	if o.failures == 1 {
		o.log.Warn("work interrupted", "work", o.work, "error", err)
	}
}

func (o *outage) worked() {
	if o.failures > 0 {
		o.log.Info("work resumed", "work", o.work, "failures", o.failures)
	}
	o.failures = 0
}

// repeat calls do every interval until ctx ends, and after a failure again with
// back-off.
func (w *Worker) repeat(ctx context.Context, work string, every time.Duration, do func(context.Context) error) error {
	out := outage{log: w.opts.Log, work: work}
	for {
		wait := every
		switch err := do(ctx); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			out.failed(err)
			wait = w.backOff(out.failures)
		default:
			out.worked()
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// transient reports whether trying again later may help without anybody mending
// the data: a dependency that does not answer, or that took too long.
func transient(err error) bool {
	if modelwatch.ErrorCode(err) == modelwatch.CodeUnavailable || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
