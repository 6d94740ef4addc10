package engine

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch/profile"
)

// ProfileTable counts a whole table on the grids of a baseline, its columns in
// parallel, as Compare does, but with the squares that encoding a profile needs.
func ProfileTable(ctx context.Context, r Source, like *profile.Set) (*profile.Set, error) {
	set := &profile.Set{Columns: make([]profile.SetColumn, len(like.Columns))}
	columns := setColumns(like)
	t, err := newTableCounter(ctx, r, columns, newCrew(BuildOptions{}.workers()))
	if err == nil {
		err = t.crew.each(ctx, numbersFirst(columns), nil, func(ctx context.Context, i int) (err error) {
			set.Columns[i], err = t.column(ctx, i, &like.Columns[i], false)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("profile table: %w", err)
	}
	return set, nil
}
