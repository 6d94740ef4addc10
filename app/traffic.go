package app

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/simulate"
)

// eventClock is the time by which simulated traffic is produced.
type eventClock interface {
	Now() time.Time
	// Until is how long it takes, on the wall clock, until it is t.
	Until(t time.Time) time.Duration
}

// producer publishes simulated traffic as its clock advances.
type producer struct {
	client  *kgo.Client
	topic   string
	traffic *simulate.Generator
	clock   eventClock
	sent    atomic.Int64
	onSent  func(total int64)     // called for each record that has arrived; may be nil
	failed  atomic.Pointer[error] // the first record that did not arrive
	// save, if set, keeps the position that has arrived at the brokers; it is
	// called about once a second and at the end.
	save func(context.Context, simulate.Position) error
}

// run publishes until ctx ends, then waits for what is under way.
func (p *producer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		position := p.batch(ctx)
		if err := p.settle(context.WithoutCancel(ctx), position); err != nil {
			return err
		}
	}
	return nil
}

// batch publishes for a second. It returns the position after the last event
// published: one that is drawn and still waits for its time when ctx ends comes
// again after a restart.
func (p *producer) batch(ctx context.Context) simulate.Position {
	begun, position := time.Now(), p.traffic.Position()
	for ctx.Err() == nil && time.Since(begun) < time.Second && p.failed.Load() == nil {
		e := p.traffic.Next()
		if !sleepContext(ctx, p.clock.Until(e.Time)) {
			break
		}
		p.client.Produce(context.WithoutCancel(ctx), &kgo.Record{Topic: p.topic, Key: e.Key, Value: e.Value}, p.arrived)
		position = p.traffic.Position()
	}
	return position
}

func (p *producer) arrived(_ *kgo.Record, err error) {
	if err != nil {
		p.failed.CompareAndSwap(nil, &err)
		return
	}
	if n := p.sent.Add(1); p.onSent != nil {
		p.onSent(n)
	}
}

func (p *producer) settle(ctx context.Context, position simulate.Position) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := p.client.Flush(ctx)
	if failed := p.failed.Load(); failed != nil {
		err = *failed
	}
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "publish simulated traffic to topic %s", p.topic)
	}
	if p.save == nil {
		return nil
	}
	return p.save(ctx, position)
}

// sleepContext waits; it reports false if ctx ended first.
func sleepContext(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// demoState is what dev remembers between starts.
type demoState struct {
	Start    time.Time         `json:"start"` // event time of the first event ever
	Event    time.Time         `json:"event"` // event time when it was saved
	Position simulate.Position `json:"position"`
}

const demoSetting = "dev.traffic"

func (s *service) loadDemo(ctx context.Context, fresh demoState) (demoState, error) {
	text, ok, err := s.catalog.Setting(ctx, demoSetting)
	if err != nil || !ok {
		return fresh, err
	}
	var state demoState
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return fresh, fmt.Errorf("setting %s of the catalog: %w", demoSetting, err)
	}
	return state, nil
}

func (s *service) saveDemo(ctx context.Context, state demoState) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode %s: %w", demoSetting, err)
	}
	return s.catalog.PutSetting(ctx, demoSetting, string(text))
}

// SimulateOptions are the flags of modelwatch simulate.
type SimulateOptions struct {
	Brokers []string
	Topic   string
	Speed   float64
	Server  string
	Token   string
	Streams Streams
}

// Simulate publishes simulated traffic until ctx ends.
func Simulate(ctx context.Context, opts SimulateOptions) error {
	if !(opts.Speed > 0) || opts.Speed > 100_000 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--speed is %v: it must be over 0 and at most 100000", opts.Speed)
	}
	now := time.Now().UTC().Truncate(time.Minute)
	clock := newSimulatedClock(time.Now, now.Add(-simulatedPast(opts.Speed)), opts.Speed)
	traffic := newDemoTraffic(clock.Now())
	if opts.Server != "" {
		server, err := api.NewClient(opts.Server, opts.Token, nil)
		if err != nil {
			return err
		}
		// The service may be starting at the same time: wait for it.
		register := func() (struct{}, error) {
			err := registerDemo(ctx, server, traffic, realTimeRates())
			if err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		}
		if _, err := backoff.Retry(ctx, register, backoff.WithMaxElapsedTime(2*time.Minute)); err != nil {
			return err
		}
		fmt.Fprintf(opts.Streams.Err, "registered the models %s and %s at %s\n", simulate.Fraud, simulate.Price, opts.Server)
	}
	client, err := newProducer(opts.Brokers)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "no broker of %q answers", opts.Brokers)
	}
	p := &producer{client: client, topic: opts.Topic, traffic: traffic, clock: clock}
	fmt.Fprintf(opts.Streams.Err, "publishing to topic %s; drift begins after %s\n", opts.Topic, demoDriftAfter)
	err = p.run(ctx)
	fmt.Fprintf(opts.Streams.Err, "published %d events\n", p.sent.Load())
	return err
}

// simulatedPast is where simulated traffic starts: at its own pace in the
// present, or, if it is faster than time, a day ago, which leaves it room.
func simulatedPast(speed float64) time.Duration {
	if speed <= 1 {
		return 0
	}
	return 24 * time.Hour
}
