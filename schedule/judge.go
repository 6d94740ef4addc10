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
