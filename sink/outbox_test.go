package sink

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/modelwatch/modelwatch"
)

// memoryOutbox is an outbox as the catalog keeps one: one leader per sink by
// lease, entries in order, older revisions of a window dropped.
type memoryOutbox struct {
	mu         sync.Mutex
	entries    []modelwatch.OutboxEntry
	lastID     int64
	leader     string
	leaseUntil time.Time
	dropped    map[int64]string
	retries    []string // texts
	broken     error
}

func newMemoryOutbox(pubs ...modelwatch.Publication) *memoryOutbox {
	o := &memoryOutbox{dropped: map[int64]string{}}
	o.add(pubs...)
	return o
}

func (o *memoryOutbox) add(pubs ...modelwatch.Publication) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range pubs {
		o.lastID++
		o.entries = append(o.entries, modelwatch.OutboxEntry{ID: o.lastID, Sink: "fake", Publication: p, CreatedAt: time.Now()})
	}
}

func (o *memoryOutbox) ClaimOutbox(_ context.Context, _, owner string, now time.Time, lease time.Duration, limit int) ([]modelwatch.OutboxEntry, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return nil, false, o.broken
	}
	if o.leader != owner && now.Before(o.leaseUntil) {
		return nil, false, nil
	}
	o.leader, o.leaseUntil = owner, now.Add(lease)
	var due []modelwatch.OutboxEntry
	o.entries = slices.DeleteFunc(o.entries, func(e modelwatch.OutboxEntry) bool {
		superseded := slices.ContainsFunc(o.entries, func(f modelwatch.OutboxEntry) bool { return supersedes(f, e) })
		if superseded {
			o.dropped[e.ID] = "superseded"
		}
		return superseded
	})
	for _, e := range o.entries {
		if len(due) < limit && !now.Before(e.NotBefore) {
			due = append(due, e)
		}
	}
	return due, true, nil
}

func supersedes(newer, older modelwatch.OutboxEntry) bool {
	n, o := newer.Publication.Run, older.Publication.Run
	return n != nil && o != nil && n.Model == o.Model && n.Job == o.Job && n.Window == o.Window && n.Revision > o.Revision
}

func (o *memoryOutbox) remove(ids []int64) {
	o.entries = slices.DeleteFunc(o.entries, func(e modelwatch.OutboxEntry) bool { return slices.Contains(ids, e.ID) })
}

func (o *memoryOutbox) AckOutbox(ctx context.Context, ids []int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(ctx.Err(), o.broken); err != nil {
		return err
	}
	o.remove(ids)
	return nil
}

func (o *memoryOutbox) RetryOutbox(ctx context.Context, ids []int64, notBefore time.Time, errText string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(ctx.Err(), o.broken); err != nil {
		return err
	}
	o.retries = append(o.retries, errText)
	for i := range o.entries {
		if slices.Contains(ids, o.entries[i].ID) {
			o.entries[i].NotBefore = notBefore
			o.entries[i].Attempts++
		}
	}
	return nil
}

func (o *memoryOutbox) DropOutbox(ctx context.Context, ids []int64, errText string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := errors.Join(ctx.Err(), o.broken); err != nil {
		return err
	}
	for _, id := range ids {
		o.dropped[id] = errText
	}
	o.remove(ids)
	return nil
}

func (o *memoryOutbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = err
}

func (o *memoryOutbox) depth() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.entries)
}

// answer is what a fakeSink says to one delivery.
type answer struct {
	retry bool
	err   error
	hang  bool // until the context ends
}

// fakeSink takes points in memory, or answers as it was told to.
type fakeSink struct {
	mu      sync.Mutex
	answers []answer
	calls   []call
	hanging chan struct{} // receives once per hanging delivery
}

type call struct {
	at     time.Time
	points []Point
	taken  bool
}

func newFakeSink(answers ...answer) *fakeSink {
	return &fakeSink{answers: answers, hanging: make(chan struct{}, 8)}
}

func (s *fakeSink) Name() string { return "fake" }

func (s *fakeSink) Deliver(ctx context.Context, points []Point) (bool, error) {
	s.mu.Lock()
	var a answer
	if len(s.answers) > 0 {
		a, s.answers = s.answers[0], s.answers[1:]
	}
	s.calls = append(s.calls, call{time.Now(), slices.Clone(points), !a.retry && !a.hang})
	s.mu.Unlock()
	if a.hang {
		s.hanging <- struct{}{}
		<-ctx.Done()
		return true, &Failure{Reason: ReasonTimeout, Message: "no answer", Err: ctx.Err()}
	}
	return a.retry, a.err
}

func (s *fakeSink) say(answers ...answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, answers...)
}

func (s *fakeSink) all() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// taken lists the values of a metric in the order in which they were taken.
func (s *fakeSink) taken(metric string) []float64 {
	var out []float64
	for _, c := range s.all() {
		for _, p := range c.points {
			if c.taken && p.Metric == metric {
				out = append(out, p.Value)
			}
		}
	}
	return out
}
