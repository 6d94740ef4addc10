package sink

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
)

// Outbox is the durable queue of publications. ClaimOutbox gives the oldest due
// entries of a sink to its leader, the one owner whose lease holds, and nothing
// to others; entries stay in the outbox until they are acknowledged or dropped.
type Outbox interface {
	ClaimOutbox(ctx context.Context, sink, owner string, now time.Time, lease time.Duration, limit int) (entries []modelwatch.OutboxEntry, leader bool, err error)
	AckOutbox(ctx context.Context, ids []int64) error
	RetryOutbox(ctx context.Context, ids []int64, notBefore time.Time, errText string) error
	DropOutbox(ctx context.Context, ids []int64, errText string) error
}

// DelivererOptions are what a Deliverer works with. Outbox, Sink, Owner and Log
// must be given; zero values of the rest mean the default named beside them.
type DelivererOptions struct {
	Outbox Outbox
	Sink   Sink
	Owner  string // this process, unique among replicas
	Log    *slog.Logger

	// Timestamps and Tags go into the mapping of every publication.
	Timestamps Timestamps
	Tags       map[string]string

	// Lease is how long this process leads the sink after each claim. Timeout
	// ends a delivery and must be below it: else a second leader could deliver a
	// newer revision before the older one of this process lands.
	Lease   time.Duration // 60 s
	Timeout time.Duration // 3/4 of the lease

	Batch      int           // publications claimed at once: 100
	Poll       time.Duration // wait when there is nothing to deliver: 1 s
	MinBackoff time.Duration // 1 s
	MaxBackoff time.Duration // 5 min
	// MaxAge is how long a publication is kept for a sink that does not take it: 7 days.
	MaxAge time.Duration
	// SelfInterval is how often the deliverer's own counts go to its sink, as
	// modelwatch.intake.*: 60 s. Negative: never.
	SelfInterval time.Duration

	Now        func() time.Time      // time.Now
	Random     func() float64        // in [0, 1), for jitter: math/rand
	Registerer prometheus.Registerer // nil: metrics are kept but not shown
}

// Deliverer moves publications from the outbox to one sink, in order, each at
// least once. Replicas run one each; the outbox lets one of them lead.
type Deliverer struct {
	DelivererOptions
	metrics *deliveryMetrics
	names   *Names
	self    *selfReport

	limit     int // of the next claim: shrinks while deliveries time out
	failures  int // since the last success
	trouble   Reason
	rejection string // message that was logged last
}

// NewDeliverer checks the options and registers the metrics.
func NewDeliverer(o DelivererOptions) (*Deliverer, error) {
	if o.Outbox == nil || o.Sink == nil || o.Owner == "" || o.Log == nil {
		return nil, modelwatch.Errorf(modelwatch.CodeInternal, "a deliverer needs an outbox, a sink, an owner and a log")
	}
	defaultTo(&o.Lease, time.Minute)
	defaultTo(&o.Timeout, o.Lease*3/4)
	defaultTo(&o.Poll, time.Second)
	defaultTo(&o.MinBackoff, time.Second)
	defaultTo(&o.MaxBackoff, 5*time.Minute)
	defaultTo(&o.MaxAge, 7*24*time.Hour)
	defaultTo(&o.SelfInterval, time.Minute)
	if o.Timeout >= o.Lease {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "sink %s: the timeout of a delivery is %s and must be below the lease, %s", o.Sink.Name(), o.Timeout, o.Lease)
	}
	if o.Batch <= 0 {
		o.Batch = 100
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	o.Log = o.Log.With("sink", o.Sink.Name())
	d := &Deliverer{DelivererOptions: o, limit: o.Batch, self: newSelfReport()}
	d.names = NewNames(func(c Collision) {
		d.Log.Warn("two names fold into one tag", "model", c.Scope, "tag", c.Folded, "kept", c.Kept, "renamed", c.Renamed)
	})
	metrics, err := newDeliveryMetrics(o.Registerer, o.Sink.Name(), d.names)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInternal, err, "sink %s: register metrics", o.Sink.Name())
	}
	d.metrics = metrics
	return d, nil
}

func defaultTo(d *time.Duration, fallback time.Duration) {
	if *d == 0 {
		*d = fallback
	}
}

// Run delivers until ctx ends, then returns nil. Failures of the sink and of the
// outbox are not its end: it waits and goes on. What was under way when ctx
// ended stays in the outbox.
func (d *Deliverer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait(ctx, d.step(ctx))
	}
	return nil
}

// step makes one round and says how long to wait before the next.
func (d *Deliverer) step(ctx context.Context) time.Duration {
	claimed := d.Now()
	entries, leader, err := d.Outbox.ClaimOutbox(ctx, d.Sink.Name(), d.Owner, claimed, d.Lease, d.limit)
	switch {
	case ctx.Err() != nil:
		return 0
	case err != nil:
		return d.troubled(&Failure{Reason: reasonClaim, Message: "the outbox cannot be read", Err: err})
	case d.trouble == reasonClaim:
		d.recovered()
	}
	if !leader {
		return d.Poll
	}
	limit := d.limit
	// No delivery outlives the lease that it began under.
	ctx, cancel := context.WithTimeout(ctx, d.Timeout-d.Now().Sub(claimed))
	defer cancel()
	b := d.prepare(entries, claimed)
	if pause := d.deliver(ctx, b); pause > 0 {
		return pause
	}
	d.reportSelf(ctx)
	if len(entries) == limit {
		return 0
	}
	return d.Poll
}

