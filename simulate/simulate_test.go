package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

var begin = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// decoded is an event as a reader sees it.
type decoded struct {
	Kind, Model, Version, ID string
	Time                     time.Time
	Features                 map[string]any
	Prediction               map[string]any
	Label                    any
}

func decode(t rapid.TB, e Event) decoded {
	dec := json.NewDecoder(bytes.NewReader(e.Value))
	dec.DisallowUnknownFields()
	var d decoded
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("%s: %v", e.Value, err)
	}
	return d
}

func take(g *Generator, n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = g.Next()
	}
	return events
}

func sameEvent(a, b Event) bool {
	return a.Kind == b.Kind && a.Model == b.Model && a.Time.Equal(b.Time) && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func TestSameSeedSameEvents(t *testing.T) {
	t.Parallel()
	o := Options{Seed: 7, Start: begin, DriftAfter: time.Minute, LabelDelay: 2 * time.Minute}
	first, second := take(New(o), 5000), take(New(o), 5000)
	if !slices.EqualFunc(first, second, sameEvent) {
		t.Error("two generators with the same options made different events")
	}
	o.Seed = 8
	ids := map[string]bool{}
	for _, e := range first {
		ids[string(e.Key)] = true
	}
	for _, e := range take(New(o), 5000) {
		if ids[string(e.Key)] {
			t.Fatalf("id %s is made under two seeds", e.Key)
		}
	}
}

// The events that a released version makes are part of tests and documents elsewhere.
func TestFirstEvents(t *testing.T) {
	t.Parallel()
	e := New(Options{Seed: 1, Start: begin}).Next()
	want := `{"kind":"prediction","model":"fraud","version":"3.1.0","id":"4000795f8e33b2a8","time":"2026-11-21T10:00:00.065Z","features":{"amount":98.35,"country":"DE","device":"mobile","merchant_category":"grocery","hour":10,"account_age_days":1340,"payments_24h":2,"distance_km":7.6,"card_present":true,"new_merchant":false,"mail_domain":"mailbox.temp","ip_risk":0.003},"prediction":{"score":0.099,"label":"legit"}}`
	if string(e.Value) != want || string(e.Key) != "4000795f8e33b2a8" || e.Model != Fraud || e.Kind != modelwatch.KindPrediction {
		t.Errorf("first event is %s, want %s", e.Value, want)
	}
}

func TestGoesOnFromAnyPosition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Seed: rapid.Uint64().Draw(t, "seed"), Start: begin,
			EventsPerMinute: rapid.IntRange(1, 2000).Draw(t, "rate"),
			LabelDelay:      time.Duration(rapid.IntRange(1, 600).Draw(t, "delay")) * time.Second,
			DriftAfter:      time.Minute,
		}
		g := New(o)
		take(g, rapid.IntRange(0, 1000).Draw(t, "events"))
		resumed := New(o)
		if err := resumed.Seek(g.Position()); err != nil {
			t.Fatal(err)
		}
		if resumed.Position() != g.Position() {
			t.Fatalf("position is %+v, want %+v", resumed.Position(), g.Position())
		}
		if a, b := take(g, 100), take(resumed, 100); !slices.EqualFunc(a, b, sameEvent) {
			t.Fatalf("after position the events differ")
		}
	})
}

func TestSeekRefuses(t *testing.T) {
	t.Parallel()
	g := New(Options{Seed: 1, Start: begin})
	for _, p := range []Position{{-1, 0}, {0, -1}, {10, 5}} {
		if err := g.Seek(p); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("Seek(%+v) = %v", p, err)
		}
	}
}

