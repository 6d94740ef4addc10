package simulate

import (
	"bufio"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Format is how a training set is written.
type Format string

// The formats of training sets.
const (
	FormatJSONLines Format = "jsonl"
	FormatCSV       Format = "csv"
)

// baselineSpan is the time before Start that training sets come from.
const baselineSpan = 30 * 24 * time.Hour

// Baseline gives the rows of a model's training set as JSON objects, one column
// per feature and _id, _time, _score, _predicted and _label, from the thirty days
// before Start and untouched by drift. A row is valid until the next one.
func (g *Generator) Baseline(name string, rows int) (iter.Seq[[]byte], error) {
	m, err := g.model(name)
	if err != nil {
		return nil, err
	}
	return func(yield func([]byte) bool) {
		var out row
		var b []byte
		for n := range rows {
			id, at := g.baselineRow(m, &out, n, rows)
			b = out.appendJSON(b[:0], m, id, at)
			if !yield(b) {
				return
			}
		}
	}, nil
}

// WriteBaseline writes the same rows as a file.
func (g *Generator) WriteBaseline(w io.Writer, name string, rows int, format Format) error {
	m, err := g.model(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	var r row
	var b []byte
	switch format {
	case FormatCSV:
		b = append(b, strings.Join(m.columns(), ",")...)
		b = append(b, '\n')
	case FormatJSONLines:
	default:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the format of a training set is %q: it must be %s or %s", format, FormatJSONLines, FormatCSV)
	}
	for n := range rows {
		id, at := g.baselineRow(m, &r, n, rows)
		if format == FormatCSV {
			b = r.appendCSV(b, id, at)
		} else {
			b = r.appendJSON(b, m, id, at)
		}
		b = append(b, '\n')
		if _, err := out.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	if _, err := out.Write(b); err != nil { // the head of a table without rows
		return err
	}
	return out.Flush()
}

func (g *Generator) baselineRow(m *model, out *row, n, rows int) (id, int64) {
	r := newRandom(g.opts.Seed, streamBaseline, int64(n))
	i := id(r.next())
	at := g.opts.Start.Add(-baselineSpan).Add(baselineSpan / time.Duration(max(rows, 1)) * time.Duration(n)).Truncate(time.Millisecond)
	out.reset()
	m.draw(&r, out, at, 0)
	return i, at.UnixNano()
}

// columns are the names of a table's columns, in order.
func (m *model) columns() []string {
	names := []string{modelwatch.ColumnID, modelwatch.ColumnTime}
	for _, f := range m.features {
		names = append(names, f.Name)
	}
	if m.score != "" {
		names = append(names, modelwatch.ColumnScore)
	}
	return append(names, modelwatch.ColumnPredicted, modelwatch.ColumnLabel)
}

// appendJSON writes a row of a table as an object.
func (r *row) appendJSON(b []byte, m *model, i id, at int64) []byte {
	b = append(b, `{"_id":"`...)
	b = i.append(b)
	b = append(b, `","_time":"`...)
	b = asTime(at).AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	for j, c := range r.features {
		b = append(b, ',')
		b = append(b, m.keys[j]...)
		b = c.append(b)
	}
	if r.score.kind != cellMissing {
		b = append(b, `,"_score":`...)
		b = r.score.append(b)
	}
	b = append(b, `,"_predicted":`...)
	b = r.predicted.append(b)
	b = append(b, `,"_label":`...)
	b = r.label.append(b)
	return append(b, '}')
}

// appendCSV writes a row of a table; what is missing is empty.
func (r *row) appendCSV(b []byte, i id, at int64) []byte {
	b = i.append(b)
	b = append(b, ',')
	b = asTime(at).AppendFormat(b, time.RFC3339Nano)
	plain := func(c cell) {
		b = append(b, ',')
		switch c.kind {
		case cellMissing:
		case cellText:
			b = append(b, c.text...) // no text here needs quotes
		default:
			b = c.append(b)
		}
	}
	for _, c := range r.features {
		plain(c)
	}
	if r.score.kind != cellMissing {
		plain(r.score)
	}
	plain(r.predicted)
	plain(r.label)
	return b
}
