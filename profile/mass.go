package profile

// Mass returns the weight of all values: Count, where rows carry no weights.
func (p *Profile) Mass() float64 { return float64(p.count) }

// EffectiveCount returns Kish's effective number of values, (sum w)^2 / sum w^2:
// Count, where all weights are equal.
func (p *Profile) EffectiveCount() float64 { return float64(p.count) }

// RowMass returns the weight of all rows, whatever they hold.
func (p *Profile) RowMass() float64 { return float64(p.rows) }

// EffectiveRows returns Kish's effective number of rows.
func (p *Profile) EffectiveRows() float64 { return float64(p.rows) }

// MissingMass returns the weight of the rows without a value.
func (p *Profile) MissingMass() float64 { return float64(p.Missing()) }

// InvalidMass returns the weight of the rows that Invalid counts.
func (p *Profile) InvalidMass() float64 { return float64(p.Invalid()) }

// OutOfRangeMass returns the weight of the rows that OutOfRange counts.
func (p *Profile) OutOfRangeMass() float64 { return float64(p.OutOfRange()) }

// UnseenMass returns the weight of the values that Unseen counts.
func (p *Profile) UnseenMass() float64 { return float64(p.Unseen()) }

// Weighted reports whether rows of other weights than 1 were added.
func (p *Profile) Weighted() bool { return false }

// CellMass returns the weights per cell.
func (p *Profile) CellMass() []float64 {
	mass := make([]float64, len(p.cells))
	for i, n := range p.cells {
		mass[i] = float64(n)
	}
	return mass
}

// BinMass returns the weights per drift bin, in the order of [Grid.Bins].
func (p *Profile) BinMass() []float64 {
	counts := p.BinCounts()
	mass := make([]float64, len(counts))
	for i, n := range counts {
		mass[i] = float64(n)
	}
	return mass
}