func TestOrderAndLabels(t *testing.T) {
	t.Parallel()
	const delay = 4 * time.Minute
	g := New(Options{Seed: 3, Start: begin, EventsPerMinute: 600, LabelDelay: delay})
	predicted, told := map[string]time.Time{}, map[string]bool{}
	var last time.Time
	var sum time.Duration
	for _, e := range take(g, 25_000) {
		if e.Time.Before(last) {
			t.Fatalf("event at %s after one at %s", e.Time, last)
		}
		last = e.Time
		d := decode(t, e)
		if d.ID != string(e.Key) || d.Kind != string(e.Kind) || d.Model != e.Model || !d.Time.Equal(e.Time) {
			t.Fatalf("event %s disagrees with its envelope: %+v", e.Value, e)
		}
		if e.Kind == modelwatch.KindPrediction {
			if _, again := predicted[d.ID]; again {
				t.Fatalf("id %s is predicted twice", d.ID)
			}
			predicted[d.ID] = e.Time
			continue
		}
		at, known := predicted[d.ID]
		late := e.Time.Sub(at)
		if !known || told[d.ID] || late < delay/2-time.Millisecond || late > 4*delay {
			t.Fatalf("label of %s after %s: predicted %v, told before %v", d.ID, late, known, told[d.ID])
		}
		told[d.ID] = true
		sum += late
	}
	// Of predictions that are more than 16 minutes old every label that comes has come.
	due, have := 0, 0
	for id, at := range predicted {
		if at.Before(last.Add(-4 * delay)) {
			due++
			if told[id] {
				have++
			}
		}
	}
	if share := float64(have) / float64(due); share < .935 || share > .965 {
		t.Errorf("%.3f of %d predictions have a label, want 0.95", share, due)
	}
	if mean := sum / time.Duration(len(told)); mean < delay*8/10 || mean > delay*11/10 {
		t.Errorf("labels come after %s on average, want about %s", mean, delay)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{1, 7, 600, 20_000} {
		g := New(Options{Seed: 1, Start: begin, EventsPerMinute: rate, LabelDelay: 1000 * time.Hour})
		n := 0
		for ; g.Next().Time.Before(begin.Add(time.Minute)); n++ {
		}
		if n != rate {
			t.Errorf("%d predictions in the first minute, want %d", n, rate)
		}
	}
}

// Every event fits the schema that is registered for its version.
func TestEventsFitTheirSchema(t *testing.T) {
	t.Parallel()
	versions := map[string]modelwatch.Version{}
	for _, v := range Versions() {
		versions[v.Model] = v
	}
	g := New(Options{Seed: 5, Start: begin, DriftAfter: time.Minute, LabelDelay: time.Minute})
	missing, models := map[string]int{}, map[string]int{}
	for _, e := range take(g, 10_000) {
		d := decode(t, e)
		v := versions[d.Model]
		models[d.Model]++
		if e.Kind == modelwatch.KindLabel {
			checkValue(t, "label", v.Schema.Label, d.Label)
			if d.Version != "" || d.Features != nil || d.Prediction != nil {
				t.Fatalf("label carries more than a label: %s", e.Value)
			}
			continue
		}
		if d.Version != v.Name {
			t.Fatalf("version is %q, want %q", d.Version, v.Name)
		}
		for name, value := range d.Features {
			f, ok := v.Schema.Feature(name)
			if !ok {
				t.Fatalf("feature %s is not in the schema", name)
			}
			checkValue(t, name, f.Type, value)
			if n, ok := value.(float64); ok && (n < *f.Minimum || n > *f.Maximum) {
				t.Fatalf("%s = %v is outside of %v to %v", name, n, *f.Minimum, *f.Maximum)
			}
		}
		for _, f := range v.Schema.Features {
			if _, ok := d.Features[f.Name]; !ok {
				missing[f.Name]++
			}
		}
		if v.Schema.Score == "" {
			checkValue(t, "value", v.Schema.Predicted, d.Prediction["value"])
		} else {
			checkValue(t, "score", v.Schema.Score, d.Prediction["score"])
			checkValue(t, "label", v.Schema.Predicted, d.Prediction["label"])
		}
	}
	if len(missing) != 3 || missing["account_age_days"] == 0 || missing["mail_domain"] == 0 || missing["energy_class"] == 0 {
		t.Errorf("features that are missing at times: %v", missing)
	}
	if share := float64(models[Price]) / 10_000; share < .28 || share > .32 {
		t.Errorf("%.3f of events are of the second model, want 0.3", share)
	}
}

func checkValue(t *testing.T, name string, typ modelwatch.FeatureType, v any) {
	t.Helper()
	ok := false
	switch v.(type) {
	case float64:
		ok = typ == modelwatch.TypeNumber
	case string:
		ok = typ == modelwatch.TypeCategory
	case bool:
		ok = typ == modelwatch.TypeBoolean
	}
	if !ok {
		t.Fatalf("%s is %v (%T), the schema says %s", name, v, v, typ)
	}
}

func TestModelsAndVersions(t *testing.T) {
	t.Parallel()
	models, versions := Models(), Versions()
	if len(models) != 2 || models[0].Name != Fraud || models[0].Task != modelwatch.TaskBinary || models[0].Positive != "fraud" || models[1].Task != modelwatch.TaskRegression {
		t.Errorf("models = %+v", models)
	}
	for i, v := range versions {
		if v.Model != models[i].Name || v.SamplingRate != 1 || !v.Registered {
			t.Errorf("version = %+v", v)
		}
		for _, f := range v.Schema.Features {
			if got, ok := v.Schema.Feature(f.Name); !ok || got.Name != f.Name {
				t.Errorf("%s: feature %s is not found: the schema is not sorted", v.Model, f.Name)
			}
		}
	}
}

func TestAppendFixed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scaled   int64
		decimals uint8
		want     string
	}{
		{0, 2, "0"}, {5, 0, "5"}, {1250, 2, "12.5"}, {1, 4, "0.0001"}, {-15, 1, "-1.5"}, {1005, 3, "1.005"}, {-7, 2, "-0.07"}, {120_000, 4, "12"},
	}
	for _, tt := range tests {
		if got := string(appendFixed(nil, tt.scaled, tt.decimals)); got != tt.want {
			t.Errorf("appendFixed(%d, %d) = %s, want %s", tt.scaled, tt.decimals, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		scaled, decimals := rapid.Int64Range(-1e12, 1e12).Draw(t, "scaled"), rapid.Uint8Range(0, 4).Draw(t, "decimals")
		got := appendFixed(nil, scaled, decimals)
		var v float64
		if _, err := fmt.Sscan(string(got), &v); err != nil || v != float64(scaled)/float64(powers[decimals]) || !json.Valid(got) {
			t.Fatalf("appendFixed(%d, %d) = %s", scaled, decimals, got)
		}
	})
}
