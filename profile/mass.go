package profile

import (
	"math/big"
)

// Weighted reports whether rows of other weights than 1 were added.
func (p *Profile) Weighted() bool { return p.weighted != nil }

// InvalidWeights returns the number of rows whose weight is not a number from
// MinWeight to MaxWeight. They are in no other count.
func (p *Profile) InvalidWeights() int64 { return p.unweighed }

// Mass returns the weight of all values: Count, where rows carry no weights.
func (p *Profile) Mass() float64 {
	if p.weighted == nil {
		return float64(p.count)
	}
	m := p.weighted.mass()
	return m.float()
}

// mass is the weight of all values.
func (w *weighted) mass() mass {
	m := w.values
	for i := range w.cells {
		m.merge(&w.cells[i])
	}
	return m
}

// rowMass is the weight of all rows.
func (w *weighted) rowMass() mass {
	m := w.mass()
	m.merge(&w.absent)
	m.merge(&w.invalid)
	return m.minus(&w.moved)
}

// EffectiveCount returns Kish's effective number of values, (sum w)^2 / sum w^2:
// Count, where all weights are equal; 0 without values.
func (p *Profile) EffectiveCount() float64 {
	if p.weighted == nil {
		return float64(p.count)
	}
	m := p.weighted.mass()
	return effective(&m, &p.weighted.valueSquares, p.count)
}

// RowMass returns the weight of all rows, whatever they hold.
func (p *Profile) RowMass() float64 {
	if p.weighted == nil {
		return float64(p.rows)
	}
	m := p.weighted.rowMass()
	return m.float()
}

// EffectiveRows returns Kish's effective number of rows.
func (p *Profile) EffectiveRows() float64 {
	if p.weighted == nil {
		return float64(p.rows)
	}
	m := p.weighted.rowMass()
	return effective(&m, &p.weighted.rowSquares, p.rows)
}

// effective returns m^2 / squares, at most n.
func effective(m *mass, squares *massSquare, n int64) float64 {
	q := bigInt(squares[:])
	if m.isZero() || q.Sign() == 0 {
		return 0
	}
	i := m.int()
	f, _ := new(big.Rat).SetFrac(i.Mul(i, i), q).Float64()
	return min(f, float64(n))
}

// MissingMass returns the weight of the rows without a value.
func (p *Profile) MissingMass() float64 {
	if p.weighted == nil {
		return float64(p.Missing())
	}
	m := p.weighted.absent.minus(&p.weighted.moved)
	return m.float()
}

// InvalidMass returns the weight of the rows that Invalid counts.
func (p *Profile) InvalidMass() float64 {
	if p.weighted == nil {
		return float64(p.Invalid())
	}
	return p.weighted.invalid.float()
}

// OutOfRangeMass returns the weight of the rows that OutOfRange counts.
func (p *Profile) OutOfRangeMass() float64 {
	if p.weighted == nil {
		return float64(p.OutOfRange())
	}
	return p.weighted.outOfRange.float()
}

// UnseenMass returns the weight of the values that Unseen counts.
func (p *Profile) UnseenMass() float64 {
	if p.weighted == nil || p.grid.kind != KindCategory {
		return float64(p.Unseen())
	}
	return p.weighted.cells[len(p.cells)-1].float()
}

// CellMass returns the weights per cell.
func (p *Profile) CellMass() []float64 {
	masses := make([]float64, len(p.cells))
	for i, n := range p.cells {
		if p.weighted == nil {
			masses[i] = float64(n)
		} else {
			masses[i] = p.weighted.cells[i].float()
		}
	}
	return masses
}

// BinMass returns the weights per drift bin, in the order of [Grid.Bins].
func (p *Profile) BinMass() []float64 {
	masses := make([]float64, len(p.grid.ends))
	if p.weighted == nil {
		for i, n := range p.BinCounts() {
			masses[i] = float64(n)
		}
		return masses
	}
	from := 0
	for i, end := range p.grid.ends {
		var m mass
		for j := range p.weighted.cells[from:end] {
			m.merge(&p.weighted.cells[from+j])
		}
		masses[i], from = m.float(), end
	}
	return masses
}
