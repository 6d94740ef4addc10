package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// crew are the workers that go through the columns of a table, each on one of them.
// Those for whom no column is left help to count one that another is at.
type crew struct {
	workers int

	mu   sync.Mutex
	left int // columns that nobody has begun
	idle int // workers without a column
}

func newCrew(workers int) *crew { return &crew{workers: workers} }

// each calls f for columns in the given order, some at a time.
func (c *crew) each(ctx context.Context, order []int, progress func(done, columns int), f func(ctx context.Context, i int) error) error {
	c.left, c.idle = len(order), max(c.workers-len(order), 0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.workers)
	var mu sync.Mutex
	done := 0
	for _, i := range order {
		g.Go(func() error {
			c.begin()
			defer c.end()
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(ctx, i); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; progress != nil {
				progress(done, len(order))
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *crew) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
}

func (c *crew) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		c.idle++
	}
}

// hire takes an idle worker, if there is one, who is free again after end.
func (c *crew) hire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == 0 {
		return false
	}
	c.idle--
	return true
}

// numbersFirst returns the places of columns in the order in which they are best begun: those that
// take longest are not to come last.
func numbersFirst(columns []modelwatch.Column) []int {
	order := make([]int, 0, len(columns))
	for _, numbers := range []bool{true, false} {
		for i, c := range columns {
			if (viewColumn(c).Type == modelwatch.TypeNumber) == numbers {
				order = append(order, i)
			}
		}
	}
	return order
}

// inOrder returns 0 to n-1.
func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// grouped is a source whose row groups can be scanned one by one.
type grouped interface {
	Groups() int
	ScanColumnGroups(ctx context.Context, name string, next func() (group int, more bool), f func(rows int, c *table.Column) error) error
}

// count counts a whole column on its profile. Idle workers help from one row group to the next: counts
// merge exactly, so that it does not matter who counts what.
func (c *crew) count(ctx context.Context, r grouped, column *profile.SetColumn) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	var mu sync.Mutex
	var parts []*profile.Profile
	var work func(part *profile.SetColumn) error
	help := func() error {
		defer c.end()
		part := *column
		part.Profile = column.Profile.Empty()
		mu.Lock()
		parts = append(parts, part.Profile)
		mu.Unlock()
		return work(&part)
	}
	take := func() (group int, more bool) {
		at := int(next.Add(1)) - 1
		if at+1 < r.Groups() && c.hire() {
			g.Go(help)
		}
		return at, at < r.Groups()
	}
	work = func(part *profile.SetColumn) error {
		count := newCounter(part)
		return r.ScanColumnGroups(ctx, part.Column.Column, take, func(rows int, col *table.Column) error {
			count.add(rows, col)
			return nil
		})
	}
	g.Go(func() error { return work(column) })
	err := g.Wait()
	for _, part := range parts {
		if err == nil {
			err = column.Profile.Merge(part)
		}
	}
	return err
}
