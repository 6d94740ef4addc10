package backtest

import (
	"cmp"
	"slices"
)

// Limits of a classifier's classes. They bound memory and the number of series
// whatever the label column holds.
const (
	// MaxClasses is the number of classes that are counted apart. With more, what
	// needs each class (macro, weighted, per class) is not_applicable; accuracy
	// and the micro averages are not affected.
	MaxClasses = 10_000
	// MaxShownClasses is the number of classes, those with the most labels, that
	// have values of their own.
	MaxShownClasses = 100
	// MaxPairs is the number of different pairs of predicted class and label up
	// to which averages over classes and mcc have standard errors.
	MaxPairs = 1 << 18
)

// classes are the margins and the diagonal of a confusion matrix, all that the
// metrics need, and its cells, which their standard errors need.
type classes struct {
	index    map[string]uint32
	names    []string
	tallies  []tally
	all      count
	correct  count
	overflow bool // there were more than MaxClasses

	pairIndex map[uint64]int
	pairKeys  []uint64
	pairs     []count
	pairsLost bool
}

// tally counts the rows of one class: those that are right, those that were
// predicted as it wrongly, and those of it that were predicted otherwise.
type tally struct{ right, wrong, missed count }

func (t *tally) labelled() count { return sum(t.right, t.missed) }

func (c *classes) class(name string) (uint32, bool) {
	i, ok := c.index[name]
	switch {
	case ok:
		return i, true
	case len(c.names) >= MaxClasses:
		c.overflow = true
		return 0, false
	case c.index == nil:
		c.index, c.pairIndex = map[string]uint32{}, map[uint64]int{}
	}
	i = uint32(len(c.names))
	c.index[name] = i
	c.names = append(c.names, name)
	c.tallies = append(c.tallies, tally{})
	return i, true
}

func (c *classes) add(predicted, label string, w *weight) {
	c.all.add(w)
	l, known := c.class(label)
	if predicted == label {
		c.correct.add(w)
		if known {
			c.tallies[l].right.add(w)
			c.pair(l, l).add(w)
		}
		return
	}
	p, also := c.class(predicted)
	if known {
		c.tallies[l].missed.add(w)
	}
	if also {
		c.tallies[p].wrong.add(w)
	}
	if known && also {
		c.pair(p, l).add(w)
	}
}

// pair is where the rows of a pair are counted: nowhere, if there are too many.
func (c *classes) pair(predicted, label uint32) *count {
	key := uint64(predicted)<<32 | uint64(label)
	i, ok := c.pairIndex[key]
	switch {
	case ok:
		return &c.pairs[i]
	case len(c.pairs) >= MaxPairs:
		c.pairsLost = true
		return new(count)
	}
	c.pairIndex[key] = len(c.pairs)
	c.pairKeys, c.pairs = append(c.pairKeys, key), append(c.pairs, count{})
	return &c.pairs[len(c.pairs)-1]
}

func (c *classes) merge(d *classes) {
	c.all.merge(&d.all)
	c.correct.merge(&d.correct)
	c.overflow = c.overflow || d.overflow
	c.pairsLost = c.pairsLost || d.pairsLost
	to := make([]uint32, len(d.names))
	known := make([]bool, len(d.names))
	for i, name := range d.names {
		if to[i], known[i] = c.class(name); known[i] {
			t, o := &c.tallies[to[i]], &d.tallies[i]
			t.right.merge(&o.right)
			t.wrong.merge(&o.wrong)
			t.missed.merge(&o.missed)
		}
	}
	for i, key := range d.pairKeys {
		if p, l := key>>32, key&(1<<32-1); known[p] && known[l] {
			c.pair(to[p], to[l]).merge(&d.pairs[i])
		}
	}
}

// byName lists the classes by name: sums over classes run in this order.
func (c *classes) byName() []int {
	order := make([]int, len(c.names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(c.names[i], c.names[j]) })
	return order
}

// byLabels lists the classes with the most labels first.
func (c *classes) byLabels() []int {
	order := c.byName()
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := c.tallies[i].labelled(), c.tallies[j].labelled()
		return cmp.Compare(b.mass(), a.mass())
	})
	return order
}

// table returns the two by two table of one class against the rest.
func (c *classes) table(class int) table {
	t := &c.tallies[class]
	return table{tp: t.right, fp: t.wrong, fn: t.missed, tn: c.all.less(sum(t.right, t.wrong, t.missed))}
}

// joint returns the shares of the matrix, with classes and pairs by name.
func (c *classes) joint() *joint {
	order, w := c.byName(), c.all.mass()
	place := make([]int, len(order))
	j := &joint{n: c.all.effective()}
	for at, i := range order {
		place[i] = at
		t := &c.tallies[i]
		predicted, labelled := sum(t.right, t.wrong), t.labelled()
		j.correct = append(j.correct, t.right.mass()/w)
		j.predicted = append(j.predicted, predicted.mass()/w)
		j.labelled = append(j.labelled, labelled.mass()/w)
	}
	for i, key := range c.pairKeys {
		j.pairs = append(j.pairs, pair{place[key>>32], place[key&(1<<32-1)], c.pairs[i].mass() / w})
	}
	slices.SortFunc(j.pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.predicted, b.predicted), cmp.Compare(a.label, b.label))
	})
	return j
}

// shares are those of the labels, of classes that occur as labels.
func (c *classes) shares() []float64 {
	var shares []float64
	for _, i := range c.byName() {
		if l := c.tallies[i].labelled(); l.n > 0 {
			shares = append(shares, l.mass()/c.all.mass())
		}
	}
	return shares
}
