package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/schedule"
	"github.com/modelwatch/modelwatch/table"
)

// hourOne is the hour whose traffic is archived and measured.
var hourOne = modelwatch.Window{Start: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)}

// record is a row of the archive: a text, a number or nothing by column.
type record map[string]any

// put archives records as one data file, a second apart from the start of the
// window on. A record's place is its rank and its id, so that predictions and labels meet.
func (b *testBundle) put(t *testing.T, kind modelwatch.Kind, version string, w modelwatch.Window, records []record) {
	t.Helper()
	n := len(records)
	rank := table.Column{Name: modelwatch.ColumnRank, Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64}
	ids := table.Column{Name: modelwatch.ColumnID, Type: modelwatch.TypeText}
	times := table.Column{Name: modelwatch.ColumnTime, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime}
	names := map[string]bool{}
	for i, r := range records {
		rank.Ints, ids.Dict, ids.Index = append(rank.Ints, int64(i)), append(ids.Dict, fmt.Sprint(w.Start.Unix(), "-", i)), append(ids.Index, int32(i))
		times.Ints = append(times.Ints, w.Start.Add(time.Duration(i)*time.Second).UnixMicro())
		for name := range r {
			names[name] = true
		}
	}
	chunk := &table.Chunk{Rows: n, Columns: []table.Column{rank, ids, times}}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		chunk.Columns = append(chunk.Columns, columnOf(t, name, records))
	}
	f, err := b.service.archive.WriteDataFile(t.Context(), modelwatch.FileSpec{
		Kind: kind, Model: "credit", Version: version, Hour: w.Start.Truncate(time.Hour), Unique: fmt.Sprintf("%s-%s-%d", kind, version, w.Start.Unix()), SamplingRate: 1, SchemaRevision: 1,
	}, chunk)
	if err != nil {
		t.Fatal(err)
	}
	commit := modelwatch.IngestCommit{ID: f.Key, Group: "g", Owner: "o", Files: []modelwatch.DataFile{f}, Volumes: []modelwatch.Volume{
		{Model: "credit", Version: version, Kind: kind, BucketStart: modelwatch.Bucket(w.Start), Seen: int64(n), Kept: int64(n)}}}
	if err := cmp.Or(b.service.catalog.IntendUpload(t.Context(), []string{f.Key}, "o"), b.service.catalog.CommitIngest(t.Context(), commit)); err != nil {
		t.Fatal(err)
	}
}

func columnOf(t *testing.T, name string, records []record) table.Column {
	t.Helper()
	c := table.Column{Name: name, Valid: make([]bool, len(records))}
	for i, r := range records {
		c.Valid[i] = r[name] != nil
		switch v := r[name].(type) {
		case string:
			at := slices.Index(c.Dict, v)
			if at < 0 {
				at, c.Dict = len(c.Dict), append(c.Dict, v)
			}
			c.Type, c.Index = modelwatch.TypeCategory, append(c.Index, make([]int32, i+1-len(c.Index))...)
			c.Index[i] = int32(at)
		case float64:
			c.Type, c.Floats = modelwatch.TypeNumber, append(c.Floats, make([]float64, i+1-len(c.Floats))...)
			c.Floats[i] = v
		}
	}
	switch c.Type {
	case modelwatch.TypeCategory:
		c.Index = append(c.Index, make([]int32, len(records)-len(c.Index))...)
	case modelwatch.TypeNumber:
		c.Floats = append(c.Floats, make([]float64, len(records)-len(c.Floats))...)
	}
	return c
}

// csvOf writes records as a table under the names of their columns.
func csvOf(records []record, columns ...string) string {
	var b strings.Builder
	b.WriteString(strings.Join(columns, ",") + "\n")
	for _, r := range records {
		cells := make([]string, len(columns))
		for i, name := range columns {
			if r[name] != nil {
				cells[i] = fmt.Sprint(r[name])
			}
		}
		b.WriteString(strings.Join(cells, ",") + "\n")
	}
	return b.String()
}

// ended tells of runs whose outcome is stored.
type ended struct {
	*catalog.Catalog
	runs chan modelwatch.Run
}

func (e ended) CompleteRun(ctx context.Context, run modelwatch.Run, ms []modelwatch.Measurement, outbox []modelwatch.OutboxEntry) error {
	err := e.Catalog.CompleteRun(ctx, run, ms, outbox)
	if err == nil {
		e.runs <- run
	}
	return err
}

func (e ended) FailRun(ctx context.Context, run modelwatch.Run, text string, outbox []modelwatch.OutboxEntry) error {
	err := e.Catalog.FailRun(ctx, run, text, outbox)
	e.runs <- run
	return err
}

