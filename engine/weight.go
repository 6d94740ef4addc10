package engine

import (
	"context"
	"errors"
	"math"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// checkWeight refuses a column that cannot hold weights.
func checkWeight(r Source, name string) error {
	c, ok := r.Column(name)
	switch {
	case !ok:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "weights: there is no column %q", name)
	case c.Type != modelwatch.TypeNumber:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "weights: column %q is a %s, not a number", name, c.Type)
	}
	return nil
}

// weightsOf returns the weights of a chunk: NaN, which is none, where one is missing.
func weightsOf(to []float64, rows int, col *table.Column) []float64 {
	to = resize(to, rows)
	for i := range rows {
		switch {
		case col.Missing(i):
			to[i] = math.NaN()
		case len(col.Ints) > 0:
			to[i] = float64(col.Ints[i])
		case len(col.Floats) > 0:
			to[i] = col.Floats[i]
		default:
			to[i] = math.NaN() // of a part whose column is of another type
		}
	}
	return to
}

var errWeight = errors.New("a weight other than 1")

// hasWeights reports whether a table has rows of other weights than 1.
func hasWeights(ctx context.Context, r Source, name string) (bool, error) {
	if name == "" {
		return false, nil
	}
	if err := checkWeight(r, name); err != nil {
		return false, err
	}
	var weights []float64
	err := r.ScanColumn(ctx, name, func(rows int, col *table.Column) error {
		weights = weightsOf(weights, rows, col)
		for _, w := range weights {
			if w != 1 {
				return errWeight
			}
		}
		return nil
	})
	if errors.Is(err, errWeight) {
		return true, nil
	}
	return false, err
}

// buildWeighted freezes the grid of a column of weighted rows, the i-th, then counts on it.
func buildWeighted(ctx context.Context, rows *columnGroups, i int, c profile.SetColumn) (profile.SetColumn, error) {
	grid, err := weightedGrid(ctx, through(rows.src, &c), viewColumn(c.Column), rows.opts.Weight)
	if err != nil {
		return c, err
	}
	c.Profile = profile.New(grid)
	err = rows.column(ctx, i, &c, false, func(_ Group, counted *profile.SetColumn) error {
		c.Profile = counted.Profile
		return nil
	})
	return c, err
}

func weightedGrid(ctx context.Context, r Source, c modelwatch.Column, weight string) (*profile.Grid, error) {
	switch c.Type {
	case modelwatch.TypeNumber, modelwatch.TypeCategory:
	case modelwatch.TypeBoolean:
		return profile.NewBooleanGrid(), nil
	default:
		return profile.NewPresenceGrid(), nil
	}
	numbers, categories := profile.NewWeightedNumberBuilder(), profile.NewWeightedCategoryBuilder()
	var weights []float64
	var limits ranged
	var t texts
	err := r.Scan(ctx, []string{c.Column, weight}, func(chunk *table.Chunk) error {
		col := &chunk.Columns[0]
		if col.Type == "" || !fits(c.Type, col) {
			return nil
		}
		weights = weightsOf(weights, chunk.Rows, &chunk.Columns[1])
		if c.Type == modelwatch.TypeNumber {
			valid, _ := limits.valid(&c, chunk.Rows, col)
			numbers.AddFloats(col.Floats[:chunk.Rows], valid, weights)
			return nil
		}
		dict, index := t.of(chunk.Rows, col)
		categories.AddCategories(dict, index, col.Valid, weights)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case c.Type == modelwatch.TypeNumber:
		return numbers.Grid(), nil
	}
	return categories.Grid(), nil
}
