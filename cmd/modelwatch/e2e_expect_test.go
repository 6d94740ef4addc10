package main

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/sink/datadogtest"
	"github.com/modelwatch/modelwatch/table"
)

// expectation is what archive and intake must hold in the end.
type expectation struct {
	traffic  *traffic
	baseline []fraudRow
	uppers   map[string][]float64 // inner edges of the frozen bins
	kept     []fraudRow
	archived int64 // rows of every kind
	points   []point
}

// point is one value that the intake must have for one series and second.
type point struct {
	metric string
	tags   []string
	time   time.Time
	value  float64
}

func newExpectation(t *traffic, baseline []fraudRow, uppers map[string][]float64, salt modelwatch.Salt) *expectation {
	e := &expectation{traffic: t, baseline: baseline, uppers: uppers}
	for _, r := range t.fraud {
		if r.kept(salt) {
			e.kept = append(e.kept, r)
		}
	}
	e.archived = int64(len(e.kept) + len(t.price) + len(t.labels()))
	for i := range t.count {
		w := t.window(i)
		e.expectDrift(w)
		e.expectFraudBacktest(w)
		e.expectPriceBacktest(w)
	}
	return e
}

// expectDrift computes drift of the kept rows of a window on the frozen bins.
func (e *expectation) expectDrift(w modelwatch.Window) {
	var rows []fraudRow
	for _, r := range e.kept {
		if w.Contains(r.time) {
			rows = append(rows, r)
		}
	}
	tags := []string{"model:fraud", "model_version:3.1.0", "job:drift", "window:" + e.traffic.windowMinutes()}
	add := func(subject, feature, metric string, value float64) {
		all := append(slices.Clone(tags), "feature:"+feature)
		if strings.HasSuffix(metric, "_ratio") {
			e.points = append(e.points, point{"modelwatch.quality." + metric, all, w.End, value})
			return
		}
		e.points = append(e.points, point{"modelwatch.drift." + metric, append(all, "subject:"+subject, "baseline:training"), w.End, value})
	}
	numbers := func(subject, name string, base, now []float64) {
		p, q := binNumbers(base, e.uppers[name]), binNumbers(now, e.uppers[name])
		add(subject, name, "psi", referencePSI(p, q))
		add(subject, name, "js_distance", referenceJS(p, q))
		add(subject, name, "ks", referenceKS(base, now))
	}
	categories := func(subject, name string, base, now []string) {
		names := slices.Compact(slices.Sorted(slices.Values(base)))
		p, q := binCategories(base, names), binCategories(now, names)
		add(subject, name, "psi", referencePSI(p, q))
		add(subject, name, "js_distance", referenceJS(p, q))
		add(subject, name, "new_category_ratio", q[len(names)]/float64(len(now)))
	}
	amount := func(rows []fraudRow) (values []float64) {
		for _, r := range rows {
			if r.state == present {
				values = append(values, r.amount)
			}
		}
		return values
	}
	numbers("feature", "amount", amount(e.baseline), amount(rows))
	numbers("prediction", "risk", project(e.baseline, func(r fraudRow) float64 { return r.score }), project(rows, func(r fraudRow) float64 { return r.score }))
	categories("feature", "country", project(e.baseline, func(r fraudRow) string { return r.country }), project(rows, func(r fraudRow) string { return r.country }))
	categories("feature", "device", project(e.baseline, func(r fraudRow) string { return r.device }), project(rows, func(r fraudRow) string { return r.device }))
	categories("prediction", "outcome", project(e.baseline, func(r fraudRow) string { return r.predicted }), project(rows, func(r fraudRow) string { return r.predicted }))
	count := func(state cellState) (n float64) {
		for _, r := range rows {
			if r.state == state {
				n++
			}
		}
		return n / float64(len(rows))
	}
	add("feature", "amount", "missing_ratio", count(missing))
	add("feature", "amount", "invalid_ratio", count(invalid))
}

func project[T any](rows []fraudRow, f func(fraudRow) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = f(r)
	}
	return out
}

