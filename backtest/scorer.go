package backtest

import (
	"maps"
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
	weight      weight          // the last row's
	seen        map[string]bool // classes, where no positive one is set; bounded
	known       [4]knownClass   // classes of the last rows
	next        int
	scratch     [2][]float64 // of AddBatch: the scores of negatives and of positives
}

type knownClass struct {
	name     string
	positive bool
	ok       bool
}

const maxSeen = 20

// NewScorer returns a scorer with the defaults of Config.
func NewScorer(task modelwatch.Task, positive string) (*Scorer, error) {
	return Config{Task: task, Positive: positive}.NewScorer()
}

// Add counts one row. It keeps nothing of the row's slices. It fails, with
// CodeInvalid, when there are more rows than Config.MaxRows to be kept.
func (s *Scorer) Add(j modelwatch.Joined) error {
	s.counts.Rows++
	if j.Weight != s.weight.value {
		if !validWeight(j.Weight) {
			s.counts.BadWeights++
			return nil
		}
		s.weight = weightOf(j.Weight)
	}
	switch s.config.Task {
	case modelwatch.TaskRegression:
		s.addValue(&j)
		return nil
	case modelwatch.TaskBinary:
		return s.addBinary(&j)
	case modelwatch.TaskRanking:
		return s.addRanked(&j)
	}
	return s.addClass(&j)
}

// Merge adds the rows of o: the result is that of adding them to s, in any
// order. It fails where Add would, and panics if the two score different things.
func (s *Scorer) Merge(o *Scorer) error {
	if s.config.Task != o.config.Task || s.config.Positive != o.config.Positive || s.config.Exact != o.config.Exact ||
		s.config.Quantile != o.config.Quantile || !slices.Equal(s.config.Classes, o.config.Classes) || !slices.Equal(s.config.Metrics, o.config.Metrics) {
		panic("backtest: merge of scorers with different settings")
	}
	s.counts.Rows += o.counts.Rows
	s.counts.Unscored += o.counts.Unscored
	s.counts.BadWeights += o.counts.BadWeights
	s.counts.BadLabels += o.counts.BadLabels
	s.counts.BadScores += o.counts.BadScores
	for class := range o.seen {
		s.see(class)
	}
	return s.accumulator.merge(o.accumulator)
}

// Counts returns rows by what became of them.
func (s *Scorer) Counts() Counts {
	c, a := s.counts, s.accumulator
	c.Labelled, c.Unlabelled = a.labelled.n, a.unlabelled.n
	c.ScoresOutOfRange = a.scores.outside + a.probabilities.outside
	c.UnseenLabels = a.probabilities.unseen
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

func finite(x float64) bool { return x-x == 0 }

// prediction is the number that a row predicts.
func prediction(j *modelwatch.Joined) (float64, bool) {
	if j.HasPredicted {
		return j.PredictedValue, finite(j.PredictedValue)
	}
	return j.Score, j.HasScore && finite(j.Score)
}

func (s *Scorer) addValue(j *modelwatch.Joined) {
	value, ok := prediction(j)
	switch {
	case !ok:
		s.counts.Unscored++
	case !j.HasLabel:
		s.accumulator.unlabelled.add(&s.weight)
	case !finite(j.LabelValue):
		s.counts.BadLabels++
	default:
		s.accumulator.labelled.add(&s.weight)
		s.accumulator.errors.add(value, j.LabelValue, &s.weight)
	}
}

// addRanked counts an item of a ranking; its score is the row's score or, if it
// has none, the number that was predicted.
func (s *Scorer) addRanked(j *modelwatch.Joined) error {
	score, ok := j.Score, j.HasScore && finite(j.Score)
	if !j.HasScore {
		score, ok = prediction(j)
	}
	switch {
	case !ok || !j.HasGroup:
		s.counts.Unscored++
	case !j.HasLabel:
		s.accumulator.unlabelled.add(&s.weight)
	case !finite(j.LabelValue) || j.LabelValue < 0:
		s.counts.BadLabels++
	default:
		s.accumulator.labelled.add(&s.weight)
		return s.accumulator.ranking.add(j.Group, score, j.LabelValue, &s.weight)
	}
	return nil
}

// addClass counts a row of a multiclass model. Without a predicted class it is
// the one with the highest score, the first of several.
func (s *Scorer) addClass(j *modelwatch.Joined) error {
	best, scored := 0, false
	if len(s.config.Classes) > 0 && len(j.Scores) == len(s.config.Classes) {
		best, scored = top(j.Scores)
	}
	predicted := j.Predicted
	switch {
	case !j.HasPredicted && !scored:
		s.counts.Unscored++
		return nil
	case !j.HasPredicted:
		predicted = s.config.Classes[best]
	}
	if !j.HasLabel {
		s.accumulator.unlabelled.add(&s.weight)
		return nil
	}
	s.accumulator.labelled.add(&s.weight)
	s.accumulator.classes.add(predicted, j.Label, &s.weight)
	switch {
	case scored:
		return s.accumulator.probabilities.add(j.Scores, best, j.Label, &s.weight)
	case len(s.config.Classes) > 0:
		s.counts.BadScores++
	}
	return nil
}

func (s *Scorer) addBinary(j *modelwatch.Joined) error {
	scored := j.HasScore && finite(j.Score)
	if !j.HasPredicted && !scored {
		s.counts.Unscored++
		return nil
	}
	positive := j.Score >= positiveScore
	if j.HasPredicted {
		positive = s.isPositive(j.Predicted)
	}
	if !j.HasLabel {
		s.accumulator.unlabelled.add(&s.weight)
		return nil
	}
	label := s.isPositive(j.Label)
	s.accumulator.labelled.add(&s.weight)
	s.accumulator.table.add(positive, label, &s.weight)
	if scored {
		return s.accumulator.scores.add(j.Score, label, &s.weight)
	}
	if j.HasScore {
		s.counts.BadScores++
	}
	return nil
}

// isPositive looks a class up among the last few, and remembers it.
func (s *Scorer) isPositive(class string) bool {
	for i := range s.known {
		if k := &s.known[i]; k.ok && k.name == class {
			return k.positive
		}
	}
	s.see(class)
	positive := class == s.config.Positive || isYes(class) && isYes(s.config.Positive)
	s.known[s.next%len(s.known)] = knownClass{strings.Clone(class), positive, true}
	s.next++
	return positive
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
