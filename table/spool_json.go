package table

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// maxRecordBytes is the longest line or CSV record that is read.
const maxRecordBytes = 16 << 20

// jsonValue is one member of a line. It is valid until the next is read.
type jsonValue struct {
	kind    jsontext.Kind
	raw     []byte // as received
	text    string // a string's content, anything else's literal
	numbers bool   // an array of numbers
}

// jsonLines reads one object per line; empty lines are skipped.
type jsonLines struct {
	in    *input
	lines *bufio.Reader
	long  []byte // a line longer than the buffer
	line  int64
	bytes int64
	dec   jsontext.Decoder
	buf   bytes.Buffer

	member, unquoted []byte
}

func newJSONLines(in *input, r io.Reader) *jsonLines {
	return &jsonLines{in: in, lines: bufio.NewReaderSize(r, 1<<20)}
}

// next calls member for each member of the next object, in order. It returns
// io.EOF after the last line.
func (j *jsonLines) next(member func(name []byte, v jsonValue) error) error {
	for {
		line, err := j.readLine()
		if err != nil {
			return err
		}
		j.line++
		if j.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return j.object(line, member)
		}
	}
}

func (j *jsonLines) readLine() ([]byte, error) {
	line, err := j.lines.ReadSlice('\n')
	j.long = j.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		j.long = append(j.long, line...)
		if len(j.long) > maxRecordBytes {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: the line is longer than %d bytes", j.in.name, j.line+1, maxRecordBytes)
		}
		line, err = j.lines.ReadSlice('\n')
	}
	if len(j.long) > 0 {
		j.long = append(j.long, line...)
		line = j.long
	}
	j.bytes += int64(len(line))
	switch {
	case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
		return line, nil
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	}
	return nil, j.in.failedAt(j.line+1, err)
}

func (j *jsonLines) object(line []byte, member func(name []byte, v jsonValue) error) error {
	if line[0] != '{' {
		hint := ""
		if line[0] == '[' {
			hint = ": write each element of the array on its own line"
		}
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: a JSON object is wanted, found %.20q%s", j.in.name, j.line, line, hint)
	}
	j.buf.Reset()
	j.buf.Write(line)
	j.dec.Reset(&j.buf, jsontext.AllowDuplicateNames(true)) // the first pass looks for them, in a third of the time
	if _, err := j.dec.ReadToken(); err != nil {
		return j.fail(err)
	}
	for j.dec.PeekKind() != '}' {
		name, err := j.dec.ReadValue()
		if err != nil {
			return j.fail(err)
		}
		if j.member, err = jsontext.AppendUnquote(j.member[:0], name); err != nil {
			return j.fail(err)
		}
		v, err := j.value()
		if err != nil {
			return j.fail(err)
		}
		if err := member(j.member, v); err != nil {
			return err
		}
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return j.fail(err)
	}
	if _, err := j.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: more follows after the object: one object per line is wanted", j.in.name, j.line)
	}
	return nil
}

func (j *jsonLines) value() (jsonValue, error) {
	raw, err := j.dec.ReadValue()
	if err != nil {
		return jsonValue{}, err
	}
	v := jsonValue{kind: raw.Kind(), raw: raw}
	switch v.kind {
	case '"':
		if j.unquoted, err = jsontext.AppendUnquote(j.unquoted[:0], raw); err != nil {
			return v, err
		}
		v.text = view(j.unquoted)
	case '[':
		v.text = view(raw)
		_, v.numbers = parseVector(v.text)
	default:
		v.text = view(raw)
	}
	return v, nil
}

func (j *jsonLines) fail(err error) error {
	return modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s:%d", j.in.name, j.line)
}

// jsonPass reads a JSON-lines file for Spool. Members are columns, in the order
// in which they first appear.
type jsonPass struct {
	in     *input
	most   int
	names  []string
	states []inference
	lines  []int64 // where each was seen last
	byName map[string]int
}

// infer is the first pass: it finds the columns and what they can be.
func (p *jsonPass) infer(r io.Reader, tick func(bytes, rows int64) error) error {
	p.byName = map[string]int{}
	lines := newJSONLines(p.in, r)
	for rows := int64(1); ; rows++ {
		err := lines.next(func(name []byte, v jsonValue) error {
			i, ok := p.byName[string(name)]
			if !ok {
				if i = len(p.names); i == p.most {
					return modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: more than %d columns", p.in.name, lines.line, p.most)
				}
				p.names = append(p.names, valid(string(name)))
				p.states, p.lines = append(p.states, inference{}), append(p.lines, 0)
				p.byName[string(name)] = i
			}
			if p.lines[i] == lines.line {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "%s:%d: the name %q is there twice", p.in.name, lines.line, name)
			}
			p.lines[i] = lines.line
			p.states[i].json(v)
			p.states[i].at(lines.line)
			return nil
		})
		if errors.Is(err, io.EOF) {
			if rows == 1 {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "%s is empty: a JSON object per line is wanted", p.in.name)
			}
			return tick(lines.bytes, rows-1)
		}
		if err == nil && rows%tickRows == 0 {
			err = tick(lines.bytes, rows)
		}
		if err != nil {
			return err
		}
	}
}

// rows is the second pass: it appends each line to the builders.
func (p *jsonPass) rows(r io.Reader, b *chunkBuilder) error {
	lines := newJSONLines(p.in, r)
	for {
		err := lines.next(func(name []byte, v jsonValue) error {
			if at := b.bySource[string(name)]; at != nil {
				at.json(v)
			}
			return nil
		})
		if errors.Is(err, io.EOF) {
			return b.flush(lines.bytes)
		}
		if err != nil {
			return err
		}
		if err := b.endRow(lines.bytes); err != nil {
			return err
		}
	}
}
