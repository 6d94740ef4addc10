package profile

import (
	"math"
	"math/rand/v2"

	"github.com/modelwatch/modelwatch"
)

// Projections is the number of directions on which a vector is projected;
// MaxDimension is how long a vector may be.
const (
	Projections  = modelwatch.Projections
	MaxDimension = 1 << 16
)

// Directions returns the directions on which vectors of a dimension are projected:
// for each, its components are independent standard normal deviates over the root
// of the dimension, so that a vector of independent components of variance 1 has
// projections of variance 1. They are drawn from the generator PCG of math/rand/v2,
// seeded with the seed and the number of the direction: the same in every process.
func Directions(seed uint64, dimension int) [Projections][]float64 {
	var directions [Projections][]float64
	for k := range directions {
		r := rand.New(rand.NewPCG(seed, uint64(k)))
		directions[k] = make([]float64, dimension)
		for i := range directions[k] {
			directions[k][i] = r.NormFloat64() / math.Sqrt(float64(dimension))
		}
	}
	return directions
}

// ProjectionSeed is the seed of a column of that name.
func ProjectionSeed(column string) uint64 { return fingerprint(column) }