// frozenUppers reads the inner edges of the bins that the baseline froze: they
// are the service's to choose, and shown to whoever wants to compute by hand.
func (d *deployment) frozenUppers() map[string][]float64 {
	d.t.Helper()
	var list struct{ Items []struct{ ID string } }
	d.get("/v1/models/fraud/versions/3.1.0/baselines", &list)
	if len(list.Items) != 1 {
		d.t.Fatalf("%d baselines, want 1", len(list.Items))
	}
	var baseline struct {
		Columns []struct {
			Name string
			Bins []struct{ Upper *float64 }
		}
	}
	d.get("/v1/models/fraud/versions/3.1.0/baselines/"+list.Items[0].ID, &baseline)
	uppers := map[string][]float64{}
	for _, c := range baseline.Columns {
		for _, bin := range c.Bins {
			if bin.Upper != nil {
				uppers[c.Name] = append(uppers[c.Name], *bin.Upper)
			}
		}
	}
	if len(uppers["amount"]) != 9 {
		d.t.Fatalf("amount has the inner edges %v, want 9 of them", uppers["amount"])
	}
	return uppers
}

func (e *expectation) expectFraudBacktest(w modelwatch.Window) {
	var tp, fp, tn, fn, labelled, rows float64
	for _, r := range e.kept {
		if !w.Contains(r.time) {
			continue
		}
		rows++
		if r.truth == "" {
			continue
		}
		labelled++
		switch {
		case r.predicted == "fraud" && r.truth == "fraud":
			tp++
		case r.predicted == "fraud":
			fp++
		case r.truth == "fraud":
			fn++
		default:
			tn++
		}
	}
	precision, recall := tp/(tp+fp), tp/(tp+fn)
	e.expectBacktest("fraud", "3.1.0", w, map[string]float64{
		"modelwatch.backtest.accuracy": (tp + tn) / labelled, "modelwatch.backtest.precision": precision, "modelwatch.backtest.recall": recall,
		"modelwatch.backtest.f1": 2 * precision * recall / (precision + recall),
		// Counts are weighted back to all rows.
		"modelwatch.backtest.true_positives": tp / e2eRate, "modelwatch.backtest.false_positives": fp / e2eRate,
		"modelwatch.backtest.true_negatives": tn / e2eRate, "modelwatch.backtest.false_negatives": fn / e2eRate,
		"modelwatch.label_coverage": labelled / rows,
	})
}

func (e *expectation) expectPriceBacktest(w modelwatch.Window) {
	var squares, absolute, n float64
	for _, r := range e.traffic.price {
		if w.Contains(r.time) {
			d := r.predicted - r.truth
			squares, absolute, n = squares+d*d, absolute+math.Abs(d), n+1
		}
	}
	e.expectBacktest("price", "1.0", w, map[string]float64{"modelwatch.backtest.rmse": math.Sqrt(squares / n), "modelwatch.backtest.mae": absolute / n})
}

func (e *expectation) expectBacktest(model, version string, w modelwatch.Window, values map[string]float64) {
	for metric, value := range values {
		e.points = append(e.points, point{metric, []string{"model:" + model, "model_version:" + version, "job:backtest", "window:" + e.traffic.windowMinutes()}, w.End, value})
	}
}

// firstDifference says what the intake does not have yet, "" when it has all.
// Values agree to 1e-9 relative: the sums run in another order here.
func (e *expectation) firstDifference(d *deployment) string {
	series := d.intake.Series()
	for _, p := range e.points {
		got, ok := p.find(series)
		switch {
		case !ok:
			return fmt.Sprintf("no point of %s %v at %s; the intake has %v", p.metric, p.tags, p.time.Format(time.RFC3339), d.intake.Find(p.metric))
		case math.Abs(got-p.value) > 1e-9*math.Max(1e-3, math.Abs(p.value)):
			return fmt.Sprintf("%s %v at %s is %v, want %v", p.metric, p.tags, p.time.Format(time.RFC3339), got, p.value)
		}
	}
	return ""
}

// find returns the value that a series with the point's tags has at its second.
func (p point) find(all []datadogtest.Series) (float64, bool) {
	for _, s := range all {
		if s.Metric != p.metric || slices.ContainsFunc(p.tags, func(tag string) bool { return !slices.Contains(s.Tags, tag) }) {
			continue
		}
		for _, stored := range s.Points {
			if stored.Timestamp == p.time.Unix() {
				return stored.Value, true
			}
		}
	}
	return 0, false
}

