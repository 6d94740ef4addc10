package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/table"
)

func hexSum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func TestWriteDataFile(t *testing.T) {
	t.Parallel()
	buckets := map[string]archive.Bucket{"s3": openS3(t, testserver.S3(t), "p", quick)}
	var err error
	if buckets["folder"], err = archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	events := []event{
		{1, "a", day.Add(3 * time.Minute), "x", 0.5}, {1, "b", day.Add(time.Minute), nil, nil}, {1 << 55, "c", day.Add(2 * time.Minute), "y", 0.25},
	}
	spec := modelwatch.FileSpec{Kind: modelwatch.KindPrediction, Model: "fraud/eu", Version: "3.1.0", Hour: day.Add(10 * time.Hour),
		Unique: "u", SamplingRate: 0.25, SchemaRevision: 7, CommitID: "c1"}
	for name, b := range buckets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := archive.New(b, archive.Options{})
			f, err := a.WriteDataFile(t.Context(), spec, chunkOf(spec.Kind, events))
			if err != nil {
				t.Fatal(err)
			}
			body, err := b.Read(t.Context(), f.Key)
			if err != nil {
				t.Fatal(err)
			}
			want := modelwatch.DataFile{
				Key:  "kind=prediction/model=fraud%2Feu/version=3.1.0/date=2026-11-21/hour=10/u.parquet",
				Kind: spec.Kind, Model: "fraud/eu", Version: "3.1.0", Rows: 3, Bytes: int64(len(body)), Checksum: hexSum(body),
				MinTime: day.Add(time.Minute), MaxTime: day.Add(3 * time.Minute), SamplingRate: 0.25, SchemaRevision: 7, CommitID: "c1",
			}
			if diff := cmp.Diff(want, f); diff != "" {
				t.Errorf("data file (-want +have):\n%s", diff)
			}
			again, err := a.WriteDataFile(t.Context(), spec, chunkOf(spec.Kind, events))
			if err != nil || again != f {
				t.Errorf("the same rows again: %+v, %v; want the same file", again, err)
			}
			checkDataFile(t, a, f)
		})
	}
}

func checkDataFile(t *testing.T, a *archive.Archive, f modelwatch.DataFile) {
	t.Helper()
	r, closer, err := a.OpenDataFile(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	meta := map[string]string{}
	for k, v := range r.Metadata() {
		if strings.HasPrefix(k, "modelwatch.") && k != "modelwatch.int64" {
			meta[k] = v
		}
	}
	want := map[string]string{"modelwatch.kind": "prediction", "modelwatch.model": "fraud/eu", "modelwatch.version": "3.1.0",
		"modelwatch.sampling_rate": "0.25", "modelwatch.schema_revision": "7"}
	if diff := cmp.Diff(want, meta); diff != "" {
		t.Errorf("metadata (-want +have):\n%s", diff)
	}
	var ids []string
	err = r.Scan(t.Context(), []string{"_id"}, func(c *table.Chunk) error {
		for i := range c.Rows {
			ids = append(ids, c.Columns[0].Text(i))
		}
		return nil
	})
	if diff := cmp.Diff([]string{"a", "b", "c"}, ids); err != nil || diff != "" {
		t.Errorf("ids: %v (-want +have):\n%s", err, diff)
	}
}

func TestWriteDataFileRefuses(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	good := func() *table.Chunk {
		return chunkOf(modelwatch.KindPrediction, []event{{1, "a", day, "x", 0.5}, {2, "b", day, "x", 0.5}})
	}
	tests := map[string]func(c *table.Chunk){
		"no rows":              func(c *table.Chunk) { *c = *chunkOf(modelwatch.KindPrediction, nil) },
		"row 1 has rank 0":     func(c *table.Chunk) { c.Column("_rank").Ints[1] = 0 },
		"column _rank must be": func(c *table.Chunk) { c.Column("_rank").Valid = []bool{true, false} },
		"column _time must be": func(c *table.Chunk) { c.Column("_time").Name = "time" },
		"column _id must be":   func(c *table.Chunk) { c.Column("_id").Index = nil },
	}
	for want, spoil := range tests {
		c := good()
		spoil(c)
		_, err := a.WriteDataFile(t.Context(), modelwatch.FileSpec{Kind: modelwatch.KindPrediction, Model: "m", Unique: "u"}, c)
		if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an invalid that says %q", err, want)
		}
	}
	for info, err := range a.Bucket().List(t.Context(), "") {
		t.Errorf("%v, %v: something was written", info, err)
	}
}

