package backtest

import "github.com/modelwatch/modelwatch"

// AddBatch counts a run of rows; it is that of Add for each.
func (s *Scorer) AddBatch(b *modelwatch.JoinedBatch) error {
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
