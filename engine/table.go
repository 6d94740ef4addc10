package engine

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// ProfileTable counts a whole table on the grids of a baseline, its columns in
// parallel. A column that the table lacks is all missing. One that has another
// type there is invalid wherever it has a value; TypeChanges names it.
func ProfileTable(ctx context.Context, r Source, like *profile.Set) (*profile.Set, error) {
	invalid, err := newTallies(setColumns(like)).scan(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("profile table: %w", err)
	}
	set := like.Empty()
	err = eachColumn(ctx, len(set.Columns), BuildOptions{}, func(ctx context.Context, i int) error {
		c := &set.Columns[i]
		count := newCounter(c)
		err := through(r, c).ScanColumn(ctx, c.Column.Column, func(rows int, col *table.Column) error {
			count.add(rows, col)
			return nil
		})
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		addInvalid(c.Profile, invalid[i])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("profile table: %w", err)
	}
	return set, nil
}

// TypeChange is a column that is not of the type that it has in the baseline.
type TypeChange struct {
	Column  modelwatch.Column      // as the baseline has it
	Current modelwatch.FeatureType // "" if the table lacks the column
}

// TypeChanges lists the columns of a baseline that a table lacks or holds with
// another type.
func TypeChanges(r Source, like *profile.Set) []TypeChange {
	var changes []TypeChange
	for _, c := range like.Columns {
		if c.View != modelwatch.ViewValue {
			continue
		}
		info, ok := r.Column(c.Column.Column)
		if !ok || info.Type != c.Type && !(isText(info.Type) && isText(c.Type)) {
			changes = append(changes, TypeChange{Column: c.Column, Current: info.Type})
		}
	}
	return changes
}
