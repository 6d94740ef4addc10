package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

const day = 24 * time.Hour

// The bounds and defaults of a job's durations.
const (
	minWindow              = time.Minute
	maxWindow              = 366 * day
	maxDelay               = 30 * day
	maxLabelDelay          = 366 * day
	maxMaturity            = 366 * day
	maxBaselineLength      = 366 * day
	defaultDelay           = 5 * time.Minute
	defaultMaturity        = day
	defaultMaturityOfTruth = 14 * day
	defaultMinimumRows     = 100
)

// jobCheck turns a job's body into the domain's job, or says everything that is
// wrong with it.
type jobCheck struct {
	opts    *Options
	task    modelwatch.Task
	columns map[string]bool // nil: not known, so anything may be named
	tags    map[string]bool // keys that backtests may divide rows by
	faults  faults
}

func (c *jobCheck) job(b JobBody) (modelwatch.Job, error) {
	j := modelwatch.Job{
		Kind: b.Kind, Versions: orAll(b.Versions), Cron: b.Cron, Timezone: b.Timezone,
		Window:  c.duration("body.window", b.Window, minWindow, maxWindow, 0),
		Delay:   c.duration("body.delay", b.Delay, 0, maxDelay, defaultDelay),
		Metrics: b.Metrics, Columns: orAll(b.Columns), MinimumRows: defaultMinimumRows, Sinks: b.Sinks,
	}
	if b.MinimumRows != nil {
		j.MinimumRows = *b.MinimumRows
	}
	if j.Timezone == "" {
		j.Timezone = "UTC"
	}
	c.truth(b, &j)
	c.schedule(j)
	c.versions(j.Versions)
	c.metrics(b)
	for i, name := range j.Columns {
		c.column(fmt.Sprintf("body.columns[%d]", i), name)
	}
	j.Baseline = c.baseline(b, j.Window)
	j.Thresholds = c.thresholds(b, j.Versions)
	for i, sink := range b.Sinks {
		if !slices.Contains(c.opts.Sinks, sink) {
			c.faults.add(fmt.Sprintf("body.sinks[%d]", i), sink, "is not a sink of this server: %s", listOr(c.opts.Sinks, "it has none configured"))
		}
	}
	j.Segments = c.segments(b)
	j.Compat, j.Exact = b.Compat, b.Exact
	c.rows(b)
	return j, c.faults.err("the job")
}

func orAll(names []string) []string {
	if len(names) == 0 {
		return []string{"*"}
	}
	return names
}

func listOr(names []string, otherwise string) string {
	if len(names) == 0 {
		return otherwise
	}
	return "it has " + strings.Join(names, ", ")
}

// duration reads a duration within bounds; fallback stands for an absent one.
func (c *jobCheck) duration(at, text string, low, high, fallback time.Duration) time.Duration {
	if text == "" && fallback > 0 {
		return fallback
	}
	d, err := modelwatch.ParseDuration(text)
	switch {
	case err != nil:
		c.faults.add(at, text, "%s", err)
	case d < low || d > high:
		c.faults.add(at, text, "must be from %s to %s", modelwatch.FormatDuration(low), modelwatch.FormatDuration(high))
	}
	return d
}

// truth reads what decides when labels are expected.
func (c *jobCheck) truth(b JobBody, j *modelwatch.Job) {
	maturity := defaultMaturity
	if b.Kind == modelwatch.JobBacktest {
		maturity = defaultMaturityOfTruth
	}
	j.Maturity = c.duration("body.maturity", b.Maturity, 0, maxMaturity, maturity)
	if b.LabelDelay == "" {
		return
	}
	j.LabelDelay = c.duration("body.label_delay", b.LabelDelay, 0, maxLabelDelay, 0)
	if b.Kind != modelwatch.JobBacktest && j.LabelDelay > 0 {
		c.faults.add("body.label_delay", b.LabelDelay, "applies to the kind backtest only, and this job's is %s", b.Kind)
	}
}

func (c *jobCheck) schedule(j modelwatch.Job) {
	if _, err := time.LoadLocation(j.Timezone); err != nil || j.Timezone == "Local" {
		c.faults.add("body.timezone", j.Timezone, "is not a time zone: write an IANA name, for example Europe/Berlin or UTC")
		return
	}
	if err := c.opts.ValidateCron(j.Cron, j.Timezone); err != nil {
		c.faults.add("body.cron", j.Cron, "%s", err)
	}
}

