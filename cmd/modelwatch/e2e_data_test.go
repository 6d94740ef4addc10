package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The end-to-end test's traffic: two models, four windows of a quarter of an
// hour. From the third window on the fraud model's amounts are larger, a
// country appears that training never saw, and its predictions are worse.
const (
	e2eWindows      = 4
	e2eWindowLength = 15 * time.Minute
	e2eBaselineRows = 20_000
	e2eFraudEvents  = 110_000
	e2ePriceEvents  = 20_000
	e2eFraudLabels  = 50_000
	e2ePriceLabels  = 20_000
	e2eBroken       = 60
	e2eRate         = 0.5 // of the fraud model
)

// fraudRow is one prediction of the fraud model, as it should be seen.
type fraudRow struct {
	id        string
	time      time.Time
	amount    float64
	state     cellState // of amount
	country   string
	device    string
	score     float64
	predicted string
	truth     string // "" while no label comes
}

type cellState int

const (
	present cellState = iota
	missing
	invalid
)

// priceRow is one prediction of the price model.
type priceRow struct {
	id               string
	time             time.Time
	area             float64
	predicted, truth float64
}

type traffic struct {
	start  time.Time
	length time.Duration // of a window
	count  int           // of windows
	fraud  []fraudRow
	price  []priceRow
	broken [][]byte
}

func newTraffic(start time.Time) *traffic {
	rng := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // deterministic on purpose
	t := &traffic{start: start, length: e2eWindowLength, count: e2eWindows}
	span := float64(e2eWindows * e2eWindowLength)
	at := func(i, n int) time.Time {
		return start.Add(time.Duration(float64(i) / float64(n) * span)).Truncate(time.Microsecond)
	}
	for i := range e2eFraudEvents {
		when := at(i, e2eFraudEvents)
		drifted := when.Sub(start) >= 2*e2eWindowLength
		row := drawFraud(rng, drifted)
		row.id, row.time = fmt.Sprintf("fraud-%07d", i), when
		if i >= e2eFraudLabels {
			row.truth = ""
		}
		t.fraud = append(t.fraud, row)
	}
	rng.Shuffle(len(t.fraud), func(i, j int) { t.fraud[i].truth, t.fraud[j].truth = t.fraud[j].truth, t.fraud[i].truth })
	for i := range e2ePriceEvents {
		row := drawPrice(rng)
		row.id, row.time = fmt.Sprintf("price-%07d", i), at(i, e2ePriceEvents)
		t.price = append(t.price, row)
	}
	for i := range e2eBroken {
		t.broken = append(t.broken, brokenEvent(i))
	}
	return t
}

// brokenEvent is no JSON, has no id, or has no model.
func brokenEvent(i int) []byte {
	switch i % 3 {
	case 0:
		return fmt.Appendf(nil, `{"kind":"prediction","model":"fraud",%d`, i)
	case 1:
		return fmt.Appendf(nil, `{"kind":"prediction","model":"fraud","version":"3.1.0","features":{"amount":%d}}`, i)
	default:
		return fmt.Appendf(nil, `{"kind":"prediction","version":"3.1.0","id":"x%d"}`, i)
	}
}

func drawFraud(rng *rand.Rand, drifted bool) fraudRow {
	row := fraudRow{device: pick(rng, "android", "ios", "web"), country: pick(rng, "DE", "FR", "IT", "US")}
	row.amount = math.Floor(math.Abs(rng.NormFloat64()) * 200)
	wrong := 0.05
	if drifted {
		row.amount += 60
		wrong = 0.2
		if rng.Float64() < 0.1 {
			row.country = "XX"
		}
	}
	switch u := rng.Float64(); {
	case u < 0.02:
		row.state = missing
	case u < 0.03:
		row.state = invalid
	}
	row.score = math.Round(rng.Float64()*1000) / 1000
	row.predicted = "legit"
	if row.score >= 0.7 {
		row.predicted = "fraud"
	}
	row.truth = row.predicted
	if rng.Float64() < wrong {
		row.truth = map[string]string{"fraud": "legit", "legit": "fraud"}[row.predicted]
	}
	return row
}

