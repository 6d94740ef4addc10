package archive_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/table"
)

// fileRow is a row with every type of column, in the order of writing.
type fileRow struct {
	Rank   int64
	ID     string
	Time   int64
	Amount *float64
	City   *string
	Ok     *bool
	At     *int64
	Vec    []float32
}

// columnsOf makes a chunk of records with some of the columns.
func columnsOf(rs []fileRow, with map[string]bool) *table.Chunk {
	n := len(rs)
	valid := func() []bool { return make([]bool, n) }
	id := table.Column{Name: "_id", Type: modelwatch.TypeText}
	when := table.Column{Name: "_time", Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime}
	rank := table.Column{Name: "_rank", Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64}
	amount := table.Column{Name: "amount", Type: modelwatch.TypeNumber, Valid: valid(), Floats: make([]float64, n)}
	city := table.Column{Name: "city", Type: modelwatch.TypeCategory, Valid: valid(), Index: make([]int32, n), Dict: []string{"never used"}}
	ok := table.Column{Name: "ok", Type: modelwatch.TypeBoolean, Valid: valid(), Bools: make([]bool, n)}
	at := table.Column{Name: "at", Type: modelwatch.TypeTimestamp, Valid: valid(), Ints: make([]int64, n)}
	vec := table.Column{Name: "vec", Type: modelwatch.TypeVector, Valid: valid(), Vectors: make([][]float32, n)}
	for i, r := range rs {
		id.Dict, id.Index = append(id.Dict, r.ID), append(id.Index, int32(i))
		when.Ints, rank.Ints = append(when.Ints, r.Time), append(rank.Ints, r.Rank)
		if r.Amount != nil {
			amount.Valid[i], amount.Floats[i] = true, *r.Amount
		}
		if r.City != nil {
			city.Valid[i], city.Index[i] = true, int32(len(city.Dict))
			city.Dict = append(city.Dict, *r.City)
		}
		if r.Ok != nil {
			ok.Valid[i], ok.Bools[i] = true, *r.Ok
		}
		if r.At != nil {
			at.Valid[i], at.Ints[i] = true, *r.At
		}
		vec.Valid[i], vec.Vectors[i] = r.Vec != nil, r.Vec
	}
	c := &table.Chunk{Rows: n, Columns: []table.Column{id, when, rank}}
	for _, col := range []table.Column{amount, city, ok, at, vec} {
		if with[col.Name] {
			c.Columns = append(c.Columns, col)
		}
	}
	return c
}

