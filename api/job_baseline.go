package api

import (
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

// baseline checks what a job is compared with. Only backtests may have none.
func (c *jobCheck) baseline(b JobBody, window time.Duration) modelwatch.BaselineRef {
	ref := b.Baseline
	if ref == nil {
		if b.Kind == modelwatch.JobBacktest {
			return modelwatch.BaselineRef{}
		}
		return modelwatch.BaselineRef{Kind: modelwatch.BaselineTraining}
	}
	out := modelwatch.BaselineRef{Kind: modelwatch.BaselineKind(ref.Kind)}
	switch out.Kind {
	case modelwatch.BaselineTraining, modelwatch.BaselinePrevious:
	case modelwatch.BaselineWindow:
		out.Window = c.fixedWindow(ref)
	case modelwatch.BaselineRolling:
		out.Offset = c.duration("body.baseline.offset", ref.Offset, time.Minute, maxBaselineLength, 0)
		out.Length = c.duration("body.baseline.length", ref.Length, time.Minute, maxBaselineLength, 0)
		if out.Offset > 0 && out.Offset < window {
			c.faults.add("body.baseline.offset", ref.Offset, "must be at least the job's window, %s: the baseline would reach into what is compared with it", modelwatch.FormatDuration(window))
		}
	case modelwatch.BaselineSameWeekday:
		c.sameWeekday(ref, window, &out)
	case modelwatch.BaselineVersion:
		out.Version = ref.Version
		if fault := nameFault(ref.Version); fault != "" {
			c.faults.add("body.baseline.version", ref.Version, "%s: say which version windows are compared with", fault)
		}
	}
	if b.Kind == modelwatch.JobBacktest && out.Kind != modelwatch.BaselineTraining {
		c.faults.add("body.baseline.kind", ref.Kind, "applies to drift and quality: a backtest stands beside the training set; compare it with earlier windows or other versions by thresholds with change or difference")
	}
	c.strayFields(ref)
	return out
}

// maxWeekdayWindow keeps windows of the same weekday apart, also where clocks are changed.
const maxWeekdayWindow = 6 * day

func (c *jobCheck) sameWeekday(ref *BaselineRef, window time.Duration, out *modelwatch.BaselineRef) {
	if out.Weeks = ref.Weeks; ref.Weeks < 1 {
		c.faults.add("body.baseline.weeks", ref.Weeks, "must say how many weeks are looked back, from 1 to 52")
	}
	if window > maxWeekdayWindow {
		c.faults.add("body.baseline.kind", ref.Kind, "takes windows of at most %s, and this job's are %s", modelwatch.FormatDuration(maxWeekdayWindow), modelwatch.FormatDuration(window))
	}
	for i, x := range ref.Exclude {
		if !x.Start.Before(x.End) {
			c.faults.add(fmt.Sprintf("body.baseline.exclude[%d].end", i), x.End, "must be after start")
		}
		out.Exclude = append(out.Exclude, modelwatch.Window{Start: x.Start.UTC(), End: x.End.UTC()})
	}
}

func (c *jobCheck) fixedWindow(ref *BaselineRef) modelwatch.Window {
	if ref.Start == nil {
		c.faults.add("body.baseline.start", nil, "is missing: the kind window needs start and end")
	}
	if ref.End == nil {
		c.faults.add("body.baseline.end", nil, "is missing: the kind window needs start and end")
	}
	if ref.Start == nil || ref.End == nil {
		return modelwatch.Window{}
	}
	w := modelwatch.Window{Start: ref.Start.UTC(), End: ref.End.UTC()}
	switch {
	case !w.Start.Before(w.End):
		c.faults.add("body.baseline.end", w.End, "must be after start")
	case w.Duration() > maxBaselineLength:
		c.faults.add("body.baseline.end", w.End, "must be at most %s after start", modelwatch.FormatDuration(maxBaselineLength))
	}
	return w
}

// strayFields refuses fields of another kind of baseline, which would be read by nobody.
func (c *jobCheck) strayFields(ref *BaselineRef) {
	kind := modelwatch.BaselineKind(ref.Kind)
	for _, f := range [...]struct {
		name  string
		given bool
		kind  modelwatch.BaselineKind
	}{
		{"start", ref.Start != nil, modelwatch.BaselineWindow},
		{"end", ref.End != nil, modelwatch.BaselineWindow},
		{"offset", ref.Offset != "", modelwatch.BaselineRolling},
		{"length", ref.Length != "", modelwatch.BaselineRolling},
		{"weeks", ref.Weeks != 0, modelwatch.BaselineSameWeekday},
		{"exclude", len(ref.Exclude) > 0, modelwatch.BaselineSameWeekday},
		{"version", ref.Version != "", modelwatch.BaselineVersion},
	} {
		if f.given && f.kind != kind {
			c.faults.add("body.baseline."+f.name, nil, "applies to the kind %s only, and this one is %s", f.kind, kind)
		}
	}
}
