package engine_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

func windowOf(from, to time.Duration) modelwatch.Window {
	return modelwatch.Window{Start: start.Add(from), End: start.Add(to)}
}

func TestWindowProfile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	for name, w := range map[string]modelwatch.Window{
		"everything":          windowOf(-time.Hour, 5*time.Hour),
		"an hour":             windowOf(0, time.Hour),
		"buckets":             windowOf(35*time.Minute, 80*time.Minute),
		"nothing":             windowOf(-2*time.Hour, -time.Hour),
		"cut at both ends":    windowOf(33*time.Minute+time.Microsecond, 81*time.Minute),
		"cut at the start":    windowOf(3*time.Minute, time.Hour),
		"within a bucket":     windowOf(61*time.Minute, 63*time.Minute),
		"of no length":        windowOf(30*time.Minute, 30*time.Minute),
		"one bucket":          windowOf(30*time.Minute, 35*time.Minute),
		"cut and not aligned": windowOf(30*time.Minute+30*time.Second, 40*time.Minute+30*time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, stats, err := e.WindowProfile(t.Context(), b.files, w, b.baseline)
			if err != nil {
				t.Fatal(err)
			}
			want := b.direct(w)
			if encoded(t, set) != encoded(t, want) {
				t.Errorf("got %.200s\nwant %.200s", counts(set.Columns[0].Profile), counts(want.Columns[0].Profile))
			}
			if stats.Files != len(b.files) || stats.Rows != want.Columns[0].Profile.Rows() {
				t.Errorf("stats %+v, want %d rows", stats, want.Columns[0].Profile.Rows())
			}
		})
	}
}

func TestWindowProfileIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := windowOf(0, 2*time.Hour)
	first, stats, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), b.files, w, b.baseline)
	if err != nil || stats.CacheHits != 0 {
		t.Fatalf("%+v, %v", stats, err)
	}
	if n := b.bucket.count("parquet"); n != len(b.files) {
		t.Errorf("data files were read %d times", n)
	}
	// Another process finds what the first one stored, and reads no data.
	reversed := slices.Clone(b.files)
	slices.Reverse(reversed)
	other := engine.New(b.archive, engine.Options{Files: 1, Workers: 1})
	second, stats, err := other.WindowProfile(t.Context(), reversed, w, b.baseline)
	if err != nil || stats.CacheHits != len(b.files) || b.bucket.count("parquet") != len(b.files) {
		t.Fatalf("%+v, %v, %d data files read", stats, err, b.bucket.count("parquet"))
	}
	if encoded(t, first) != encoded(t, second) {
		t.Error("the stored profile is another")
	}
	// What was used lately is not even fetched.
	fetched := b.bucket.count("profile") + b.bucket.count("buckets")
	if _, stats, err = other.WindowProfile(t.Context(), b.files, w, b.baseline); err != nil || stats.CacheHits != len(b.files) {
		t.Fatalf("%+v, %v", stats, err)
	}
	if n := b.bucket.count("profile") + b.bucket.count("buckets"); n != fetched {
		t.Errorf("%d profiles were fetched again", n-fetched)
	}
	for o, err := range b.bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		name := o.Key[strings.LastIndexByte(o.Key, '/')+1:]
		if !strings.HasSuffix(name, ".parquet") && !strings.HasPrefix(name, "_") {
			t.Errorf("%s would be taken for data by a query engine", o.Key)
		}
	}
}

func TestWindowProfileOfOtherGrids(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	w := windowOf(0, 2*time.Hour)
	if _, _, err := e.WindowProfile(t.Context(), b.files, w, b.baseline); err != nil {
		t.Fatal(err)
	}
	other := &profile.Set{Columns: b.baseline.Columns[1:]}
	set, stats, err := e.WindowProfile(t.Context(), b.files, w, other)
	if err != nil || stats.CacheHits != 0 {
		t.Fatalf("%+v, %v", stats, err)
	}
	if got, want := counts(set.Columns[0].Profile), counts(b.direct(w).Columns[1].Profile); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWindowProfileMendsStored(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"cut":         func(b []byte) []byte { return b[:len(b)/2] },
		"empty":       func([]byte) []byte { return nil },
		"flipped":     func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"more":        func(b []byte) []byte { return append(b, 0) },
		"of a future": func(b []byte) []byte { b[4]++; return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := windowOf(30*time.Minute, 2*time.Hour) // the first hour's by buckets, the second's whole
			want, _, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), b.files, w, b.baseline)
			if err != nil {
				t.Fatal(err)
			}
			for o, err := range b.bucket.List(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				if kindOf(o.Key) == "parquet" {
					continue
				}
				body, err := b.bucket.Bucket.Read(t.Context(), o.Key)
				if err != nil {
					t.Fatal(err)
				}
				body = damage(body)
				if err := b.bucket.Put(t.Context(), o.Key, bytes.NewReader(body), int64(len(body))); err != nil {
					t.Fatal(err)
				}
			}
			for round, hits := range []int{0, len(b.files)} {
				got, stats, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), b.files, w, b.baseline)
				if err != nil || stats.CacheHits != hits {
					t.Errorf("round %d: %+v, %v", round, stats, err)
				}
				if encoded(t, got) != encoded(t, want) {
					t.Errorf("round %d: another profile", round)
				}
			}
		})
	}
}

func TestWindowProfileWithoutStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.bucket.refuse = errors.New("read-only")
	w := windowOf(0, 2*time.Hour)
	set, _, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), b.files, w, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	if encoded(t, set) != encoded(t, b.direct(w)) {
		t.Error("another profile")
	}
}

func TestWindowProfileFails(t *testing.T) {
	t.Parallel()
	t.Run("without the object", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		if err := b.bucket.Delete(t.Context(), b.files[1].Key); err != nil {
			t.Fatal(err)
		}
		_, _, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), b.files, windowOf(0, time.Hour), b.baseline)
		if err == nil || !strings.Contains(err.Error(), b.files[1].Key) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("with another object", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		if err := b.bucket.Put(t.Context(), b.files[1].Key, strings.NewReader("rubbish"), 7); err != nil {
			t.Fatal(err)
		}
		_, _, err := engine.New(b.archive, engine.Options{}).WindowProfile(t.Context(), b.files, windowOf(0, time.Hour), b.baseline)
		if err == nil || !strings.Contains(err.Error(), "changed behind the catalog's back") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("when cancelled", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := engine.New(b.archive, engine.Options{}).WindowProfile(ctx, b.files, windowOf(0, time.Hour), b.baseline)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// Late rows of many days in one file take more passes, not more memory.
func TestWindowProfileOfManyBuckets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.files, b.rows = nil, nil
	b.addDays(t, 200)
	e := engine.New(b.archive, engine.Options{CacheBytes: 1})
	for _, w := range []modelwatch.Window{windowOf(-5000*time.Hour, 5000*time.Hour), windowOf(-1000*time.Hour, time.Hour), windowOf(-100*time.Hour-time.Second, 0)} {
		set, _, err := e.WindowProfile(t.Context(), b.files, w, b.baseline)
		if err != nil {
			t.Fatal(err)
		}
		if want := b.direct(w); encoded(t, set) != encoded(t, want) {
			t.Errorf("%v: got %.200s\nwant %.200s", w, counts(set.Columns[1].Profile), counts(want.Columns[1].Profile))
		}
	}
}
