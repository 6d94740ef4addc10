package simulate

import (
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The model of wide events.
const (
	WideModel   = "wide"
	WideVersion = "1.0.0"
)

// WideOptions say what a Wide makes; zero values are WideModel, 50 features and 60,000 events a minute.
type WideOptions struct {
	Model           string
	Seed            uint64
	Features        int
	Start           time.Time
	EventsPerMinute int
}

// Wide makes predictions of a binary model with many features, for benchmarks:
// with 50 of them an event has 58 fields in about 1.3 KB. Four of five features
// are numbers of different shapes, the rest categories. It does not drift and
// has no labels. It is not for concurrent use.
type Wide struct {
	opts  WideOptions
	model *model
	n     int64
}

// wideCategories is the number of values of a category.
const wideCategories = 40

// NewWide returns a generator at its beginning.
func NewWide(o WideOptions) *Wide {
	if o.Features <= 0 {
		o.Features = 50
	}
	if o.EventsPerMinute <= 0 {
		o.EventsPerMinute = 60_000
	}
	if o.Model == "" {
		o.Model = WideModel
	}
	o.Start = o.Start.UTC()
	m := &model{
		name: o.Model, version: WideVersion, task: modelwatch.TaskBinary, positive: "yes",
		score: modelwatch.TypeNumber, predicted: modelwatch.TypeCategory,
	}
	for i := range o.Features {
		if i%5 == 4 {
			m.features = append(m.features, category(fmt.Sprintf("category_%03d", i)))
		} else {
			m.features = append(m.features, modelwatch.Feature{Name: fmt.Sprintf("variable_%03d", i), Type: modelwatch.TypeNumber})
		}
	}
	return &Wide{opts: o, model: m.withKeys()}
}

// Version is the definition of the version, for registration.
func (w *Wide) Version() modelwatch.Version {
	return modelwatch.Version{Model: w.model.name, Name: WideVersion, Schema: w.model.schema(), SamplingRate: 1, Registered: true}
}

// Position is the number of the next event, for MoveTo.
func (w *Wide) Position() int64 { return w.n }

// MoveTo goes on with the n-th event, counted from 0.
func (w *Wide) MoveTo(n int64) { w.n = n }

// Next makes the next event.
func (w *Wide) Next() Event {
	r := newRandom(w.opts.Seed, streamWide, w.n)
	i := id(r.next())
	perMinute := int64(w.opts.EventsPerMinute)
	at := w.opts.Start.UnixNano() + w.n/perMinute*int64(time.Minute) + w.n%perMinute*int64(time.Minute)/perMinute
	at -= at % int64(time.Millisecond)
	w.n++
	b := make([]byte, 0, 240+26*w.opts.Features)
	b = appendHead(b, modelwatch.KindPrediction, w.model, i, at)
	b = append(b, `,"features":{`...)
	for j, key := range w.model.keys {
		b = append(b, key...)
		b = appendWide(b, j, r.next())
		b = append(b, ',')
	}
	score := int64(r.next() % 10_001)
	b = append(b[:len(b)-1], `},"prediction":{"score":`...)
	b = appendFixed(b, score, 4)
	b = append(b, `,"label":"`...)
	b = append(b, yesIf(score >= 5000)...)
	b = append(b, `"},"tags":{"region":"eu-west-1"}}`...)
	return Event{Kind: modelwatch.KindPrediction, Model: w.model.name, Time: asTime(at), Key: i.append(nil), Value: b}
}

// appendWide writes the value of the j-th feature from 64 random bits.
func appendWide(b []byte, j int, u uint64) []byte {
	switch j % 5 {
	case 0: // uniform, many distinct values
		return appendFixed(b, int64(u>>32*10_000_000>>32), 4)
	case 1: // bell-shaped around 0: the sum of four uniform numbers
		sum := u&0xffff + u>>16&0xffff + u>>32&0xffff + u>>48
		return appendFixed(b, int64(sum)-2*0xffff, 4)
	case 2: // long tail: a quotient of uniform numbers
		return appendFixed(b, int64(200_000*(u>>48)/(u&0xffff+1)), 4)
	case 3: // few distinct values
		return appendFixed(b, int64(u>>32*500>>32), 0)
	}
	// A category: low numbers are more frequent than high ones.
	first, second := u&0xffffffff*wideCategories>>32, u>>32*wideCategories>>32
	b = append(b, '"')
	b = append(b, wideNames[min(first, second)]...)
	return append(b, '"')
}

var wideNames = func() (names [wideCategories]string) {
	for i := range names {
		names[i] = fmt.Sprintf("value_%02d", i)
	}
	return names
}()

func yesIf(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
