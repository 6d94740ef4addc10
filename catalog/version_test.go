package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func putModel(t testing.TB, b *testBundle, name string) {
	t.Helper()
	_, _, err := b.PutModel(t.Context(), modelwatch.Model{Name: name, Task: modelwatch.TaskBinary})
	must(t, err)
}

func TestPutVersionKeepsEveryField(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		want := filled[modelwatch.Version]()
		putModel(t, b, want.Model)
		stored, created, err := b.PutVersion(t.Context(), want)
		must(t, err)
		if !created {
			t.Error("a new version is not reported as created")
		}
		want.CreatedAt, want.UpdatedAt, want.SchemaRevision, want.Rates = start, start, 1, nil // by history alone
		same(t, "stored", stored, want)
		got, err := b.Version(t.Context(), want.Model, want.Name)
		must(t, err)
		same(t, "read", got, want)
	})
}

func TestPutVersionAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		putModel(t, b, "fraud")
		schema := modelwatch.Schema{Features: []modelwatch.Feature{{Name: "amount", Type: modelwatch.TypeNumber}}}
		v := modelwatch.Version{Model: "fraud", Name: "1", SamplingRate: 1, Schema: schema}
		_, _, err := b.PutVersion(t.Context(), v)
		must(t, err)
		b.clock.advance(time.Hour)

		for _, tt := range []struct {
			name     string
			change   func(*modelwatch.Version)
			updated  time.Time
			revision int64
		}{
			{"the same", func(*modelwatch.Version) {}, start, 1},
			{"another rate", func(v *modelwatch.Version) { v.SamplingRate = 0.5 }, start.Add(time.Hour), 1},
			{"no schema", func(v *modelwatch.Version) { v.SamplingRate, v.Schema = 0.25, modelwatch.Schema{} }, start.Add(time.Hour), 1},
			{"another schema", func(v *modelwatch.Version) { v.Schema.Label = modelwatch.TypeCategory }, start.Add(time.Hour), 2},
		} {
			next := v
			tt.change(&next)
			stored, created, err := b.PutVersion(t.Context(), next)
			must(t, err)
			if created || !stored.UpdatedAt.Equal(tt.updated) || stored.SchemaRevision != tt.revision || len(stored.Schema.Features) != 1 {
				t.Errorf("%s: created %v, %+v", tt.name, created, stored)
			}
			got, err := b.Version(t.Context(), "fraud", "1")
			must(t, err)
			same(t, tt.name, got, stored)
		}
	})
}

// TestRatesTakeEffectByEventTime: each change of the rate is a step of the history.
func TestRatesTakeEffectByEventTime(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		_, err := b.EnsureVersion(t.Context(), "fraud", "1")
		must(t, err)
		put := func(rate float64) []modelwatch.RateStep {
			stored, _, err := b.PutVersion(t.Context(), modelwatch.Version{Model: "fraud", Name: "1", SamplingRate: rate})
			must(t, err)
			return stored.Rates
		}
		traffic := modelwatch.RateStep{} // before anybody has registered it
		first := modelwatch.RateStep{From: start.Add(5 * time.Minute), Rate: 0.5}
		same(t, "registered", put(0.5), []modelwatch.RateStep{traffic, first})
		same(t, "again", put(0.5), []modelwatch.RateStep{traffic, first})
		b.clock.advance(4*time.Minute - time.Microsecond)
		same(t, "before it takes effect", put(0.25), []modelwatch.RateStep{traffic, {From: first.From, Rate: 0.25}})
		first.Rate = 0.25
		b.clock.advance(2 * time.Microsecond) // a minute is not left any more
		second := modelwatch.RateStep{From: start.Add(10 * time.Minute), Rate: 0.1}
		same(t, "the next bucket", put(0.1), []modelwatch.RateStep{traffic, first, second})
		same(t, "taken back", put(0.25), []modelwatch.RateStep{traffic, first})
	})
}

func TestPutVersionOfUnknownModel(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		_, _, err := b.PutVersion(t.Context(), modelwatch.Version{Model: "nobody", Name: "1"})
		wantCode(t, err, modelwatch.CodeNotFound)
		_, err = b.Version(t.Context(), "nobody", "1")
		wantCode(t, err, modelwatch.CodeNotFound)
	})
}

func TestEnsureVersionAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		found := make([]modelwatch.Version, 8)
		errs := concurrently(len(found), func(i int) (err error) {
			found[i], err = b.EnsureVersion(t.Context(), "fraud", "1")
			return err
		})
		for i, err := range errs {
			must(t, err)
			same(t, "version", found[i], modelwatch.Version{
				Model: "fraud", Name: "1", SamplingRate: 1, SchemaRevision: 1, CreatedAt: start, UpdatedAt: start,
			})
		}
	})
}

func TestVersionsHideTheNamelessOne(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		for _, name := range []string{"", "2", "10", "1"} {
			v, err := b.EnsureVersion(t.Context(), "fraud", name)
			must(t, err)
			if v.Name != name {
				t.Errorf("ensured version %q, got %q", name, v.Name)
			}
		}
		var got []string
		for _, v := range pages(t, 2, func(p Page) ([]modelwatch.Version, string, error) { return b.Versions(t.Context(), "fraud", p) }) {
			got = append(got, v.Name)
		}
		same(t, "names", got, []string{"1", "10", "2"})
	})
}

func TestGrowSchemaIsCompareAndSet(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		_, err := b.EnsureVersion(t.Context(), "fraud", "1")
		must(t, err)
		for revision := int64(1); revision <= 5; revision++ {
			errs := concurrently(8, func(i int) error {
				s := modelwatch.Schema{Tags: []string{fmt.Sprintf("tag %d of %d", i, revision)}}
				v, err := b.GrowSchema(t.Context(), "fraud", "1", revision, s)
				if err == nil && (v.SchemaRevision != revision+1 || v.Schema.Tags[0] != s.Tags[0]) {
					return fmt.Errorf("grown to %+v", v)
				}
				return err
			})
			same(t, "outcomes", codes(errs), map[modelwatch.Code]int{"": 1, modelwatch.CodeConflict: 7})
		}
		v, err := b.Version(t.Context(), "fraud", "1")
		must(t, err)
		if v.SchemaRevision != 6 {
			t.Errorf("schema revision %d, want 6", v.SchemaRevision)
		}
		_, err = b.GrowSchema(t.Context(), "fraud", "2", 1, modelwatch.Schema{})
		wantCode(t, err, modelwatch.CodeNotFound)
	})
}
