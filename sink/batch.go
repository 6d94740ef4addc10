package sink

import (
	"errors"

	"github.com/modelwatch/modelwatch"
)

// batch is what one delivery carries.
type batch struct {
	ids    []int64
	points []Point
	ends   []int // ends[i] is where the points of ids[i] end

	expired       []int64 // too old to be delivered
	expiredPoints int
}

func (b *batch) add(e *modelwatch.OutboxEntry, points []Point) {
	b.ids = append(b.ids, e.ID)
	b.points = append(b.points, points...)
	b.ends = append(b.ends, len(b.points))
}

// refused tells for each point whether the sink refused it for good.
func (b *batch) refused(err error) []bool {
	refused := make([]bool, len(b.points))
	if err == nil {
		return refused
	}
	var r *Rejection
	if !errors.As(err, &r) {
		for i := range refused {
			refused[i] = true
		}
		return refused
	}
	for _, p := range r.Points {
		if p.Index >= 0 && p.Index < len(refused) {
			refused[p.Index] = true
		}
	}
	return refused
}

// split tells the entries of which something arrived (or that had nothing to
// say) from those of which nothing did.
func (b *batch) split(refused []bool) (delivered, lost []int64) {
	start := 0
	for i, id := range b.ids {
		end := b.ends[i]
		arrived := start == end
		for _, r := range refused[start:end] {
			arrived = arrived || !r
		}
		if arrived {
			delivered = append(delivered, id)
		} else {
			lost = append(lost, id)
		}
		start = end
	}
	return delivered, lost
}
