package archive_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/table"
)

// part is one half of a prediction.
type part struct {
	id       string
	at       time.Duration // after the start of the day
	amount   float64       // of an input: its feature; of an output: what it predicts
	region   string        // a tag of both
	extra    string
	received time.Duration // 0: at
}

// half registers a file of halves of one hour as ingest does.
func (k *keeping) half(kind modelwatch.Kind, rate float64, parts ...part) {
	k.Helper()
	k.n++
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(x, y part) int { return cmp.Compare(rankOfText(x.id), rankOfText(y.id)) })
	hour := day.Add(parts[0].at).Truncate(time.Hour)
	id := fmt.Sprintf("half-%d", k.n)
	spec := modelwatch.FileSpec{Kind: kind, Model: "fraud", Version: "1", Hour: hour, Unique: id, SamplingRate: rate, SchemaRevision: 1, CommitID: id}
	k.must(k.catalog.IntendUpload(k.Context(), []string{archive.FileKey(spec)}, "ingest"))
	f, err := k.WriteDataFile(k.Context(), spec, chunkOfHalves(kind, parts))
	k.must(err)
	var volumes []modelwatch.Volume
	for _, p := range parts {
		volumes = append(volumes, modelwatch.Volume{Model: "fraud", Version: "1", Kind: kind, BucketStart: day.Add(p.at), Seen: 1, Kept: 1})
	}
	k.must(k.catalog.CommitIngest(k.Context(), modelwatch.IngestCommit{ID: id, Group: "g", Owner: "ingest", Files: []modelwatch.DataFile{f}, Volumes: volumes}))
}

func chunkOfHalves(kind modelwatch.Kind, parts []part) *table.Chunk {
	n := len(parts)
	name := "amount"
	if kind == modelwatch.KindOutput {
		name = modelwatch.ColumnPredicted
	}
	text := func(name string) table.Column {
		return table.Column{Name: name, Type: modelwatch.TypeText, Index: make([]int32, n), Valid: make([]bool, n)}
	}
	ids, region, extra := text(modelwatch.ColumnID), text("_tag_region"), text(modelwatch.ColumnExtra)
	region.Type = modelwatch.TypeCategory
	set := func(c *table.Column, i int, s string) {
		if c.Valid[i] = s != ""; c.Valid[i] {
			c.Index[i] = int32(len(c.Dict))
			c.Dict = append(c.Dict, s)
		}
	}
	times := table.Column{Name: modelwatch.ColumnTime, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime}
	received := table.Column{Name: modelwatch.ColumnReceivedAt, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime}
	ranks := table.Column{Name: modelwatch.ColumnRank, Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64}
	value := table.Column{Name: name, Type: modelwatch.TypeNumber}
	for i, p := range parts {
		set(&ids, i, p.id)
		set(&region, i, p.region)
		set(&extra, i, p.extra)
		times.Ints = append(times.Ints, day.Add(p.at).UnixMicro())
		received.Ints = append(received.Ints, day.Add(cmp.Or(p.received, p.at)).UnixMicro())
		ranks.Ints = append(ranks.Ints, rankOfText(p.id))
		value.Floats = append(value.Floats, p.amount)
	}
	return &table.Chunk{Rows: n, Columns: []table.Column{ids, times, ranks, received, value, region, extra}}
}

// wholes renders the rows that readers see: kind, rate, id, time after the start
// of the day, feature, prediction, tag, extra.
func (k *keeping) wholes() []string {
	k.Helper()
	var out []string
	for _, f := range k.files() {
		r, closer, err := k.OpenDataFile(k.Context(), f)
		k.must(err)
		names := []string{"_id", "_time", "amount", "_predicted", "_tag_region", "_extra", "_rank"}
		last := int64(-1)
		k.must(r.Scan(k.Context(), names, func(c *table.Chunk) error {
			for i := range c.Rows {
				number := func(col *table.Column) string {
					if len(col.Floats) == 0 || col.Missing(i) {
						return "-"
					}
					return fmt.Sprint(col.Floats[i])
				}
				text := func(col *table.Column) string {
					if len(col.Index) == 0 || col.Missing(i) {
						return "-"
					}
					return col.Text(i)
				}
				rank := c.Columns[6].Ints[i]
				if rank < last || rank != rankOfText(c.Columns[0].Text(i)) {
					return fmt.Errorf("row %d has rank %d after %d", i, rank, last)
				}
				last = rank
				at := time.UnixMicro(c.Columns[1].Ints[i]).Sub(day)
				if h := f.MinTime.Truncate(time.Hour); !h.Equal(day.Add(at).Truncate(time.Hour)) {
					return fmt.Errorf("row at %s in a file of %s", at, h)
				}
				out = append(out, strings.Join([]string{string(f.Kind), fmt.Sprint(f.SamplingRate), c.Columns[0].Text(i), at.String(), number(&c.Columns[2]), number(&c.Columns[3]), text(&c.Columns[4]), text(&c.Columns[5])}, " "))
			}
			return nil
		}))
		k.must(closer.Close())
	}
	slices.Sort(out)
	return out
}

