package api

import (
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
	default:
		c.faults.add("body.baseline.kind", ref.Kind, "not offered by this version yet: use training, window, previous or rolling")
		return out
	}
	c.strayFields(ref)
	return out
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
	} {
		if f.given && f.kind != kind {
			c.faults.add("body.baseline."+f.name, nil, "applies to the kind %s only, and this one is %s", f.kind, kind)
		}
	}
	for _, f := range [...]struct {
		name  string
		value any
	}{{"weeks", ref.Weeks}, {"exclude", ref.Exclude}, {"version", ref.Version}} {
		if f.value != nil {
			c.faults.notOffered("body.baseline." + f.name)
		}
	}
}
