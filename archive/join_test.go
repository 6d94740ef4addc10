package archive_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/table"
)

var day = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

// event is a row as a test writes it.
type event struct {
	rank  int64
	id    string
	time  time.Time
	value any // string, float64, bool or nil
	score any // float64 or nil
}

// writeFile writes events of one file, all values of one type, and gives the
// file an id as the catalog would.
func writeFile(t testing.TB, a *archive.Archive, id int64, kind modelwatch.Kind, rate float64, events []event) modelwatch.DataFile {
	t.Helper()
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(x, y event) int { return cmp.Compare(x.rank, y.rank) })
	f, err := a.WriteDataFile(context.Background(), modelwatch.FileSpec{
		Kind: kind, Model: "fraud", Version: "1", Hour: day, Unique: fmt.Sprintf("%s-%d", kind, id), SamplingRate: rate,
	}, withFields(chunkOf(kind, events), id, events))
	if err != nil {
		t.Fatal(err)
	}
	f.ID = id
	return f
}

func chunkOf(kind modelwatch.Kind, events []event) *table.Chunk {
	n := len(events)
	name := modelwatch.ColumnPredicted
	if kind == modelwatch.KindLabel {
		name = modelwatch.ColumnLabel
	}
	rank := table.Column{Name: modelwatch.ColumnRank, Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64}
	ids := table.Column{Name: modelwatch.ColumnID, Type: modelwatch.TypeText}
	times := table.Column{Name: modelwatch.ColumnTime, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime}
	value := table.Column{Name: name, Type: modelwatch.TypeNumber, Valid: make([]bool, n)}
	score := table.Column{Name: modelwatch.ColumnScore, Type: modelwatch.TypeNumber, Valid: make([]bool, n), Floats: make([]float64, n)}
	for i, e := range events {
		rank.Ints = append(rank.Ints, e.rank)
		ids.Index, ids.Dict = append(ids.Index, int32(i)), append(ids.Dict, e.id)
		times.Ints = append(times.Ints, e.time.UnixMicro())
		switch v := e.value.(type) {
		case string:
			value.Type, value.Dict = modelwatch.TypeCategory, append(value.Dict, v)
			value.Index = slices.Grow(value.Index, n)[:n]
			value.Index[i], value.Valid[i] = int32(len(value.Dict)-1), true
		case float64:
			value.Floats = slices.Grow(value.Floats, n)[:n]
			value.Floats[i], value.Valid[i] = v, true
		case bool:
			value.Type, value.Bools = modelwatch.TypeBoolean, slices.Grow(value.Bools, n)[:n]
			value.Bools[i], value.Valid[i] = v, true
		}
		if v, ok := e.score.(float64); ok {
			score.Floats[i], score.Valid[i] = v, true
		}
	}
	if value.Type == modelwatch.TypeNumber {
		value.Floats = slices.Grow(value.Floats, n)[:n]
	}
	c := &table.Chunk{Rows: n, Columns: []table.Column{rank, ids, times, value}}
	if kind == modelwatch.KindPrediction {
		c.Columns = append(c.Columns, score)
	}
	return c
}

// allFields are what withFields writes.
var allFields = modelwatch.JoinedFields{Classes: []string{"a", "b"}, Group: true, Segments: []string{"country", "level"}}

// fieldsOf are the fields of an event as a join gives them back: files of odd ids
// have no column for class b.
func fieldsOf(file int64, e event) (scores []float64, group string, hasGroup bool, segments []string) {
	minute := e.time.Sub(day).Minutes()
	scores = []float64{minute / 100, math.NaN()}
	if file%2 == 0 {
		scores[1] = 1 - minute/100
	}
	segments = []string{[]string{"DE", "FR", modelwatch.SegmentMissing}[(int(minute)+30)%3], strconv.Itoa(int(minute) % 4)}
	return scores, "group of " + e.id, true, segments
}

