package engine_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
)

// The rows of a window, read as a table, are those of its profile.
func TestWindowSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	for name, w := range map[string]modelwatch.Window{
		"everything":       windowOf(-time.Hour, 5*time.Hour),
		"an hour":          windowOf(0, time.Hour),
		"cut at both ends": windowOf(33*time.Minute+time.Microsecond, 81*time.Minute),
		"nothing":          windowOf(-2*time.Hour, -time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := slices.Clone(b.files)
			slices.Reverse(files)
			src, err := e.WindowSource(t.Context(), files, w)
			if err != nil {
				t.Fatal(err)
			}
			want := b.direct(w)
			set, err := engine.ProfileTable(t.Context(), src, b.baseline)
			if err != nil {
				t.Fatal(err)
			}
			if encoded(t, set) != encoded(t, want) || src.Rows() != want.Columns[0].Profile.Rows() {
				t.Errorf("%d rows, want %d; the profile is another", src.Rows(), want.Columns[0].Profile.Rows())
			}
		})
	}
}

// Windows that are apart are one, as a profile and as a table.
func TestSeveralWindows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := engine.New(b.archive, engine.Options{})
	windows := []modelwatch.Window{windowOf(7*time.Minute, 31*time.Minute), windowOf(31*time.Minute, 35*time.Minute), windowOf(100*time.Minute, 4*time.Hour)}
	want := b.baseline.Empty()
	for _, w := range windows {
		if err := want.Merge(b.direct(w)); err != nil {
			t.Fatal(err)
		}
	}
	set, _, err := e.WindowsProfile(t.Context(), b.files, windows, b.baseline)
	if err != nil || encoded(t, set) != encoded(t, want) {
		t.Errorf("the profile is another: %v", err)
	}
	src, err := e.WindowSource(t.Context(), b.files, windows...)
	if err != nil {
		t.Fatal(err)
	}
	set, err = engine.ProfileTable(t.Context(), src, b.baseline)
	if err != nil || encoded(t, set) != encoded(t, want) || want.Columns[0].Profile.Rows() == 0 {
		t.Errorf("the table is another: %v", err)
	}
}

// Files of different rates have weights, in the profiles of segments too.
func TestWindowSourceOfDifferentRates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.files[0].SamplingRate = 0.25
	e := engine.New(b.archive, engine.Options{})
	w := windowOf(10*time.Minute, 100*time.Minute)
	src, err := e.WindowSource(t.Context(), b.files, w)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := e.WindowProfile(t.Context(), b.files, w, b.baseline)
	if err != nil {
		t.Fatal(err)
	}
	var got *profile.Set
	_, err = engine.ProfileGroups(t.Context(), src, b.baseline, engine.GroupOptions{Weight: engine.WeightColumn(src)}, func(g engine.Group) error {
		got = g.Set
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want.Columns {
		p, q := got.Columns[i].Profile, want.Columns[i].Profile
		if p.Rows() != q.Rows() || p.RowMass() != q.RowMass() || p.EffectiveCount() != q.EffectiveCount() || !p.Weighted() {
			t.Errorf("%s: %d rows weigh %v, want %d and %v", want.Columns[i].Name, p.Rows(), p.RowMass(), q.Rows(), q.RowMass())
		}
	}
	samples, err := engine.ReadSamples(t.Context(), src, b.columns[0], engine.WeightColumn(src), 0)
	if err != nil || len(samples) != 1 || len(samples[0].Weights) != len(samples[0].Floats) || !slices.Contains(samples[0].Weights, 4) {
		t.Errorf("samples without weights, %v", err)
	}
}

func TestCompareSegments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := windowOf(33*time.Minute, 81*time.Minute)
	src, err := engine.New(b.archive, engine.Options{}).WindowSource(t.Context(), b.files, w)
	if err != nil {
		t.Fatal(err)
	}
	// c6 is in the training set only under another name, c9 in no window.
	var amounts []float64
	var countries []string
	for i := range 600 {
		amounts, countries = append(amounts, float64(i)), append(countries, []string{"c0", "c1", "c2", "c3", "c4", "c9"}[i%6])
	}
	training := tableOf(t, number("amount", amounts...), category("country", countries...))
	rows := map[string]int64{}
	want := map[string]int64{"c9": 0, "other": 0}
	for _, r := range b.rows {
		if !w.Contains(r.time) {
			continue
		}
		if slices.Contains(countries, r.country) {
			want[r.country]++
		} else {
			want["other"]++
		}
	}
	err = engine.CompareSegments(t.Context(), training, training, src, b.baseline, [][]string{{"country"}}, func(segment map[string]string, baseline, current *profile.Set) error {
		name := segment["country"]
		rows[name] = current.Columns[0].Profile.Rows()
		wantBaseline := int64(100)
		if name == "other" {
			wantBaseline = 0
		}
		if got := baseline.Columns[1].Profile.Rows(); len(segment) != 1 || got != wantBaseline {
			t.Errorf("segment %v: %d rows of the baseline, want %d", segment, got, wantBaseline)
		}
		return nil
	})
	if err != nil || !maps.Equal(rows, want) {
		t.Errorf("rows %v, want %v; %v", rows, want, err)
	}
	stop := errors.New("stop")
	if err := engine.CompareSegments(t.Context(), training, training, src, b.baseline, [][]string{{"country"}}, func(map[string]string, *profile.Set, *profile.Set) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of f", err)
	}
	err = engine.CompareSegments(t.Context(), training, training, src, b.baseline, [][]string{{"nosuch"}}, nil)
	if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), `"nosuch"`) {
		t.Errorf("got %v", err)
	}
}
