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
		return nil, nil, wrapRead(err, p.in.name)
	}
	head = bytes.TrimPrefix(head[:n], []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(head)) == 0 {
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s is empty: a header with the column names is wanted", p.in.name)
	}
	p.comma = separator(head)
	c := csv.NewReader(io.MultiReader(bytes.NewReader(head), counted))
	c.Comma, c.ReuseRecord, c.FieldsPerRecord = p.comma, true, -1
	header, err := c.Read()
	if err != nil {
		return nil, nil, p.fail(err)
	}
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

// each calls f for every record after the header.
func (p *csvPass) each(c *csv.Reader, counted *recordReader, f func(record []string) error) error {
	for {
		counted.since = 0
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return p.fail(err)
		}
		if len(record) != len(p.header) {
			line, _ := c.FieldPos(0)
			return modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: %d fields, the header has %d", p.in.name, line, len(record), len(p.header))
		}
		if err := f(record); err != nil {
			return err
		}
	}
}

func (p *csvPass) fail(err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return modelwatch.Wrap(modelwatch.CodeInvalid, syntax.Err, "%s:%d: column %d of the line", p.in.name, syntax.Line, syntax.Column)
	}
	return wrapRead(err, p.in.name)
}

// infer is the first pass; it stops after the header if the types are known.
func (p *csvPass) infer(c *csv.Reader, counted *recordReader, tick func(bytes, rows int64) error) error {
	rows := int64(0)
	err := p.each(c, counted, func(record []string) error {
		for i, s := range record {
			p.states[i].text(s)
		}
		if rows++; rows%tickRows == 0 {
			return tick(counted.total, rows)
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
	err = p.each(c, counted, func(record []string) error {
		for i, s := range record {
			if at[i] != nil {
				at[i].text(s)
			}
		}
		return b.endRow(counted.total)
	})
	if err != nil {
		return err
	}
	return b.flush(counted.total)
}