// TestVerify compares a file with rows that it was not made from, as an encoder
// at fault would leave it.
func TestVerify(t *testing.T) {
	t.Parallel()
	written := []event{{1, "a", day, "x", 0.5}, {2, "b", day, "x", 0.5}}
	body, err := archive.Encode(modelwatch.FileSpec{}, chunkOf(modelwatch.KindPrediction, written))
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Verify(t.Context(), body, chunkOf(modelwatch.KindPrediction, written), 0); err != nil {
		t.Errorf("verify what was written: %v", err)
	}
	for name, other := range map[string][]event{
		"a row less": written[:1],
		"a row more": append(written[:2:2], event{3, "c", day, "x", 0.5}),
		"a rank":     {written[0], {3, "b", day, "x", 0.5}},
		"an id":      {written[0], {2, "c", day, "x", 0.5}},
		"a time":     {written[0], {2, "b", day.Add(time.Microsecond), "x", 0.5}},
	} {
		if archive.Verify(t.Context(), body, chunkOf(modelwatch.KindPrediction, other), 0) == nil {
			t.Errorf("%s differs, and was not found", name)
		}
	}
	renamed := chunkOf(modelwatch.KindPrediction, written)
	renamed.Columns[3].Name = "other"
	fewer := chunkOf(modelwatch.KindLabel, written)
	if archive.Verify(t.Context(), body, renamed, 0) == nil || archive.Verify(t.Context(), body, fewer, 0) == nil {
		t.Error("a column differs, and was not found")
	}
	for i := range body {
		if archive.Verify(t.Context(), body[:i], chunkOf(modelwatch.KindPrediction, written), 0) == nil {
			t.Fatalf("a file cut to %d of %d bytes was not found", i, len(body))
		}
	}
}

// TestVerifyTakesTurns: a value that differs, or is there in one alone, is found in one
// of the turns, whatever the column's type.
func TestVerifyTakesTurns(t *testing.T) {
	t.Parallel()
	all := map[string]bool{"amount": true, "city": true, "ok": true, "at": true, "vec": true}
	rows := func(n int) []fileRow {
		rs := make([]fileRow, n)
		for i := range rs {
			amount, city, ok, at := math.Copysign(0, -1), "x", true, int64(i)
			rs[i] = fileRow{Rank: int64(i), ID: "r", Time: 1, Amount: &amount, City: &city, Ok: &ok, At: &at, Vec: []float32{1, 2}}
		}
		return rs
	}
	changes := map[string]func(r *fileRow){
		"amount": func(r *fileRow) { *r.Amount = 0 }, "city": func(r *fileRow) { *r.City = "y" }, "ok": func(r *fileRow) { *r.Ok = false },
		"at": func(r *fileRow) { *r.At++ }, "vec": func(r *fileRow) { r.Vec = []float32{1, 3} },
		"amount is missing": func(r *fileRow) { r.Amount = nil }, "vec is missing": func(r *fileRow) { r.Vec = nil },
	}
	const n = 20
	body, err := archive.Encode(modelwatch.FileSpec{}, columnsOf(rows(n), all))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for turn := range archive.VerifyTurns {
		if err := archive.Verify(t.Context(), body, columnsOf(rows(n), all), turn); err != nil {
			t.Errorf("verify what was written: %v", err)
		}
		for name, change := range changes {
			other := rows(n)
			change(&other[n-1])
			if archive.Verify(t.Context(), body, columnsOf(other, all), turn) != nil {
				found[name]++
			}
		}
	}
	for name := range changes {
		if found[name] != 1 {
			t.Errorf("%s was found %d times, want once", name, found[name])
		}
	}
}

func TestOpenDataFileTells(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	f := writeFile(t, a, 1, modelwatch.KindPrediction, 1, []event{{1, "a", day, "x", nil}})
	body, err := a.Bucket().Read(t.Context(), f.Key)
	if err != nil {
		t.Fatal(err)
	}
	shorter := body[:len(body)-1]
	if err := a.Bucket().Put(t.Context(), f.Key, bytes.NewReader(shorter), int64(len(shorter))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.OpenDataFile(t.Context(), f); modelwatch.ErrorCode(err) != modelwatch.CodeInternal || !strings.Contains(err.Error(), f.Key) {
		t.Errorf("cut object: %v, want an internal error that names it", err)
	}
	f.Bytes--
	if _, _, err := a.OpenDataFile(t.Context(), f); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("cut object of registered length: %v, want invalid", err)
	}
	if err := a.Bucket().Delete(t.Context(), f.Key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.OpenDataFile(t.Context(), f); modelwatch.ErrorCode(err) != modelwatch.CodeNotFound || !strings.Contains(err.Error(), "registered") {
		t.Errorf("deleted object: %v, want not found", err)
	}
	err = a.JoinLabels(t.Context(), []modelwatch.DataFile{f}, nil, modelwatch.Window{Start: day, End: day.Add(time.Hour)}, modelwatch.JoinedFields{}, func(archive.Joined) error { return nil })
	if modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		t.Errorf("join with a deleted object: %v, want not found", err)
	}
}

func TestJoinLabelsEnds(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]archive.Options{"at once": {}, "in parts": {MergeBytes: 1, TempDir: t.TempDir()}} {
		a := newArchive(t, opts)
		var files []modelwatch.DataFile
		for i := range 5 {
			files = append(files, writeFile(t, a, int64(i), modelwatch.KindPrediction, 1, []event{{int64(i), fmt.Sprint(i), day, "x", nil}}))
		}
		window := modelwatch.Window{Start: day, End: day.Add(time.Hour)}
		stop := io.ErrClosedPipe
		if err := a.JoinLabels(t.Context(), files, nil, window, modelwatch.JoinedFields{}, func(archive.Joined) error { return stop }); modelwatch.ErrorCode(err) == "" || !strings.Contains(err.Error(), stop.Error()) {
			t.Errorf("%s: %v, want the callback's error", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.JoinLabels(ctx, files, nil, window, modelwatch.JoinedFields{}, func(archive.Joined) error { return nil }); err == nil {
			t.Errorf("%s: a cancelled join succeeded", name)
		}
	}
}
