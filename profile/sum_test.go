package profile

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// exactSums adds in rationals.
func exactSums(values []float64) (sum, squares *big.Rat) {
	sum, squares = new(big.Rat), new(big.Rat)
	for _, v := range values {
		x := new(big.Rat).SetFloat64(v)
		sum.Add(sum, x)
		squares.Add(squares, new(big.Rat).Mul(x, x))
	}
	return sum, squares
}

func unit(exp int) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), uint(-exp)))
}

func checkSums(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *Sum, q *SquareSum, values []float64) {
	t.Helper()
	sum, squares := exactSums(values)
	if got := new(big.Rat).Mul(new(big.Rat).SetInt(s.int()), unit(sumUnit)); got.Cmp(sum) != 0 {
		t.Fatalf("sum of %d values is %v, want %v", len(values), got, sum)
	}
	if got := new(big.Rat).Mul(new(big.Rat).SetInt(q.int()), unit(squareUnit)); got.Cmp(squares) != 0 {
		t.Fatalf("sum of %d squares is %v, want %v", len(values), got, squares)
	}
}

var extremes = []float64{
	math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64,
	0x1p-1022, -0x1p-1022, 0x0.fffffffffffffp-1022, 0, 1, -1, 1 << 53, 1e300, 1e-300,
}

func TestSumsAreExact(t *testing.T) {
	t.Parallel()
	number := rapid.OneOf(
		rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64),
		rapid.Float64Range(-1000, 1000),
		rapid.SampledFrom(extremes),
	)
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(number).Draw(t, "values")
		var one, block Sum
		var oneSq, blockSq SquareSum
		for _, v := range values {
			one.Add(v)
			oneSq.Add(v)
		}
		addPiled(&block, &blockSq, values)
		checkSums(t, &one, &oneSq, values)
		checkSums(t, &block, &blockSq, values)
	})
}

// addPiled adds values by piles, both that know the lowest exponent and that do not, and
// without squares too.
func addPiled(s *Sum, q *SquareSum, values []float64) {
	all, few, unsquared := piled(values, false, false), piled(values, true, false), piled(values, false, true)
	switch {
	case *all != *few:
		panic("the sums depend on what is known of the exponents")
	case unsquared.sum != all.sum || unsquared.squares != (SquareSum{}):
		panic("the sum depends on whether there are squares")
	}
	s.Merge(&all.sum)
	q.Merge(&all.squares)
}

func piled(values []float64, few, unsquared bool) *moments {
	m, p := newMoments(), &pile{lowest: noneYet}
	m.unsquared = unsquared
	if !few {
		p.lowest = 1
	}
	a := adder{moments: m, pile: p, few: few}
	m.extend(values)
	for block := range slices.Chunk(values, blockSize) {
		a.add(block)
	}
	a.flush()
	if p.heaps != (pile{}).heaps {
		panic("a flushed pile is not empty")
	}
	return m
}

func TestSumOfEqualValues(t *testing.T) {
	t.Parallel()
	number := rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.SampledFrom(extremes))
	rapid.Check(t, func(t *rapid.T) {
		v, n := number.Draw(t, "value"), rapid.Int64Range(1, math.MaxInt64).Draw(t, "times")
		var s Sum
		var q SquareSum
		s.AddTimes(v, n)
		q.AddTimes(v, n)
		x, times := new(big.Rat).SetFloat64(v), new(big.Rat).SetInt64(n)
		if got, want := new(big.Rat).Mul(new(big.Rat).SetInt(s.int()), unit(sumUnit)), new(big.Rat).Mul(x, times); got.Cmp(want) != 0 {
			t.Fatalf("sum %v, want %v", got, want)
		}
		if got, want := new(big.Rat).Mul(new(big.Rat).SetInt(q.int()), unit(squareUnit)), times.Mul(times, x).Mul(times, x); got.Cmp(want) != 0 {
			t.Fatalf("sum of squares %v, want %v", got, want)
		}
	})
}

// A pile is nearest to overflow with as many values as it holds, all bits set.
func TestFullPile(t *testing.T) {
	t.Parallel()
	const most = 1<<53 - 1
	values := make([]float64, maxPiled)
	for i := range values {
		values[i] = most
	}
	var s Sum
	var q SquareSum
	addPiled(&s, &q, values)
	sum, squares := exactSums(values[:1])
	n := new(big.Rat).SetInt64(maxPiled)
	if got := new(big.Rat).Mul(new(big.Rat).SetInt(s.int()), unit(sumUnit)); got.Cmp(sum.Mul(sum, n)) != 0 {
		t.Errorf("sum %v, want %v", got, sum)
	}
	if got := new(big.Rat).Mul(new(big.Rat).SetInt(q.int()), unit(squareUnit)); got.Cmp(squares.Mul(squares, n)) != 0 {
		t.Errorf("sum of squares %v, want %v", got, squares)
	}
}

func TestPiledSumsOfAllMagnitudes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for _, spread := range []int{0, 1, 31, 60, 200} {
		for _, base := range []int{-1074 + 52, -500, 0, 970 - spread} {
			for _, sign := range []float64{1, -1, 0} {
				values := make([]float64, blockSize)
				for i := range values {
					m := float64(1<<53 - 1 - r.Int64N(3))
					v := math.Ldexp(m, base-52+[...]int{0, spread, r.IntN(spread + 1)}[i%3])
					if sign < 0 || sign == 0 && r.IntN(2) == 0 {
						v = -v
					}
					if i%7 == 0 {
						v = 0
					}
					values[i] = v
				}
				var s Sum
				var q SquareSum
				addPiled(&s, &q, values)
				addPiled(&s, &q, values)
				checkSums(t, &s, &q, append(values, values...))
			}
		}
	}
}

func TestSDSurvivesCancellation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		values         []float64
		population, at float64
	}{
		{"far from zero", []float64{1e15, 1e15 + 1, 1e15 + 2}, math.Sqrt(2. / 3), 1},
		{"constant", []float64{0.1, 0.1, 0.1}, 0, 0},
		{"largest", []float64{-math.MaxFloat64, math.MaxFloat64}, math.MaxFloat64, math.MaxFloat64},
		{"smallest", []float64{0, 4 * math.SmallestNonzeroFloat64}, 2 * math.SmallestNonzeroFloat64, 3 * math.SmallestNonzeroFloat64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := New(NewNumberGrid(tt.values))
			p.AddFloats(tt.values, nil)
			if got, ok := p.SD(); !ok || got != tt.population {
				t.Errorf("population SD %v %v, want %v", got, ok, tt.population)
			}
			if got, ok := p.SampleSD(); !ok || got != tt.at {
				t.Errorf("sample SD %v %v, want %v", got, ok, tt.at)
			}
		})
	}
}