// readAll reads a data file back.
func readAll(t interface{ Fatal(...any) }, a *archive.Archive, f modelwatch.DataFile) []fileRow {
	r, closer, err := a.OpenDataFile(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	var out []fileRow
	err = r.Scan(context.Background(), []string{"_id", "_time", "_rank", "amount", "city", "ok", "at", "vec"}, func(c *table.Chunk) error {
		for i := range c.Rows {
			rec := fileRow{ID: c.Columns[0].Text(i), Time: c.Columns[1].Ints[i], Rank: c.Columns[2].Ints[i]}
			if !c.Columns[3].Missing(i) {
				rec.Amount = &[]float64{c.Columns[3].Floats[i]}[0]
			}
			if !c.Columns[4].Missing(i) {
				rec.City = &[]string{c.Columns[4].Text(i)}[0]
			}
			if !c.Columns[5].Missing(i) {
				rec.Ok = &[]bool{c.Columns[5].Bools[i]}[0]
			}
			if !c.Columns[6].Missing(i) {
				rec.At = &[]int64{c.Columns[6].Ints[i]}[0]
			}
			if !c.Columns[7].Missing(i) {
				rec.Vec = slices.Clone(c.Columns[7].Vectors[i])
			}
			out = append(out, rec)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func drawRow(t *rapid.T) fileRow {
	return fileRow{
		Rank: rapid.Int64Range(0, 40).Draw(t, "rank"), ID: rapid.StringMatching(`[a-e]`).Draw(t, "id"),
		Time:   day.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "minute")) * time.Minute).UnixMicro(),
		Amount: rapid.Ptr(rapid.Float64Range(-9, 9), true).Draw(t, "amount"), City: rapid.Ptr(rapid.StringMatching(`[XYZ]{0,2}`), true).Draw(t, "city"),
		Ok: rapid.Ptr(rapid.Bool(), true).Draw(t, "ok"), At: rapid.Ptr(rapid.Int64Range(0, 1e15), true).Draw(t, "at"),
		Vec: rapid.SliceOfN(rapid.Float32Range(-1, 1), 0, 3).Draw(t, "vec"),
	}
}

// TestRewriteIsAStableMerge: the rewritten file holds every row of its files, in
// the order of ranks and places, less what is dropped.
func TestRewriteIsAStableMerge(t *testing.T) {
	t.Parallel()
	a, n := archive.New(memory{objects: map[string][]byte{}}, archive.Options{}), 0
	rapid.Check(t, func(rt *rapid.T) {
		var files []modelwatch.DataFile
		var want []fileRow
		columns := []string{"amount", "city", "ok", "at", "vec"}
		for i := range rapid.IntRange(1, 5).Draw(rt, "files") {
			rs := rapid.SliceOfN(rapid.Custom(drawRow), 1, 30).Draw(rt, "rows")
			slices.SortStableFunc(rs, func(x, y fileRow) int { return cmp.Compare(x.Rank, y.Rank) })
			with := map[string]bool{}
			for _, c := range columns {
				with[c] = rapid.Bool().Draw(rt, c)
			}
			n++
			spec := modelwatch.FileSpec{Kind: modelwatch.KindPrediction, Model: "m", Version: "1", Hour: day, Unique: fmt.Sprint(n), SamplingRate: 0.5, SchemaRevision: int64(i)}
			f, err := a.WriteDataFile(context.Background(), spec, columnsOf(rs, with))
			if err != nil {
				rt.Fatal(err)
			}
			f.ID = int64(n)
			files = append(files, f)
			want = append(want, readAll(rt, a, f)...)
		}
		slices.SortStableFunc(want, func(x, y fileRow) int { return cmp.Compare(x.Rank, y.Rank) })
		drop := rapid.StringMatching(`[a-g]`).Draw(rt, "drop")
		kept := slices.DeleteFunc(slices.Clone(want), func(r fileRow) bool { return r.ID == drop })

		shuffled := rapid.Permutation(files).Draw(rt, "order")
		out, err := a.Rewrite(context.Background(), fmt.Sprint("merged-", n), shuffled, archive.RewriteOptions{Drop: func(_ int64, id string) bool { return id == drop }})
		if err != nil {
			rt.Fatal(err)
		}
		if len(out.Of) != len(files) || out.Rows() != int64(len(kept)) || out.Dropped != int64(len(want)-len(kept)) {
			rt.Fatalf("of %d files, %d rows, %d dropped; want %d, %d, %d", len(out.Of), out.Rows(), out.Dropped, len(files), len(kept), len(want)-len(kept))
		}
		if len(kept) == 0 {
			return
		}
		f, err := a.Upload(context.Background(), out)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := gocmp.Diff(kept, readAll(rt, a, f), cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("rows (-want +have):\n%s", diff)
		}
		times := make([]int64, len(kept))
		for i, r := range kept {
			times[i] = r.Time
		}
		if f.MinTime.UnixMicro() != slices.Min(times) || f.MaxTime.UnixMicro() != slices.Max(times) || f.Place != files[0].ID ||
			f.SamplingRate != 0.5 || f.SchemaRevision != int64(len(files)-1) || f.Key != out.Key() {
			rt.Fatalf("registered as %+v", f)
		}
	})
}

// TestRewriteKeepsJoins: which prediction and which label of an id counts does
// not change when their files are merged, also where times are equal.
func TestRewriteKeepsJoins(t *testing.T) {
	t.Parallel()
	a, n := archive.New(memory{objects: map[string][]byte{}}, archive.Options{}), int64(0)
	w := modelwatch.Window{Start: day, End: day.Add(time.Hour)}
	rapid.Check(t, func(rt *rapid.T) {
		write := func(kind modelwatch.Kind) (files []modelwatch.DataFile) {
			for range rapid.IntRange(2, 5).Draw(rt, "files") {
				n++
				var es []event
				for range rapid.IntRange(1, 8).Draw(rt, "rows") {
					k := rapid.Int64Range(0, 5).Draw(rt, "id")
					es = append(es, event{k / 2, fmt.Sprint("r", k), day.Add(time.Duration(rapid.IntRange(0, 1).Draw(rt, "minute")) * time.Minute),
						rapid.Float64Range(0, 1e6).Draw(rt, "value"), nil})
				}
				files = append(files, writeFile(t, a, n, kind, 1, es))
			}
			return files
		}
		predictions, labels := write(modelwatch.KindPrediction), write(modelwatch.KindLabel)
		want := joinAll(t, a, predictions, labels, w, modelwatch.JoinedFields{})
		merge := func(files []modelwatch.DataFile) []modelwatch.DataFile {
			from := rapid.IntRange(0, len(files)-2).Draw(rt, "from")
			to := rapid.IntRange(from+2, len(files)).Draw(rt, "to")
			n++
			out, err := a.Rewrite(context.Background(), fmt.Sprint("merged-", n), files[from:to], archive.RewriteOptions{})
			if err != nil {
				rt.Fatal(err)
			}
			f, err := a.Upload(context.Background(), out)
			if err != nil {
				rt.Fatal(err)
			}
			f.ID = n // as the catalog: newer than all others
			return append(slices.Delete(slices.Clone(files), from, to), f)
		}
		have := joinAll(t, a, merge(predictions), merge(labels), w, modelwatch.JoinedFields{})
		byID := cmpopts.SortSlices(func(x, y archive.Joined) bool { return x.ID < y.ID })
		if diff := gocmp.Diff(want, have, byID); diff != "" {
			rt.Fatalf("joined (-before +after):\n%s", diff)
		}
	})
}

func TestRewriteLeavesOutWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	text := writeFile(t, a, 1, modelwatch.KindPrediction, 1, []event{{1, "a", day, "x", nil}})
	number := writeFile(t, a, 2, modelwatch.KindPrediction, 1, []event{{1, "b", day, 0.5, nil}})
	again := writeFile(t, a, 3, modelwatch.KindPrediction, 1, []event{{2, "c", day, "y", nil}})
	last := writeFile(t, a, 4, modelwatch.KindPrediction, 1, []event{{3, "d", day, "y", nil}})
	tests := map[string]struct {
		opts archive.RewriteOptions
		want []int64
	}{
		"another type of a column": {archive.RewriteOptions{}, []int64{1, 3, 4}},
		"more than the memory":     {archive.RewriteOptions{Memory: 1}, []int64{1, 3}},
	}
	for name, test := range tests {
		out, err := a.Rewrite(t.Context(), name, []modelwatch.DataFile{last, again, number, text}, test.opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var of []int64
		for _, f := range out.Of {
			of = append(of, f.ID)
		}
		if !slices.Equal(of, test.want) {
			t.Errorf("%s: made of files %d, want %d", name, of, test.want)
		}
	}
}

func TestRewriteManyRows(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	const files, rows = 3, 70_001 // more than a row group each
	var in []modelwatch.DataFile
	for f := range files {
		rs := make([]fileRow, rows)
		for i := range rs {
			rs[i] = fileRow{Rank: int64(i*files + f), ID: fmt.Sprintf("%d-%d", f, i), Time: day.UnixMicro(), City: &[]string{fmt.Sprint(i % 9)}[0]}
		}
		file, err := a.WriteDataFile(t.Context(), modelwatch.FileSpec{Kind: modelwatch.KindPrediction, Model: "m", Version: "1", Hour: day, Unique: fmt.Sprint(f), SamplingRate: 1},
			columnsOf(rs, map[string]bool{"city": true}))
		if err != nil {
			t.Fatal(err)
		}
		file.ID = int64(f + 1)
		in = append(in, file)
	}
	out, err := a.Rewrite(t.Context(), "merged", in, archive.RewriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.Upload(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range readAll(t, a, f) {
		if want := fmt.Sprintf("%d-%d", i%files, i/files); r.Rank != int64(i) || r.ID != want || *r.City != fmt.Sprint(i/files%9) {
			t.Fatalf("row %d is %+v, want id %s", i, r, want)
		}
	}
}

func TestReadDataFileThatIsGone(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	f := writeFile(t, a, 1, modelwatch.KindPrediction, 1, []event{{1, "a", day, "x", nil}})
	if err := a.Bucket().Delete(t.Context(), f.Key); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.OpenDataFile(t.Context(), f)
	wantGone(t, err)
	_, err = a.Rewrite(t.Context(), "u", []modelwatch.DataFile{f}, archive.RewriteOptions{})
	wantGone(t, err)
}

func wantGone(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, modelwatch.ErrDataFileGone) || modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		t.Errorf("%v: want that the object of a data file is gone", err)
	}
}
