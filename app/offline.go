package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// ErrBreached is what the offline commands return when a threshold is breached
// and --fail-on-breach was given.
var ErrBreached = errors.New("a threshold is breached")

// OutputOptions are the flags that the offline commands share.
type OutputOptions struct {
	Format       string // table, json, ndjson, csv, html
	Output       string // file; "" is standard output
	Thresholds   []string
	Metrics      []string
	MinimumRows  int64
	FailOnBreach bool
	All          bool // every line of a table, however many
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
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "threshold %q: there is no metric %q%s", text, t.Metric, api.Nearest(t.Metric, known))
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
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "there is no metric %q%s", n, api.Nearest(n, known))
		}
	}
	return names, nil
}

// rendering is a result and how it is drawn.
type rendering struct {
	result func() api.Result
	table  func(io.Writer, canvas) error
	page   func(io.Writer) error // HTML
}

// canvas is what a table is drawn on.
type canvas struct {
	palette
	width int  // of the terminal; 0 elsewhere
	all   bool // draw every line
}

// write puts a result where the options say, in the format that they name.
func (o OutputOptions) write(r rendering) (err error) {
	out := o.Streams.Out
	if o.Output != "" {
		f, err := os.Create(o.Output)
		if err != nil {
			return modelwatch.Wrap(modelwatch.CodeInvalid, err, "write result")
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	switch o.Format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r.result())
	case "ndjson":
		return writeLines(out, r.result().Measurements)
	case "csv":
		return api.WriteCSV(out, r.result().Measurements)
	case "html":
		return r.page(out)
	}
	c := canvas{palette: noColours(), all: o.All}
	if width, ok := terminalWidth(out); ok {
		c.width = width
		if os.Getenv("NO_COLOR") == "" {
			c.palette = colours()
		}
	}
	return r.table(out, c)
}

// writeLines writes measurements as JSON, one a line.
func writeLines(w io.Writer, ms []api.Measurement) error {
	buffered := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffered)
	for _, m := range ms {
		if err := encoder.Encode(m); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func apiMeasurements(ms []modelwatch.Measurement) []api.Measurement {
	out := make([]api.Measurement, len(ms))
	for i, m := range ms {
		out[i] = api.NewMeasurement(m)
	}
	return out
}
