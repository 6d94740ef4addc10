package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/table"
)

// ErrBreached is what the offline commands return when a threshold is breached
// and --fail-on-breach was given.
var ErrBreached = errors.New("a threshold is breached")

// OutputOptions are the flags that the offline commands share.
type OutputOptions struct {
	Format       string // table, json
	Output       string // file; "" is standard output
	Thresholds   []string
	Metrics      []string
	MinimumRows  int64
	FailOnBreach bool
	Streams      Streams
}

// parseThresholds reads METRIC=UPPER and METRIC<LOWER.
func parseThresholds(texts []string, known []string) ([]modelwatch.Threshold, error) {
	out := make([]modelwatch.Threshold, 0, len(texts))
	for _, text := range texts {
		i := strings.IndexAny(text, "=<>")
		if i <= 0 {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "threshold %q: write METRIC=UPPER, for example psi=0.2, or METRIC<LOWER, for example precision<0.9", text)
		}
		limit, err := strconv.ParseFloat(text[i+1:], 64)
		if err != nil || limit-limit != 0 {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "threshold %q: %q is not a number", text, text[i+1:])
		}
		t := modelwatch.Threshold{Metric: text[:i]}
		if !slices.Contains(known, t.Metric) {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "threshold %q: there is no metric %q; there are %s", text, t.Metric, strings.Join(known, ", "))
		}
		if text[i] == '<' {
			t.Lower = &limit
		} else {
			t.Upper = &limit
		}
		out = append(out, t)
	}
	return out, nil
}

// parseMetrics checks names; "all" is every known one, none is the default.
func parseMetrics(names, known, fallback []string) ([]string, error) {
	if len(names) == 0 {
		return fallback, nil
	}
	if len(names) == 1 && names[0] == "all" {
		return known, nil
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "there is no metric %q; there are %s", n, strings.Join(known, ", "))
		}
	}
	return names, nil
}

// judge applies the thresholds to measurements and reports whether one is breached.
func judge(ms []modelwatch.Measurement, thresholds []modelwatch.Threshold) bool {
	any := false
	for i := range ms {
		for _, t := range thresholds {
			if !t.Applies(ms[i].Metric, ms[i].Name) {
				continue
			}
			limits, breached := t.Judge(ms[i].Value)
			ms[i].Threshold, ms[i].Breached = &limits, ms[i].Breached || breached
			any = any || breached
		}
	}
	return any
}

// openTable opens a table file. Parquet is read in place; CSV, JSON lines and
// packed files are turned into Parquet in a temporary file first.
func openTable(ctx context.Context, path string, mapping modelwatch.ColumnMapping, like *modelwatch.Schema, streams Streams) (*table.Reader, func(), error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read table")
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		f.Close()
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s is not a file", path)
	}
	if mapping == (modelwatch.ColumnMapping{}) && isParquet(f) {
		reader, err := table.OpenParquet(f, info.Size())
		if err != nil {
			f.Close()
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		return reader, func() { f.Close() }, nil
	}
	defer f.Close()
	bar := progress(streams.Err, -1, "reading "+path)
	spooled, err := table.Spool(ctx, table.Source{Name: path, ReaderAt: f, Size: info.Size()}, table.SpoolOptions{
		Schema: like, Mapping: mapping,
		Progress: func(bytes, _ int64) { _ = bar.Set64(bytes) }, // drawing only
	})
	_ = bar.Finish() // drawing only
	if err != nil {
		return nil, nil, err
	}
	reader, err := spooled.Reader()
	if err != nil {
		return nil, nil, errors.Join(err, spooled.Close())
	}
	return reader, func() { _ = spooled.Close() }, nil // a temporary file that stays is no error of the user's
}

func isParquet(r io.ReaderAt) bool {
	magic := make([]byte, 4)
	n, _ := r.ReadAt(magic, 0) // what cannot be read is no Parquet; reading it again says why
	return n == 4 && string(magic) == "PAR1"
}

// write puts a result where the options say, as a table or as JSON.
func (o OutputOptions) write(result api.Result, draw func(io.Writer, palette) error) (err error) {
	out := o.Streams.Out
	if o.Output != "" {
		f, err := os.Create(o.Output)
		if err != nil {
			return modelwatch.Wrap(modelwatch.CodeInvalid, err, "write result")
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	if o.Format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	p := noColours()
	if _, ok := terminalWidth(out); ok && os.Getenv("NO_COLOR") == "" {
		p = colours()
	}
	return draw(out, p)
}

func apiMeasurements(ms []modelwatch.Measurement) []api.Measurement {
	out := make([]api.Measurement, len(ms))
	for i, m := range ms {
		out[i] = api.NewMeasurement(m)
	}
	return out
}
