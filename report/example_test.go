package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/report"
)

// The page of a drift with twenty columns and fourteen daily chunks, written to
// a file that can be opened in a browser: REPORT_DIR says where, for example
//
//	REPORT_DIR=/tmp go test ./report -run Example
func ExampleWrite() {
	for name, r := range map[string]report.Report{"drift.html": exampleDrift(20, 14), "backtest.html": exampleBacktest()} {
		if err := writeExample(name, r); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
}

func writeExample(name string, r report.Report) error {
	dir := os.Getenv("REPORT_DIR")
	if dir == "" {
		temporary, err := os.MkdirTemp("", "report")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	return report.Write(f, r)
}

func ptr(v float64) *float64 { return &v }

var exampleNames = []string{
	"amount", "country", "merchant_category", "hours_since_last_login", "card_present", "account_age_days", "device", "email_domain", "order_count_30d",
	"average_basket", "distance_km", "ip_risk", "currency", "discount", "session_seconds", "created.hour", "created.weekday", "comment.length", "embedding.norm", "chargebacks",
}

// exampleDrift is a made-up comparison in which a few columns have moved.
func exampleDrift(columns, chunks int) report.Report {
	random := rand.New(rand.NewPCG(7, 11))
	r := report.Report{
		Kind: modelwatch.JobDrift, Title: "fraud 3.1.0: training against November", Generated: "1.4.0, 2026-11-21 06:00 UTC",
		Baseline: report.Side{Name: "s3://models/fraud/3.1.0/train.parquet", Rows: 250_000}, Current: report.Side{Name: "november/*.csv.gz", Rows: 84_211},
		Notes:         []string{"Column legacy_score of the baseline is not in the current rows."},
		SchemaChanges: []report.SchemaChange{{Column: "chargebacks", Change: "number in the baseline, text in the current rows"}, {Column: "loyalty_tier", Change: "only in the current rows"}},
	}
	for c := range chunks {
		r.Chunks = append(r.Chunks, report.Chunk{Label: fmt.Sprintf("2026-11-%02d", c+1), Rows: 6015})
	}
	for i := range columns {
		name := exampleNames[i%len(exampleNames)]
		if i >= len(exampleNames) {
			name = fmt.Sprintf("%s_%03d", name, i)
		}
		shift := math.Max(0, random.NormFloat64()-0.6) * 0.7
		col := exampleColumn(name, i, shift, random)
		r.Columns = append(r.Columns, col)
		r.Measurements = append(r.Measurements, exampleValues(col, 250_000, 84_211)...)
		for c := range r.Chunks {
			grown := shift * math.Max(0, float64(c-4)) / float64(chunks) * 2
			part := exampleColumn(name, i, grown, random)
			r.Chunks[c].Measurements = append(r.Chunks[c].Measurements, exampleValues(part, 250_000, 6015)...)
		}
		for _, country := range []string{"DE", "FR", "PL", "ES", "(missing)"} {
			part := exampleColumn(name, i, shift*random.Float64()*2, random)
			for _, m := range exampleValues(part, 40_000, 9_000) {
				m.Segment = map[string]string{"country": country}
				r.Measurements = append(r.Measurements, m)
			}
		}
	}
	over := 0
	for _, m := range r.Measurements {
		if m.Breached && m.Segment == nil {
			over++
		}
	}
	r.Measurements = append(r.Measurements,
		modelwatch.Measurement{Value: modelwatch.Value{Metric: "drifted_features", Value: ptr(float64(over)), NBaseline: 250_000, NCurrent: 84_211}, Subject: modelwatch.SubjectModel},
		modelwatch.Measurement{Value: modelwatch.Value{Metric: "drifted_share", Value: ptr(float64(over) / float64(columns)), NBaseline: 250_000, NCurrent: 84_211}, Subject: modelwatch.SubjectModel, Threshold: &modelwatch.Bounds{Upper: ptr(0.3)}},
		modelwatch.Measurement{Value: modelwatch.Value{Metric: "psi", Value: ptr(0.08), NCurrent: 84_211}, Subject: modelwatch.SubjectGroup, Name: "customer"},
		modelwatch.Measurement{Value: modelwatch.Value{Metric: "psi_max", Value: ptr(0.31), NCurrent: 84_211}, Subject: modelwatch.SubjectGroup, Name: "customer", Breached: true, Threshold: &modelwatch.Bounds{Upper: ptr(0.25)}},
		modelwatch.Measurement{Value: modelwatch.Value{Metric: "psi", Value: ptr(0.02), NCurrent: 84_211}, Subject: modelwatch.SubjectGroup, Name: "device"})
	return r
}

// exampleColumn makes one column: every fourth is a category, one a boolean.
func exampleColumn(name string, i int, shift float64, random *rand.Rand) report.Column {
	col := report.Column{
		Name: name, Type: modelwatch.TypeNumber, Subject: modelwatch.SubjectFeature, Importance: math.Round(1000/float64(i%len(exampleNames)+2)) / 1000,
		Baseline: report.Quality{Missing: 0.012}, Current: report.Quality{Missing: 0.012 + shift/20},
	}
	switch {
	case name == "card_present":
		col.Type = modelwatch.TypeBoolean
		col.Bins = []report.Bin{{Value: "false", Baseline: 0.34, Current: 0.34 + shift/5}, {Value: "true", Baseline: 0.66, Current: 0.66 - shift/5}}
	case name == "created.hour":
		col.Type = modelwatch.TypeTimestamp
		for h := range 24 {
			at := (13 + 7*h) % 24
			p := (1 + math.Sin(float64(at-9)/24*2*math.Pi)) / 24
			col.Bins = append(col.Bins, report.Bin{Value: fmt.Sprintf("%02d", at), Baseline: p, Current: p * (1 + 0.2*math.Cos(float64(at)))})
		}
	case i%4 == 1 || i%4 == 2 && i < 8:
		col.Type = modelwatch.TypeCategory
		col.Bins = exampleCategories(name, shift, random)
		col.Current.New = shift / 30
	default:
		exampleNumber(&col, shift, math.Pow(10, float64(i%5)), i%3 == 0)
	}
	return col
}

func exampleCategories(name string, shift float64, random *rand.Rand) []report.Bin {
	values := []string{"DE", "FR", "PL", "ES", "IT", "NL", "AT", "CZ", "a rather long category name that someone typed in by hand"}
	if name != "country" {
		values = []string{"grocery", "travel", "electronics", "fuel", "restaurants", "subscriptions"}
	}
	bins := make([]report.Bin, 0, len(values)+1)
	var p, q float64
	for j, v := range values {
		b := report.Bin{Value: v, Baseline: math.Pow(0.62, float64(j+1)) * 0.95}
		b.Current = b.Baseline * (1 + shift*math.Cos(float64(j)*1.3)*0.5 + random.NormFloat64()*0.01)
		p, q = p+b.Baseline, q+b.Current
		bins = append(bins, b)
	}
	return append(bins, report.Bin{Other: true, Baseline: 1 - math.Min(p, 1), Current: 1 - math.Min(q, 1)})
}

// exampleNumber gives a column the bins and the curve of a normal, or log-normal, variable.
func exampleNumber(col *report.Column, shift, scale float64, skewed bool) {
	at := func(z float64) float64 {
		if skewed {
			return scale * math.Exp(0.8*z)
		}
		return scale * (5 + z)
	}
	cdf := func(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }
	current := func(z float64) float64 { return cdf((z - shift) / (1 + shift/4)) }
	deciles := []float64{-1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816}
	p, q := 0., 0.
	for _, z := range deciles {
		col.Bins = append(col.Bins, report.Bin{Upper: ptr(at(z)), Baseline: cdf(z) - p, Current: current(z) - q})
		p, q = cdf(z), current(z)
	}
	col.Bins = append(col.Bins, report.Bin{Baseline: 1 - p, Current: 1 - q})
	curve := &report.Curve{}
	for z := -4.; z <= 4.001; z += 0.01 {
		curve.X, curve.Baseline, curve.Current = append(curve.X, at(z)), append(curve.Baseline, cdf(z)), append(curve.Current, current(z))
	}
	col.Curve = curve
}

// exampleValues computes the metrics of a made-up column from its bins and curve.
func exampleValues(col report.Column, n, m int64) []modelwatch.Measurement {
	var psi, tv float64
	for _, b := range col.Bins {
		p, q := math.Max(b.Baseline, 1e-4), math.Max(b.Current, 1e-4)
		psi += (q - p) * math.Log(q/p)
		tv += math.Abs(p-q) / 2
	}
	scale := 1/float64(n) + 1/float64(m)
	values := []modelwatch.Value{
		{Metric: "psi", Value: ptr(psi), Null95: ptr(1.8 * float64(len(col.Bins)) * scale), PValue: ptr(math.Exp(-psi / scale / 10))},
		{Metric: "js_distance", Value: ptr(math.Sqrt(psi / 8 / math.Ln2)), Null95: ptr(math.Sqrt(1.8 * float64(len(col.Bins)) * scale / 8 / math.Ln2))},
	}
	if col.Curve != nil {
		ks := 0.
		for i := range col.Curve.X {
			ks = math.Max(ks, math.Abs(col.Curve.Baseline[i]-col.Curve.Current[i]))
		}
		values = append(values,
			modelwatch.Value{Metric: "ks", Value: ptr(ks), Lower: ptr(ks), Upper: ptr(ks + 0.0005), Null95: ptr(1.36 * math.Sqrt(scale)), PValue: ptr(math.Exp(-2 * ks * ks / scale))},
			modelwatch.Value{Metric: "wasserstein_scaled", Value: ptr(ks * 2.4)})
	}
	values = append(values, modelwatch.Value{Metric: "missing_ratio", Value: ptr(col.Current.Missing)})
	if col.Name == "chargebacks" {
		for i := range values {
			values[i] = modelwatch.Value{Metric: values[i].Metric, Reason: modelwatch.ReasonAllMissing}
		}
	}
	out := make([]modelwatch.Measurement, len(values))
	for i, v := range values {
		v.NBaseline, v.NCurrent = n, m
		out[i] = modelwatch.Measurement{Value: v, Kind: modelwatch.JobDrift, Subject: col.Subject, Name: col.Name}
		if limit := map[string]float64{"psi": 0.1, "ks": 0.2}[v.Metric]; limit > 0 {
			out[i].Threshold = &modelwatch.Bounds{Upper: ptr(limit)}
			out[i].Breached = v.Value != nil && *v.Value > limit
		}
	}
	return out
}

// exampleBacktest is a made-up backtest of a binary classifier over ten weeks.
func exampleBacktest() report.Report {
	r := report.Report{
		Kind: modelwatch.JobBacktest, Title: "churn 2026-10: predictions against the truth", Generated: "1.4.0, 2026-11-21 06:00 UTC",
		Current: report.Side{Name: "predictions.parquet", Rows: 120_000}, Labels: report.Side{Name: "labels.csv", Rows: 96_400}, Baseline: report.Side{Name: "holdout.parquet", Rows: 50_000},
	}
	metrics := []struct {
		name                        string
		value, half, base, constant float64
	}{
		{"accuracy", 0.871, 0.004, 0.889, 0.78}, {"precision", 0.642, 0.011, 0.71, 0.22}, {"recall", 0.588, 0.012, 0.593, 1},
		{"f1", 0.614, 0.010, 0.646, 0.361}, {"auc_roc", 0.903, 0.003, 0.921, 0.5}, {"log_loss", 0.318, 0.006, 0.291, 0.527}, {"brier", 0.094, 0.002, 0.088, 0.172},
	}
	at := func(name string, v, half float64) modelwatch.Measurement {
		m := modelwatch.Measurement{Value: modelwatch.Value{Metric: name, Value: ptr(v), Lower: ptr(v - half), Upper: ptr(v + half), NCurrent: 96_400}, Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel, LabelCoverage: ptr(0.803)}
		if name == "precision" {
			m.Threshold, m.Breached = &modelwatch.Bounds{Lower: ptr(0.66)}, v < 0.66
		}
		return m
	}
	for _, x := range metrics {
		m := at(x.name, x.value, x.half)
		m.BaselineValue, m.ConstantValue = ptr(x.base), ptr(x.constant)
		r.Measurements = append(r.Measurements, m)
		for j, plan := range []string{"basic", "family", "business"} {
			s := at(x.name, x.value+0.02*float64(j-1), x.half*2)
			s.Segment = map[string]string{"plan": plan}
			s.NCurrent = int64(50_000 / (j + 1))
			r.Measurements = append(r.Measurements, s)
		}
	}
	for i, name := range []string{"true_positives", "false_positives", "true_negatives", "false_negatives"} {
		n := []float64{12_480, 6_960, 68_212, 8_748}[i]
		r.Measurements = append(r.Measurements, modelwatch.Measurement{Value: modelwatch.Value{Metric: name, Value: &n, NCurrent: 96_400}, Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel})
	}
	for week := range 10 {
		c := report.Chunk{Label: fmt.Sprintf("2026-%02d-%02d", 9+week/4, 1+7*(week%4)), Rows: 12_000}
		for i, x := range metrics {
			m := at(x.name, x.base+(x.value-x.base)*float64(week)/6+0.3*x.half*math.Sin(float64(week*(i+2))), 3*x.half)
			m.BaselineValue, m.ConstantValue = ptr(x.base), ptr(x.constant)
			c.Measurements = append(c.Measurements, m)
		}
		r.Chunks = append(r.Chunks, c)
	}
	slices.SortStableFunc(r.Measurements, func(a, b modelwatch.Measurement) int { return len(a.Segment) - len(b.Segment) })
	return r
}
