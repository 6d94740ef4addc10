package ingest

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/modelwatch/modelwatch"
)

// sampled is fraud with rates.
func sampled(rate float64, steps ...modelwatch.RateStep) modelwatch.Version {
	v := fraud()
	v.SamplingRate, v.Rates = rate, steps
	return v
}

// eventOf is an event of a kind about a request.
func eventOf(kind modelwatch.Kind, id string, at time.Time) string {
	body := map[modelwatch.Kind]string{
		modelwatch.KindPrediction: `"features":{"amount":1},"prediction":{"score":0.5}`, modelwatch.KindInput: `"features":{"amount":1}`,
		modelwatch.KindOutput: `"prediction":{"score":0.5}`, modelwatch.KindAttribution: `"attributions":{"amount":0.4}`, modelwatch.KindLabel: `"label":"bad"`,
	}[kind]
	return fmt.Sprintf(`{"kind":%q,"model":"fraud","version":"3","id":%q,"time":%q,%s}`, kind, id, at.UTC().Format(time.RFC3339), body)
}

// keeps decodes an event and says whether its row is kept, and at which rate.
func (b *decoderBundle) keeps(event string) (bool, float64) {
	b.t.Helper()
	row, rejected, err := b.decoder.decode(b.t.Context(), b.record(event))
	if err != nil || rejected != nil {
		b.t.Fatalf("%s: %v, %v", event, rejected, err)
	}
	b.batch.add(&b.decoder.event, row)
	return row.keep, row.rate
}

var sampledKinds = []modelwatch.Kind{modelwatch.KindPrediction, modelwatch.KindInput, modelwatch.KindOutput, modelwatch.KindAttribution}

// TestSameDecision: all streams of a request, a replay and another replica decide
// alike, and labels are always kept.
func TestSameDecision(t *testing.T) {
	t.Parallel()
	first, replica := setupDecoder(t, sampled(0.1)), setupDecoder(t, sampled(0.1))
	kept := map[string]bool{}
	for i := range 5000 {
		id := fmt.Sprintf("req-%d", i)
		kept[id], _ = first.keeps(eventOf(modelwatch.KindPrediction, id, testNow))
		if label, rate := first.keeps(eventOf(modelwatch.KindLabel, id, testNow)); !label || rate != 1 {
			t.Fatalf("the label of %s: kept %v at rate %v", id, label, rate)
		}
	}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(5000) {
		id := fmt.Sprintf("req-%d", i)
		for _, b := range []*decoderBundle{first, replica} { // a replay, in another order, and a replica
			for _, kind := range sampledKinds {
				if keep, rate := b.keeps(eventOf(kind, id, testNow)); keep != kept[id] || rate != 0.1 {
					t.Fatalf("%s of %s: kept %v at rate %v, was %v", kind, id, keep, rate, kept[id])
				}
			}
		}
	}
}

// TestNested: what is kept at 1 % is among what is kept at 10 %, and so on.
func TestNested(t *testing.T) {
	t.Parallel()
	rates := []float64{0.001, 0.01, 0.1, 0.5, 1}
	counts := make([]int, len(rates))
	bundles := make([]*decoderBundle, len(rates))
	for i, rate := range rates {
		bundles[i] = setupDecoder(t, sampled(rate))
	}
	const n = 20_000
	for i := range n {
		smaller := false
		for j := range rates {
			keep, _ := bundles[j].keeps(eventOf(modelwatch.KindPrediction, fmt.Sprintf("req-%d", i), testNow))
			if smaller && !keep {
				t.Fatalf("req-%d is kept at %v and not at %v", i, rates[j-1], rates[j])
			}
			if smaller = keep; keep {
				counts[j]++
			}
		}
	}
	for j, rate := range rates { // within five standard deviations of a binomial
		if sd := math.Sqrt(n * rate * (1 - rate)); math.Abs(float64(counts[j])-n*rate) > 5*sd+1e-9 {
			t.Errorf("%d of %d are kept at %v", counts[j], n, rate)
		}
	}
}

// TestUniform: ranks of ids as producers make them fill 256 equal bins evenly. The
// statistic must lie between the points that a uniform one passes once in 10,000.
func TestUniform(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for name, id := range map[string]func(i int) string{
		"counter":  func(i int) string { return fmt.Sprint(i) },
		"prefixed": func(i int) string { return fmt.Sprintf("order-2026-11-21-%09d", i) },
		"random":   func(int) string { return fmt.Sprintf("%016x-%016x", random.Uint64(), random.Uint64()) },
		"suffixed": func(i int) string { return fmt.Sprintf("%d-row-0", i) },
	} {
		const n, bins = 256_000, 256
		var upper, lower [bins]float64
		for i := range n {
			rank := modelwatch.Rank(modelwatch.Salt{1, 2, 3}, []byte(id(i)))
			upper[rank>>(modelwatch.RankBits-8)]++
			lower[rank>>(modelwatch.RankBits-16)&0xff]++ // within what is kept at 1/256
		}
		law := distuv.ChiSquared{K: bins - 1}
		for digit, counts := range map[string][bins]float64{"upper": upper, "lower": lower} {
			statistic := 0.0
			for _, c := range counts {
				statistic += (c - n/bins) * (c - n/bins) / (n / bins)
			}
			if statistic < law.Quantile(1e-4) || statistic > law.Quantile(1-1e-4) {
				t.Errorf("%s ids, %s digit: chi-square is %.1f of %d degrees of freedom", name, digit, statistic, bins-1)
			}
		}
	}
}

