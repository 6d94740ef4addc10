package backtest

import "github.com/modelwatch/modelwatch"

// AddBatch counts a run of rows; it is that of Add for each.
func (s *Scorer) AddBatch(b *modelwatch.JoinedBatch) error {
	if s.config.Task == modelwatch.TaskBinary && b.Weights == nil && b.Predicted.Values == nil && b.Label.Values == nil {
		return s.addBinaryBatch(b)
	}
	var scores []float64
	for i := range b.Rows {
		j := b.Row(i, scores)
		scores = j.Scores
		if err := s.Add(j); err != nil {
			return err
		}
	}
	return nil
}

// codeSigns are the signs of a batch's first classes, so that a row costs no
// look-up of a name.
type codeSigns [256]int8

const (
	signUnknown = iota
	signNegative
	signPositive
)

// isPositiveCode is isPositive for a class of a batch.
func (s *Scorer) isPositiveCode(signs *codeSigns, c *modelwatch.JoinedColumn, code int32) bool {
	if int(code) >= len(signs) {
		return s.isPositive(c.Classes[code])
	}
	if signs[code] == signUnknown {
		signs[code] = signNegative
		if s.isPositive(c.Classes[code]) {
			signs[code] = signPositive
		}
	}
	return signs[code] == signPositive
}

func codeAt(codes []int32, i int) int32 {
	if codes == nil {
		return -1
	}
	return codes[i]
}

// addBinaryBatch is addBinary for rows of weight 1.
func (s *Scorer) addBinaryBatch(b *modelwatch.JoinedBatch) error {
	var predictedSigns, labelSigns codeSigns
	var pairs [2][2]int // by predicted, label
	unlabelled := 0
	s.scratch[0], s.scratch[1] = s.scratch[0][:0], s.scratch[1][:0]
	for i := range b.Rows {
		scored, positive, bad := false, false, false
		var score float64
		if b.Scores != nil {
			score = b.Scores[i]
			scored, positive = finite(score), score >= positiveScore
			bad = !scored && score == score //nolint:gocritic // not NaN
		}
		if code := codeAt(b.Predicted.Codes, i); code >= 0 {
			positive = s.isPositiveCode(&predictedSigns, &b.Predicted, code)
		} else if !scored {
			s.counts.Unscored++
			continue
		}
		code := codeAt(b.Label.Codes, i)
		if code < 0 {
			unlabelled++
			continue
		}
		label := index(s.isPositiveCode(&labelSigns, &b.Label, code))
		pairs[index(positive)][label]++
		switch {
		case scored:
			s.scratch[label] = append(s.scratch[label], score)
		case bad:
			s.counts.BadScores++
		}
	}
	s.counts.Rows += int64(b.Rows)
	a := s.accumulator
	a.unlabelled.addRows(unlabelled)
	a.labelled.addRows(pairs[0][0] + pairs[0][1] + pairs[1][0] + pairs[1][1])
	a.table.tn.addRows(pairs[0][0])
	a.table.fn.addRows(pairs[0][1])
	a.table.fp.addRows(pairs[1][0])
	a.table.tp.addRows(pairs[1][1])
	for label, scores := range s.scratch {
		if err := a.scores.addRows(scores, label == 1); err != nil {
			return err
		}
	}
	return nil
}
