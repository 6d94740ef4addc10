package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/schedule"
	"github.com/modelwatch/modelwatch/table"
)

// whole is the real way of a row: data files in a folder, profiles by the
// engine, results in the catalog.
type whole struct {
	t        *testing.T
	catalog  *catalog.Catalog
	archive  *archive.Archive
	engine   *engine.Engine
	training *profile.Set
	files    int
	finished chan modelwatch.Run
}

func (w *whole) Chunks(context.Context, modelwatch.Baseline, *profile.Set, int, func(*profile.Set) error) error {
	return errors.New("no threshold of this test learns")
}

func (w *whole) Truth(context.Context, modelwatch.Baseline, modelwatch.JoinedFields, func(modelwatch.Joined) error) (bool, error) {
	return false, nil
}

func (w *whole) Crossings(context.Context, modelwatch.Baseline, [][]string) ([]modelwatch.Crossing, error) {
	return nil, errors.New("no job asks for segments")
}

func (w *whole) Profile(context.Context, modelwatch.Baseline) (*profile.Set, error) {
	return w.training, nil
}

func (w *whole) WindowProfile(ctx context.Context, t schedule.Traffic, grids *profile.Set) (*profile.Set, error) {
	set, _, err := w.engine.WindowsProfile(ctx, t.Files, t.Windows, grids)
	return set, err
}

// told tells the test of each run that is complete.
type told struct {
	*catalog.Catalog
	finished chan modelwatch.Run
}

func (s told) CompleteRun(ctx context.Context, run modelwatch.Run, ms []modelwatch.Measurement, outbox []modelwatch.OutboxEntry) error {
	err := s.Catalog.CompleteRun(ctx, run, ms, outbox)
	if err == nil {
		s.finished <- run
	}
	return err
}

// chunk makes n rows of one hour with amounts around a mean; every tenth label
// differs from its prediction.
func (w *whole) chunk(kind modelwatch.Kind, start time.Time, n int, mean float64, at time.Duration) *table.Chunk {
	rng := rand.New(rand.NewPCG(uint64(start.Unix()), 1))
	type row struct {
		rank   int64
		id     string
		micros int64
		amount float64
		class  int32
	}
	rows := make([]row, n)
	for i := range rows {
		id := fmt.Sprintf("%d-%d", start.Unix(), i)
		class := int32(i % 2)
		if kind == modelwatch.KindLabel && i%10 == 0 {
			class = 1 - class
		}
		rows[i] = row{modelwatch.Rank(modelwatch.Salt{}, []byte(id)), id, start.Add(at + time.Duration(i)*time.Second).UnixMicro(), mean + rng.NormFloat64(), class}
	}
	slices.SortFunc(rows, func(a, b row) int { return int(min(max(a.rank-b.rank, -1), 1)) })
	value := modelwatch.ColumnPredicted
	if kind == modelwatch.KindLabel {
		value = modelwatch.ColumnLabel
	}
	c := &table.Chunk{Rows: n, Columns: []table.Column{
		{Name: modelwatch.ColumnRank, Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64},
		{Name: modelwatch.ColumnID, Type: modelwatch.TypeText},
		{Name: modelwatch.ColumnTime, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime},
		{Name: value, Type: modelwatch.TypeCategory, Dict: []string{"ok", "fraud"}},
		{Name: "amount", Type: modelwatch.TypeNumber},
	}}
	for i, r := range rows {
		c.Columns[0].Ints = append(c.Columns[0].Ints, r.rank)
		c.Columns[1].Dict, c.Columns[1].Index = append(c.Columns[1].Dict, r.id), append(c.Columns[1].Index, int32(i))
		c.Columns[2].Ints = append(c.Columns[2].Ints, r.micros)
		c.Columns[3].Index = append(c.Columns[3].Index, r.class)
		c.Columns[4].Floats = append(c.Columns[4].Floats, r.amount)
	}
	if kind == modelwatch.KindLabel {
		c.Columns = c.Columns[:4]
	}
	return c
}

// commit archives rows as the ingest does.
func (w *whole) commit(kind modelwatch.Kind, version string, hour time.Time, c *table.Chunk) {
	w.t.Helper()
	w.files++
	spec := modelwatch.FileSpec{Kind: kind, Model: "fraud", Version: version, Hour: hour, Unique: fmt.Sprint(w.files), SamplingRate: 1, SchemaRevision: 1, CommitID: fmt.Sprint(w.files)}
	must(w.t, w.catalog.IntendUpload(w.t.Context(), []string{archive.FileKey(spec)}, "o"))
	f, err := w.archive.WriteDataFile(w.t.Context(), spec, c)
	must(w.t, err)
	buckets := map[time.Time]int64{}
	for _, micros := range c.Column(modelwatch.ColumnTime).Ints {
		buckets[modelwatch.Bucket(time.UnixMicro(micros))]++
	}
	commit := modelwatch.IngestCommit{ID: spec.CommitID, Group: "g", Owner: "o", Files: []modelwatch.DataFile{f}}
	for start, n := range buckets {
		commit.Volumes = append(commit.Volumes, modelwatch.Volume{Model: "fraud", Version: version, Kind: kind, BucketStart: start, Seen: n, Kept: n})
	}
	must(w.t, w.catalog.CommitIngest(w.t.Context(), commit))
}