func (k *keeping) wantWholes(when string, want ...string) {
	k.Helper()
	if diff := gocmp.Diff(want, k.wholes()); diff != "" {
		k.Fatalf("%s (-want +got):\n%s", when, diff)
	}
}

// keptPredictions is what triggers new revisions of windows.
func (k *keeping) keptPredictions() int64 {
	k.Helper()
	n, err := k.catalog.KeptRows(k.Context(), "fraud", "1", modelwatch.KindPrediction, modelwatch.Window{Start: day, End: day.Add(24 * time.Hour)})
	k.must(err)
	return n
}

// halves makes a new keeper, as a restart does, for which so much of the day has passed.
func (k *keeping) halves(after time.Duration, change func(*archive.KeeperOptions)) *archive.Keeper {
	return k.keeper(fmt.Sprintf("keeper-%s", after), 0, func(o *archive.KeeperOptions) {
		o.Now = func() time.Time { return day.Add(after) }
		if change != nil {
			change(o)
		}
	})
}

const h = time.Hour

// TestHalves: inputs and outputs meet in the archive, whichever comes first, over
// the hour's turn and restarts; what stays alone is given up in the end.
func TestHalves(t *testing.T) {
	onEachStore(t, func(t *testing.T, k *keeping) {
		k.half(modelwatch.KindOutput, 1, part{id: "a", at: 10*h + 59*time.Minute, amount: 0.9, region: "us", extra: `{"prediction":{"took":5},"x":1}`})
		k.round(k.halves(11*h, nil))
		k.wantWholes("an output alone", `output 1 a 10h59m0s - 0.9 us {"prediction":{"took":5},"x":1}`)
		k.half(modelwatch.KindInput, 1, part{id: "a", at: 10 * h, amount: 12.5, extra: `{"prediction":{"why":2},"x":3,"y":4}`}, part{id: "b", at: 10*h + time.Minute, amount: 1, region: "eu"})
		k.round(k.halves(11*h, nil))
		k.wantWholes("the first pair", `input 1 b 10h1m0s 1 - eu -`, `prediction 1 a 10h0m0s 12.5 0.9 us {"prediction":{"took":5,"why":2},"x":3,"y":4}`)
		if n := k.keptPredictions(); n != 1 {
			t.Errorf("%d predictions are counted, want 1", n)
		}
		k.half(modelwatch.KindOutput, 1, part{id: "b", at: 11*h + time.Minute, amount: 0.1}, part{id: "c", at: 11*h + time.Minute, amount: 0.2})
		k.half(modelwatch.KindInput, 0.5, part{id: "c", at: 11 * h, amount: 3, region: "eu"}, part{id: "d", at: 11 * h, amount: 4})
		k.round(k.halves(12*h, nil))
		done := []string{
			`prediction 0.5 c 11h0m0s 3 0.2 eu -`, `prediction 1 a 10h0m0s 12.5 0.9 us {"prediction":{"took":5,"why":2},"x":3,"y":4}`, `prediction 1 b 10h1m0s 1 0.1 eu -`,
		}
		k.wantWholes("over the hour's turn", append([]string{`input 0.5 d 11h0m0s 4 - - -`}, done...)...)
		k.round(k.halves(12*h, nil))
		k.wantWholes("nothing new", append([]string{`input 0.5 d 11h0m0s 4 - - -`}, done...)...)
		k.half(modelwatch.KindOutput, 1, part{id: "e", at: 12 * h, amount: 0.5})
		late := func(o *archive.KeeperOptions) { o.Now = func() time.Time { return time.Now().Add(passed) } }
		k.round(k.halves(0, late))
		k.wantWholes("given up", append([]string{`prediction 0.5 c 11h0m0s 3 0.2 eu -`, `prediction 0.5 d 11h0m0s 4 - - -`}, append(done[1:], `prediction 1 e 12h0m0s - 0.5 - -`)...)...)
		if n := k.keptPredictions(); n != 5 {
			t.Errorf("%d predictions are counted, want 5", n)
		}
		k.round(k.keeper("last", 100*h, nil))
		k.wantObjectsOfFiles()
	})
}

