package drift

import "math"

// KolmogorovSurvival returns the probability that the two-sided one-sample
// Kolmogorov-Smirnov statistic of n values is at least d, under the hypothesis.
// For two samples of many values, n m / (n+m) takes the place of n: that is
// the approximation behind ks_p, and what SciPy calls asymp.
//
// Special cases are: 1 for d <= 1/(2n), 0 for d >= 1. It panics for n < 1.
//
// The regions follow Simard and L'Ecuyer, "Computing the two-sided
// Kolmogorov-Smirnov distribution" (J. Stat. Soft. 39(11), 2011): the exact
// matrix formula for small n d, twice the one-sided probability in the tail,
// and Pelz and Good's series between. Where the probability is over 1e-8 its
// relative error is under 2e-5, and under 1e-9 for n up to 140.
func KolmogorovSurvival(n int64, d float64) float64 {
	if n < 1 {
		panic("drift: Kolmogorov distribution of no values")
	}
	f := float64(n)
	t, nd2 := f*d, f*d*d
	var p float64
	switch {
	case d >= 1:
		return 0
	case !(t > 0.5):
		return 1
	case t <= 1:
		// The least gap that n values can have: n! (2d - 1/n)^n.
		lg, _ := math.Lgamma(f + 1)
		p = -math.Expm1(lg + f*math.Log((2*t-1)/f))
	case d >= 0.5 || nd2 > 4 || n > 140 && nd2 >= 2.2:
		p = 2 * smirnovSurvival(n, d)
	case t <= 16 || n <= 140:
		p = 1 - durbin(n, d)
	default:
		p = 1 - pelzGood(f, d)
	}
	return min(max(p, 0), 1)
}

// exactSmirnov is the n up to which the one-sided sum is taken term by term.
const exactSmirnov = 5000

// smirnovSurvival returns the probability that sup (F_n - F) is at least d:
//
//	d sum_{j <= n(1-d)} C(n,j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j)
//
// (Birnbaum and Tingey 1951), and for large n the expansion of Maag and Dicaire
// (1971), whose relative error is of the order of 1/n^(3/2).
func smirnovSurvival(n int64, d float64) float64 {
	f := float64(n)
	if n > exactSmirnov {
		t := (6*f*d + 1) * (6*f*d + 1) / (18 * f)
		return math.Exp(-t) * max(1-(2*t*t-4*t-1)/(18*f), 0)
	}
	all, _ := math.Lgamma(f + 1)
	var sum float64
	for j := range n {
		k := float64(j)
		rest := 1 - d - k/f
		if rest <= 0 {
			break
		}
		a, _ := math.Lgamma(k + 1)
		b, _ := math.Lgamma(f - k + 1)
		sum += math.Exp(all - a - b + (k-1)*math.Log(d+k/f) + (f-k)*math.Log(rest))
	}
	return d * sum
}

// durbin returns the probability that the statistic is under d, from the
// middle element of the n-th power of a matrix of size 2 ceil(nd) - 1 (Durbin
// 1968; Marsaglia, Tsang and Wang 2003).
func durbin(n int64, d float64) float64 {
	k := int(math.Ceil(float64(n) * d))
	h := float64(k) - float64(n)*d
	base := scaledMatrix{size: 2*k - 1, cells: durbinMatrix(k, h)}
	power := identity(base.size)
	for e := n; e > 0; e >>= 1 {
		if e&1 == 1 {
			power = power.times(base)
		}
		base = base.times(base)
	}
	log := math.Log(power.cells[(k-1)*power.size+k-1]) + float64(power.exp)*math.Ln2
	lg, _ := math.Lgamma(float64(n) + 1)
	return math.Exp(log + lg - float64(n)*math.Log(float64(n)))
}

// durbinMatrix has 1/(i-j+1)! on and below the first superdiagonal, less what
// the fraction h takes away in the first column and the last row.
func durbinMatrix(k int, h float64) []float64 {
	m := 2*k - 1
	c := make([]float64, m*m)
	factorial := make([]float64, m+1)
	factorial[0] = 1
	for i := 1; i <= m; i++ {
		factorial[i] = factorial[i-1] * float64(i)
	}
	for i := range m {
		for j := range min(i+2, m) {
			c[i*m+j] = 1 / factorial[i-j+1]
		}
	}
	for i := range m {
		less := math.Pow(h, float64(i+1)) / factorial[i+1]
		c[i*m] -= less
		c[(m-1)*m+m-1-i] -= less
	}
	c[(m-1)*m] += math.Pow(max(2*h-1, 0), float64(m)) / factorial[m]
	return c
}

// scaledMatrix is a square matrix times 2^exp.
type scaledMatrix struct {
	size  int
	cells []float64
	exp   int
}

func identity(size int) scaledMatrix {
	m := scaledMatrix{size: size, cells: make([]float64, size*size)}
	for i := range size {
		m.cells[i*size+i] = 1
	}
	return m
}

func (a scaledMatrix) times(b scaledMatrix) scaledMatrix {
	c := scaledMatrix{size: a.size, cells: make([]float64, len(a.cells)), exp: a.exp + b.exp}
	for i := range a.size {
		row := c.cells[i*a.size:][:a.size]
		for k, x := range a.cells[i*a.size:][:a.size] {
			if x == 0 {
				continue
			}
			for j, y := range b.cells[k*a.size:][:a.size] {
				row[j] += x * y
			}
		}
	}
	middle := c.cells[len(c.cells)/2]
	if e := math.Ilogb(middle); middle > 0 && (e > 400 || e < -400) {
		for i, x := range c.cells {
			c.cells[i] = math.Ldexp(x, -e)
		}
		c.exp += e
	}
	return c
}

// pelzGood returns the probability that the statistic is under d, by the series
// K0 + K1/sqrt(n) + K2/n + K3/n^(3/2) in z = d sqrt(n) of Pelz and Good (1976),
// in the form that converges fast for small z.
func pelzGood(n, d float64) float64 {
	z := math.Sqrt(n) * d
	z2 := z * z
	z4, z6 := z2*z2, z2*z2*z2
	const pi2, pi4, pi6 = math.Pi * math.Pi, math.Pi * math.Pi * math.Pi * math.Pi, math.Pi * math.Pi * math.Pi * math.Pi * math.Pi * math.Pi
	var k0, k1, k2, k3 float64
	for i := range 20 {
		h := float64(i) + 0.5
		h2 := h * h
		e := math.Exp(-h2 * pi2 / (2 * z2))
		k0 += e
		k1 += (pi2*h2 - z2) * e
		k2 += (6*z6 + 2*z4 + pi2*(2*z4-5*z2)*h2 + pi4*(1-2*z2)*h2*h2) * e
		k3 += (-30*z6 - 90*z6*z2 + pi2*(135*z4-96*z6)*h2 + pi4*(212*z4-60*z2)*h2*h2 + pi6*(5-30*z2)*h2*h2*h2) * e
	}
	for i := 1; i < 20; i++ {
		h2 := float64(i) * float64(i)
		e := math.Exp(-h2 * pi2 / (2 * z2))
		k2 -= 2 * pi2 * h2 * z4 * e
		k3 += 30 * z4 * (3*pi2*z2*h2 - pi4*h2*h2) * e
	}
	root := math.Sqrt(2 * math.Pi)
	half := math.Sqrt(math.Pi / 2)
	return root/z*k0 +
		half/(3*z4)*k1/math.Sqrt(n) +
		half/(36*z6*z)*k2/n +
		half/(3240*z6*z4)*k3/(n*math.Sqrt(n))
}
