package profile

import "math/big"

// Exact returns the sum without rounding.
func (s *Sum) Exact() *big.Float { return exact(s.int(), sumUnit) }

// Exact returns the sum of squares without rounding.
func (s *SquareSum) Exact() *big.Float { return exact(s.int(), squareUnit) }

func exact(i *big.Int, unit int) *big.Float {
	f := new(big.Float).SetInt(i)
	return f.SetMantExp(f, unit)
}
