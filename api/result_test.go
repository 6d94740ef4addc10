package api_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// The example of the contract, field by field and in its order.
func TestResultJSON(t *testing.T) {
	t.Parallel()
	window := modelwatch.Window{Start: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	r := api.Result{
		Kind:     modelwatch.JobDrift,
		Baseline: &api.Source{URI: "ref.parquet", Rows: 50000}, Current: &api.Source{URI: "now.parquet", Rows: 50000},
		Columns: []api.Column{
			{Name: "amount", Type: modelwatch.TypeNumber, Bins: []api.Bin{api.NumberBin(ptr(10.5)), api.NumberBin(ptr(math.Inf(1)))}},
			{Name: "country", Type: modelwatch.TypeCategory, Bins: []api.Bin{api.ValueBin("DE"), api.OtherBin()}},
		},
		Measurements: []api.Measurement{
			api.NewMeasurement(modelwatch.Measurement{
				Value: modelwatch.Value{
					Metric: "psi", Value: ptr(0.0123), Lower: ptr(0.0101), Upper: ptr(0.0149), PValue: ptr(0.04), Null95: ptr(0.0031),
					NBaseline: 50000, NCurrent: 5000,
				},
				Window: window, Segment: map[string]string{"country": "DE"}, Subject: modelwatch.SubjectFeature, Name: "amount",
				Threshold: &modelwatch.Bounds{Upper: ptr(0.2), Lower: ptr(0.0)},
			}),
			api.NewMeasurement(modelwatch.Measurement{
				Value:   modelwatch.Value{Metric: "psi", Reason: modelwatch.ReasonTooFew, NBaseline: 50000, NCurrent: 12},
				Subject: modelwatch.SubjectFeature, Name: "city",
			}),
		},
	}
	const want = `{"kind":"drift","baseline":{"uri":"ref.parquet","rows":50000},"current":{"uri":"now.parquet","rows":50000},` +
		`"columns":[{"name":"amount","type":"number","bins":[{"upper":10.5},{"upper":null}]},{"name":"country","type":"category","bins":[{"value":"DE"},{"other":true}]}],` +
		`"measurements":[` +
		`{"chunk":0,"window":{"start":"2026-11-21T00:00:00Z","end":"2026-11-22T00:00:00Z"},"segment":{"country":"DE"},` +
		`"subject":"feature","name":"amount","metric":"psi","value":0.0123,"lower":0.0101,"upper":0.0149,"p_value":0.04,"null_95":0.0031,` +
		`"threshold":{"upper":0.2,"lower":0},"breached":false,"n_baseline":50000,"n_current":5000},` +
		`{"chunk":0,"subject":"feature","name":"city","metric":"psi","reason":"too_few","n_baseline":50000,"n_current":12}]}`
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("result is\n%s, want\n%s", got, want)
	}
	var back api.Result
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(back); err != nil || string(again) != want {
		t.Errorf("came back as\n%s, %v", again, err)
	}
}

func TestNewMeasurementOfBacktest(t *testing.T) {
	t.Parallel()
	m := api.NewMeasurement(modelwatch.Measurement{
		Value: modelwatch.Value{Metric: "precision", Class: "fraud", K: 5, Value: ptr(0.5), StandardError: ptr(0.1), NCurrent: 10},
		RunID: "r", Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel, LabelCoverage: ptr(0.75), Revision: 2,
	})
	got, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"run":"r","kind":"backtest","revision":2,"subject":"model","metric":"precision","class":"fraud","k":5,"value":0.5,"standard_error":0.1,"n_current":10,"label_coverage":0.75,"mature":false}`
	if string(got) != want {
		t.Errorf("measurement is\n%s, want\n%s", got, want)
	}
}

// Whatever was computed: it can be written, and there is a value exactly where
// there is no reason.
func TestNewMeasurementAlwaysMarshals(t *testing.T) {
	t.Parallel()
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1, -1, math.MaxFloat64, math.SmallestNonzeroFloat64}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Ptr(rapid.SampledFrom(odd), true)
		m := api.NewMeasurement(modelwatch.Measurement{
			Value: modelwatch.Value{
				Metric: "psi", Value: number.Draw(t, "value"), Reason: rapid.SampledFrom([]modelwatch.Reason{"", modelwatch.ReasonEmpty}).Draw(t, "reason"),
				Lower: number.Draw(t, "lower"), Upper: number.Draw(t, "upper"), PValue: number.Draw(t, "p"), Null95: number.Draw(t, "null"),
				StandardError: number.Draw(t, "se"), EffectiveBaseline: number.Draw(t, "effective"), EffectiveCurrent: number.Draw(t, "effective current"),
				AdjustedP: number.Draw(t, "adjusted"), BaselineValue: number.Draw(t, "baseline"), ConstantValue: number.Draw(t, "constant"),
			},
			LabelCoverage: number.Draw(t, "coverage"),
			Threshold:     &modelwatch.Bounds{Upper: number.Draw(t, "threshold"), Lower: number.Draw(t, "low threshold")},
		})
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		if (m.Value == nil) != (m.Reason != "") {
			t.Fatalf("value %v with reason %q", m.Value, m.Reason)
		}
	})
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	effective := [...]float64{0.5, 3.5, 0.04, 0.75, 0.25}
	err := api.WriteCSV(&out, []api.Measurement{api.NewMeasurement(modelwatch.Measurement{
		Value: modelwatch.Value{Metric: "psi", Reason: modelwatch.ReasonTooFew, NBaseline: 7,
			EffectiveBaseline: &effective[0], EffectiveCurrent: &effective[1], AdjustedP: &effective[2], BaselineValue: &effective[3], ConstantValue: &effective[4]},
		Segment: map[string]string{"b": "2", "a": "1,\"x\""}, Subject: modelwatch.SubjectFeature, Name: "city", Chunk: 3,
	})})
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(out.String(), "\n")
	const want = `,,,,,,,,"a:1,""x"",b:2",feature,city,psi,,,,too_few,,,,,,,,,,7,0,,,3,,0.5,3.5,0.04,0.75,0.25` + "\n"
	if line != want {
		t.Errorf("line is %s, want %s", line, want)
	}
}