func withFields(c *table.Chunk, file int64, events []event) *table.Chunk {
	a := table.Column{Name: "_score_a", Type: modelwatch.TypeNumber}
	b := table.Column{Name: "_score_b", Type: modelwatch.TypeNumber}
	group := table.Column{Name: modelwatch.ColumnGroup, Type: modelwatch.TypeCategory}
	country := table.Column{Name: "country", Type: modelwatch.TypeCategory, Dict: []string{"DE", "FR"}}
	level := table.Column{Name: "level", Type: modelwatch.TypeNumber}
	for i, e := range events {
		scores, name, _, segments := fieldsOf(file, e)
		a.Floats, b.Floats = append(a.Floats, scores[0]), append(b.Floats, scores[1])
		group.Dict, group.Index = append(group.Dict, name), append(group.Index, int32(i))
		at := slices.Index(country.Dict, segments[0])
		country.Index, country.Valid = append(country.Index, int32(max(at, 0))), append(country.Valid, at >= 0)
		number, _ := strconv.ParseFloat(segments[1], 64)
		level.Floats = append(level.Floats, number)
	}
	c.Columns = append(c.Columns, a, group, country, level)
	if file%2 == 0 {
		c.Columns = append(c.Columns, b)
	}
	return c
}

func newArchive(t testing.TB, opts archive.Options) *archive.Archive {
	t.Helper()
	dir := t.TempDir()
	b, err := archive.OpenBucket(context.Background(), archive.BucketConfig{URI: dir})
	if err != nil {
		t.Fatal(err)
	}
	return archive.New(b, opts)
}

