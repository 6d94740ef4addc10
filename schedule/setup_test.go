package schedule_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/schedule"
)

// bundle is a catalog on SQLite, and an archive that is a list of rows. Tests
// that use it run in a synctest bubble: its clock stands still while anything
// is being computed, so a test says how much time passes.
type bundle struct {
	t       *testing.T
	catalog *catalog.Catalog
	shelf   *shelf
	logs    *logs
	files   int64
}

// bubble runs a test in a synctest bubble with a bundle of its own.
func bubble(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
	synctest.Test(t, func(t *testing.T) {
		c, err := catalog.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		_, err = c.Migrate(t.Context())
		must(t, err)
		test(t, &bundle{t: t, catalog: c, shelf: &shelf{rows: map[string][]shelfRow{}}, logs: &logs{}})
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// model makes a binary model known, with a baseline for each version.
func (b *bundle) model(name string, versions ...string) {
	b.t.Helper()
	_, _, err := b.catalog.PutModel(b.t.Context(), modelwatch.Model{Name: name, Task: modelwatch.TaskBinary, Positive: "fraud"})
	must(b.t, err)
	for _, v := range versions {
		_, _, err = b.catalog.PutVersion(b.t.Context(), modelwatch.Version{Model: name, Name: v, SamplingRate: 1})
		must(b.t, err)
		must(b.t, b.catalog.PutBaseline(b.t.Context(), modelwatch.Baseline{ID: "bl-" + v, Model: name, Version: v, Status: modelwatch.BaselineReady, Rows: 1000, DataKey: "rows"}))
	}
}

// job stores a job; what it leaves open is that of an hourly drift job.
func (b *bundle) job(j modelwatch.Job) modelwatch.Job {
	b.t.Helper()
	if j.Name == "" {
		j.Name = "job"
	}
	if j.Kind == "" {
		j.Kind = modelwatch.JobDrift
	}
	if j.Cron == "" {
		j.Cron = "0 * * * *"
	}
	if j.Window == 0 {
		j.Window = time.Hour
	}
	if j.Versions == nil {
		j.Versions = []string{"*"}
	}
	if j.PlannedUntil.IsZero() {
		j.PlannedUntil = time.Now()
	}
	if j.Timezone == "" {
		j.Timezone = "UTC"
	}
	j.Model = "fraud"
	stored, _, err := b.catalog.PutJob(b.t.Context(), j)
	must(b.t, err)
	return stored
}

// shelfRow is one row of the archive: a prediction or a label.
type shelfRow struct {
	id        string
	time      time.Time
	amount    float64
	predicted string
	label     string
	group     string
	scores    map[string]float64
	segments  map[string]string
}

// shelf stands for the archive and the engine: rows by the key of their file.
type shelf struct {
	mu     sync.Mutex
	rows   map[string][]shelfRow
	open   atomic.Int64 // sides whose rows are open
	learnt int          // chunks
	fee    bool         // there is a second column, a tenth of the amount
	// training are rows of baselines with truth, by version; read is how often they were.
	training map[string][]shelfRow
	read     int
	// profiling is called at the beginning of each profile, without the lock.
	profiling func(ctx context.Context, w modelwatch.Window) error
}

// add puts rows into one data file and commits it.
func (b *bundle) add(kind modelwatch.Kind, version string, rows ...shelfRow) {
	b.t.Helper()
	b.files++
	f := modelwatch.DataFile{
		Key: fmt.Sprintf("file-%d", b.files), Kind: kind, Model: "fraud", Version: version, Rows: int64(len(rows)),
		MinTime: rows[0].time, MaxTime: rows[len(rows)-1].time, SamplingRate: 1, SchemaRevision: 1,
	}
	b.shelf.mu.Lock()
	b.shelf.rows[f.Key] = rows
	b.shelf.mu.Unlock()
	buckets := map[time.Time]int64{}
	for _, r := range rows {
		buckets[modelwatch.Bucket(r.time)]++
	}
	commit := modelwatch.IngestCommit{ID: f.Key, Group: "g", Owner: "o", Files: []modelwatch.DataFile{f}}
	for start, n := range buckets {
		commit.Volumes = append(commit.Volumes, modelwatch.Volume{Model: "fraud", Version: version, Kind: kind, BucketStart: start, Seen: n, Kept: n})
	}
	must(b.t, b.catalog.IntendUpload(b.t.Context(), []string{f.Key}, "o"))
	must(b.t, b.catalog.CommitIngest(b.t.Context(), commit))
}

// traffic makes n predictions in [start, start+n seconds) with amounts from 0
// up to below 100, shifted.
func traffic(start time.Time, n int, shift float64) []shelfRow {
	rows := make([]shelfRow, n)
	for i := range rows {
		at := start.Add(time.Duration(i) * time.Second)
		rows[i] = shelfRow{id: fmt.Sprintf("%d-%d", start.Unix(), i), time: at, amount: float64(i*7%100) + shift, predicted: "ok"}
	}
	return rows
}

func (s *shelf) columns() []profile.SetColumn {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(i % 100)
	}
	p := profile.New(profile.NewNumberGrid(values))
	p.AddFloats(values, nil)
	column := modelwatch.Column{Column: "amount", Name: "amount", Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber}
	columns := []profile.SetColumn{{Column: column, Profile: p}}
	if s.fee {
		for i := range values {
			values[i] /= 10
		}
		p := profile.New(profile.NewNumberGrid(values))
		p.AddFloats(values, nil)
		column.Column, column.Name = "fee", "fee"
		columns = append(columns, profile.SetColumn{Column: column, Profile: p})
	}
	return columns
}

// Chunks cuts the amounts of columns: each chunk has its own distribution.
func (s *shelf) Chunks(_ context.Context, _ modelwatch.Baseline, grids *profile.Set, n int, f func(*profile.Set) error) error {
	for chunk := range n {
		set := grids.Empty()
		for i := range 1000 / n {
			v := float64((i + chunk*i) % 100)
			set.Columns[0].Profile.AddFloats([]float64{v}, nil)
			if s.fee {
				set.Columns[1].Profile.AddFloats([]float64{v / 10}, nil)
			}
		}
		s.learnt++
		if err := f(set); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Profile(context.Context, modelwatch.Baseline) (*profile.Set, error) {
	return &profile.Set{Columns: s.columns()}, nil
}

func (s *shelf) WindowProfile(ctx context.Context, t schedule.Traffic, grids *profile.Set) (*profile.Set, error) {
	if s.profiling != nil {
		if err := s.profiling(ctx, t.Windows[0]); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set := grids.Empty()
	for _, f := range t.Files {
		for _, r := range s.rows[f.Key] {
			if within(t, r.time) {
				set.Columns[0].Profile.AddFloats([]float64{r.amount}, nil)
				if s.fee {
					set.Columns[1].Profile.AddFloats([]float64{r.amount / 10}, nil)
				}
			}
		}
	}
	return set, ctx.Err()
}

func within(t schedule.Traffic, at time.Time) bool {
	return slices.ContainsFunc(t.Windows, func(w modelwatch.Window) bool { return w.Contains(at) })
}

func (s *shelf) JoinLabels(_ context.Context, predictions, labels []modelwatch.DataFile, w modelwatch.Window, fields modelwatch.JoinedFields, f func(modelwatch.Joined) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[string]string{}
	for _, file := range labels {
		for _, r := range s.rows[file.Key] {
			known[r.id] = r.label
		}
	}
	for _, file := range predictions {
		for _, r := range s.rows[file.Key] {
			if !w.Contains(r.time) {
				continue
			}
			label, ok := known[r.id]
			j := r.joined(fields)
			if j.Label, j.HasLabel = label, ok; ok {
				j.LabelValue = numberOf(label)
			}
			if err := f(j); err != nil {
				return err
			}
		}
	}
	return nil
}

// joined is the row without its label.
func (r *shelfRow) joined(fields modelwatch.JoinedFields) modelwatch.Joined {
	j := modelwatch.Joined{ID: r.id, Time: r.time, Predicted: r.predicted, PredictedValue: numberOf(r.predicted), HasPredicted: r.predicted != "", Weight: 1}
	if fields.Group {
		j.Group, j.HasGroup = r.group, r.group != ""
	}
	for _, class := range fields.Classes {
		score, ok := r.scores[class]
		if !ok {
			score = math.NaN()
		}
		j.Scores = append(j.Scores, score)
	}
	for _, column := range fields.Segments {
		value, ok := r.segments[column]
		if !ok {
			value = modelwatch.SegmentMissing
		}
		j.Segments = append(j.Segments, value)
	}
	return j
}

func numberOf(text string) float64 {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}

// Truth gives the training rows that a test has put there; none without truth.
func (s *shelf) Truth(_ context.Context, b modelwatch.Baseline, fields modelwatch.JoinedFields, f func(modelwatch.Joined) error) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.training[b.Version]
	for i := range rows {
		j := rows[i].joined(fields)
		j.Label, j.LabelValue, j.HasLabel = rows[i].label, numberOf(rows[i].label), true
		if err := f(j); err != nil {
			return true, err
		}
	}
	s.read++
	return len(rows) > 0, nil
}

// Crossings finds the combinations of the training rows, in the order of the rows.
func (s *shelf) Crossings(_ context.Context, b modelwatch.Baseline, columns [][]string) ([]modelwatch.Crossing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []modelwatch.Crossing
	for _, names := range columns {
		c := modelwatch.Crossing{Columns: names}
		seen := map[string]bool{}
		for _, r := range s.training[b.Version] {
			values := r.joined(modelwatch.JoinedFields{Segments: names}).Segments
			if key := modelwatch.CrossingKey(values); !seen[key] {
				seen[key] = true
				c.Known = append(c.Known, values)
			}
		}
		if len(c.Known) == 0 {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "there is no column %q", names[0])
		}
		out = append(out, c)
	}
	return out, nil
}

// worker makes a worker on the bundle's catalog, or on a store around it.
func (b *bundle) worker(name string, change ...func(*schedule.Options)) *running {
	r := &running{t: b.t, registry: prometheus.NewRegistry()}
	opts := schedule.Options{
		Store: b.catalog, Baselines: b.shelf, Windows: b.shelf, Labels: b.shelf, Rows: b.shelf,
		Worker: name, Executors: 2, Poll: time.Minute, Registerer: r.registry, Log: slog.New(slog.NewTextHandler(b.logs, nil)),
		Jitter: func() float64 { return 0 },
	}
	for _, c := range change {
		c(&opts)
	}
	r.worker = schedule.New(opts)
	return r
}

// running is a worker and its Run.
type running struct {
	t        *testing.T
	registry *prometheus.Registry
	worker   *schedule.Worker
	cancel   context.CancelFunc
	done     chan error
}

func (r *running) start() *running {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- r.worker.Run(ctx) }()
	r.t.Cleanup(cancel)
	return r
}

func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// count is the value of modelwatch_run_total.
func (r *running) count(kind modelwatch.JobKind, state string) int {
	r.t.Helper()
	families, err := r.registry.Gather()
	must(r.t, err)
	for _, f := range families {
		if f.GetName() != "modelwatch_run_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["kind"] == string(kind) && labels["state"] == state {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// pass lets time go by; everything that is due then has happened.
func (b *bundle) pass(d time.Duration) {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
}

// runs lists every run, oldest window first.
func (b *bundle) runs() []modelwatch.Run {
	b.t.Helper()
	var all []modelwatch.Run
	for page := (modelwatch.Page{Limit: 500}); ; {
		runs, next, err := b.catalog.Runs(b.t.Context(), modelwatch.RunFilter{Page: page})
		must(b.t, err)
		all = append(all, runs...)
		if next == "" {
			break
		}
		page.Cursor = next
	}
	return all
}

// outbox takes what waits for a sink.
func (b *bundle) outbox(sink string) []modelwatch.OutboxEntry {
	b.t.Helper()
	entries, leader, err := b.catalog.ClaimOutbox(b.t.Context(), sink, "test", time.Now(), time.Minute, 1000)
	must(b.t, err)
	if !leader {
		b.t.Fatal("not the sink's leader")
	}
	return entries
}

func (b *bundle) measurements(f modelwatch.MeasurementFilter) []modelwatch.Measurement {
	b.t.Helper()
	f.Limit = 500
	ms, _, err := b.catalog.Measurements(b.t.Context(), f)
	must(b.t, err)
	return ms
}

// logs collects log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.buf.Bytes(), []byte(text))
}

// Segments divides by the second of a row, even or odd; the training set's values
// are the same in both. It knows no other column.
func (s *shelf) Segments(_ context.Context, sides schedule.Sides, by [][]string, grids *profile.Set, f func(map[string]string, *profile.Set, *profile.Set) error) error {
	if len(by) != 1 || !slices.Equal(by[0], []string{"second"}) {
		return fmt.Errorf("segments by %v", by)
	}
	for odd, name := range []string{"even", "odd"} {
		current := grids.Empty()
		for _, r := range s.in(sides.Current) {
			if r.time.Second()%2 == odd {
				current.Columns[0].Profile.AddFloats([]float64{r.amount}, nil)
			}
		}
		if err := f(map[string]string{"second": name}, grids, current); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) in(t schedule.Traffic) (rows []shelfRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range t.Files {
		for _, r := range s.rows[f.Key] {
			if within(t, r.time) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

func (s *shelf) Open(_ context.Context, sides schedule.Sides, limit int64) (schedule.SideRows, error) {
	if sides.Baseline != nil || limit < 1000 {
		return nil, errors.New("not the training set")
	}
	s.open.Add(1)
	return shelfSides{s, sides}, nil
}

type shelfSides struct {
	shelf *shelf
	sides schedule.Sides
}

func (s shelfSides) Close() error {
	s.shelf.open.Add(-1)
	return nil
}

func (s shelfSides) Samples(context.Context, modelwatch.Column) (x, y drift.Sample, err error) {
	x, y = drift.Sample{Kind: profile.KindNumber}, drift.Sample{Kind: profile.KindNumber}
	for i := range 1000 {
		x.Floats = append(x.Floats, float64(i%100))
	}
	for _, r := range s.shelf.in(s.sides.Current) {
		y.Floats = append(y.Floats, r.amount)
	}
	return x, y, nil
}

func (s *shelf) ChunkSamples(_ context.Context, _ modelwatch.Baseline, _ modelwatch.Column, n int, _ int64) (whole drift.Sample, chunks []drift.Sample, err error) {
	whole.Kind = profile.KindNumber
	for chunk := range n {
		part := drift.Sample{Kind: profile.KindNumber}
		for i := range 1000 / n {
			part.Floats = append(part.Floats, float64((i+chunk*i)%100))
		}
		whole.Floats = append(whole.Floats, part.Floats...)
		chunks = append(chunks, part)
	}
	return whole, chunks, nil
}