func newWhole(t *testing.T) *whole {
	t.Helper()
	w := &whole{t: t, finished: make(chan modelwatch.Run, 100)}
	var err error
	w.catalog, err = catalog.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, w.catalog.Close()) })
	_, err = w.catalog.Migrate(t.Context())
	must(t, err)
	bucket, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	must(t, err)
	w.archive = archive.New(bucket, archive.Options{})
	w.engine = engine.New(w.archive, engine.Options{})

	grid := profile.NewNumberGrid(w.chunk(modelwatch.KindPrediction, time.Unix(0, 0), 5000, 0, 0).Column("amount").Floats)
	p := profile.New(grid)
	p.AddFloats(w.chunk(modelwatch.KindPrediction, time.Unix(0, 0), 5000, 0, 0).Column("amount").Floats, nil)
	w.training = &profile.Set{Columns: []profile.SetColumn{{Column: modelwatch.Column{Column: "amount", Name: "amount", Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber}, Profile: p}}}
	_, _, err = w.catalog.PutModel(t.Context(), modelwatch.Model{Name: "fraud", Task: modelwatch.TaskBinary, Positive: "fraud"})
	must(t, err)
	_, _, err = w.catalog.PutVersion(t.Context(), modelwatch.Version{Model: "fraud", Name: "1", SamplingRate: 1})
	must(t, err)
	must(t, w.catalog.PutBaseline(t.Context(), modelwatch.Baseline{ID: "bl", Model: "fraud", Version: "1", Status: modelwatch.BaselineReady, Rows: 5000}))
	return w
}

// TestWholeWay goes from Parquet to measurements: three hours of traffic, the
// last of them drifted, with labels.
func TestWholeWay(t *testing.T) {
	t.Parallel()
	w := newWhole(t)
	start := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	for h, mean := range []float64{0, 0, 2} {
		hour := start.Add(time.Duration(h) * time.Hour)
		w.commit(modelwatch.KindPrediction, "1", hour, w.chunk(modelwatch.KindPrediction, hour, 3000, mean, 0))
		w.commit(modelwatch.KindLabel, "", hour, w.chunk(modelwatch.KindLabel, hour, 3000, mean, 5*time.Minute))
	}
	upper := 0.2
	for _, j := range []modelwatch.Job{
		{Name: "drift", Kind: modelwatch.JobDrift, Metrics: []string{"psi"}, Thresholds: []modelwatch.Threshold{{Metric: "psi", Upper: &upper}}},
		{Name: "truth", Kind: modelwatch.JobBacktest, Metrics: []string{"accuracy"}, Maturity: 24 * time.Hour},
	} {
		j.Model, j.Versions, j.Cron, j.Window, j.PlannedUntil = "fraud", []string{"*"}, "0 * * * *", time.Hour, start
		_, _, err := w.catalog.PutJob(t.Context(), j)
		must(t, err)
	}
	worker := schedule.New(schedule.Options{Store: told{w.catalog, w.finished}, Baselines: w, Windows: w, Labels: w.archive, Rows: &shelf{}, Worker: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	for range 6 {
		select {
		case run := <-w.finished:
			if run.Rows != 3000 {
				t.Errorf("run %+v, want 3000 rows", run)
			}
		case <-time.After(time.Minute):
			t.Fatal("six runs did not end within a minute")
		}
	}
	cancel()
	must(t, <-done)

	ms, _, err := w.catalog.Measurements(t.Context(), modelwatch.MeasurementFilter{Page: modelwatch.Page{Limit: 100}})
	must(t, err)
	have := map[string]string{}
	for _, m := range ms {
		key := fmt.Sprintf("%s of hour %.0f", m.Metric, m.Window.Start.Sub(start).Hours())
		switch m.Metric {
		case "psi":
			have[key] = fmt.Sprintf("of %d over 0.2: %t", m.NCurrent, m.Breached)
		case "accuracy":
			have[key] = fmt.Sprintf("%.3f", *m.Value.Value)
		}
	}
	want := map[string]string{
		"psi of hour 0": "of 3000 over 0.2: false", "psi of hour 1": "of 3000 over 0.2: false", "psi of hour 2": "of 3000 over 0.2: true",
		"accuracy of hour 0": "0.900", "accuracy of hour 1": "0.900", "accuracy of hour 2": "0.900",
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("results (-want +have):\n%s", diff)
	}
}
