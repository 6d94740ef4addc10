package catalog

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/modelwatch/modelwatch"
)

// The pause between two attempts to reach a database that is away.
const (
	persistFirst   = 20 * time.Millisecond
	persistLongest = 2 * time.Second
)

// persist asks until the database answers or ctx ends.
func (c *Catalog) persist(ctx context.Context, ask func(context.Context) (bool, error)) (bool, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = persistFirst, persistLongest
	attempt := func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, statementTimeout)
		defer cancel()
		answer, err := ask(ctx)
		if err != nil && c.code(err) != modelwatch.CodeUnavailable {
			err = backoff.Permanent(err)
		}
		return answer, err
	}
	return backoff.Retry(ctx, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
}
