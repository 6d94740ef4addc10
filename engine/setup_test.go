package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func number(name string, values ...float64) table.Column {
	c := table.Column{Name: name, Type: modelwatch.TypeNumber, Floats: values, Valid: make([]bool, len(values))}
	for i, v := range values {
		c.Valid[i] = v != gone
	}
	return c
}

// gone stands for a missing number.
const gone = -math.MaxFloat64

func category(name string, values ...string) table.Column {
	c := table.Column{Name: name, Type: modelwatch.TypeCategory, Valid: make([]bool, len(values))}
	for i, v := range values {
		at := slices.Index(c.Dict, v)
		if at < 0 {
			at = len(c.Dict)
			c.Dict = append(c.Dict, v)
		}
		c.Index = append(c.Index, int32(at))
		c.Valid[i] = v != ""
	}
	return c
}

func boolean(name string, values ...bool) table.Column {
	return table.Column{Name: name, Type: modelwatch.TypeBoolean, Bools: values}
}

func timestamp(name string, values ...int64) table.Column {
	return table.Column{Name: name, Type: modelwatch.TypeTimestamp, Ints: values}
}

func chunkOf(columns ...table.Column) *table.Chunk {
	c := &table.Chunk{Columns: columns}
	for _, col := range columns {
		c.Rows = max(c.Rows, len(col.Floats), len(col.Index), len(col.Bools), len(col.Ints), len(col.Vectors))
	}
	return c
}

func encode(t testing.TB, chunk *table.Chunk) []byte {
	t.Helper()
	var infos []table.ColumnInfo
	for _, c := range chunk.Columns {
		infos = append(infos, table.ColumnInfo{Name: c.Name, Type: c.Type, Physical: c.Physical})
	}
	var buf bytes.Buffer
	w, err := table.NewWriter(&buf, infos, nil)
	if err == nil {
		err = w.Write(chunk)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func tableOf(t testing.TB, columns ...table.Column) *table.Reader {
	t.Helper()
	b := encode(t, chunkOf(columns...))
	r, err := table.OpenParquet(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func featureOf(name string, typ modelwatch.FeatureType) modelwatch.Column {
	return modelwatch.Column{Column: name, Name: name, Subject: modelwatch.SubjectFeature, Type: typ}
}

func encoded(t testing.TB, s *profile.Set) string {
	t.Helper()
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testBundle is an archive in a folder with some hours of predictions.
type testBundle struct {
	archive  *archive.Archive
	bucket   *spyBucket
	baseline *profile.Set
	columns  []modelwatch.Column
	files    []modelwatch.DataFile
	rows     []testRow
}

type testRow struct {
	time             time.Time
	amount           float64
	country, invalid string
}

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// spyBucket counts what is read and can refuse writes.
type spyBucket struct {
	archive.Bucket
	mu     sync.Mutex
	reads  map[string]int
	refuse error
}

func (b *spyBucket) Read(ctx context.Context, key string) ([]byte, error) {
	b.mu.Lock()
	b.reads[kindOf(key)]++
	b.mu.Unlock()
	return b.Bucket.Read(ctx, key)
}

func (b *spyBucket) Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	if b.refuse != nil {
		return b.refuse
	}
	return b.Bucket.Put(ctx, key, r, size)
}

func kindOf(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func (b *spyBucket) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads[kind]
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	bucket, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b := &testBundle{bucket: &spyBucket{Bucket: bucket, reads: map[string]int{}}}
	b.archive = archive.New(b.bucket, archive.Options{TempDir: t.TempDir()})
	b.columns = []modelwatch.Column{featureOf("amount", modelwatch.TypeNumber), featureOf("country", modelwatch.TypeCategory)}
	rng := rand.New(rand.NewPCG(1, 1))
	var values []float64
	var countries []string
	for range 5_000 {
		values = append(values, rng.NormFloat64())
		countries = append(countries, fmt.Sprintf("c%d", rng.IntN(5)))
	}
	b.baseline, err = engine.BuildBaseline(t.Context(), tableOf(t, number("amount", values...), category("country", countries...)), b.columns, engine.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		b.addFile(t, rng, start.Add(time.Duration(i/2)*time.Hour), 700)
	}
	return b
}

// addDays writes a data file of late rows, one or two a day.
func (b *testBundle) addDays(t *testing.T, days int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	b.addRows(t, rng, start, 2*days, func(i int) time.Time {
		return start.Add(-time.Duration(i%days)*24*time.Hour + time.Duration(i)*time.Second)
	})
}

// addFile writes a data file of rows spread over an hour.
func (b *testBundle) addFile(t *testing.T, rng *rand.Rand, hour time.Time, n int) {
	t.Helper()
	b.addRows(t, rng, hour, n, func(int) time.Time {
		return hour.Add(time.Duration(rng.Int64N(int64(time.Hour)))).Truncate(time.Microsecond)
	})
}

func (b *testBundle) addRows(t *testing.T, rng *rand.Rand, hour time.Time, n int, at func(i int) time.Time) {
	t.Helper()
	var amounts []float64
	var countries, ids, invalid []string
	var times, ranks []int64
	for i := range n {
		row := testRow{time: at(i), amount: rng.NormFloat64() + 0.5, country: fmt.Sprintf("c%d", rng.IntN(7))}
		switch rng.IntN(20) {
		case 0:
			row.amount = gone
		case 1:
			row.amount, row.invalid = gone, `{"amount":"abc","other":1}`
		case 2:
			row.amount, row.invalid = gone, `{"amount":1e9}`
		}
		b.rows = append(b.rows, row)
		amounts, countries, invalid = append(amounts, row.amount), append(countries, row.country), append(invalid, row.invalid)
		times, ranks, ids = append(times, row.time.UnixMicro()), append(ranks, int64(i)), append(ids, fmt.Sprintf("%d-%d", len(b.files), i))
	}
	reserved := table.Column{Name: modelwatch.ColumnInvalid, Type: modelwatch.TypeText}
	text := category("", invalid...)
	reserved.Dict, reserved.Index, reserved.Valid = text.Dict, text.Index, text.Valid
	f, err := b.archive.WriteDataFile(t.Context(), modelwatch.FileSpec{Kind: modelwatch.KindPrediction, Model: "m", Version: "1",
		Hour: hour, Unique: fmt.Sprintf("u%d-%d", len(b.files), n), SamplingRate: 1}, chunkOf(
		number("amount", amounts...), category("country", countries...), category(modelwatch.ColumnID, ids...), reserved,
		table.Column{Name: modelwatch.ColumnTime, Type: modelwatch.TypeTimestamp, Physical: table.PhysicalTime, Ints: times},
		table.Column{Name: modelwatch.ColumnRank, Type: modelwatch.TypeNumber, Physical: table.PhysicalInt64, Ints: ranks},
	))
	if err != nil {
		t.Fatal(err)
	}
	f.ID = int64(len(b.files) + 1)
	b.files = append(b.files, f)
}

// direct counts the window's rows one by one.
func (b *testBundle) direct(w modelwatch.Window) *profile.Set {
	set := b.baseline.Empty()
	for _, r := range b.rows {
		if !w.Contains(r.time) {
			continue
		}
		amount := set.Columns[0].Profile
		amount.AddFloats([]float64{r.amount}, []bool{r.amount != gone})
		if r.invalid != "" {
			amount.AddInvalid(1)
		}
		if r.invalid == `{"amount":1e9}` {
			amount.AddOutOfRange(1)
		}
		set.Columns[1].Profile.AddCategories([]string{r.country}, []int32{0}, nil)
	}
	return set
}
