package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// csvPass reads a CSV file for Spool: comma, semicolon or tab separated, the
// first record a header.
type csvPass struct {
	in      *input
	most    int
	comma   rune
	header  []string // every field, also the nameless ones
	names   []string // the columns with a name
	skipped []Skipped
	states  []inference
	byName  map[string]int // place in header
	line    int64          // where the record that was read last ends, but for line breaks in its last field
}

// recordReader bounds what one record may take: a quote left open would
// otherwise swallow the rest of the file into one field.
type recordReader struct {
	r     io.Reader
	name  string
	since int   // bytes since the last record
	total int64 // bytes in all
}

func (r *recordReader) Read(p []byte) (int, error) {
	if r.since > maxRecordBytes {
		return 0, modelwatch.Errorf(modelwatch.CodeInvalid, "%s: a record is longer than %d bytes: is a quote left open?", r.name, maxRecordBytes)
	}
	n, err := r.r.Read(p)
	r.since += n
	r.total += int64(n)
	return n, err
}

// open starts reading at the header.
func (p *csvPass) open(r io.Reader) (*csv.Reader, *recordReader, error) {
	counted := &recordReader{r: r, name: p.in.name}
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(counted, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, p.in.failedAt(1, err)
	}
	if n == 0 && errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, p.in.failedAt(1, err) // of the packed file: an empty one ends in io.EOF
	}
	head = bytes.TrimPrefix(head[:n], []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(head)) == 0 {
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s is empty: a header with the column names is wanted", p.in.name)
	}
	p.comma = separator(head)
	c := csv.NewReader(io.MultiReader(bytes.NewReader(head), counted))
	c.Comma, c.ReuseRecord, c.FieldsPerRecord = p.comma, true, -1
	p.line = 0
	header, err := c.Read()
	if err != nil {
		return nil, nil, p.fail(err)
	}
	p.line = 1
	p.header = append([]string(nil), header...)
	return c, counted, nil
}

// separator picks what occurs most in the header, outside quotes.
func separator(head []byte) rune {
	counts, quoted := map[rune]int{}, false
	for _, b := range head {
		if b == '"' {
			quoted = !quoted
		} else if b == '\n' && !quoted {
			break
		} else if !quoted {
			counts[rune(b)]++
		}
	}
	best := ','
	for _, comma := range []rune{';', '\t'} {
		if counts[comma] > counts[best] {
			best = comma
		}
	}
	return best
}

// name lists the columns. A nameless one, such as the index that pandas writes, is skipped.
func (p *csvPass) name() error {
	p.byName = map[string]int{}
	if len(p.header) > p.most {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s has %d columns: at most %d are read", p.in.name, len(p.header), p.most)
	}
	for i, h := range p.header {
		h = strings.TrimSpace(valid(h))
		p.header[i] = h
		if h == "" {
			p.skipped = append(p.skipped, Skipped{Name: fmt.Sprintf("column %d", i+1), Reason: "no name in the header"})
			continue
		}
		if _, dup := p.byName[h]; dup {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "%s:1: the column %q is there twice", p.in.name, h)
		}
		p.byName[h] = i
		p.names = append(p.names, h)
	}
	p.states = make([]inference, len(p.header))
	return nil
}

// About how much goes from the reading goroutine to the other at a time.
const (
	batchFields = 16 << 10
	batchBytes  = 1 << 20
)

// csvBatch is a run of records.
type csvBatch struct {
	fields []string // of all records, one after the other
	bytes  int64    // read so far
	err    error    // what came after the records
}

// each calls f for every record after the header, with the bytes read so far. A
// goroutine of its own splits the text into fields meanwhile; it has ended when
// each returns.
func (p *csvPass) each(c *csv.Reader, counted *recordReader, f func(record []string, bytes int64) error) error {
	full, empty, stop := make(chan csvBatch, 2), make(chan []string, 4), make(chan struct{})
	ended := make(chan struct{})
	defer func() { close(stop); <-ended }()
	go func() {
		defer close(ended)
		for {
			var b csvBatch
			select {
			case b.fields = <-empty:
			default:
			}
			b.fields, b.err = p.batch(c, counted, b.fields[:0])
			b.bytes = counted.total
			select {
			case full <- b:
			case <-stop:
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	for {
		b := <-full
		n := len(p.header)
		for at := 0; at < len(b.fields); at += n {
			if err := f(b.fields[at:at+n], b.bytes); err != nil {
				return err
			}
		}
		if errors.Is(b.err, io.EOF) {
			return nil
		}
		if b.err != nil {
			return b.err
		}
		empty <- b.fields[:0]
	}
}

// batch reads records until there are enough fields or bytes.
func (p *csvPass) batch(c *csv.Reader, counted *recordReader, fields []string) ([]string, error) {
	for limit := counted.total + batchBytes; len(fields) < batchFields && counted.total < limit; {
		counted.since = 0
		record, err := c.Read()
		switch {
		case errors.Is(err, io.EOF):
			return fields, io.EOF
		case err != nil:
			return fields, p.fail(err)
		case len(record) != len(p.header):
			line, _ := c.FieldPos(0)
			return fields, modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: %d fields, the header has %d", p.in.name, line, len(record), len(p.header))
		}
		fields = append(fields, record...)
		line, _ := c.FieldPos(len(record) - 1)
		p.line = int64(line)
	}
	return fields, nil
}

func (p *csvPass) fail(err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return modelwatch.Wrap(modelwatch.CodeInvalid, syntax.Err, "%s:%d: column %d of the line", p.in.name, syntax.Line, syntax.Column)
	}
	return p.in.failedAt(p.line+1, err)
}

// infer is the first pass; it stops after the header if the types are known.
func (p *csvPass) infer(c *csv.Reader, counted *recordReader, tick func(bytes, rows int64) error) error {
	rows := int64(0)
	err := p.each(c, counted, func(record []string, bytes int64) error {
		for i, s := range record {
			p.states[i].text(s)
			p.states[i].at(rows + 1)
		}
		if rows++; rows%tickRows == 0 {
			return tick(bytes, rows)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tick(counted.total, rows)
}

// rows is the second pass: it appends each record to the builders.
func (p *csvPass) rows(r io.Reader, b *chunkBuilder) error {
	c, counted, err := p.open(r)
	if err != nil {
		return err
	}
	at := make([]*builder, len(p.header))
	for i, h := range p.header {
		at[i] = b.bySource[strings.TrimSpace(valid(h))]
	}
	err = p.each(c, counted, func(record []string, bytes int64) error {
		for i, s := range record {
			if at[i] != nil {
				at[i].text(s)
			}
		}
		return b.endRow(bytes)
	})
	if err != nil {
		return err
	}
	return b.flush(counted.total)
}
