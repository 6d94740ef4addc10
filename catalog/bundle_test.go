package catalog

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// start is when every test begins.
var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// testBundle is a migrated database of one test's own.
type testBundle struct {
	*Catalog
	dsn   string
	clock *testClock
}

// testClock is set by hand.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *testClock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// databases are the two that the catalog must behave the same on.
var databases = []struct {
	name string
	dsn  func(tb testing.TB) string
}{
	{"sqlite", func(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "catalog ?#%.db") }},
	{"postgres", func(tb testing.TB) string { return testserver.Postgres(tb).NewDatabase(tb) }},
}

// onEach runs a test on an empty, migrated database of each kind.
func onEach(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t, db.dsn(t)))
		})
	}
}

// on runs a test on one of the two.
func on(t *testing.T, name string, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	i := slices.IndexFunc(databases, func(db struct {
		name string
		dsn  func(tb testing.TB) string
	}) bool {
		return db.name == name
	})
	test(t, setup(t, databases[i].dsn(t)))
}

func setup(tb testing.TB, dsn string) *testBundle {
	tb.Helper()
	b := &testBundle{dsn: dsn, clock: &testClock{}}
	b.Catalog = b.open(tb)
	if _, err := b.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return b
}

// open connects once more to the bundle's database, as another process would.
func (b *testBundle) open(tb testing.TB) *Catalog {
	tb.Helper()
	c, err := Open(tb.Context(), b.dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	c.now = b.clock.now
	if c.read != c.write {
		// Tests end before the power does.
		_, err := c.write.ExecContext(tb.Context(), `PRAGMA synchronous = OFF`)
		must(tb, err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Errorf("close catalog: %v", err)
		}
	})
	return c
}

// scalar reads one number with a query of the test's own.
func (b *testBundle) scalar(tb testing.TB, query string, args ...any) int64 {
	tb.Helper()
	var n int64
	if err := b.read.QueryRowContext(tb.Context(), query, args...).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// must stops the test on an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantCode checks the code of an error; "" is no error.
func wantCode(tb testing.TB, err error, want modelwatch.Code) {
	tb.Helper()
	if got := modelwatch.ErrorCode(err); got != want {
		tb.Fatalf("got error code %q (%v), want %q", got, err, want)
	}
}

// same compares two values in depth; nil and empty collections are equal.
func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		tb.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// concurrently runs n functions at once and returns their errors by index.
func concurrently(n int, f func(i int) error) []error {
	ready, errs := make(chan struct{}), make([]error, n)
	done := make(chan int)
	for i := range n {
		go func() {
			<-ready
			errs[i] = f(i)
			done <- i
		}()
	}
	close(ready)
	for range n {
		<-done
	}
	return errs
}

// codes counts errors by their code.
func codes(errs []error) map[modelwatch.Code]int {
	counts := map[modelwatch.Code]int{}
	for _, err := range errs {
		counts[modelwatch.ErrorCode(err)]++
	}
	return counts
}

// pages reads a whole list in pages of a size and checks their lengths.
func pages[T any](tb testing.TB, size int, list func(Page) ([]T, string, error)) []T {
	tb.Helper()
	var found []T
	page := Page{Limit: size}
	for {
		items, next, err := list(page)
		must(tb, err)
		found = append(found, items...)
		if next == "" {
			return found
		}
		if len(items) != size {
			tb.Fatalf("a page that is not the last has %d items, want %d", len(items), size)
		}
		page.Cursor = next
	}
}

// filled returns a value with every exported field set to something of its own,
// so that a field which is lost on the way is seen whatever its name.
func filled[T any]() T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(start.Add(time.Duration(*n) * time.Microsecond)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Uint8:
		v.SetUint(uint64(*n))
	default:
		panic(fmt.Sprintf("fill %s: no rule for its kind", v.Type()))
	}
}
