package format

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
)

// sagemaker reads records of SageMaker's data capture, and ground truth as Model
// Monitor takes it.
type sagemaker struct{ *Options }

func newSageMaker(o *Options) (Format, error) { return sagemaker{o}, nil }

func (f sagemaker) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	all, fail := parseObject(r.Value)
	if fail != nil {
		return events, fail
	}
	meta := members(find(all, "eventMetadata"))
	c := &call{id: text(find(meta, "inferenceId")), time: find(meta, "inferenceTime")}
	if c.id == "" {
		c.id = text(find(meta, "eventId"))
	}
	if v := find(meta, "customAttributes"); v != nil {
		c.extra = []Member{{"customAttributes", v}}
	}
	if truth := find(all, "groundTruthData"); truth != nil {
		return f.truth(c, members(truth), events)
	}
	captured := members(find(all, "captureData"))
	if captured == nil {
		return events, invalid("the record has neither captureData nor groundTruthData")
	}
	if in := members(find(captured, "endpointInput")); in != nil {
		if c.inputs, fail = f.payload(f.in(), in); fail != nil {
			return events, fail
		}
	}
	if out := members(find(captured, "endpointOutput")); out != nil {
		if c.outputs, fail = f.payload(f.out(), out); fail != nil {
			return events, fail
		}
	}
	return f.events(c, events)
}

// truth takes one label, or one for each row of the request.
func (f sagemaker) truth(c *call, data []Member, events []Event) ([]Event, error) {
	plain := (&Options{}).out() // what names values of predictions is not about labels
	rows, fail := f.payload(plain, data)
	if fail != nil {
		return events, fail
	}
	return c.truths(rows, "groundTruthData", events)
}

// payload takes what was captured of one side: its data is always a string, which
// encoding says how to read.
func (f sagemaker) payload(s side, captured []Member) ([]row, *Failure) {
	data, encoding, kind := []byte(text(find(captured, "data"))), text(find(captured, "encoding")), text(find(captured, "observedContentType"))
	switch encoding {
	case "CSV":
		return s.csv(data)
	case "JSON":
		return s.lines(data)
	case "BASE64":
		decoded, err := base64.StdEncoding.DecodeString(string(data))
		if err != nil {
			return nil, invalid("data is not base64: %v", err)
		}
		switch kind, _, _ = strings.Cut(kind, ";"); strings.TrimSpace(kind) {
		case "text/csv":
			return s.csv(decoded)
		case "application/json", "application/jsonlines", "application/x-ndjson":
			return s.lines(decoded)
		}
		return nil, invalid("base64 data of content type %q cannot be read; known: text/csv, application/json, application/jsonlines", shorten(kind))
	}
	return nil, invalid("encoding is %q; it must be CSV, JSON or BASE64", shorten(encoding))
}

// lines takes JSON, or JSON lines.
func (s side) lines(data []byte) ([]row, *Failure) {
	v, fail := parse(data)
	if fail == nil && (v[0] == '{' || v[0] == '[') {
		return s.body(v, true)
	}
	var rows []row
	for line := range bytes.Lines(data) {
		if len(rows) > maxRows {
			break // one line may be many
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		v, fail := parse(line)
		if fail != nil {
			return nil, fail
		}
		if v[0] == '{' || v[0] == '[' {
			more, fail := s.body(v, true)
			if fail != nil {
				return nil, fail
			}
			rows = append(rows, more...)
			continue
		}
		r, fail := s.positional([]Value{v})
		if fail != nil {
			return nil, fail
		}
		rows = append(rows, r)
	}
	if len(rows) > maxRows {
		return nil, tooMany(len(rows))
	}
	return rows, nil
}

// csv takes lines of values without a header. A first line that repeats the
// configured names is one all the same.
func (s side) csv(data []byte) ([]row, *Failure) {
	in := csv.NewReader(bytes.NewReader(data))
	in.FieldsPerRecord, in.TrimLeadingSpace = -1, true
	var rows []row
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, invalid("not CSV: %v", err)
		}
		if len(rows) == 0 && slices.Equal(cells, s.names()) {
			continue
		}
		if len(rows) == maxRows {
			return nil, tooMany(maxRows + 1)
		}
		values := make([]Value, len(cells))
		for i, cell := range cells {
			values[i] = cellValue(cell)
		}
		r, fail := s.positional(values)
		if fail != nil {
			return nil, fail
		}
		rows = append(rows, r)
	}
}
