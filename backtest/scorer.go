package backtest

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// positiveScore is the score from which a prediction that is only a score counts
// as the positive class.
const positiveScore = 0.5

// Scorer feeds joined rows to an accumulator by the model's task.
//
// Binary models are scored as positive against the rest. The positive class is
// the model's; where it says none, "1" or "true", if that is one of the classes
// that occur. A prediction without a class is positive if its score is at least
// one half. "1" and "true" are the same class, because producers of predictions
// and of labels often differ in that.
type Scorer struct {
	config      Config
	accumulator *Accumulator
	counts      Counts
	seen        map[string]bool // classes, where no positive one is set; bounded
}

const maxSeen = 20

// NewScorer returns a scorer with the defaults of Config.
func NewScorer(task modelwatch.Task, positive string) (*Scorer, error) {
	return Config{Task: task, Positive: positive}.NewScorer()
}

// Add counts one row. Its error is always nil: it fits the callback of a join.
func (s *Scorer) Add(j modelwatch.Joined) error {
	s.counts.Rows++
	switch s.config.Task {
	case modelwatch.TaskRegression:
		s.addValue(j)
	case modelwatch.TaskBinary:
		s.addBinary(j)
	default:
		s.addClass(j)
	}
	return nil
}

// Merge adds the rows of o, in any order of merges. It panics if the two were
// configured differently.
func (s *Scorer) Merge(o *Scorer) {
	s.accumulator.Merge(o.accumulator)
	s.counts.Rows += o.counts.Rows
	s.counts.Unscored += o.counts.Unscored
	for class := range o.seen {
		s.see(class)
	}
}

// Counts returns rows by what became of them.
func (s *Scorer) Counts() Counts {
	c := s.counts
	c.Labelled, c.Unlabelled = s.accumulator.labelled, s.accumulator.unlabelled
	return c
}

// Values is that of the accumulator.
func (s *Scorer) Values(metrics []string, opts Options) []modelwatch.Value {
	return s.accumulator.Values(metrics, opts)
}

// Accumulator is what the rows were counted in.
func (s *Scorer) Accumulator() *Accumulator { return s.accumulator }

// Rows is the number of predictions so far.
func (s *Scorer) Rows() int64 { return s.counts.Rows }

// Unscored is how many of them carry nothing that the task can be scored by.
func (s *Scorer) Unscored() int64 { return s.counts.Unscored }

func (s *Scorer) addValue(j modelwatch.Joined) {
	value, ok := j.PredictedValue, j.HasPredicted
	if !ok {
		value, ok = j.Score, j.HasScore
	}
	switch {
	case !ok || math.IsNaN(value):
		s.counts.Unscored++
	case !j.HasLabel:
		s.accumulator.AddUnlabelled(1)
	default:
		s.accumulator.AddValue(value, j.LabelValue)
	}
}

func (s *Scorer) addClass(j modelwatch.Joined) {
	switch {
	case !j.HasPredicted:
		s.counts.Unscored++
	case !j.HasLabel:
		s.accumulator.AddUnlabelled(1)
	default:
		s.accumulator.AddClass(j.Predicted, j.Label)
	}
}

func (s *Scorer) addBinary(j modelwatch.Joined) {
	if !j.HasPredicted && !j.HasScore {
		s.counts.Unscored++
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
	label := s.class(s.isPositive(j.Label))
	s.accumulator.AddClass(s.class(positive), label)
	if j.HasScore {
		s.accumulator.AddScore(j.Score, label)
	}
}

func (s *Scorer) class(positive bool) string {
	if positive {
		return s.config.Positive
	}
	return "not " + s.config.Positive
}

func (s *Scorer) isPositive(class string) bool {
	return class == s.config.Positive || isYes(class) && isYes(s.config.Positive)
}

func isYes(class string) bool { return class == "1" || strings.EqualFold(class, "true") }

func isNo(class string) bool { return class == "0" || strings.EqualFold(class, "false") }

func (s *Scorer) see(class string) {
	if s.seen != nil && len(s.seen) < maxSeen {
		s.seen[class] = true
	}
}

// Err reports classes among which the positive one is not known.
func (s *Scorer) Err() error {
	for class := range s.seen {
		if isYes(class) {
			return nil
		}
	}
	strange := slices.DeleteFunc(slices.Sorted(maps.Keys(s.seen)), isNo)
	if len(strange) == 0 {
		return nil
	}
	return modelwatch.Errorf(modelwatch.CodeInvalid, "the task is binary, the classes are %q, and nothing says which of them is positive: name it as positive", slices.Sorted(maps.Keys(s.seen)))
}