// TestRateByEventTime: a change of the rate takes effect by event time, however late
// or often an event comes, and files know the rate of their rows.
func TestRateByEventTime(t *testing.T) {
	t.Parallel()
	change := testNow.Add(-30 * time.Minute)
	steps := []modelwatch.RateStep{{Rate: 0.5}, {From: change, Rate: 0.05}}
	b := setupDecoder(t, sampled(0.5))
	before, after := change.Add(-time.Second), change
	kept := map[float64]int64{}
	for round := range 2 {
		if round == 1 { // while running
			found := mustLoad(t, b.decoder.versions, "fraud", "3")
			stored := found.stored
			stored.SamplingRate, stored.Rates = 0.05, steps
			b.decoder.versions.apply(found, stored, modelwatch.Privacy{})
			if b.decoder.versions.find([]byte("fraud"), []byte("3"), false) != found {
				t.Error("the rate alone has made another version")
			}
		}
		for i := range 2000 {
			id := fmt.Sprintf("req-%d-%d", round, i)
			rank := modelwatch.Rank(modelwatch.Salt{}, []byte(id))
			for _, tt := range []struct {
				kind modelwatch.Kind
				at   time.Time
				rate float64
			}{
				{modelwatch.KindPrediction, before, 0.5}, {modelwatch.KindPrediction, after, []float64{0.5, 0.05}[round]},
				{modelwatch.KindOutput, after, 0.5}, {modelwatch.KindAttribution, after, 0.5}, // their input may be from before
			} {
				keep, rate := b.keeps(eventOf(tt.kind, id, tt.at))
				if rate != tt.rate || keep != (rank < modelwatch.RankLimit(rate)) {
					t.Fatalf("%s at %s: kept %v at %v, want rate %v", tt.kind, tt.at, keep, rate, tt.rate)
				}
				if keep {
					kept[rate]++
				}
			}
		}
	}
	rows := map[float64]int64{}
	for _, f := range b.batch.files() {
		rows[f.spec("c", "u").SamplingRate] += int64(f.rows)
	}
	if !maps.Equal(rows, kept) {
		t.Errorf("files have %v rows by rate, kept were %v", rows, kept)
	}
}

// TestHorizon: a day after the change the higher rate is forgotten.
func TestHorizon(t *testing.T) {
	t.Parallel()
	vs := newVersions(nil, 1, time.Hour, slog.New(slog.DiscardHandler), PrivacyOptions{})
	change := testNow.UnixMicro()
	v := &version{rates: vs.steps(&modelwatch.Version{Rates: []modelwatch.RateStep{{}, {From: testNow, Rate: 0.5}, {From: testNow.Add(time.Hour), Rate: 0.1}}})}
	day, hour := rateHorizon.Microseconds(), time.Hour.Microseconds()
	for _, tt := range []struct {
		at                      int64
		prediction, attribution float64
	}{
		{change - 1, 1, 1}, {change, 0.5, 1}, {change + day - 1, 0.1, 1}, {change + day, 0.1, 0.5}, {change + hour + day - 1, 0.1, 0.5}, {change + hour + day, 0.1, 0.1},
	} {
		if p, a := v.rateOf(modelwatch.KindPrediction, tt.at).rate, v.rateOf(modelwatch.KindAttribution, tt.at).rate; p != tt.prediction || a != tt.attribution {
			t.Errorf("%d after the change: %v and %v, want %v and %v", tt.at-change, p, a, tt.prediction, tt.attribution)
		}
	}
}

// TestWeighted: counts, shares and means of a sample, weighted by the rate of each
// file, agree with the full data within four of their standard errors, and counts of
// what was seen are exact.
func TestWeighted(t *testing.T) {
	t.Parallel()
	change := testNow.Add(-30 * time.Minute)
	b := setupDecoder(t, sampled(0.02, modelwatch.RateStep{Rate: 0.2}, modelwatch.RateStep{From: change, Rate: 0.02}))
	random := rand.New(rand.NewPCG(5, 6))
	const n = 40_000
	var sum, german float64
	for i := range n {
		at, amount, country := change.Add(time.Duration(i%3-1)*time.Minute), random.ExpFloat64()*100, "DE"
		if at.Before(change) { // so that a sample which forgets its weights is wrong
			amount *= 3
		}
		if random.IntN(3) > 0 {
			country = "FR"
		} else {
			german++
		}
		sum += amount
		b.keeps(fmt.Sprintf(`{"kind":"prediction","model":"fraud","version":"3","id":"w-%d","time":%q,"features":{"amount":%v,"country":%q}}`, i, at.Format(time.RFC3339), amount, country))
	}
	var seen, kept int64
	for _, v := range b.batch.volumeList() {
		seen, kept = seen+v.Seen, kept+v.Kept
	}
	if seen != n {
		t.Errorf("%d were seen, %d were sent", seen, n)
	}
	// Horvitz-Thompson: each total and the variance of its estimate.
	var total, amounts, germans [2]float64
	for _, f := range b.batch.files() {
		rate := f.key.rate
		f.seal()
		c := f.chunk()
		kept -= int64(c.Rows)
		for i := range c.Rows {
			for of, x := range map[*[2]float64]float64{&total: 1, &amounts: c.Column("amount").Floats[i], &germans: map[string]float64{"DE": 1}[c.Column("country").Text(i)]} {
				of[0] += x / rate
				of[1] += x * x * (1 - rate) / (rate * rate)
			}
		}
	}
	if kept != 0 {
		t.Errorf("volumes say %d rows more than there are", kept)
	}
	for what, v := range map[string]struct {
		estimate [2]float64
		truth    float64
	}{"count": {total, n}, "sum": {amounts, sum}, "of one category": {germans, german}} {
		if se := math.Sqrt(v.estimate[1]); math.Abs(v.estimate[0]-v.truth) > 4*se || se > v.truth/10 {
			t.Errorf("%s: estimated %.0f with a standard error of %.0f, is %.0f", what, v.estimate[0], se, v.truth)
		}
	}
}
