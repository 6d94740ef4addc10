package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/modelwatch/modelwatch"
)

type testBundle struct {
	outbox *memoryOutbox
	sink   *fakeSink
	reg    *prometheus.Registry
	log    *lockedBuffer
	d      *Deliverer
	stop   func() // ends Run and waits for it
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// start runs a deliverer in the current bubble.
func start(t *testing.T, outbox *memoryOutbox, s *fakeSink, change ...func(*DelivererOptions)) *testBundle {
	t.Helper()
	b := &testBundle{outbox: outbox, sink: s, reg: prometheus.NewRegistry(), log: &lockedBuffer{}}
	o := DelivererOptions{
		Outbox: outbox, Sink: s, Owner: "a", Log: slog.New(slog.NewTextHandler(b.log, nil)),
		SelfInterval: -1, Random: func() float64 { return 0 }, Registerer: b.reg,
	}
	for _, f := range change {
		f(&o)
	}
	d, err := NewDeliverer(o)
	if err != nil {
		t.Fatal(err)
	}
	b.d = d
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

// counter reads one of the deliverer's metrics.
func (b *testBundle) counter(t *testing.T, name string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "modelwatch_sink_"+name {
			return f.Metric[0].GetCounter().GetValue() + f.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric modelwatch_sink_%s", name)
	return 0
}

// result is a publication with one value, of the n-th window.
func result(n, revision int, v float64) modelwatch.Publication {
	m := driftOf("psi", "amount", v)
	start := time.Now().Add(-time.Hour).Add(time.Duration(n) * time.Minute)
	m.Window = modelwatch.Window{Start: start, End: start.Add(time.Minute)}
	run := runOf(m)
	run.Revision, run.FinishedAt = revision, time.Time{}
	return modelwatch.Publication{Run: run, WindowLabel: "1m", Measurements: []modelwatch.Measurement{m}}
}

const psi = "modelwatch.drift.psi"

func TestDelivererDeliversInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pubs []modelwatch.Publication
		var want []float64
		for i := range 250 {
			pubs = append(pubs, result(i, 1, float64(i)))
			want = append(want, float64(i))
		}
		b := start(t, newMemoryOutbox(pubs...), newFakeSink())
		synctest.Wait()
		if diff := cmp.Diff(want, b.sink.taken(psi)); diff != "" {
			t.Errorf("values taken (-want +got):\n%s", diff)
		}
		if got := len(b.sink.all()); got != 3 {
			t.Errorf("%d deliveries for 250 publications, want 3 without a wait between", got)
		}
		if b.outbox.depth() != 0 {
			t.Errorf("%d entries are left", b.outbox.depth())
		}
		// Each publication has the value and its sample size.
		if sent := b.counter(t, "sent_total"); sent != 500 {
			t.Errorf("sent_total = %v, want 500", sent)
		}
		b.outbox.add(result(300, 1, 1000))
		time.Sleep(b.d.Poll)
		synctest.Wait()
		if got := b.sink.taken(psi); got[len(got)-1] != 1000 {
			t.Error("a publication that came later was not delivered within the poll interval")
		}
	})
}

func TestDelivererBacksOffAndKeepsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := answer{retry: true, err: &Failure{Reason: ReasonServerError, Message: "answered 503"}}
		s := newFakeSink(down, down, down, down, down, down, down, down, down, down)
		b := start(t, newMemoryOutbox(result(1, 1, 1)), s)
		synctest.Wait()
		b.outbox.add(result(2, 1, 2)) // must not overtake the first
		time.Sleep(30 * time.Minute)
		synctest.Wait()

		var gaps []string
		calls := s.all()
		for i := 1; i < len(calls); i++ {
			gaps = append(gaps, calls[i].at.Sub(calls[i-1].at).String())
		}
		want := "1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 5m0s"
		if got := strings.Join(gaps, " "); got != want {
			t.Errorf("waits = %s, want %s", got, want)
		}
		if got := s.taken(psi); len(got) != 2 || got[0] != 1 || got[1] != 2 {
			t.Errorf("values taken = %v, want 1 then 2", got)
		}
		if got := b.log.count("delivery failed"); got != 1 {
			t.Errorf("the failure was logged %d times, want once", got)
		}
		if got := b.log.count("delivery works again"); got != 1 {
			t.Errorf("the recovery was logged %d times, want once", got)
		}
		if got := b.counter(t, "retried_total"); got < 20 {
			t.Errorf("retried_total = %v, want 2 points or more in 10 attempts", got)
		}
		s.say(down, down)
		b.outbox.add(result(3, 1, 3))
		time.Sleep(time.Minute)
		synctest.Wait()
		calls = s.all()
		if n := len(calls); calls[n-2].at.Sub(calls[n-3].at) != time.Second {
			t.Errorf("waited %s after the first failure since the recovery, want 1s", calls[n-2].at.Sub(calls[n-3].at))
		}
		if len(b.outbox.retries) != 12 || b.outbox.retries[0] != "answered 503" {
			t.Errorf("the outbox knows of the errors %q", b.outbox.retries)
		}
	})
}

