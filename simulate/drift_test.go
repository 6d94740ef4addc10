package simulate

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"time"
)

// sampled is what a sample of predictions says, with the truth joined to it.
type sampled struct {
	amountMedian, brazil, mobile, auc, recall float64
	area, newTown, rmse                       float64
}

// look draws rows of both models at a drift and sums them up.
func look(drift float64) (s sampled) {
	const rows = 10_000
	fraud, price := newFraud(), newPrice()
	var amounts, areas []float64
	var scored []scoredRow
	var hits, frauds, brazil, mobile, newTown, squares float64
	for n := range int64(rows) {
		var out row
		r := newRandom(11, streamRow, n)
		fraud.draw(&r, &out, begin, drift)
		amounts = append(amounts, out.features[0].value())
		brazil += one(out.features[1].text == "BR")
		mobile += one(out.features[2].text == "mobile")
		bad := out.label.text == labelFraud
		frauds += one(bad)
		hits += one(bad && out.predicted.text == labelFraud)
		scored = append(scored, scoredRow{out.score.value(), bad})

		out.reset()
		price.draw(&r, &out, begin, drift)
		areas = append(areas, out.features[0].value())
		newTown += one(out.features[3].text == "new_town")
		squares += math.Pow(out.label.value()-out.predicted.value(), 2)
	}
	slices.Sort(amounts)
	slices.Sort(areas)
	return sampled{
		amountMedian: amounts[rows/2], brazil: brazil / rows, mobile: mobile / rows, auc: auc(scored), recall: hits / frauds,
		area: areas[rows/2], newTown: newTown / rows, rmse: math.Sqrt(squares / rows),
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

type scoredRow struct {
	score float64
	bad   bool
}

// auc is the share of pairs in the right order, by ranks; ties hardly matter here.
func auc(rows []scoredRow) float64 {
	slices.SortFunc(rows, func(a, b scoredRow) int { return cmp.Compare(a.score, b.score) })
	var ranks, bad float64
	for i, r := range rows {
		if r.bad {
			ranks += float64(i + 1)
			bad++
		}
	}
	return (ranks - bad*(bad+1)/2) / (bad * (float64(len(rows)) - bad))
}

func TestTheWorldDrifts(t *testing.T) {
	t.Parallel()
	before, half, after := look(0), look(.5), look(1)
	check := func(what string, got, low, high float64) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s = %.4g, want %.4g to %.4g", what, got, low, high)
		}
	}
	check("median amount before", before.amountMedian, 35, 38) // e^3.6
	check("median amount after", after.amountMedian, 66, 73)
	check("share of Brazil before", before.brazil, 0, 0)
	check("share of Brazil half-way", half.brazil, .065, .085)
	check("share of Brazil after", after.brazil, .14, .16)
	check("share of mobile before", before.mobile, .41, .43)
	check("share of mobile after", after.mobile, .72, .74)
	check("AUC before", before.auc, .80, .86)
	check("AUC half-way", half.auc, .64, .76)
	check("AUC after", after.auc, .48, .60)
	check("recall before", before.recall, .30, .42)
	check("median area before", before.area, 80, 84)
	check("median area after", after.area, 68, 72)
	check("share of the new district after", after.newTown, .18, .22)
	check("RMSE rises by", after.rmse/before.rmse, 2, 5)
}

func TestDriftBeginsWhenAsked(t *testing.T) {
	t.Parallel()
	g := New(Options{Seed: 2, Start: begin, DriftAfter: time.Hour, DriftOver: 2 * time.Hour})
	for after, want := range map[time.Duration]float64{0: 0, time.Hour: 0, 2 * time.Hour: .5, 3 * time.Hour: 1, 100 * time.Hour: 1} {
		if got := g.drift(begin.Add(after).UnixNano()); got != want {
			t.Errorf("drift after %s = %v, want %v", after, got, want)
		}
	}
	never := New(Options{Seed: 2, Start: begin})
	if got := never.drift(begin.Add(10_000 * time.Hour).UnixNano()); got != 0 {
		t.Errorf("drift = %v where none was asked for", got)
	}
}

func TestRandomIsUniform(t *testing.T) {
	t.Parallel()
	// The first number of each of many streams: those that belong to neighbouring
	// events must not be alike.
	const n = 100_000
	var sum, squares, previous, product float64
	for i := range int64(n) {
		r := newRandom(1, streamRow, i)
		v := r.float() - .5
		sum += v
		squares += v * v
		product += v * previous
		previous = v
	}
	if mean := sum / n; math.Abs(mean) > .006 {
		t.Errorf("mean = %v, want 0 within six standard errors", mean)
	}
	if variance := squares / n; math.Abs(variance-1./12) > .002 {
		t.Errorf("variance = %v, want 1/12", variance)
	}
	if correlation := product / squares; math.Abs(correlation) > .02 {
		t.Errorf("neighbours correlate by %v, want 0 within six standard errors", correlation)
	}
}
