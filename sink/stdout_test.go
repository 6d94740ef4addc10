package sink

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
)

func TestStdout(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	points := []Point{
		{Metric: "modelwatch.drift.psi", Type: Gauge, Tags: []string{"feature:a<b", "model:m"}, Value: 0.25, Time: testNow},
		{Metric: "modelwatch.volume.labels", Type: Count, Tags: []string{"model:m"}, Value: 3, Time: testNow, IntervalSeconds: 10},
		{Metric: "modelwatch.run.duration", Type: Gauge, Tags: []string{"model:m"}, Value: 1.5, Time: testNow.In(time.FixedZone("", 3600)), Unit: "second"},
	}
	if retry, err := NewStdout(&b).Deliver(t.Context(), points); retry || err != nil {
		t.Fatalf("Deliver = %v, %v", retry, err)
	}
	want := `{"time":"2026-11-21T10:07:30Z","metric":"modelwatch.drift.psi","type":"gauge","value":0.25,"tags":["feature:a<b","model:m"]}
{"time":"2026-11-21T10:07:30Z","metric":"modelwatch.volume.labels","type":"count","value":3,"interval_seconds":10,"tags":["model:m"]}
{"time":"2026-11-21T10:07:30Z","metric":"modelwatch.run.duration","type":"gauge","value":1.5,"unit":"second","tags":["model:m"]}
`
	if got := b.String(); got != want {
		t.Errorf("printed\n%s, want\n%s", got, want)
	}
}

func TestStdoutRejectsWhatJSONDoesNotHave(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	points := []Point{{Metric: "a", Value: math.NaN()}, {Metric: "b", Value: 1}}
	retry, err := NewStdout(&b).Deliver(t.Context(), points)
	var r *Rejection
	if retry || !errors.As(err, &r) || len(r.Points) != 1 || r.Points[0].Index != 0 {
		t.Errorf("Deliver = %v, %v, want a rejection of the first", retry, err)
	}
	if bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Errorf("printed %q, want the second alone", b.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestStdoutWhenPrintingFails(t *testing.T) {
	t.Parallel()
	retry, err := NewStdout(brokenPipe{}).Deliver(t.Context(), []Point{{Metric: "a"}})
	if !retry || err == nil {
		t.Errorf("Deliver = %v, %v, want a failure that may pass", retry, err)
	}
}
