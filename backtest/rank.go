package backtest

import (
	"cmp"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

// ranking keeps the rows of a ranking model by group: 24 bytes a row, up to a
// limit.
type ranking struct {
	limit, rows int64
	groups      map[string]*group
	all         count

	sums     map[rankKey]*rankSums // nil: rows have come since
	measured count                 // groups with something relevant
}

// group are the items of one ranking: one query, one user's page.
type group struct {
	items []item
	all   count
}

type item struct {
	score, relevance, weight float64
}

func (r *ranking) add(name string, score, relevance float64, w *weight) error {
	if r.rows++; r.rows > r.limit {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "a ranking of more than %d rows is too large to be kept in memory: raise the limit, or score shorter windows", r.limit)
	}
	r.sums = nil
	if r.groups == nil {
		r.groups = map[string]*group{}
	}
	g, ok := r.groups[name]
	if !ok {
		g = &group{}
		r.groups[name] = g
	}
	g.items = append(g.items, item{score, relevance, w.value})
	g.all.add(w)
	r.all.add(w)
	return nil
}

func (r *ranking) merge(o *ranking) error {
	for name, g := range o.groups {
		for _, i := range g.items {
			w := weightOf(i.weight)
			if err := r.add(name, i.score, i.relevance, &w); err != nil {
				return err
			}
		}
	}
	return nil
}

// rankSums are a metric's values over groups, and those of equal scores.
type rankSums struct{ values, flat moments }

type rankKey struct {
	metric string
	k      int
}

// measure computes every metric of every group once. A group's weight is the mean
// weight of its rows. Groups in which nothing is relevant have no value and are
// left out.
func (r *ranking) measure(ks []int) {
	if r.sums != nil {
		return
	}
	r.sums, r.measured = map[rankKey]*rankSums{}, count{}
	keys := []rankKey{{MRR, 0}}
	for _, k := range ks {
		keys = append(keys, rankKey{NDCG, k}, rankKey{MAP, k}, rankKey{RecallAtK, k})
	}
	for _, k := range keys {
		r.sums[k] = &rankSums{}
	}
	for _, g := range r.groups { // in any order: the sums are exact
		blocks := g.blocks()
		if blocks == nil {
			continue
		}
		w := weightOf(min(max(g.all.mass()/float64(g.all.n), minWeight), maxWeight))
		r.measured.add(&w)
		one := []block{flatten(blocks)}
		for _, k := range keys {
			r.sums[k].values.add(rankMetric(k.metric, blocks, one[0].gains, k.k), &w)
			r.sums[k].flat.add(rankMetric(k.metric, one, one[0].gains, k.k), &w)
		}
	}
}

// score returns a metric at each cut-off: the mean over groups, with its standard
// error over groups. The constant's value is that of equal scores for all items.
func (r *ranking) score(v modelwatch.Value, ks []int) []modelwatch.Value {
	r.measure(ks)
	if v.Metric == MRR {
		ks = []int{0}
	}
	values := make([]modelwatch.Value, len(ks))
	for i, k := range ks {
		values[i] = v
		values[i].K = k
		rows(&values[i], &r.measured, v.EffectiveCurrent != nil)
		if r.measured.n == 0 {
			values[i].Reason = modelwatch.ReasonNoPositive
			continue
		}
		s := r.sums[rankKey{v.Metric, k}]
		s.values.set(&values[i], &r.measured, 0, 1)
		constant(&values[i], s.flat.mean(&r.measured))
	}
	return values
}

// block are the items of one score, best score first, in any order among each
// other. A metric of them is the mean over all orders (McSherry and Najork 2008).
type block struct {
	n, relevant int
	gains       []float64 // descending
}

// blocks orders the items, nil if none is relevant.
func (g *group) blocks() []block {
	slices.SortFunc(g.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.relevance, a.relevance))
	})
	var blocks []block
	relevant := 0
	for i, x := range g.items {
		if i == 0 || x.score != g.items[i-1].score {
			blocks = append(blocks, block{})
		}
		b := &blocks[len(blocks)-1]
		b.n++
		b.gains = append(b.gains, x.relevance)
		if x.relevance > 0 {
			b.relevant++
			relevant++
		}
	}
	if relevant == 0 {
		return nil
	}
	return blocks
}

// flatten puts all items into one block.
func flatten(blocks []block) block {
	var all block
	for _, b := range blocks {
		all.n += b.n
		all.relevant += b.relevant
		all.gains = append(all.gains, b.gains...)
	}
	slices.SortFunc(all.gains, func(a, b float64) int { return cmp.Compare(b, a) })
	return all
}

// rankMetric is a metric of one group.
//
//	ndcg_at_k    sum of relevance / log2(1 + rank) over the first k, over what the
//	             best order has (scikit-learn's ndcg_score, ties averaged)
//	recall_at_k  share of the relevant items that are among the first k
//	map_at_k     sum of the precision at each relevant item of the first k, over
//	             the smaller of k and the number of relevant items
//	mrr          one over the rank of the first relevant item
//
// An item is relevant if its label is over 0.
//
// best are the relevances in their best order.
func rankMetric(metric string, blocks []block, best []float64, k int) float64 {
	switch metric {
	case NDCG:
		return ndcg(blocks, best, k)
	case RecallAtK:
		return recallAt(blocks, k)
	case MAP:
		return averagePrecisionAt(blocks, k)
	}
	return reciprocalRank(blocks)
}

func ndcg(blocks []block, ideal []float64, k int) float64 {
	scale := ideal[0] // keeps sums of the largest doubles in range
	gain, rank := 0.0, 0
	for _, b := range blocks {
		mean := 0.0
		for _, g := range b.gains {
			mean += g / scale / float64(b.n)
		}
		for i := rank; i < min(rank+b.n, k); i++ {
			gain += mean / math.Log2(float64(i)+2)
		}
		if rank += b.n; rank >= k {
			break
		}
	}
	best := 0.0
	for i, g := range ideal[:min(k, len(ideal))] {
		best += g / scale / math.Log2(float64(i)+2)
	}
	return min(gain/best, 1)
}

func recallAt(blocks []block, k int) float64 {
	found, relevant, rank := 0.0, 0, 0
	for _, b := range blocks {
		relevant += b.relevant
		taken := min(max(k-rank, 0), b.n)
		found += float64(b.relevant) * float64(taken) / float64(b.n)
		rank += b.n
	}
	return min(found/float64(relevant), 1)
}

func averagePrecisionAt(blocks []block, k int) float64 {
	var sum float64
	before, rank := 0, 0 // relevant items and all of higher scores
	for _, b := range blocks {
		n, r := float64(b.n), float64(b.relevant)
		for i := range min(max(k-rank, 0), b.n) {
			others := 0.0 // relevant among the i before it in the block
			if b.n > 1 {
				others = float64(i) * (r - 1) / (n - 1)
			}
			sum += r / n * (float64(before) + others + 1) / float64(rank+i+1)
		}
		before += b.relevant
		rank += b.n
	}
	return min(sum/float64(min(k, before)), 1)
}

func reciprocalRank(blocks []block) float64 {
	rank := 0
	for _, b := range blocks {
		if b.relevant == 0 {
			rank += b.n
			continue
		}
		var x float64
		none := 1.0 // the odds that nothing before it in the block is relevant
		for i := 0; i <= b.n-b.relevant; i++ {
			left := float64(b.n - i)
			x += none * float64(b.relevant) / left / float64(rank+i+1)
			none *= (left - float64(b.relevant)) / left
		}
		return min(x, 1)
	}
	return 0
}
