package app

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
)

// chunking says how the rows of a table are cut: not at all, every so many rows, or
// by periods of time.
type chunking struct {
	rows   int64
	period time.Duration
}

func (c chunking) any() bool { return c.rows > 0 || c.period > 0 }

// parseChunk reads "5000" or "1d".
func parseChunk(text string) (chunking, error) {
	if text == "" {
		return chunking{}, nil
	}
	if rows, err := strconv.ParseInt(text, 10, 64); err == nil {
		if rows <= 0 {
			return chunking{}, modelwatch.Errorf(modelwatch.CodeInvalid, "--chunk %s: a chunk has at least one row", text)
		}
		return chunking{rows: rows}, nil
	}
	period, err := modelwatch.ParseDuration(text)
	if err != nil || period <= 0 {
		return chunking{}, modelwatch.Errorf(modelwatch.CodeInvalid, "--chunk %s: write a number of rows, for example 5000, or a time, for example 1d", text)
	}
	return chunking{period: period}, nil
}

// parseSegments reads column names, crossed by asterisks: "country", "country*device".
func parseSegments(texts []string) ([][]string, error) {
	var out [][]string
	for _, text := range texts {
		columns := strings.Split(text, "*")
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		if slices.Contains(columns, "") {
			return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "--segments %s: write columns, crossed by *, for example country*device", text)
		}
		if !slices.ContainsFunc(out, func(c []string) bool { return slices.Equal(c, columns) }) {
			out = append(out, columns)
		}
	}
	return out, nil
}

// parseLearn reads "sd=3" and adds a learnt threshold for each metric to be
// measured: those of --metrics or, where none is named, every distance. The
// quality ratios of a baseline's own chunks are no measure: it knows all its categories.
func (r *driftRun) parseLearn(text string) error {
	if text == "" {
		return nil
	}
	number, ok := strings.CutPrefix(text, "sd=")
	sd, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(sd > 0) || sd > 1e6 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--learn-thresholds %s: write how many standard deviations above the mean, for example sd=3", text)
	}
	metrics := r.metrics
	if metrics == nil {
		metrics = drift.Metrics()
	}
	for _, m := range metrics {
		if summary := m == drift.DriftedFeatures || m == drift.DriftedShare; !summary && (len(r.opts.Metrics) > 0 || !isQuality(m)) {
			r.thresholds = append(r.thresholds, modelwatch.Threshold{Metric: m, Learn: &modelwatch.Learn{SD: sd}})
		}
	}
	return nil
}

// learns reports whether a threshold is learnt from the baseline's own chunks.
func (r *driftRun) learns() bool {
	return slices.ContainsFunc(r.thresholds, func(t modelwatch.Threshold) bool { return t.Learn != nil })
}

func isQuality(metric string) bool {
	return metric == drift.MissingRatio || metric == drift.InvalidRatio || metric == drift.NewCategoryRatio || metric == drift.OutOfRangeRatio
}
