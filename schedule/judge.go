package schedule

import "github.com/modelwatch/modelwatch"

// measurement makes a value one of the attempt's results.
func (a *attempt) measurement(v modelwatch.Value, version string, mature bool) modelwatch.Measurement {
	return modelwatch.Measurement{
		Value: v, RunID: a.run.ID, Model: a.run.Model, Version: version, Job: a.run.Job, Kind: a.job.Kind,
		Window: a.run.Window, Revision: a.run.Revision, Mature: mature,
	}
}

// mature reports whether the window of an attempt is past the time in which
// late rows still change it.
func (w *Worker) mature(a *attempt) bool {
	return !w.opts.EventNow().Before(a.run.Window.End.Add(a.job.Maturity))
}

// judge applies the threshold for a measurement, if the job has one. A threshold
// that names the column goes before one for every column, a later one before
// an earlier.
func judge(m *modelwatch.Measurement, thresholds []modelwatch.Threshold) {
	var found *modelwatch.Threshold
	for i := range thresholds {
		t := &thresholds[i]
		if t.Applies(m.Metric, m.Name) && (found == nil || t.Name != "" || found.Name == "") {
			found = t
		}
	}
	if found == nil {
		return
	}
	limits, breached := found.Judge(m.Value)
	m.Threshold, m.Breached = &limits, breached
}
