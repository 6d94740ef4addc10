package drift

import "testing"

// The worst case: as many bins as there can be, all of them sparse.
func BenchmarkSimulate(b *testing.B) {
	p := make([]float64, 50)
	for i := range p {
		p[i] = 10
	}
	for _, metric := range []struct {
		name string
		f    distance
	}{{PSI, (*bins).psi}, {JSDistance, (*bins).jensenShannon}, {TVD, (*bins).tvd}} {
		b.Run(metric.name, func(b *testing.B) {
			for b.Loop() {
				newBins(p, p, 50_000, 500).simulate(metric.f)
			}
		})
	}
}
