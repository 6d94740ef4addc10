package engine

import (
	"context"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// tableCounter counts the columns of a whole table one by one. A column that the table lacks is all missing; one that has
// another type there is invalid wherever it has a value.
type tableCounter struct {
	src     Source
	invalid []tally
	crew    *crew
}

func newTableCounter(ctx context.Context, r Source, columns []modelwatch.Column, crew *crew) (*tableCounter, error) {
	invalid, err := newTallies(columns).scan(ctx, r)
	return &tableCounter{src: r, invalid: invalid, crew: crew}, err
}

// column counts the i-th column on the grid of like. It may be called from several
// goroutines at once.
func (t *tableCounter) column(ctx context.Context, i int, like *profile.SetColumn, skipSquares bool) (profile.SetColumn, error) {
	c := *like
	c.Profile = like.Profile.Empty()
	if skipSquares {
		c.Profile.SkipSquares()
	}
	if err := t.count(ctx, through(t.src, &c), &c); err != nil {
		return c, fmt.Errorf("column %s: %w", c.Name, err)
	}
	addInvalid(c.Profile, t.invalid[i])
	return c, nil
}

func (t *tableCounter) count(ctx context.Context, src Source, c *profile.SetColumn) error {
	if g, ok := src.(grouped); ok {
		return t.crew.count(ctx, g, c)
	}
	count := newCounter(c)
	return count.scan(ctx, src)
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
