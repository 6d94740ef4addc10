package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// soakModels are the models of the soak: one is sampled, at a rate that may change.
var soakModels = []struct { //nolint:gochecknoglobals // a table
	name, version string
	rate          float64
}{{"sampled", "1", 0.25}, {"whole", "7", 1}}

// soakTraffic gives the events one after the other. What an event is, when it
// happened and what becomes of it follows from its number, so that nothing of
// millions of them has to be remembered.
type soakTraffic struct {
	salt  modelwatch.Salt
	start time.Time
	apart time.Duration
	count int
	rates []modelwatch.RateStep // of the sampled model; known in the end
}

func newSoakTraffic(salt modelwatch.Salt, rate int) *soakTraffic {
	return &soakTraffic{salt: salt, start: time.Now().UTC().Truncate(time.Microsecond), apart: time.Second / time.Duration(rate)}
}

// soakCell is what events are counted by.
type soakCell struct {
	kind           modelwatch.Kind
	model, version string
}

// soakEvent is one event as it should be seen.
type soakEvent struct {
	soakCell
	id     string // "": a dead letter
	time   time.Time
	amount float64
}

const (
	soakCycle = 20 // events, of which each kind has its share
	soakDelay = 16 // events from a prediction to its label or attributions
)

func (t *soakTraffic) event(i int) soakEvent {
	at := func(model int, kind modelwatch.Kind, of int) soakEvent {
		m := soakModels[model]
		e := soakEvent{soakCell{kind, m.name, m.version}, fmt.Sprintf("s-%09d", of), t.start.Add(time.Duration(i) * t.apart).Truncate(time.Microsecond), float64(of%4096) / 8}
		if kind == modelwatch.KindLabel {
			e.version = ""
		}
		return e
	}
	switch n := i % soakCycle; {
	case n < 13:
		return at(0, modelwatch.KindPrediction, i)
	case n < 16:
		return at(1, modelwatch.KindPrediction, i)
	case n < 18:
		return at(0, modelwatch.KindLabel, i-soakDelay)
	case n < 19:
		return at(0, modelwatch.KindAttribution, i-soakDelay)
	}
	e := at(1, modelwatch.KindPrediction, i)
	if i/soakCycle%50 == 0 {
		e.id = ""
	}
	return e
}

// next returns the next event as JSON.
func (t *soakTraffic) next() []byte {
	e := t.event(t.count)
	t.count++
	b := fmt.Appendf(nil, `{"kind":%q,"model":%q,"time":%q,`, e.kind, e.model, e.time.Format(time.RFC3339Nano))
	if e.id != "" {
		b = fmt.Appendf(b, `"id":%q,`, e.id)
	}
	if e.version != "" {
		b = fmt.Appendf(b, `"version":%q,`, e.version)
	}
	switch e.kind {
	case modelwatch.KindLabel:
		return fmt.Appendf(b, `"label":%v}`, e.amount)
	case modelwatch.KindAttribution:
		return fmt.Appendf(b, `"attributions":{"amount":%v}}`, e.amount)
	}
	return fmt.Appendf(b, `"features":{"amount":%v,"country":"DE","channel":"web"},"prediction":{"value":%v}}`, e.amount, e.amount)
}

// kept is the sampling rule: predictions at the rate of their time, attributions at
// the highest of the day before, labels always.
func (t *soakTraffic) kept(e soakEvent) bool {
	if e.id == "" {
		return false
	}
	if e.kind == modelwatch.KindLabel || e.model == soakModels[1].name {
		return true
	}
	rate := soakModels[0].rate
	for _, step := range t.rates {
		if !step.From.After(e.time) {
			if e.kind == modelwatch.KindAttribution { // the soak is shorter than a day
				rate = max(rate, step.Rate)
			} else {
				rate = step.Rate
			}
		}
	}
	return modelwatch.Rank(t.salt, []byte(e.id)) < modelwatch.RankLimit(rate)
}

// volumes are the counts that the whole traffic must have.
func (t *soakTraffic) volumes() map[soakCell]modelwatch.Volume {
	out := map[soakCell]modelwatch.Volume{}
	for i := range t.count {
		e := t.event(i)
		v := out[e.soakCell]
		switch {
		case e.id == "":
			v.Rejected++
		case t.kept(e):
			v.Kept++
			v.Seen++
		default:
			v.Seen++
		}
		out[e.soakCell] = v
	}
	return out
}

// soakFound is what was found in the archive.
type soakFound struct {
	traffic *soakTraffic
	times   []uint8 // how often, by the event's number
	rows    int
	faults  []string
}

func newSoakFound(t *soakTraffic) *soakFound {
	return &soakFound{traffic: t, times: make([]uint8, t.count)}
}

var soakColumns = []string{modelwatch.ColumnID, modelwatch.ColumnTime, "amount", modelwatch.PrefixAttribution + "amount", modelwatch.ColumnLabel} //nolint:gochecknoglobals // a table

// add looks at the rows of a file.
func (f *soakFound) add(file modelwatch.DataFile, c *table.Chunk) error {
	value := map[modelwatch.Kind]string{modelwatch.KindPrediction: soakColumns[2], modelwatch.KindAttribution: soakColumns[3], modelwatch.KindLabel: soakColumns[4]}[file.Kind]
	ids, times, values := c.Column(modelwatch.ColumnID), c.Column(modelwatch.ColumnTime), c.Column(value)
	if len(ids.Index) != c.Rows || len(times.Ints) != c.Rows || len(values.Floats) != c.Rows {
		return fmt.Errorf("%d rows of %s have %d ids, %d times, %d numbers", c.Rows, file.Kind, len(ids.Index), len(times.Ints), len(values.Floats))
	}
	for row := range c.Rows {
		f.rows++
		n, err := strconv.Atoi(strings.TrimPrefix(ids.Text(row), "s-"))
		if err != nil {
			return err
		}
		if file.Kind != modelwatch.KindPrediction {
			n += soakDelay
		}
		if n < 0 || n >= len(f.times) {
			f.fault("%s %s of %s was never produced", file.Kind, ids.Text(row), file.Model)
			continue
		}
		e := f.traffic.event(n)
		have := soakEvent{soakCell{file.Kind, file.Model, file.Version}, ids.Text(row), time.UnixMicro(times.Ints[row]).UTC(), values.Floats[row]}
		switch f.times[n]++; {
		case have != e:
			f.fault("a row is %+v, produced was %+v", have, e)
		case f.times[n] > 1:
			f.fault("%+v has %d rows", e, f.times[n])
		case !f.traffic.kept(e):
			f.fault("%+v has a row, and is not of the sample", e)
		}
	}
	return nil
}

func (f *soakFound) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

// finish looks for what has no row, and reports.
func (f *soakFound) finish(t *testing.T) {
	t.Helper()
	for n, times := range f.times {
		if e := f.traffic.event(n); times == 0 && f.traffic.kept(e) {
			f.fault("%+v has no row", e)
		}
	}
	for i, fault := range f.faults {
		if i == 20 {
			t.Errorf("and %d more", len(f.faults)-i)
			break
		}
		t.Error(fault)
	}
}