func drawPrice(rng *rand.Rand) priceRow {
	area := math.Round(40 + rng.Float64()*160)
	return priceRow{area: area, predicted: math.Round(area*3000 + rng.NormFloat64()*10_000), truth: math.Round(area * 3100)}
}

func pick(rng *rand.Rand, values ...string) string { return values[rng.IntN(len(values))] }

// baseline draws the training set of the fraud model.
func fraudBaseline() []fraudRow {
	rng := rand.New(rand.NewPCG(3, 5)) //nolint:gosec // deterministic on purpose
	rows := make([]fraudRow, e2eBaselineRows)
	for i := range rows {
		rows[i] = drawFraud(rng, false)
		if rows[i].state == invalid {
			rows[i].state = missing
		}
	}
	return rows
}

func fraudBaselineCSV(rows []fraudRow) []byte {
	var b bytes.Buffer
	b.WriteString("amount,country,device,risk,outcome\n")
	for _, r := range rows {
		amount := ""
		if r.state == present {
			amount = strconv.FormatFloat(r.amount, 'f', -1, 64)
		}
		fmt.Fprintf(&b, "%s,%s,%s,%v,%s\n", amount, r.country, r.device, r.score, r.predicted)
	}
	return b.Bytes()
}

func priceBaselineJSONLines() []byte {
	rng := rand.New(rand.NewPCG(13, 17)) //nolint:gosec // deterministic on purpose
	var b bytes.Buffer
	for range 5_000 {
		area := math.Round(40 + rng.Float64()*160)
		fmt.Fprintf(&b, "{\"area\":%v,\"_predicted\":%v}\n", area, math.Round(area*3000))
	}
	return b.Bytes()
}

func (r fraudRow) event() []byte {
	amount := fmt.Sprintf(`"amount":%v,`, r.amount)
	switch r.state {
	case missing:
		amount = `"amount":null,`
	case invalid:
		amount = `"amount":"not a number",`
	}
	return fmt.Appendf(nil, `{"kind":"prediction","model":"fraud","version":"3.1.0","id":%q,"time":%q,"features":{%s"country":%q,"device":%q},"prediction":{"score":%v,"label":%q}}`,
		r.id, r.time.Format(time.RFC3339Nano), amount, r.country, r.device, r.score, r.predicted)
}

func (r fraudRow) label() []byte {
	return fmt.Appendf(nil, `{"kind":"label","model":"fraud","id":%q,"time":%q,"label":%q}`, r.id, r.time.Add(10*time.Minute).Format(time.RFC3339Nano), r.truth)
}

func (r priceRow) event() []byte {
	return fmt.Appendf(nil, `{"kind":"prediction","model":"price","version":"1.0","id":%q,"time":%q,"features":{"area":%v},"prediction":{"value":%v}}`,
		r.id, r.time.Format(time.RFC3339Nano), r.area, r.predicted)
}

func (r priceRow) label() []byte {
	return fmt.Appendf(nil, `{"kind":"label","model":"price","id":%q,"time":%q,"label":%v}`, r.id, r.time.Add(5*time.Minute).Format(time.RFC3339Nano), r.truth)
}

// kept reports whether the sampling rule keeps a fraud prediction.
func (r fraudRow) kept(salt modelwatch.Salt) bool {
	return modelwatch.Rank(salt, []byte(r.id)) < modelwatch.RankLimit(e2eRate)
}

func (t *traffic) window(i int) modelwatch.Window {
	start := t.start.Add(time.Duration(i) * t.length)
	return modelwatch.Window{Start: start, End: start.Add(t.length)}
}

// windowMinutes is the length of a window as jobs and tags write it, such as "15m".
func (t *traffic) windowMinutes() string { return strconv.Itoa(int(t.length.Minutes())) + "m" }
