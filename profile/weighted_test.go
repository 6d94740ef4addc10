package profile

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// weightsOf draws a weight per value: most are dyadic, some cannot be weights.
func weightsOf(t *rapid.T, name string, n int) []float64 {
	return rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]float64{1, 1, 2, 0.5, 10, 0.1, MinWeight, MaxWeight, 0, -1, math.NaN(), math.Inf(1)}),
		rapid.Float64Range(0.001, 1000),
	), n, n).Draw(t, name)
}

// Rows of the weight 1 are rows without weights, to the byte.
func TestWeightsOfOneAreNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := numbers.Draw(t, "values")
		valid := rapid.SliceOfN(rapid.Bool(), len(values), len(values)).Draw(t, "valid")
		g := NewNumberGrid(numbers.Draw(t, "baseline"))
		p, q := New(g), New(g)
		p.AddFloats(values, valid)
		q.AddFloatsWeighted(values, valid, ones(len(values)))
		b, c := New(NewBooleanGrid()), New(NewBooleanGrid())
		b.AddBools(valid, valid)
		c.AddBoolsWeighted(valid, valid, ones(len(valid)))
		r, s := New(NewPresenceGrid()), New(NewPresenceGrid())
		r.AddPresence(len(valid), valid)
		s.AddPresenceWeighted(valid, ones(len(valid)))
		r.AddInvalid(2)
		s.AddInvalidWeighted([]float64{1, 1})
		if !bytes.Equal(encode(p), encode(q)) || !bytes.Equal(encode(b), encode(c)) || !bytes.Equal(encode(r), encode(s)) {
			t.Fatal("weights of 1 make another profile")
		}
	})
}

// The profile of weighted rows is the merge of the profiles of their parts, to the
// byte, however they are divided and in whatever order they are added.
func TestWeightedMergeIsUnion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := NewNumberGrid(numbers.Draw(t, "baseline"))
		values := numbers.Draw(t, "values")
		weights := weightsOf(t, "weights", len(values))
		whole := New(g)
		whole.AddFloatsWeighted(values, nil, weights)

		order := make([]int, len(values))
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(t, "order")
		shuffled, parts := New(g), []*Profile{New(g), New(g), New(g)}
		for _, i := range order {
			shuffled.AddFloatsWeighted(values[i:i+1], nil, weights[i:i+1])
			part := parts[rapid.IntRange(0, 2).Draw(t, "part")]
			if weights[i] == 1 {
				part.AddFloats(values[i:i+1], nil)
			} else {
				part.AddFloatsWeighted(values[i:i+1], []bool{true}, weights[i:i+1])
			}
		}
		merged := New(g)
		for _, part := range parts {
			if err := merged.Merge(part); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []*Profile{shuffled, merged} {
			if !bytes.Equal(encode(whole), encode(p)) {
				t.Fatal("order or division matters")
			}
		}
		checkLaws(t, whole)
	})
}

func checkLaws(t *rapid.T, p *Profile) {
	if n := p.EffectiveCount(); n > float64(p.Count()) || p.Count() > 0 && n <= 0 {
		t.Fatalf("effective count %v of %d", n, p.Count())
	}
	sum := 0.0
	for _, m := range p.CellMass() {
		sum += m
	}
	if math.Abs(sum-p.Mass()) > 1e-12*sum {
		t.Fatalf("cells weigh %v, all %v", sum, p.Mass())
	}
	lo, some := p.Min()
	hi, _ := p.Max()
	mean, _ := p.Mean()
	sd, _ := p.SD()
	median, _ := p.Quantile(0.5)
	if some && !(lo <= mean && mean <= hi && lo <= median && median <= hi) || !finite(sd) || sd < 0 {
		t.Fatalf("min %v, mean %v, median %v, max %v, sd %v", lo, mean, median, hi, sd)
	}
}