// TestHalvesKilled: wherever a keeper dies, the next one makes of the halves what
// the first would have.
func TestHalvesKilled(t *testing.T) {
	for _, point := range archive.ReplacePoints() {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			k := newKeeping(t, folder(t), "sqlite:"+t.TempDir()+"/catalog.db")
			k.half(modelwatch.KindInput, 1, part{id: "a", at: 10 * h, amount: 1}, part{id: "b", at: 10 * h, amount: 2})
			k.half(modelwatch.KindOutput, 1, part{id: "b", at: 10 * h, amount: 20}, part{id: "c", at: 10 * h, amount: 30})
			killed := errors.New("killed")
			_, err := k.halves(11*h, func(o *archive.KeeperOptions) {
				o.Hooks.At = func(p string) error {
					if p == point {
						return killed
					}
					return nil
				}
			}).Round(t.Context())
			if !errors.Is(err, killed) {
				t.Fatalf("got %v", err)
			}
			k.round(k.halves(11*h+time.Minute, nil))
			k.wantWholes("after "+point, `input 1 a 10h0m0s 1 - - -`, `output 1 c 10h0m0s - 30 - -`, `prediction 1 b 10h0m0s 2 20 - -`)
			if n := k.keptPredictions(); n != 1 {
				t.Errorf("%d predictions are counted, want 1", n)
			}
			k.round(k.keeper("last", 100*h, nil))
			k.wantObjectsOfFiles()
		})
	}
}

// TestHalvesTwice: what a producer sends twice are two predictions, as it is with
// whole ones.
func TestHalvesTwice(t *testing.T) {
	t.Parallel()
	k := newKeeping(t, folder(t), "sqlite:"+t.TempDir()+"/catalog.db")
	k.half(modelwatch.KindInput, 1, part{id: "a", at: 10*h + time.Second, amount: 2}, part{id: "a", at: 10 * h, amount: 1})
	k.half(modelwatch.KindOutput, 1, part{id: "a", at: 10 * h, amount: 10}, part{id: "a", at: 10*h + time.Second, amount: 20}, part{id: "a", at: 10*h + time.Minute, amount: 30})
	k.round(k.halves(11*h, nil))
	k.wantWholes("twice", `output 1 a 10h1m0s - 30 - -`, `prediction 1 a 10h0m0s 1 10 - -`, `prediction 1 a 10h0m1s 2 20 - -`)
}

// TestHalvesMany joins many files of many rows, cut at random into rounds, and
// compares with a map.
func TestHalvesMany(t *testing.T) {
	t.Parallel()
	k := newKeeping(t, folder(t), "sqlite:"+t.TempDir()+"/catalog.db")
	random := rand.New(rand.NewPCG(1, 2))
	const n = 2000
	var want []string
	files := map[modelwatch.Kind][][]part{}
	for i := range n {
		at := 10*h + time.Duration(random.IntN(3*3600))*time.Second
		in := part{id: fmt.Sprintf("id-%d", i), at: at, amount: float64(i), region: []string{"", "eu", "us"}[i%3]}
		out := part{id: in.id, at: at + time.Duration(random.IntN(3600))*time.Second, amount: float64(-i)}
		add := func(kind modelwatch.Kind, p part) {
			for j, f := range files[kind] {
				if len(f) < 200 && f[0].at.Truncate(h) == p.at.Truncate(h) {
					files[kind][j] = append(f, p)
					return
				}
			}
			files[kind] = append(files[kind], []part{p})
		}
		add(modelwatch.KindInput, in)
		add(modelwatch.KindOutput, out)
		want = append(want, fmt.Sprintf("prediction 1 %s %s %v %v %s -", in.id, in.at, in.amount, out.amount, cmp.Or(in.region, "-")))
	}
	small := func(o *archive.KeeperOptions) { o.Halves.TargetBytes = 150 << 10 }
	for len(files[modelwatch.KindInput])+len(files[modelwatch.KindOutput]) > 0 {
		kind := []modelwatch.Kind{modelwatch.KindInput, modelwatch.KindOutput}[random.IntN(2)]
		if len(files[kind]) == 0 {
			continue
		}
		i := random.IntN(len(files[kind]))
		k.half(kind, 1, files[kind][i]...)
		files[kind] = slices.Delete(files[kind], i, i+1)
		if random.IntN(4) == 0 {
			k.round(k.halves(12*h, small))
		}
	}
	for range 10 { // files that did not fit into a round come in the next
		k.round(k.halves(12*h, small))
	}
	slices.Sort(want)
	k.wantWholes("in the end", want...)
	if kept := k.keptPredictions(); kept != n {
		t.Errorf("%d predictions are counted, want %d", kept, n)
	}
}

func folder(t *testing.T) archive.Bucket {
	t.Helper()
	b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
