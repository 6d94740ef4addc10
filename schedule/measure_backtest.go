package schedule

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
)

// measureBacktest scores the predictions of the window, version by version,
// with the labels that have arrived. A version that the job names is reported
// even if it has no predictions.
func (w *Worker) measureBacktest(ctx context.Context, a *attempt) error {
	model, err := w.opts.Store.Model(ctx, a.job.Model)
	if err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	predictions, err := w.windowFiles(ctx, a)
	if err != nil {
		return err
	}
	labels, err := w.opts.Store.DataFiles(ctx, modelwatch.DataFileFilter{Model: a.job.Model, Kind: modelwatch.KindLabel, Window: labelSpan(a.job, a.run.Window)})
	if err != nil {
		return fmt.Errorf("list label files: %w", err)
	}
	a.run.DataFiles += len(labels)
	versions := slices.Sorted(maps.Keys(predictions))
	if !allVersions(a.job) {
		versions = slices.Compact(slices.Sorted(slices.Values(a.job.Versions)))
	}
	for _, version := range versions {
		s, err := newScorer(model)
		if err != nil {
			return err
		}
		err = w.opts.Labels.JoinLabels(ctx, predictions[version], labels, a.run.Window, s.add)
		if err == nil {
			err = s.err()
		}
		if err != nil {
			return fmt.Errorf("version %s: %w", version, err)
		}
		a.run.Rows += s.rows
		if s.unscored > 0 {
			a.warn("version %s: %d predictions carry nothing that a %s model can be scored by", version, s.unscored, model.Task)
		}
		w.score(a, version, s.accumulator)
	}
	return nil
}

func (w *Worker) score(a *attempt, version string, acc *backtest.Accumulator) {
	var coverage *float64
	if c, ok := acc.LabelCoverage(); ok {
		coverage = &c
	}
	mature := w.mature(a)
	for _, v := range acc.Values(a.job.Metrics, backtest.Options{MinimumRows: a.job.MinimumRows}) {
		m := a.measurement(v, version, mature)
		m.Subject, m.LabelCoverage = modelwatch.SubjectModel, coverage
		judge(&m, a.job.Thresholds)
		a.measurements = append(a.measurements, m)
	}
}

// positiveScore is the score from which a prediction that is only a score counts
// as the positive class.
const positiveScore = 0.5

// scorer feeds joined rows to an accumulator by the model's task.
//
// Binary models are scored as positive against the rest. The positive class is
// the model's; where it says none, "1" or "true", if that is one of the classes
// that occur. A prediction without a class is positive if its score is at least
// one half. "1" and "true" are the same class, because producers of predictions
// and of labels often differ in that.
type scorer struct {
	model       modelwatch.Model
	positive    string
	accumulator *backtest.Accumulator
	rows        int64
	unscored    int64
	seen        map[string]bool // classes, where no positive one is set; bounded
}

const maxSeen = 20

func newScorer(m modelwatch.Model) (*scorer, error) {
	s := &scorer{model: m, positive: m.Positive}
	if m.Task == modelwatch.TaskBinary && s.positive == "" {
		s.positive, s.seen = "1", make(map[string]bool)
	}
	var err error
	if s.accumulator, err = backtest.New(m.Task, s.positive); err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return s, nil
}

func (s *scorer) add(j Joined) error {
	s.rows++
	switch s.model.Task {
	case modelwatch.TaskRegression:
		s.addValue(j)
	case modelwatch.TaskBinary:
		s.addBinary(j)
	default:
		s.addClass(j)
	}
	return nil
}

func (s *scorer) addValue(j Joined) {
	value, ok := j.PredictedValue, j.HasPredicted
	if !ok {
		value, ok = j.Score, j.HasScore
	}
	switch {
	case !ok || math.IsNaN(value):
		s.unscored++
	case !j.HasLabel:
		s.accumulator.AddUnlabelled(1)
	default:
		s.accumulator.AddValue(value, j.LabelValue)
	}
}

func (s *scorer) addClass(j Joined) {
	switch {
	case !j.HasPredicted:
		s.unscored++
	case !j.HasLabel:
		s.accumulator.AddUnlabelled(1)
	default:
		s.accumulator.AddClass(j.Predicted, j.Label)
	}
}

func (s *scorer) addBinary(j Joined) {
	if !j.HasPredicted && !j.HasScore {
		s.unscored++
		return
	}
	positive := j.Score >= positiveScore
	if j.HasPredicted {
		s.see(j.Predicted)
		positive = s.isPositive(j.Predicted)
	}
	if !j.HasLabel {
		s.accumulator.AddUnlabelled(1)
		return
	}
	s.see(j.Label)
	s.accumulator.AddClass(s.class(positive), s.class(s.isPositive(j.Label)))
}

func (s *scorer) class(positive bool) string {
	if positive {
		return s.positive
	}
	return "not " + s.positive
}

func (s *scorer) isPositive(class string) bool {
	return class == s.positive || isYes(class) && isYes(s.positive)
}

func isYes(class string) bool { return class == "1" || strings.EqualFold(class, "true") }

func isNo(class string) bool { return class == "0" || strings.EqualFold(class, "false") }

func (s *scorer) see(class string) {
	if s.seen != nil && len(s.seen) < maxSeen {
		s.seen[class] = true
	}
}

// err reports classes among which the positive one is not known.
func (s *scorer) err() error {
	for class := range s.seen {
		if isYes(class) {
			return nil
		}
	}
	strange := slices.DeleteFunc(slices.Sorted(maps.Keys(s.seen)), isNo)
	if len(strange) == 0 {
		return nil
	}
	return modelwatch.Errorf(modelwatch.CodeInvalid, "model %s is binary with the classes %q and says not which of them is positive: set its field positive", s.model.Name, slices.Sorted(maps.Keys(s.seen)))
}
