package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// reference is the traffic that the window is compared with; nil if it is the
// training set.
func (w *Worker) reference(ctx context.Context, a *attempt, b modelwatch.Baseline) (*Traffic, error) {
	ref := a.job.Baseline
	if ref.Kind == modelwatch.BaselineTraining || ref.Kind == "" {
		return nil, nil
	}
	windows, err := baselineWindows(ref, a.run.Window, a.job.Timezone)
	if err != nil {
		return nil, err
	}
	version := b.Version
	if ref.Kind == modelwatch.BaselineVersion {
		version = ref.Version
	}
	traffic := &Traffic{Windows: windows}
	for _, span := range windows {
		files, err := w.opts.Store.DataFiles(ctx, modelwatch.DataFileFilter{Model: b.Model, Version: version, Kind: modelwatch.KindPrediction, Window: span})
		if err != nil {
			return nil, fmt.Errorf("list data files of the baseline: %w", err)
		}
		traffic.Files = append(traffic.Files, files...)
	}
	slices.SortFunc(traffic.Files, func(x, y modelwatch.DataFile) int { return strings.Compare(x.Key, y.Key) })
	traffic.Files = slices.CompactFunc(traffic.Files, func(x, y modelwatch.DataFile) bool { return x.Key == y.Key })
	a.run.DataFiles += len(traffic.Files)
	return traffic, nil
}

// baselineWindows are the spans of archived traffic that a window is compared
// with. They do not overlap each other nor, but for a fixed one, the window.
func baselineWindows(ref modelwatch.BaselineRef, w modelwatch.Window, timezone string) ([]modelwatch.Window, error) {
	switch ref.Kind {
	case modelwatch.BaselineWindow:
		return []modelwatch.Window{ref.Window}, nil
	case modelwatch.BaselinePrevious:
		return []modelwatch.Window{{Start: w.Start.Add(-w.Duration()), End: w.Start}}, nil
	case modelwatch.BaselineRolling:
		end := w.End.Add(-ref.Offset)
		return []modelwatch.Window{{Start: end.Add(-ref.Length), End: end}}, nil
	case modelwatch.BaselineSameWeekday:
		return sameWeekdays(ref, w, timezone)
	case modelwatch.BaselineVersion:
		return []modelwatch.Window{w}, nil
	}
	return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "baseline kind %q is not known", ref.Kind)
}

// sameWeekdays are the windows that end at the same time of the same weekday in the
// weeks before, by the clocks of the job's zone, oldest first, each as long as w.
func sameWeekdays(ref modelwatch.BaselineRef, w modelwatch.Window, timezone string) ([]modelwatch.Window, error) {
	zone, err := loadZone(timezone)
	if err != nil {
		return nil, err
	}
	var windows []modelwatch.Window
	for week := ref.Weeks; week > 0; week-- {
		end := w.End.In(zone).AddDate(0, 0, -7*week).UTC()
		span := modelwatch.Window{Start: end.Add(-w.Duration()), End: end}
		if !slices.ContainsFunc(ref.Exclude, func(x modelwatch.Window) bool { return x.Start.Before(span.End) && span.Start.Before(x.End) }) {
			windows = append(windows, span)
		}
	}
	return windows, nil
}