func joinAll(t testing.TB, a *archive.Archive, predictions, labels []modelwatch.DataFile, w modelwatch.Window, fields modelwatch.JoinedFields) []archive.Joined {
	t.Helper()
	var out []archive.Joined
	err := a.JoinLabels(context.Background(), predictions, labels, w, fields, func(j archive.Joined) error {
		j.Scores, j.Segments = slices.Clone(j.Scores), slices.Clone(j.Segments)
		out = append(out, j)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJoinLabels(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	at := func(minute int) time.Time { return day.Add(time.Duration(minute) * time.Minute) }
	predictions := []modelwatch.DataFile{
		writeFile(t, a, 1, modelwatch.KindPrediction, 0.5, []event{
			{10, "twice", at(5), "b", 0.5},
			{20, "text", at(1), "fraud", 0.9},
			{30, "outside", at(60), "fraud", 0.9},
			{40, "unlabelled", at(2), "ok", nil},
			{50, "none", at(2), nil, 0.25},
		}),
		writeFile(t, a, 2, modelwatch.KindPrediction, 1, []event{
			{10, "twice", at(3), 1.0, 0.25},
			{10, "collides", at(3), 2.5, nil},
			{15, "before", at(-1), 2.5, nil},
			{60, "last", at(59), 1e7, nil},
		}),
		writeFile(t, a, 3, modelwatch.KindPrediction, 1, []event{{70, "flag", at(4), true, nil}}),
	}
	labels := []modelwatch.DataFile{
		writeFile(t, a, 4, modelwatch.KindLabel, 1, []event{
			{5, "unknown", at(9), "x", nil}, {10, "twice", at(100), "old", nil}, {20, "text", at(9), "ok", nil}, {50, "none", at(9), "", nil}, {99, "after", at(9), "x", nil}}),
		writeFile(t, a, 5, modelwatch.KindLabel, 1, []event{{10, "twice", at(100), 1.0, nil}, {10, "collides", at(1), -0.5, nil}}),
		writeFile(t, a, 6, modelwatch.KindLabel, 1, []event{{70, "flag", at(9), false, nil}}),
	}
	nan := math.NaN()
	want := []archive.Joined{
		{ID: "collides", Time: at(3), Predicted: "2.5", PredictedValue: 2.5, HasPredicted: true, Label: "-0.5", LabelValue: -0.5, HasLabel: true, Weight: 1},
		{ID: "twice", Time: at(3), Score: 0.25, HasScore: true, Predicted: "1", PredictedValue: 1, HasPredicted: true, Label: "1", LabelValue: 1, HasLabel: true, Weight: 1},
		{ID: "text", Time: at(1), Score: 0.9, HasScore: true, Predicted: "fraud", PredictedValue: nan, HasPredicted: true, Label: "ok", LabelValue: nan, HasLabel: true, Weight: 2},
		{ID: "unlabelled", Time: at(2), Predicted: "ok", PredictedValue: nan, HasPredicted: true, Weight: 2},
		{ID: "none", Time: at(2), Score: 0.25, HasScore: true, LabelValue: nan, HasLabel: true, Weight: 2},
		{ID: "last", Time: at(59), Predicted: "10000000", PredictedValue: 1e7, HasPredicted: true, Weight: 1},
		{ID: "flag", Time: at(4), Predicted: "true", PredictedValue: 1, HasPredicted: true, Label: "false", HasLabel: true, Weight: 1},
	}
	have := joinAll(t, a, predictions, labels, modelwatch.Window{Start: day, End: at(60)}, modelwatch.JoinedFields{})
	slices.SortFunc(have[:2], func(x, y archive.Joined) int { return cmp.Compare(x.ID, y.ID) }) // the two of one rank
	if diff := gocmp.Diff(want, have, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("joined rows (-want +have):\n%s", diff)
	}
}

// TestJoinLabelsEqualsMapJoin compares the merge with a join through maps, on
// random files with duplicates and colliding ranks, with and without the
// detour through temporary files.
func TestJoinLabelsEqualsMapJoin(t *testing.T) {
	t.Parallel()
	window := modelwatch.Window{Start: day, End: day.Add(time.Hour)}
	limits := map[string]archive.Options{
		"at once":  {},
		"in parts": {MaxOpenFiles: 4, TempDir: t.TempDir()},
		"tiny":     {MergeBytes: 1, MaxOpenFiles: 2, TempDir: t.TempDir()},
	}
	rapid.Check(t, func(rt *rapid.T) {
		a := archive.New(memory{objects: map[string][]byte{}}, archive.Options{})
		predictions, pe := drawFiles(rt, t, a, modelwatch.KindPrediction, 100)
		labels, le := drawFiles(rt, t, a, modelwatch.KindLabel, 200)
		want := mapJoin(pe, le, window)
		for name, opts := range limits {
			have := joinAll(t, archive.New(a.Bucket(), opts), predictions, labels, window, allFields)
			byID := cmpopts.SortSlices(func(x, y archive.Joined) bool { return x.ID < y.ID })
			if diff := gocmp.Diff(want, have, byID, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("joined %s (-want +have):\n%s", name, diff)
			}
			if !slices.IsSortedFunc(have, func(x, y archive.Joined) int { return cmp.Compare(rankOf(x.ID), rankOf(y.ID)) }) {
				rt.Fatalf("joined %s: rows are not in the order of ranks", name)
			}
		}
	})
	for _, opts := range limits {
		if left, err := os.ReadDir(opts.TempDir); opts.TempDir != "" && (err != nil || len(left) > 0) {
			t.Errorf("%d temporary files left, %v", len(left), err)
		}
	}
}

// memory is what a join needs of a bucket, without the disk's pace.
type memory struct {
	archive.Bucket
	objects map[string][]byte
}

func (m memory) PutIfAbsent(_ context.Context, key string, body []byte, _ string) error {
	m.objects[key] = body
	return nil
}

func (m memory) Open(_ context.Context, key string) (archive.Object, error) {
	return memoryObject{bytes.NewReader(m.objects[key])}, nil
}

type memoryObject struct{ *bytes.Reader }

func (memoryObject) Close() error { return nil }

// rankOf collides on purpose: 40 ids share 13 ranks.
func rankOf(id string) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, "id-"), 10, 64)
	if err != nil {
		panic(err) // a typing error in a test
	}
	return n % 13 * 1e15
}

