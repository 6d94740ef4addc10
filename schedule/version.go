package schedule

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// allVersions reports whether a job is about every version of its model.
func allVersions(job modelwatch.Job) bool {
	return len(job.Versions) == 0 || slices.Contains(job.Versions, "*")
}

// windowFiles returns the prediction files of a window by version, and notes on
// the run how many there are.
func (w *Worker) windowFiles(ctx context.Context, a *attempt) (map[string][]modelwatch.DataFile, error) {
	files, err := w.opts.Store.DataFiles(ctx, modelwatch.DataFileFilter{Model: a.run.Model, Kind: modelwatch.KindPrediction, Window: a.run.Window})
	if err != nil {
		return nil, fmt.Errorf("list data files: %w", err)
	}
	byVersion := make(map[string][]modelwatch.DataFile)
	for _, f := range files {
		if allVersions(a.job) || slices.Contains(a.job.Versions, f.Version) {
			byVersion[f.Version] = append(byVersion[f.Version], f)
			a.run.DataFiles++
		}
	}
	return byVersion, nil
}

// knownVersions lists the versions of a model, by name.
func (w *Worker) knownVersions(ctx context.Context, model string) ([]string, error) {
	var names []string
	for page := (modelwatch.Page{Limit: 200}); ; {
		versions, next, err := w.opts.Store.Versions(ctx, model, page)
		if err != nil {
			return nil, fmt.Errorf("list versions: %w", err)
		}
		for _, v := range versions {
			names = append(names, v.Name)
		}
		if next == "" {
			return names, nil
		}
		page.Cursor = next
	}
}

// candidates lists the versions that a drift job may be about: those it names,
// or all that are known or have traffic. Sorted, so that results come in one order.
func (w *Worker) candidates(ctx context.Context, job modelwatch.Job, traffic map[string][]modelwatch.DataFile) ([]string, error) {
	if !allVersions(job) {
		return slices.Compact(slices.Sorted(slices.Values(job.Versions))), nil
	}
	names, err := w.knownVersions(ctx, job.Model)
	if err != nil {
		return nil, err
	}
	names = slices.AppendSeq(names, maps.Keys(traffic))
	slices.Sort(names)
	return slices.Compact(names), nil
}

// matchColumn reports whether a job is about a column, and whether it names it
// in full. No names, or "*", is every column; the name of a timestamp, text or
// vector is also that of its views.
func matchColumn(patterns []string, c modelwatch.Column) (match, exact bool) {
	match = len(patterns) == 0
	for _, p := range patterns {
		if p == c.Name {
			return true, true
		}
		prefix, wild := strings.CutSuffix(p, "*")
		if wild && strings.HasPrefix(c.Name, prefix) || p == c.Column && c.View != modelwatch.ViewValue {
			match = true
		}
	}
	return match, false
}
