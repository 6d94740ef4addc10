package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
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

// parseThresholds reads thresholds as modelwatch.ParseThreshold does, of known metrics.
func parseThresholds(texts []string, known []string) ([]modelwatch.Threshold, error) {
	out := make([]modelwatch.Threshold, 0, len(texts))
	for _, text := range texts {
		t, err := modelwatch.ParseThreshold(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(known, t.Metric) {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "threshold %q: there is no metric %q; there are %s", text, t.Metric, strings.Join(known, ", "))
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
		ms[i].Judge(thresholds, modelwatch.Past{})
		any = any || ms[i].Breached
	}
	return any
}

// openTable opens what an input names, as one table.
func openTable(ctx context.Context, input string, like *modelwatch.Schema, streams Streams) (*table.Reader, func(), error) {
	t, err := openTables(ctx, input, like, streams)
	if err != nil {
		return nil, nil, err
	}
	r, err := t.reader()
	if err != nil {
		t.Close()
		return nil, nil, err
	}
	return r, t.Close, nil
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
