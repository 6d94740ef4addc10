package api

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// thresholds reads the thresholds of a job for these versions.
func (c *jobCheck) thresholds(b JobBody, versions []string) []modelwatch.Threshold {
	var out []modelwatch.Threshold
	for i, t := range b.Thresholds {
		at := fmt.Sprintf("body.thresholds[%d]", i)
		if !c.ofGroup(t.Metric, b) && c.metric(at+".metric", t.Metric, b.Kind) && len(b.Metrics) > 0 && !slices.Contains(b.Metrics, t.Metric) {
			c.faults.add(at+".metric", t.Metric, "is not among the job's metrics: add it there, or the threshold can never be breached")
		}
		if t.Name != "" {
			c.column(at+".name", t.Name)
		}
		if b.Kind != modelwatch.JobDrift && t.Over != "" {
			c.faults.add(at+".over", t.Over, "applies to the kind drift only, and this job's is %s", b.Kind)
		}
		out = append(out, c.threshold(at, t, versions))
	}
	return out
}

// ofGroup reports whether a metric is measured of groups of features only, and
// the job measures what it is made of.
func (c *jobCheck) ofGroup(metric string, b JobBody) bool {
	base, largest := strings.CutSuffix(metric, "_max")
	return largest && b.Kind == modelwatch.JobDrift && slices.Contains(c.opts.GroupMetrics, metric) &&
		(len(b.Metrics) == 0 || slices.Contains(b.Metrics, base))
}

func (c *jobCheck) threshold(at string, t Threshold, versions []string) modelwatch.Threshold {
	out := modelwatch.Threshold{Metric: t.Metric, Name: t.Name, Upper: t.Upper, Lower: t.Lower, OverNull: t.Over == overNull}
	if t.Upper != nil && t.Lower != nil && *t.Lower > *t.Upper {
		c.faults.add(at+".lower", *t.Lower, "is above upper, %v", *t.Upper)
	}
	var err error
	if t.Change != "" {
		if out.ChangePercent, err = modelwatch.ParseChange(t.Change); err != nil {
			c.faults.add(at+".change", t.Change, "%s", err)
		}
	}
	if t.Difference != nil {
		if out.Difference = *t.Difference; out.Difference == 0 || math.IsInf(out.Difference, 0) {
			c.faults.add(at+".difference", out.Difference, "must not be 0: write for example 0.05 or -0.05")
		}
	}
	if t.Learn != nil {
		out.Learn = &modelwatch.Learn{SD: t.Learn.SD}
	}
	if t.For != "" {
		if out.For, err = modelwatch.ParseShare(t.For); err != nil {
			c.faults.add(at+".for", t.For, "%s", err)
		}
	}
	c.limits(at, t)
	c.against(at, t, versions, &out)
	return out
}

// limits refuses a threshold that has no limit, or several sorts of them.
func (c *jobCheck) limits(at string, t Threshold) {
	var sorts []string
	for _, sort := range [...]struct {
		field string
		given bool
	}{{"upper", t.Upper != nil}, {"lower", t.Lower != nil && t.Upper == nil}, {"over", t.Over != ""}, {"change", t.Change != ""}, {"difference", t.Difference != nil}, {"learn", t.Learn != nil}} {
		if sort.given {
			sorts = append(sorts, sort.field)
		}
	}
	switch {
	case len(sorts) == 0:
		c.faults.add(at, nil, "limits nothing: give upper, lower or both, or one of over, change, difference and learn")
	case len(sorts) > 1:
		c.faults.add(at+"."+sorts[1], nil, "does not go with %s: a threshold has one sort of limit, write two thresholds", sorts[0])
	}
}

// against reads the reference of a change or a difference.
func (c *jobCheck) against(at string, t Threshold, versions []string, out *modelwatch.Threshold) {
	at += ".against"
	needed := t.Change != "" || t.Difference != nil
	switch {
	case needed && t.Against == "":
		c.faults.add(at, nil, "is missing: say what is compared with, for example 7d or version:3.0.0")
		return
	case !needed && t.Against != "":
		c.faults.add(at, t.Against, "applies to change and difference only")
		return
	case !needed:
		return
	}
	var err error
	if out.Against, err = modelwatch.ParseAgainst(t.Against); err != nil {
		c.faults.add(at, t.Against, "%s", err)
		return
	}
	if v := out.Against.Version; v != "" && !slices.Contains(versions, "*") && !slices.Contains(versions, v) {
		c.faults.add(at, t.Against, "is not among the job's versions, %s: it is measured by the same job", strings.Join(versions, ", "))
	}
}