// A factor that all weights share leaves proportions, mean and effective count.
func TestScaledWeights(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := NewNumberGrid(numbers.Draw(t, "baseline"))
		values := numbers.Draw(t, "values")
		weights := rapid.SliceOfN(rapid.Float64Range(0.01, 100), len(values), len(values)).Draw(t, "weights")
		factor := rapid.Float64Range(0.01, 100).Draw(t, "factor")
		scaled := slices.Clone(weights)
		for i := range scaled {
			scaled[i] *= factor
		}
		p, q, r := New(g), New(g), New(g)
		p.AddFloatsWeighted(values, nil, weights)
		q.AddFloatsWeighted(values, nil, scaled)
		if err := r.MergeWeighted(p, factor); err != nil {
			t.Fatal(err)
		}
		for _, other := range []*Profile{q, r} {
			if other.Count() != p.Count() || !near(other.EffectiveCount(), p.EffectiveCount()) || !near(other.Mass(), factor*p.Mass()) {
				t.Fatalf("%d values of mass %v, effective %v; want %d, %v, %v", other.Count(), other.Mass(), other.EffectiveCount(), p.Count(), factor*p.Mass(), p.EffectiveCount())
			}
			a, b := p.CellMass(), other.CellMass()
			for i := range a {
				if !near(a[i]*factor, b[i]) {
					t.Fatalf("cell %d weighs %v, want %v", i, b[i], factor*a[i])
				}
			}
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(math.Abs(a), math.Abs(b)) }

// A whole weight is as many rows.
func TestWeightIsRepetition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := NewNumberGrid(numbers.Draw(t, "baseline"))
		values := numbers.Draw(t, "values")
		weighted, repeated, merged := New(g), New(g), New(g)
		for _, v := range values {
			n := rapid.IntRange(1, 4).Draw(t, "times")
			weighted.AddFloatsWeighted([]float64{v}, nil, []float64{float64(n)})
			repeated.AddFloats(repeat(v, n), nil)
			one := New(g)
			one.AddFloats([]float64{v}, nil)
			if err := merged.MergeWeighted(one, float64(n)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(encode(weighted), encode(merged)) {
			t.Fatal("rows of a weight are not the merge of rows times the weight")
		}
		mean, _ := repeated.Mean()
		sd, _ := repeated.SD()
		below, above := repeated.Tails()
		wMean, _ := weighted.Mean()
		wSD, _ := weighted.SD()
		wBelow, wAbove := weighted.Tails()
		if diff := cmp.Diff([]float64{mean, sd, below, above, repeated.Mass(), repeated.RowMass(), repeated.InvalidMass()},
			[]float64{wMean, wSD, wBelow, wAbove, weighted.Mass(), weighted.RowMass(), weighted.InvalidMass()}); diff != "" {
			t.Fatalf("(-repeated +weighted):\n%s", diff)
		}
		if diff := cmp.Diff(repeated.BinMass(), weighted.BinMass()); diff != "" {
			t.Fatalf("bins (-repeated +weighted):\n%s", diff)
		}
		for _, q := range []float64{0, 0.1, 0.5, 0.9, 1} {
			a, _ := repeated.Quantile(q)
			b, _ := weighted.Quantile(q)
			if cell := g.numberCell(a); cell%2 == 1 && g.numberCell(b) == cell && a != b {
				t.Fatalf("quantile %v: %v and %v", q, a, b)
			}
		}
	})
}

// Values by hand: numpy.average(x, weights=w), statsmodels' DescrStatsW and Kish.
func TestWeightedMoments(t *testing.T) {
	t.Parallel()
	p := New(NewNumberGrid([]float64{1, 2, 3, 4}))
	p.AddFloatsWeighted([]float64{1, 2, 3, 4, 9, 9, 9}, []bool{true, true, true, true, false, true, true}, []float64{1, 2, 3, 4, 5, 0, -1})
	mean, _ := p.Mean()
	sd, _ := p.SD()
	sample, _ := p.SampleSD()
	got := []float64{mean, sd * sd, sample * sample, p.EffectiveCount(), p.Mass(), p.RowMass(), p.MissingMass()}
	want := []float64{3, 1, 1 / (1 - 30.0/100), 100.0 / 30, 10, 15, 5} // sum w = 10, sum w^2 = 30
	for i := range want {
		if !near(got[i], want[i]) {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
	if p.InvalidWeights() != 2 || p.Rows() != 5 || p.Count() != 4 {
		t.Errorf("%d invalid weights, %d rows, %d values", p.InvalidWeights(), p.Rows(), p.Count())
	}
}

func TestMergeWeightedRefuses(t *testing.T) {
	t.Parallel()
	g := NewNumberGrid([]float64{1})
	p, q := New(g), New(g)
	q.AddFloats([]float64{1}, nil)
	for _, w := range []float64{0, -1, math.NaN(), math.Inf(1), 1e13, 1e-13} {
		if err := p.MergeWeighted(q, w); err == nil {
			t.Errorf("weight %v was merged", w)
		}
	}
	for range 4 { // squares of 10^24 are beyond what a sum of squares holds
		next := New(g)
		if err := next.MergeWeighted(q, MaxWeight); err != nil {
			if q.Mass() < 1e12 {
				t.Errorf("refused at %v: %v", q.Mass(), err)
			}
			return
		}
		q = next
	}
	t.Errorf("a sum of weights of %v", q.Mass())
}

// The directions are frozen: another generator would move every projection.
func TestDirections(t *testing.T) {
	t.Parallel()
	d := Directions(ProjectionSeed("embedding"), 3)
	e := Directions(ProjectionSeed("embedding"), 3)
	if diff := cmp.Diff(d, e); diff != "" {
		t.Errorf("the same seed gives other directions: %s", diff)
	}
	if ProjectionSeed("embedding") == ProjectionSeed("image") {
		t.Error("columns share a seed")
	}
	sum := 0.0
	for _, v := range Directions(1, 10_000) {
		for _, x := range v {
			sum += x * x
		}
	}
	if math.Abs(sum-Projections) > 0.2 {
		t.Errorf("the directions' squares sum to %v, want about %d", sum, Projections)
	}
	want := []float64{0.3185314933041995, 0.181666635258277, -0.3018263087783979}
	if diff := cmp.Diff(want, d[0]); diff != "" {
		t.Errorf("directions (-want +got):\n%s", diff)
	}
}