// fileEvents are the events of one file with what the join derives from it.
type fileEvents struct {
	id     int64
	rate   float64
	events []event
}

func drawFiles(rt *rapid.T, t testing.TB, a *archive.Archive, kind modelwatch.Kind, firstID int64) (files []modelwatch.DataFile, all []fileEvents) {
	drawEvent := rapid.Custom(func(rt *rapid.T) event {
		id := fmt.Sprintf("id-%d", rapid.IntRange(0, 39).Draw(rt, "id"))
		return event{rank: rankOf(id), id: id, time: day.Add(time.Duration(rapid.IntRange(-10, 70).Draw(rt, "minute")) * time.Minute)}
	})
	values := []func(rt *rapid.T) any{
		func(rt *rapid.T) any { return rapid.SampledFrom([]any{"a", "b", "1", nil}).Draw(rt, "text") },
		func(rt *rapid.T) any { return rapid.SampledFrom([]any{1.0, 2.5, -3e20, nil}).Draw(rt, "number") },
		func(rt *rapid.T) any { return rapid.SampledFrom([]any{true, false, nil}).Draw(rt, "boolean") },
	}
	for i := range rapid.IntRange(0, 5).Draw(rt, "files") {
		events := rapid.SliceOfN(drawEvent, 1, 30).Draw(rt, "events")
		draw := rapid.SampledFrom(values).Draw(rt, "type")
		for j := range events {
			events[j].value = draw(rt)
			events[j].score = rapid.SampledFrom([]any{0.125, 0.875, nil}).Draw(rt, "score")
		}
		fe := fileEvents{id: firstID + int64(i), rate: rapid.SampledFrom([]float64{1, 0.5}).Draw(rt, "rate"), events: events}
		files = append(files, writeFile(t, a, fe.id, kind, fe.rate, events))
		all = append(all, fe)
	}
	// The order of the arguments must not matter.
	perm := rapid.Permutation(files).Draw(rt, "order")
	return perm, all
}

// mapJoin is the join as one would write it for data that fits in memory.
func mapJoin(predictions, labels []fileEvents, w modelwatch.Window) []archive.Joined {
	type known struct {
		event
		rate float64
		file int64
	}
	first, last := map[string]known{}, map[string]known{}
	for _, f := range predictions { // by file id
		for _, e := range f.events {
			if had, ok := first[e.id]; w.Contains(e.time) && (!ok || e.time.Before(had.time)) {
				first[e.id] = known{e, f.rate, f.id}
			}
		}
	}
	for _, f := range labels {
		for _, e := range f.events {
			if had, ok := last[e.id]; !ok || !e.time.Before(had.time) {
				last[e.id] = known{e, f.rate, f.id}
			}
		}
	}
	var out []archive.Joined
	for id, p := range first {
		j := archive.Joined{ID: id, Time: p.time, Weight: 1 / p.rate}
		j.Predicted, j.PredictedValue, j.HasPredicted = forms(p.value)
		j.Score, j.HasScore = p.score.(float64)
		j.Scores, j.Group, j.HasGroup, j.Segments = fieldsOf(p.file, p.event)
		if l, ok := last[id]; ok {
			j.Label, j.LabelValue, j.HasLabel = forms(l.value)
		}
		out = append(out, j)
	}
	return out
}

func forms(v any) (string, float64, bool) {
	switch v := v.(type) {
	case string:
		if v == "1" {
			return v, 1, true
		}
		return v, math.NaN(), true
	case float64:
		return map[float64]string{1: "1", 2.5: "2.5", -3e20: "-3e+20"}[v], v, true
	case bool:
		if v {
			return "true", 1, true
		}
		return "false", 0, true
	}
	return "", 0, false
}