func (d *deployment) openCatalog() *catalog.Catalog {
	d.t.Helper()
	c, err := catalog.Open(d.t.Context(), d.dsn, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

// volume sums what the catalog counted for both models.
func (d *deployment) volume(f func(modelwatch.Volume) int64) int64 {
	d.t.Helper()
	var sum int64
	for _, model := range []string{"fraud", "price"} {
		for _, v := range d.volumes(model) {
			sum += f(v)
		}
	}
	return sum
}

// volumes are what the catalog counted for a model.
func (d *deployment) volumes(model string) []modelwatch.Volume {
	d.t.Helper()
	if d.counts == nil {
		d.counts = d.openCatalog()
	}
	volumes, err := d.counts.Volumes(d.t.Context(), model, modelwatch.Window{Start: time.Unix(0, 0), End: time.Now().AddDate(1, 0, 0)})
	if err != nil {
		d.t.Fatal(err)
	}
	return volumes
}

func (d *deployment) seen() int64 { return d.volume(func(v modelwatch.Volume) int64 { return v.Seen }) }

func (d *deployment) kept() (rows, rejected int64) {
	rows = d.volume(func(v modelwatch.Volume) int64 { return v.Kept })
	counts, err := d.counts.CountDeadLetters(d.t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, n := range counts {
		rejected += n.Count
	}
	return rows, rejected
}

// checkArchive reads every registered object and expects each sampled event
// exactly once, under its own model, version, kind and hour.
func (e *expectation) checkArchive(d *deployment) {
	d.t.Helper()
	want := map[string]int{}
	for _, r := range e.kept {
		want["prediction/fraud/3.1.0/"+r.id]++
	}
	for _, r := range e.traffic.fraud {
		if r.truth != "" {
			want["label/fraud//"+r.id]++
		}
	}
	for _, r := range e.traffic.price {
		want["prediction/price/1.0/"+r.id]++
		want["label/price//"+r.id]++
	}
	got := d.archivedIDs()
	for id, n := range got {
		if n != want[id] {
			d.t.Fatalf("the archive holds %s %d times, want %d", id, n, want[id])
		}
	}
	if len(got) != len(want) {
		d.t.Fatalf("the archive holds %d events, want %d", len(got), len(want))
	}
}

func (d *deployment) archivedIDs() map[string]int {
	d.t.Helper()
	ids := map[string]int{}
	files := d.scanArchive([]string{modelwatch.ColumnID, modelwatch.ColumnRank}, func(f modelwatch.DataFile, c *table.Chunk) error {
		for i := range c.Rows {
			if i > 0 && c.Columns[1].Ints[i] < c.Columns[1].Ints[i-1] {
				return fmt.Errorf("row %d: rank %d after %d", i, c.Columns[1].Ints[i], c.Columns[1].Ints[i-1])
			}
			ids[string(f.Kind)+"/"+f.Model+"/"+f.Version+"/"+c.Columns[0].Text(i)]++
		}
		return nil
	})
	d.t.Logf("%d rows in %d objects", len(ids), len(files))
	return ids
}

func (d *deployment) openBucket() archive.Bucket {
	d.t.Helper()
	bucket, err := archive.OpenBucket(d.t.Context(), archive.BucketConfig{
		URI: "s3://" + d.bucket + "/prod", Endpoint: d.s3.Endpoint, Region: d.s3.Region, PathStyle: true, AccessKey: d.s3.AccessKey, SecretKey: d.s3.SecretKey,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return bucket
}

// scanArchive reads columns of every file that the catalog knows.
func (d *deployment) scanArchive(columns []string, scan func(modelwatch.DataFile, *table.Chunk) error) []modelwatch.DataFile {
	d.t.Helper()
	ctx, bucket := d.t.Context(), d.openBucket()
	files, err := d.counts.DataFiles(ctx, modelwatch.DataFileFilter{})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range files {
		object, err := bucket.Open(ctx, f.Key)
		if err != nil {
			d.t.Fatal(err)
		}
		reader, err := table.OpenParquet(object, object.Size())
		if err != nil {
			d.t.Fatalf("%s: %v", f.Key, err)
		}
		if err := reader.Scan(ctx, columns, func(c *table.Chunk) error { return scan(f, c) }); err != nil {
			d.t.Fatalf("%s: %v", f.Key, err)
		}
		if err := object.Close(); err != nil {
			d.t.Fatal(err)
		}
	}
	return files
}
