package simulate

import (
	"math"
	"strconv"
	"time"

	"github.com/modelwatch/modelwatch"
)

type cellKind uint8

const (
	cellMissing cellKind = iota
	cellNumber
	cellText
	cellTrue
	cellFalse
)

// cell is one value of a row. A number is kept as it is written, so that a rule
// applied to a row and one applied to its JSON agree.
type cell struct {
	kind     cellKind
	decimals uint8
	scaled   int64 // number times 10^decimals
	text     string
}

var powers = [...]int64{1, 10, 100, 1000, 10_000}

// number rounds to decimals.
func number(v float64, decimals uint8) cell {
	return cell{kind: cellNumber, decimals: decimals, scaled: int64(math.Round(v * float64(powers[decimals])))}
}

func text(s string) cell { return cell{kind: cellText, text: s} }

func boolean(b bool) cell {
	if b {
		return cell{kind: cellTrue}
	}
	return cell{kind: cellFalse}
}

// value is the number that is written.
func (c cell) value() float64 { return float64(c.scaled) / float64(powers[c.decimals]) }

// append writes a cell as JSON; texts here need no escapes.
func (c cell) append(b []byte) []byte {
	switch c.kind {
	case cellNumber:
		return appendFixed(b, c.scaled, c.decimals)
	case cellText:
		b = append(b, '"')
		b = append(b, c.text...)
		return append(b, '"')
	case cellTrue:
		return append(b, "true"...)
	case cellFalse:
		return append(b, "false"...)
	}
	return append(b, "null"...)
}

// appendFixed writes scaled/10^decimals, without zeros at the end. It is most of
// the work of making an event, hence the table instead of divisions.
func appendFixed(b []byte, scaled int64, decimals uint8) []byte {
	if scaled < 0 {
		b = append(b, '-')
		scaled = -scaled
	}
	whole, rest := scaled, int64(0)
	switch decimals { // dividing by a constant is a multiplication
	case 1:
		whole, rest = scaled/10, scaled%10*1000
	case 2:
		whole, rest = scaled/100, scaled%100*100
	case 3:
		whole, rest = scaled/1000, scaled%1000*10
	case 4:
		whole, rest = scaled/10_000, scaled%10_000
	}
	b = strconv.AppendInt(b, whole, 10)
	if rest == 0 {
		return b
	}
	four := fourDigits[rest]
	length := 4
	for four[length-1] == '0' {
		length--
	}
	b = append(b, '.')
	return append(b, four[:length]...)
}

// fourDigits are the numbers below 10,000 with zeros in front.
var fourDigits = func() (table [10_000][4]byte) {
	for i := range table {
		table[i] = [4]byte{byte('0' + i/1000), byte('0' + i/100%10), byte('0' + i/10%10), byte('0' + i%10)}
	}
	return table
}()

// row is what is known of one request, its truth included.
type row struct {
	features  []cell // as model.features
	score     cell   // missing for a regression
	predicted cell
	label     cell
}

func (r *row) reset() { *r = row{features: r.features[:0]} }

func (r *row) add(c cell) { r.features = append(r.features, c) }

// id is a request id; seeds do not share ids.
type id uint64

func (i id) append(b []byte) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[i>>shift&15])
	}
	return b
}

// appendHead writes the fields that every event begins with.
func appendHead(b []byte, kind modelwatch.Kind, m *model, i id, at int64) []byte {
	b = append(b, `{"kind":"`...)
	b = append(b, kind...)
	b = append(b, `","model":"`...)
	b = append(b, m.name...)
	if kind == modelwatch.KindPrediction {
		b = append(b, `","version":"`...)
		b = append(b, m.version...)
	}
	b = append(b, `","id":"`...)
	b = i.append(b)
	b = append(b, `","time":"`...)
	b = asTime(at).AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendPrediction writes the canonical event. What is missing is left out.
func (r *row) appendPrediction(b []byte, m *model, i id, at int64) []byte {
	b = appendHead(b, modelwatch.KindPrediction, m, i, at)
	b = append(b, `,"features":{`...)
	for j, c := range r.features {
		if c.kind == cellMissing {
			continue
		}
		b = append(b, m.keys[j]...)
		b = c.append(b)
		b = append(b, ',')
	}
	b = b[:len(b)-1] // no event here has no features
	if r.score.kind == cellMissing {
		b = append(b, `},"prediction":{"value":`...)
	} else {
		b = append(b, `},"prediction":{"score":`...)
		b = r.score.append(b)
		b = append(b, `,"label":`...)
	}
	b = r.predicted.append(b)
	return append(b, `}}`...)
}

// appendLabel writes the event that tells the truth.
func (r *row) appendLabel(b []byte, m *model, i id, at int64) []byte {
	b = appendHead(b, modelwatch.KindLabel, m, i, at)
	b = append(b, `,"label":`...)
	b = r.label.append(b)
	return append(b, '}')
}
