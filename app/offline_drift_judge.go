package app

import (
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
)

// judge applies the thresholds, adds what is measured of groups of features and of
// the model, and reports whether a threshold is breached.
func (r *driftRun) judge() bool {
	history := modelwatch.NewHistory(nil)
	if slices.ContainsFunc(r.thresholds, looksBack) {
		history.Add(r.measured...)
	}
	var ends []int // of the parts among what was measured of columns
	var more [][]modelwatch.Measurement
	for from := 0; from < len(r.measured); {
		to := from + 1
		for to < len(r.measured) && samePart(&r.measured[from], &r.measured[to]) {
			to++
		}
		more = append(more, r.judgePart(r.measured[from:to], history))
		ends, from = append(ends, to), to
	}
	r.measured = weave(r.measured, ends, more)
	return slices.ContainsFunc(r.measured, func(m modelwatch.Measurement) bool { return m.Breached })
}

// weave puts more behind each part of ms, in its memory if there is room.
func weave(ms []modelwatch.Measurement, ends []int, more [][]modelwatch.Measurement) []modelwatch.Measurement {
	added := 0
	for _, m := range more {
		added += len(m)
	}
	to := len(ms) + added
	ms = slices.Grow(ms, added)[:to]
	for i := len(ends) - 1; i >= 0; i-- { // from the last: nothing is written over that is still to be moved
		to -= copy(ms[to-len(more[i]):to], more[i])
		from := 0
		if i > 0 {
			from = ends[i-1]
		}
		to -= copy(ms[to-(ends[i]-from):to], ms[from:ends[i]])
	}
	return ms
}

func looksBack(t modelwatch.Threshold) bool {
	return t.For.N > 1 || t.Against != (modelwatch.Against{})
}

// samePart reports whether two measurements are of the same rows.
func samePart(a, b *modelwatch.Measurement) bool {
	return a.Chunk == b.Chunk && modelwatch.SegmentKey(a.Segment) == modelwatch.SegmentKey(b.Segment)
}

// judgePart completes the measurements of one chunk and segment, and returns those of groups and of
// the model. They are in history where a threshold looks back.
func (r *driftRun) judgePart(ms []modelwatch.Measurement, history *modelwatch.History) []modelwatch.Measurement {
	drift.Correct(ms)
	r.judgeEach(ms, history)
	more := drift.Group(ms, r.members(), r.known.groups)
	for _, v := range r.summary(ms) {
		more = append(more, modelwatch.Measurement{Value: v, Subject: modelwatch.SubjectModel})
	}
	for i := range more {
		more[i].Kind, more[i].Chunk, more[i].Window, more[i].Segment = modelwatch.JobDrift, ms[0].Chunk, ms[0].Window, ms[0].Segment
	}
	if slices.ContainsFunc(r.thresholds, looksBack) {
		history.Add(more...)
	}
	r.judgeEach(more, history)
	return more
}

func (r *driftRun) judgeEach(ms []modelwatch.Measurement, history *modelwatch.History) {
	for i := range ms {
		m := &ms[i]
		m.Judge(r.thresholds, modelwatch.Past{Windows: history.Windows(m), Chunks: r.learnt.values[m.Series()]})
		if m.Threshold != nil && m.Threshold.Upper == nil && m.Threshold.Lower == nil {
			m.Threshold = nil // nothing was learnt, or the past does not reach far enough
		}
	}
}

// members are the features with their importance.
func (r *driftRun) members() []drift.Member {
	importance := r.known.importance()
	var out []drift.Member
	for _, c := range r.columns {
		if c.Subject == modelwatch.SubjectFeature {
			out = append(out, drift.Member{Name: c.Name, Column: c.Column, Importance: importance[c.Column]})
		}
	}
	return out
}

// summary counts the features that drifted, where a threshold says what that is.
// Where nobody named metrics, both counts are wanted.
func (r *driftRun) summary(ms []modelwatch.Measurement) []modelwatch.Value {
	drifted := drift.Drifted(ms)
	if len(drifted) == 0 {
		return nil
	}
	over := 0
	for _, is := range drifted {
		if is {
			over++
		}
	}
	var nBaseline, nCurrent int64
	for _, m := range ms {
		nBaseline, nCurrent = max(nBaseline, m.NBaseline), max(nCurrent, m.NCurrent)
	}
	metrics := slices.DeleteFunc(slices.Clone(r.metrics), func(m string) bool { return m != drift.DriftedFeatures && m != drift.DriftedShare })
	if len(r.opts.Metrics) == 0 {
		metrics = nil
	} else if len(metrics) == 0 {
		return nil
	}
	return drift.Summarise(over, len(drifted), nBaseline, nCurrent, metrics)
}