// compute puts a job over REST, has a worker compute the window, and returns what
// the API shows.
func (b *testBundle) compute(t *testing.T, job api.JobBody, w modelwatch.Window) []api.Measurement {
	t.Helper()
	job.Cron, job.Window = "0 * * * *", modelwatch.FormatDuration(w.Duration())
	if _, _, err := b.client.PutJob(t.Context(), "credit", "job", job); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.service.catalog.AddRun(t.Context(), modelwatch.Run{Model: "credit", Job: "job", Kind: job.Kind, Window: w}); err != nil {
		t.Fatal(err)
	}
	opts := b.service.workerOptions()
	told := ended{b.service.catalog, make(chan modelwatch.Run, 1)}
	opts.Store, opts.Registerer = told, nil
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- schedule.New(opts).Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	run := <-told.runs
	if run.State != modelwatch.RunSucceeded {
		t.Fatalf("the run is %s: %s", run.State, run.Error)
	}
	page, err := b.client.Measurements(t.Context(), modelwatch.MeasurementFilter{Page: modelwatch.Page{Limit: 1000}, Run: run.ID})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

func show(ms []api.Measurement, metrics ...string) []string {
	number := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.3f", *v)
	}
	var out []string
	for _, m := range ms {
		if !slices.Contains(metrics, m.Metric) {
			continue
		}
		line := fmt.Sprintf("%s%s", m.Metric, strings.TrimPrefix(fmt.Sprint(m.Segment), "map"))
		if m.Class != "" {
			line += " " + m.Class
		}
		if m.K != 0 {
			line += fmt.Sprint(" @", m.K)
		}
		line += " " + number(m.Value) + string(m.Reason) + " own " + number(m.BaselineValue) + " constant " + number(m.ConstantValue)
		if m.Threshold != nil {
			line += fmt.Sprintf(" %s..%s %t", number(m.Threshold.Lower), number(m.Threshold.Upper), *m.Breached)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// loans are n loans by turns of two countries, whose every wrongEvery-th prediction
// is wrong.
func loans(n, wrongEvery int) (predictions, truth []record) {
	for i := range n {
		label := float64(i % 2)
		p := record{"country": []string{"DE", "FR"}[i/2%2], "_predicted": label, "_score": 0.25 + 0.5*label}
		if i%wrongEvery == wrongEvery-1 {
			p["_predicted"], p["_score"] = 1-label, 0.75-0.5*label
		}
		predictions, truth = append(predictions, p), append(truth, record{"_label": label})
	}
	return predictions, truth
}

func joinRecords(a, b []record) []record {
	out := make([]record, len(a))
	for i := range a {
		out[i] = maps.Clone(a[i])
		maps.Copy(out[i], b[i])
	}
	return out
}

// A backtest stands beside its registered baseline: own values, learnt limits and
// segments come from the rows that were uploaded.
func TestBacktestBesideABaseline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel(t)
	predictions, truth := loans(4000, 10)
	b.register(t, upload(typeCSV, "", csvOf(joinRecords(predictions, truth), "country", "_predicted", "_score", "_label")))
	predictions, truth = loans(1000, 4)
	b.put(t, modelwatch.KindPrediction, "1", hourOne, predictions)
	b.put(t, modelwatch.KindLabel, "", hourOne, truth)
	ms := b.compute(t, api.JobBody{
		Kind: modelwatch.JobBacktest, Metrics: []string{"accuracy", "auc_roc"}, Segments: [][]string{{"country"}},
		Thresholds: []api.Threshold{{Metric: "accuracy", Learn: &api.Learn{SD: 3}}},
	}, hourOne)
	want := []string{
		"accuracy[] 0.750 own 0.900 constant 0.500 0.900..- true",
		"accuracy[country:DE] 1.000 own 0.900 constant 0.500 0.900..- false",
		"accuracy[country:FR] 0.500 own 0.900 constant 0.500 0.900..- true",
		"auc_roc[] 0.750 own 0.900 constant 0.500",
		"auc_roc[country:DE] 1.000 own 0.900 constant 0.500",
		"auc_roc[country:FR] 0.500 own 0.900 constant 0.500",
	}
	if diff := gocmp.Diff(want, show(ms, "accuracy", "auc_roc")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Rankings and probabilities of classes are read from the archive as from files.
func TestBacktestOfRankingsAndClasses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		task    modelwatch.Task
		row     func(i int) (record, record)
		columns []string
		metrics []string
		want    []string
	}{
		{
			modelwatch.TaskRanking,
			func(i int) (record, record) {
				return record{"_group": fmt.Sprint("query ", i/4), "_score": float64(10 - i%4), "size": float64(i % 7)}, record{"_label": []float64{1, 0, 1, 0}[i%4]}
			},
			[]string{"_group", "_score", "size", "_label"}, []string{"ndcg_at_k", "mrr"},
			[]string{
				"mrr[] 1.000 own 1.000 constant 0.722", // one half + one third / 2 + one sixth / 3
				fmt.Sprintf("ndcg_at_k[] @10 %.3[1]f own %.3[1]f constant 0.785", 1.5/(1+1/math.Log2(3))),
				fmt.Sprintf("ndcg_at_k[] @5 %.3[1]f own %.3[1]f constant 0.785", 1.5/(1+1/math.Log2(3))),
			},
		},
		{
			modelwatch.TaskMulticlass,
			func(i int) (record, record) {
				class := []string{"a", "b", "c"}[i%3]
				p := record{"_score_a": 0.15, "_score_b": 0.15, "_score_c": 0.15, "size": float64(i % 7)}
				p["_score_"+class] = 0.7
				return p, record{"_label": class}
			},
			[]string{"_score_a", "_score_b", "_score_c", "size", "_label"}, []string{"log_loss", "accuracy"},
			[]string{"accuracy[] 1.000 own 1.000 constant 0.333", fmt.Sprintf("log_loss[] %.3[1]f own %.3[1]f constant %.3f", -math.Log(0.7), math.Log(3))},
		},
	} {
		t.Run(string(tt.task), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if _, _, err := b.client.PutModel(t.Context(), "credit", api.ModelBody{Task: tt.task}); err != nil {
				t.Fatal(err)
			}
			var predictions, truth []record
			for i := range 1200 {
				p, l := tt.row(i)
				predictions, truth = append(predictions, p), append(truth, l)
			}
			b.register(t, upload(typeCSV, "", csvOf(joinRecords(predictions, truth), tt.columns...)))
			b.put(t, modelwatch.KindPrediction, "1", hourOne, predictions)
			b.put(t, modelwatch.KindLabel, "", hourOne, truth)
			ms := b.compute(t, api.JobBody{Kind: modelwatch.JobBacktest, Metrics: tt.metrics}, hourOne)
			if diff := gocmp.Diff(tt.want, show(ms, tt.metrics...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
