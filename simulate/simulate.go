// Package simulate makes the traffic of two models that do not exist: a fraud
// detector and a price estimator, with labels that come late, and a world that
// starts to drift. Everything follows from a seed, so that a demonstration, a
// test or a benchmark sees the same events each time, and a generator that is
// stopped goes on where it was.
package simulate

import (
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Options say what traffic a Generator makes. The zero value is a start at
// 1970, 600 predictions a minute, labels after about half a day, and no drift.
type Options struct {
	Seed  uint64
	Start time.Time // event time of the first prediction
	// EventsPerMinute is the number of predictions in a minute of event time,
	// both models together, evenly spread: 600.
	EventsPerMinute int
	// DriftAfter is how long after Start the world begins to change; 0 is never.
	DriftAfter time.Duration
	// DriftOver is how long the change takes: as long as DriftAfter.
	DriftOver time.Duration
	// LabelDelay is how long labels come after their predictions on average: at
	// least half of it, then exponentially distributed, at most four times it. 12 h.
	LabelDelay time.Duration
}

// labelled is the share of predictions that ever get a label.
const labelled = 0.95

// Event is one record for Kafka. Key and Value are the caller's to keep.
type Event struct {
	Kind  modelwatch.Kind
	Model string
	Time  time.Time
	Key   []byte // the request id: a prediction and its label share a partition
	Value []byte // canonical JSON
}

// Position is how far a generator has come. It may be stored, and given to the
// Seek of a generator with the same options.
type Position struct {
	Predictions int64 `json:"predictions"`
	Labels      int64 `json:"labels"` // since the last of these predictions
}

// Generator makes events in the order of their times. It is not for concurrent use.
type Generator struct {
	opts     Options
	models   []*model
	position Position
	pending  labelQueue
	row      row
}

// New returns a generator at its beginning.
func New(o Options) *Generator {
	if o.EventsPerMinute <= 0 {
		o.EventsPerMinute = 600
	}
	if o.LabelDelay <= 0 {
		o.LabelDelay = 12 * time.Hour
	}
	if o.DriftOver <= 0 {
		o.DriftOver = o.DriftAfter
	}
	o.Start = o.Start.UTC()
	return &Generator{opts: o, models: []*model{newFraud(), newPrice()}}
}

// Position is where the generator stands: what Next will make follows from it.
func (g *Generator) Position() Position { return g.position }

// Seek moves to a position. It costs a few nanoseconds for each prediction of
// the longest label delay before it.
func (g *Generator) Seek(p Position) error {
	if p.Predictions < 0 || p.Labels < 0 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "position %+v of simulated traffic is negative", p)
	}
	g.pending.reset()
	first := int64(0)
	if p.Predictions > 0 {
		last := g.timeOf(p.Predictions - 1)
		span := int64(4*g.opts.LabelDelay/time.Minute+2) * int64(g.opts.EventsPerMinute)
		first = max(0, p.Predictions-span)
		for n := first; n < p.Predictions; n++ {
			if due, ok := g.due(n); ok && due > last {
				g.pending.push(label{due, n})
			}
		}
	}
	next := g.timeOf(p.Predictions)
	for range p.Labels {
		if g.pending.empty() || g.pending.min().due > next {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "position %+v of simulated traffic has more labels than these options make", p)
		}
		g.pending.pop()
	}
	g.position = p
	return nil
}

// Next makes the next event: the label that is due, or else a prediction.
func (g *Generator) Next() Event {
	n := g.position.Predictions
	at := g.timeOf(n)
	if !g.pending.empty() && g.pending.min().due <= at {
		l := g.pending.pop()
		g.position.Labels++
		return g.labelEvent(l)
	}
	g.position = Position{Predictions: n + 1}
	if due, ok := g.due(n); ok {
		g.pending.push(label{due, n})
	}
	m := g.draw(n)
	value := g.row.appendPrediction(make([]byte, 0, 512), m, g.id(n), at)
	return Event{Kind: modelwatch.KindPrediction, Model: m.name, Time: asTime(at), Key: g.id(n).append(nil), Value: value}
}

func (g *Generator) labelEvent(l label) Event {
	m := g.draw(l.n)
	value := g.row.appendLabel(make([]byte, 0, 160), m, g.id(l.n), l.due)
	return Event{Kind: modelwatch.KindLabel, Model: m.name, Time: asTime(l.due), Key: g.id(l.n).append(nil), Value: value}
}

// Streams of random numbers that must not repeat each other.
const (
	streamRow = iota + 1
	streamModel
	streamTime
	streamLabel
	streamID
	streamBaseline
	streamWide
)

// draw makes the row of a prediction and returns whose it is.
func (g *Generator) draw(n int64) *model {
	m := g.models[0]
	if r := newRandom(g.opts.Seed, streamModel, n); r.float() < 0.3 {
		m = g.models[1]
	}
	at := g.timeOf(n)
	r := newRandom(g.opts.Seed, streamRow, n)
	g.row.reset()
	m.draw(&r, &g.row, asTime(at), g.drift(at))
	return m
}

// drift is how far the world has changed at a time, from 0 to 1.
func (g *Generator) drift(at int64) float64 {
	if g.opts.DriftAfter <= 0 {
		return 0
	}
	past := at - g.opts.Start.UnixNano() - int64(g.opts.DriftAfter)
	return min(1, max(0, float64(past)/float64(g.opts.DriftOver)))
}

// timeOf is the event time of a prediction in nanoseconds: somewhere in its
// share of a minute, to the millisecond where there is room.
func (g *Generator) timeOf(n int64) int64 {
	perMinute := int64(g.opts.EventsPerMinute)
	slot := int64(time.Minute) / perMinute
	r := newRandom(g.opts.Seed, streamTime, n)
	offset := int64(r.float() * float64(slot))
	if slot > int64(time.Millisecond) {
		offset -= offset % int64(time.Millisecond)
	}
	return g.opts.Start.UnixNano() + n/perMinute*int64(time.Minute) + n%perMinute*int64(time.Minute)/perMinute + offset
}

// due is when the label of a prediction comes; false if it never does.
func (g *Generator) due(n int64) (int64, bool) {
	r := newRandom(g.opts.Seed, streamLabel, n)
	if r.float() >= labelled {
		return 0, false
	}
	half := float64(g.opts.LabelDelay) / 2
	delay := min(half+half*r.exponential(), 8*half)
	at := g.timeOf(n) + int64(delay)
	return at - at%int64(time.Millisecond), true
}

func (g *Generator) id(n int64) id {
	r := newRandom(g.opts.Seed, streamID, n)
	return id(r.next())
}

func asTime(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }

// model finds a model by name.
func (g *Generator) model(name string) (*model, error) {
	for _, m := range g.models {
		if m.name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("find simulated model: %w", modelwatch.Errorf(modelwatch.CodeNotFound, "there is no simulated model %q: there are %q and %q", name, Fraud, Price))
}