// prepare maps the entries that are still worth delivering.
func (d *Deliverer) prepare(entries []modelwatch.OutboxEntry, now time.Time) *batch {
	opts := MappingOptions{Now: now, Timestamps: d.Timestamps, Tags: d.Tags, Names: d.names}
	b := &batch{}
	for _, e := range entries {
		points := Points(e.Publication, opts)
		if !e.CreatedAt.IsZero() && now.Sub(e.CreatedAt) > d.MaxAge {
			b.expired = append(b.expired, e.ID)
			b.expiredPoints += len(points)
			continue
		}
		b.add(&e, points)
	}
	return b
}

// deliver sends a batch and settles its entries. It returns how long to wait
// before the next claim when something failed, else 0.
func (d *Deliverer) deliver(ctx context.Context, b *batch) time.Duration {
	if len(b.expired) > 0 {
		d.Log.Error("publications dropped: the sink has not taken them in time", "publications", len(b.expired), "max_age", d.MaxAge)
		drop := func(ctx context.Context, ids []int64) error {
			return d.Outbox.DropOutbox(ctx, ids, "not delivered within "+d.MaxAge.String())
		}
		if failed := d.settle(ctx, b.expired, drop); failed != nil {
			return d.troubled(failed)
		}
		d.metrics.dropped.Add(float64(b.expiredPoints))
		d.self.dropped += int64(b.expiredPoints)
	}
	if len(b.ids) == 0 {
		return 0
	}
	var err error
	var retry bool
	if len(b.points) > 0 {
		retry, err = d.Sink.Deliver(ctx, b.points)
	}
	if err != nil && retry {
		return d.postpone(ctx, b, err)
	}
	return d.finish(ctx, b, err)
}

// finish acknowledges what arrived and drops what never will.
func (d *Deliverer) finish(ctx context.Context, b *batch, err error) time.Duration {
	refused := b.refused(err)
	sent, rejected := d.self.delivered(b.points, refused, d.Now())
	d.metrics.sent.Add(float64(sent))
	d.metrics.rejected.Add(float64(rejected))
	if sent > 0 {
		d.metrics.success.Set(float64(d.Now().Unix()))
	}
	if err != nil && err.Error() != d.rejection {
		d.rejection = err.Error()
		d.Log.Error("points rejected", "points", rejected, "error", err)
	}
	d.limit = min(d.limit*2, d.Batch)
	delivered, lost := b.split(refused)
	drop := func(ctx context.Context, ids []int64) error { return d.Outbox.DropOutbox(ctx, ids, err.Error()) }
	if failed := errors.Join(d.settle(ctx, lost, drop), d.settle(ctx, delivered, d.Outbox.AckOutbox)); failed != nil {
		return d.troubled(failed)
	}
	d.recovered()
	return 0
}

// postpone leaves a batch in the outbox for later.
func (d *Deliverer) postpone(ctx context.Context, b *batch, err error) time.Duration {
	if errors.Is(ctx.Err(), context.Canceled) {
		return 0 // stopping: nothing has failed
	}
	d.metrics.retried.Add(float64(len(b.points)))
	d.self.retried += int64(len(b.points))
	pause := d.troubled(err)
	if d.trouble == ReasonTimeout || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		d.limit = max(1, d.limit/2) // perhaps it was too much for the time
	}
	notBefore := d.Now().Add(pause)
	retry := func(ctx context.Context, ids []int64) error {
		return d.Outbox.RetryOutbox(ctx, ids, notBefore, err.Error())
	}
	if failed := d.settle(ctx, b.ids, retry); failed != nil {
		return d.troubled(failed)
	}
	return pause
}

// settle changes entries in the outbox, even while the process is stopping: a
// delivery that has succeeded must not be repeated for want of its receipt.
func (d *Deliverer) settle(ctx context.Context, ids []int64, change func(context.Context, []int64) error) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := change(ctx, ids); err != nil {
		return &Failure{Reason: reasonSettle, Message: "the outbox cannot be written", Err: err}
	}
	return nil
}

// troubled counts a failure, logs it unless it is the one that lasts already,
// and returns how long to wait.
func (d *Deliverer) troubled(err error) time.Duration {
	failure := &Failure{Reason: ReasonOther}
	errors.As(err, &failure)
	pause := d.backoff(failure)
	level := slog.LevelDebug
	if failure.Reason != d.trouble {
		level = slog.LevelWarn
	}
	d.Log.Log(context.Background(), level, "delivery failed", "reason", string(failure.Reason), "retry_in", pause, "error", err)
	d.trouble = failure.Reason
	d.failures++
	return pause
}

func (d *Deliverer) recovered() {
	if d.trouble != "" {
		d.Log.Info("delivery works again", "after_failures", d.failures)
	}
	d.trouble, d.failures = "", 0
}

// maxAsked bounds how long a server may send us away.
const maxAsked = time.Hour

// backoff doubles with each failure up to MaxBackoff, less up to a half at
// random so that replicas and sinks do not come back in step. A server that asks
// for more gets it.
func (d *Deliverer) backoff(f *Failure) time.Duration {
	pause := d.MaxBackoff
	if doubled := d.MinBackoff << min(d.failures, 30); !f.Slow && doubled < pause && doubled > 0 {
		pause = doubled
	}
	pause -= time.Duration(d.Random() * float64(pause) / 2)
	return max(pause, min(f.RetryAfter, maxAsked))
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
