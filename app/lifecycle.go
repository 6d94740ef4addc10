package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// cleanup is one thing to close at the end, with the time it may take.
type cleanup struct {
	name  string
	limit time.Duration
	close func(context.Context) error
}

// lifecycle closes what was opened, last opened first. Each clean-up is named
// and bounded, so that a hanging dependency is reported instead of holding up
// the rest.
type lifecycle struct {
	log      *slog.Logger
	cleanups []cleanup
}

func (l *lifecycle) onClose(name string, limit time.Duration, f func(context.Context) error) {
	l.cleanups = append(l.cleanups, cleanup{name, limit, f})
}

// close runs every clean-up, whatever the others say. The context is a fresh
// one: the service's own is already cancelled by then.
func (l *lifecycle) close() error {
	var errs []error
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		c := l.cleanups[i]
		if err := c.run(); err != nil {
			errs = append(errs, err)
		}
		l.log.Debug("closed", "part", c.name)
	}
	l.cleanups = nil
	return errors.Join(errs...)
}

func (c cleanup) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.close(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close %s: %w", c.name, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close %s: not done after %s", c.name, c.limit)
	}
}