func (c *jobCheck) versions(names []string) {
	for i, name := range names {
		at := fmt.Sprintf("body.versions[%d]", i)
		if fault := nameFault(name); fault != "" {
			c.faults.add(at, name, "%s", fault)
		} else if name != "*" && strings.Contains(name, "*") {
			c.faults.add(at, name, "matches no version: * stands alone, for every one")
		}
	}
}

// known are the metrics that the job may ask for.
func (c *jobCheck) known(kind modelwatch.JobKind) []string {
	if names, ok := c.opts.TaskMetrics[c.task]; ok && kind == modelwatch.JobBacktest {
		return names
	}
	return c.opts.Metrics[kind]
}

func (c *jobCheck) metrics(b JobBody) {
	for i, name := range b.Metrics {
		c.metric(fmt.Sprintf("body.metrics[%d]", i), name, b.Kind)
	}
}

// metric reports whether a name is a metric of the kind, and says so if not.
func (c *jobCheck) metric(at, name string, kind modelwatch.JobKind) bool {
	known := c.known(kind)
	switch {
	case slices.Contains(known, name):
		return true
	case kind == modelwatch.JobBacktest && slices.Contains(c.opts.Metrics[kind], name):
		c.faults.add(at, name, "does not apply to the task %s; there are %s", c.task, strings.Join(known, ", "))
	default:
		c.faults.add(at, name, "is not a %s metric%s", kind, c.nearest(name, known))
	}
	return false
}

func (c *jobCheck) column(at, name string) {
	if name == "" {
		c.faults.add(at, name, "must not be empty")
		return
	}
	if c.columns == nil || name == "*" || c.columns[name] {
		return
	}
	prefix, isPrefix := strings.CutSuffix(name, "*")
	for known := range c.columns {
		if isPrefix && strings.HasPrefix(known, prefix) {
			return
		}
	}
	names := slices.Sorted(maps.Keys(c.columns))
	if isPrefix {
		c.faults.add(at, name, "matches no column of any version of the model%s", c.nearest(prefix, names))
		return
	}
	c.faults.add(at, name, "is not a column of any version of the model%s", c.nearest(name, names))
}

func (c *jobCheck) segments(b JobBody) [][]string {
	if len(b.Segments) == 0 {
		return nil
	}
	seen := map[string]int{}
	for i, names := range b.Segments {
		at := fmt.Sprintf("body.segments[%d]", i)
		if len(names) == 0 || len(names) > modelwatch.MaxSegmentColumns {
			c.faults.add(at, nil, "must name from 1 to %d columns", modelwatch.MaxSegmentColumns)
		}
		for k, name := range names {
			inner := fmt.Sprintf("%s[%d]", at, k)
			if strings.Contains(name, "*") {
				c.faults.add(inner, name, "must be one column in full")
			} else if b.Kind != modelwatch.JobBacktest || !c.tags[name] {
				c.column(inner, name)
			}
			if slices.Contains(names[:k], name) {
				c.faults.add(inner, name, "is named twice")
			}
		}
		key := fmt.Sprintf("%q", sorted(names))
		if first, ok := seen[key]; ok {
			c.faults.add(at, nil, "are the segments of segments[%d] already", first)
		}
		seen[key] = i
	}
	return b.Segments
}

// rows checks what is measured from rows instead of profiles.
func (c *jobCheck) rows(b JobBody) {
	for _, field := range [...]struct {
		name  string
		given bool
	}{{"compat", b.Compat != ""}, {"exact", b.Exact}} {
		at := "body." + field.name
		switch {
		case !field.given:
		case b.Kind != modelwatch.JobDrift:
			c.faults.add(at, nil, "applies to the kind drift only, and this job's is %s", b.Kind)
		case len(b.Segments) > 0:
			c.faults.add(at, nil, "does not go with segments, which are measured from profiles: put a second job for one of the two")
		}
	}
	if b.Compat != "" && b.Exact {
		c.faults.add("body.exact", nil, "does not go with compat, which measures as the other tool does")
	}
}