func TestDelivererJitterAndWishes(t *testing.T) {
	t.Parallel()
	o := DelivererOptions{MinBackoff: time.Second, MaxBackoff: 5 * time.Minute, Random: func() float64 { return 0.5 }}
	tests := []struct {
		name     string
		failures int
		failure  Failure
		want     time.Duration
	}{
		{"first", 0, Failure{}, 750 * time.Millisecond},
		{"fourth", 3, Failure{}, 6 * time.Second},
		{"longest", 1000, Failure{}, 225 * time.Second},
		{"slow", 0, Failure{Slow: true}, 225 * time.Second},
		{"server asks for more", 0, Failure{RetryAfter: 90 * time.Second}, 90 * time.Second},
		{"server asks for less", 5, Failure{RetryAfter: time.Second}, 24 * time.Second},
		{"server asks for a day", 0, Failure{RetryAfter: 24 * time.Hour}, time.Hour},
	}
	for _, tt := range tests {
		d := &Deliverer{DelivererOptions: o, failures: tt.failures}
		if got := d.backoff(&tt.failure); got != tt.want {
			t.Errorf("%s: backoff = %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestDelivererLogsEachTroubleOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttled := answer{retry: true, err: &Failure{Reason: ReasonThrottled, Message: "slow down", RetryAfter: time.Minute}}
		down := answer{retry: true, err: &Failure{Reason: ReasonUnreachable, Message: "gone"}}
		b := start(t, newMemoryOutbox(result(1, 1, 1)), newFakeSink(throttled, throttled, down, down, down))
		time.Sleep(time.Hour)
		synctest.Wait()
		if s, g := b.log.count("slow down"), b.log.count("gone"); s != 1 || g != 1 {
			t.Errorf("logged %d and %d times, want once each", s, g)
		}
		calls := b.sink.all()
		if gap := calls[1].at.Sub(calls[0].at); gap != time.Minute {
			t.Errorf("waited %s, the server asked for 1m", gap)
		}
	})
}

func TestDelivererRejectedPoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Publications have a value and a sample size each: the second loses
		// one of its points, the third both.
		rejection := &Rejection{Points: []RejectedPoint{{2, "bad tag"}, {4, "bad"}, {5, "bad"}}}
		s := newFakeSink(answer{err: rejection}, answer{err: &Rejection{Points: []RejectedPoint{{0, "bad tag"}}}})
		b := start(t, newMemoryOutbox(result(1, 1, 1), result(2, 1, 2), result(3, 1, 3), modelwatch.Publication{}), s)
		synctest.Wait()
		if b.outbox.depth() != 0 {
			t.Errorf("%d entries are left", b.outbox.depth())
		}
		if len(b.outbox.dropped) != 1 || !strings.Contains(b.outbox.dropped[3], "bad tag") {
			t.Errorf("dropped = %v, want entry 3 alone: the fourth has nothing to say", b.outbox.dropped)
		}
		if sent, rejected := b.counter(t, "sent_total"), b.counter(t, "rejected_total"); sent != 3 || rejected != 3 {
			t.Errorf("sent %v, rejected %v, want 3 and 3", sent, rejected)
		}
	})
}

func TestDelivererUndeliverable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := answer{err: errors.New("the sink is made of stone")}
		b := start(t, newMemoryOutbox(result(1, 1, 1)), newFakeSink(never, never))
		synctest.Wait()
		b.outbox.add(result(2, 1, 2))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(b.outbox.dropped) != 2 || b.log.count("made of stone") != 1 {
			t.Errorf("dropped %v, logged %d times", b.outbox.dropped, b.log.count("made of stone"))
		}
	})
}

func TestDelivererStopsInTheMiddleAndGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox := newMemoryOutbox(result(1, 1, 1), result(2, 1, 2))
		s := newFakeSink(answer{hang: true})
		first := start(t, outbox, s)
		<-s.hanging
		first.stop()
		if outbox.depth() != 2 || len(outbox.retries) != 0 {
			t.Fatalf("%d entries are left and %d failed, want both left as they were", outbox.depth(), len(outbox.retries))
		}
		start(t, outbox, s, func(o *DelivererOptions) { o.Owner = "b" }) // a new process
		time.Sleep(2 * time.Minute)                                      // until the lease of the old one is over
		synctest.Wait()
		if got := s.taken(psi); len(got) != 2 || got[0] != 1 {
			t.Errorf("values taken after the restart = %v, want 1 and 2", got)
		}
	})
}

func TestDelivererAcknowledgesWhileStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox := newMemoryOutbox(result(1, 1, 1))
		stopping := make(chan struct{})
		d, err := NewDeliverer(DelivererOptions{
			Outbox: outbox, Owner: "a", Log: slog.New(slog.DiscardHandler), SelfInterval: -1,
			Sink: sinkFunc(func(ctx context.Context, _ []Point) (bool, error) {
				close(stopping)
				<-ctx.Done() // the answer comes just after the process was told to stop
				return false, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-stopping; cancel() }()
		if err := d.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
		if outbox.depth() != 0 {
			t.Error("a delivery that succeeded was not acknowledged")
		}
	})
}

type sinkFunc func(context.Context, []Point) (bool, error)

func (f sinkFunc) Name() string                                              { return "func" }
func (f sinkFunc) Deliver(ctx context.Context, points []Point) (bool, error) { return f(ctx, points) }

func TestDelivererOneLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox := newMemoryOutbox()
		s := newFakeSink()
		a := start(t, outbox, s)
		synctest.Wait()
		b := start(t, outbox, s, func(o *DelivererOptions) { o.Owner = "b" })
		for i := range 20 {
			outbox.add(result(i, 1, float64(i)))
			time.Sleep(5 * time.Second)
		}
		synctest.Wait()
		if got := b.counter(t, "sent_total"); got != 0 {
			t.Errorf("the second replica sent %v points while the first leads", got)
		}
		a.stop()
		outbox.add(result(30, 1, 30))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := s.taken(psi); len(got) != 21 || got[20] != 30 {
			t.Errorf("values taken = %v", got)
		}
		if got := b.counter(t, "sent_total"); got != 2 {
			t.Errorf("the second replica sent %v points, want 2", got)
		}
	})
}

func TestDelivererSuperseded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := answer{retry: true, err: &Failure{Reason: ReasonUnreachable, Message: "gone"}}
		s := newFakeSink(down)
		b := start(t, newMemoryOutbox(result(1, 1, 0.1)), s)
		synctest.Wait()
		again := result(1, 2, 0.2)
		b.outbox.mu.Lock()
		again.Run.Window = b.outbox.entries[0].Publication.Run.Window
		b.outbox.mu.Unlock()
		b.outbox.add(again)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.taken(psi); len(got) != 1 || got[0] != 0.2 {
			t.Errorf("values taken = %v, want that of the second revision alone", got)
		}
	})
}

func TestDelivererShrinksItsBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pubs []modelwatch.Publication
		for i := range 64 {
			pubs = append(pubs, result(i, 1, float64(i)))
		}
		s := newFakeSink(answer{hang: true}, answer{hang: true}, answer{hang: true})
		b := start(t, newMemoryOutbox(pubs...), s, func(o *DelivererOptions) { o.Batch = 64 })
		time.Sleep(time.Hour)
		synctest.Wait()
		var sizes []string
		for _, c := range s.all() {
			sizes = append(sizes, fmt.Sprint(len(c.points)/2))
		}
		if got := strings.Join(sizes, " "); got != "64 32 16 8 16 32 8" {
			t.Errorf("publications per delivery = %s", got)
		}
		if b.outbox.depth() != 0 {
			t.Errorf("%d entries are left", b.outbox.depth())
		}
		if first := s.all(); first[1].at.Sub(first[0].at) != b.d.Timeout+time.Second {
			t.Errorf("a delivery without an answer took %s, want the timeout, %s, and the back-off", first[1].at.Sub(first[0].at), b.d.Timeout)
		}
	})
}

func TestDelivererGivesUpAfterMaxAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := answer{retry: true, err: &Failure{Reason: ReasonForbidden, Message: "key?", Slow: true}}
		s := newFakeSink()
		for range 1000 {
			s.say(down)
		}
		b := start(t, newMemoryOutbox(result(1, 1, 1)), s, func(o *DelivererOptions) { o.MaxAge = 24 * time.Hour })
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if b.outbox.depth() != 1 {
			t.Fatal("the publication is gone before its time")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if b.outbox.depth() != 0 || b.counter(t, "dropped_total") != 2 || b.log.count("publications dropped") != 1 {
			t.Errorf("%d entries left, %v points dropped, logged %d times", b.outbox.depth(), b.counter(t, "dropped_total"), b.log.count("publications dropped"))
		}
	})
}

func TestDelivererOutboxFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outbox := newMemoryOutbox(result(1, 1, 1))
		outbox.fail(errors.New("database is away"))
		b := start(t, outbox, newFakeSink())
		time.Sleep(time.Minute)
		synctest.Wait()
		outbox.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.sink.taken(psi); len(got) != 1 {
			t.Errorf("values taken = %v, want one", got)
		}
		if away, back := b.log.count("database is away"), b.log.count("delivery works again"); away != 1 || back != 1 {
			t.Errorf("logged the failure %d times and the recovery %d times, want once each", away, back)
		}
	})
}

func TestDelivererReportsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := answer{retry: true, err: &Failure{Reason: ReasonUnreachable, Message: "gone"}}
		s := newFakeSink(down)
		outbox := newMemoryOutbox(result(1, 1, 1), result(2, 1, 1))
		b := start(t, outbox, s, func(o *DelivererOptions) { o.SelfInterval = time.Minute; o.Tags = map[string]string{"env": "prod"} })
		time.Sleep(10 * time.Minute)
		synctest.Wait()

		sum := func(metric string) (total float64) {
			for _, v := range s.taken(metric) {
				total += v
			}
			return total
		}
		if sent, retried := sum("modelwatch.intake.sent"), sum("modelwatch.intake.retried"); sent != 4 || retried != 4 {
			t.Errorf("intake.sent adds up to %v and retried to %v, want 4 and 4", sent, retried)
		}
		if got := s.taken("modelwatch.intake.series"); len(got) < 9 || got[0] != 2 {
			t.Errorf("intake.series = %v, want 2 each minute: a value and a sample size", got)
		}
		seconds := map[int64]bool{}
		for _, c := range s.all() {
			for _, p := range c.points {
				if p.Metric != "modelwatch.intake.sent" {
					continue
				}
				if seconds[p.Time.Unix()] {
					t.Errorf("two reports in the second %s", p.Time)
				}
				seconds[p.Time.Unix()] = true
				if got := strings.Join(p.Tags, " "); got != "env:prod sink:fake" {
					t.Errorf("tags = %s", got)
				}
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := b.counter(t, "series"); got != 0 {
			t.Errorf("series = %v two hours after the last point, want 0", got)
		}
	})
}

func TestDelivererRepeatsItsReportAsItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSink()
		b := start(t, newMemoryOutbox(), s, func(o *DelivererOptions) { o.SelfInterval = time.Minute })
		s.say(answer{retry: true, err: &Failure{Reason: ReasonTimeout, Message: "perhaps"}})
		time.Sleep(150 * time.Second)
		b.stop()
		calls := s.all()
		if len(calls) != 2 {
			t.Fatalf("%d reports, want 2", len(calls))
		}
		if diff := cmp.Diff(calls[0].points, calls[1].points); diff != "" {
			t.Errorf("the repeated report differs:\n%s", diff)
		}
	})
}

func TestNewDelivererChecksOptions(t *testing.T) {
	t.Parallel()
	good := DelivererOptions{Outbox: newMemoryOutbox(), Sink: newFakeSink(), Owner: "a", Log: slog.New(slog.DiscardHandler)}
	tests := []struct {
		name   string
		change func(*DelivererOptions)
		want   string
	}{
		{"complete", func(o *DelivererOptions) {}, ""},
		{"no outbox", func(o *DelivererOptions) { o.Outbox = nil }, "needs an outbox"},
		{"no owner", func(o *DelivererOptions) { o.Owner = "" }, "an owner"},
		{"timeout as long as the lease", func(o *DelivererOptions) { o.Lease, o.Timeout = time.Minute, time.Minute }, "must be below the lease, 1m0s"},
	}
	for _, tt := range tests {
		o := good
		tt.change(&o)
		_, err := NewDeliverer(o)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: NewDeliverer = %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestDeliverersShareARegisterer(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	for _, s := range []Sink{newFakeSink(), NewStdout(&bytes.Buffer{})} {
		_, err := NewDeliverer(DelivererOptions{Outbox: newMemoryOutbox(), Sink: s, Owner: "a", Log: slog.New(slog.DiscardHandler), Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}
