package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/ingest/format"
	"github.com/modelwatch/modelwatch/table"
)

// labels makes events of tables of labels, so that there is one path in.
type labels struct {
	baselines *baselines // which know how tables are found and read
	producer  api.Producer
}

// labelsAtOnce is how many events are published at a time.
const labelsAtOnce = 1000

// SendLabels implements api.Labels. The table is read to its end before anything
// is written, so one that breaks off writes nothing.
func (l labels) SendLabels(ctx context.Context, r api.LabelRequest) (int, error) {
	opts := table.SpoolOptions{Mapping: r.Mapping}
	if r.Version != "" {
		v, err := l.baselines.catalog.Version(ctx, r.Model, r.Version)
		if err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
			return 0, err
		}
		opts.Schema = &modelwatch.Schema{Label: v.Schema.Label}
	}
	source, closeSource, err := l.baselines.source(ctx, r.Body, r.ContentType, r.URI)
	if err != nil {
		return 0, err
	}
	defer closeSource()
	spooled, err := table.Spool(ctx, source, opts)
	if err != nil {
		return 0, err
	}
	defer func() { _ = spooled.Close() }() // a temporary file that stays is no error of the request
	reader, err := spooled.Reader()
	if err != nil {
		return 0, err
	}
	return l.send(ctx, r, reader)
}

func (l labels) send(ctx context.Context, r api.LabelRequest, reader *table.Reader) (sent int, err error) {
	names, err := labelColumns(reader)
	if err != nil {
		return 0, err
	}
	batch := make([][]byte, 0, labelsAtOnce)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := l.producer.Produce(ctx, batch); err != nil {
			return fmt.Errorf("write labels after the first %d: %w", sent, err)
		}
		sent, batch = sent+len(batch), batch[:0]
		return nil
	}
	err = reader.Scan(ctx, names, func(c *table.Chunk) error {
		for i := range c.Rows {
			label := labelOf(c, i, r)
			event := label.AppendJSON(nil)
			if len(event) > maxEventBytes {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "row %d has %d bytes as an event: at most %d are allowed; the first %d rows were written", sent+len(batch)+1, len(event), maxEventBytes, sent)
			}
			if batch = append(batch, event); len(batch) < labelsAtOnce {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return sent, err
}

// labelColumns are the columns that labels are made of.
func labelColumns(reader *table.Reader) ([]string, error) {
	names := []string{modelwatch.ColumnID, modelwatch.ColumnLabel}
	for _, name := range names {
		c, ok := reader.Column(name)
		if !ok {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the table has no column %s: say in the query which it is, for example ?id=request_id&label=repaid", name)
		}
		if c.Type == modelwatch.TypeVector {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the column of labels holds vectors: a label is a number, a text or true or false")
		}
	}
	if reader.Rows() == 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the table of labels has no rows")
	}
	if _, ok := reader.Column(modelwatch.ColumnTime); ok {
		names = append(names, modelwatch.ColumnTime)
	}
	return names, nil
}

// labelOf is row i as an event. What it has no value for is left out, and to
// ingest to judge.
func labelOf(c *table.Chunk, i int, r api.LabelRequest) format.Event {
	e := format.Event{
		Kind: modelwatch.KindLabel, Model: r.Model, Version: r.Version,
		ID: c.Column(modelwatch.ColumnID).Text(i), Label: labelValue(c.Column(modelwatch.ColumnLabel), i),
	}
	if at := c.Column(modelwatch.ColumnTime); at != nil {
		e.Time = labelValue(at, i)
	}
	return e
}

// labelValue is row i of a column as JSON, nil if it has no value.
func labelValue(c *table.Column, i int) format.Value {
	var v any
	switch {
	case c.Missing(i):
		return nil
	case c.Bools != nil:
		v = c.Bools[i]
	case c.Floats != nil:
		v = c.Floats[i]
	case c.Ints != nil:
		v = time.UnixMicro(c.Ints[i]).UTC()
	default:
		v = c.Text(i)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil // NaN and infinities, which are no labels, and years beyond 9999
	}
	return text
}
