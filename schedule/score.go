package schedule

import (
	"maps"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
)

// maxPlaced bounds how many combinations of values a scoreboard remembers the
// segment of; those of others are found anew.
const maxPlaced = 1 << 16

// scoreboard scores the rows of one version, all together and by segment.
type scoreboard struct {
	config    backtest.Config
	whole     *backtest.Scorer
	divisions []division
}

// division is the rows by the segments of one crossing.
type division struct {
	crossing modelwatch.Crossing
	columns  []int                     // in Joined.Segments
	groups   *modelwatch.CrossingIndex // nil: segments are those that come first
	placed   map[string]*segmentScores // by modelwatch.CrossingKey
	segments map[string]*segmentScores // by modelwatch.SegmentKey
	values   []string
}

type segmentScores struct {
	segment map[string]string
	scorer  *backtest.Scorer
}

// newScoreboard makes a scoreboard. columns are those of each crossing among the
// segments of a row.
func newScoreboard(config backtest.Config, crossings []modelwatch.Crossing, columns [][]int) (*scoreboard, error) {
	s := &scoreboard{config: config}
	var err error
	if s.whole, err = config.NewScorer(); err != nil {
		return nil, err
	}
	for i, c := range crossings {
		d := division{
			crossing: c, columns: columns[i], values: make([]string, len(columns[i])),
			placed: map[string]*segmentScores{}, segments: map[string]*segmentScores{},
		}
		if len(c.Known) > 0 {
			d.groups = c.Index()
			for place := range c.Known { // a segment that vanished is a result
				if _, err := d.scores(config, c.Segment(place)); err != nil {
					return nil, err
				}
			}
		}
		s.divisions = append(s.divisions, d)
	}
	return s, nil
}

func (s *scoreboard) add(j modelwatch.Joined) error {
	if err := s.whole.Add(j); err != nil {
		return err
	}
	for i := range s.divisions {
		scores, err := s.divisions[i].of(s.config, j.Segments)
		if err != nil {
			return err
		}
		if err := scores.scorer.Add(j); err != nil {
			return err
		}
	}
	return nil
}

// of returns the scores of the segment that a row is in.
func (d *division) of(config backtest.Config, segments []string) (*segmentScores, error) {
	for i, column := range d.columns {
		d.values[i] = segments[column]
	}
	key := modelwatch.CrossingKey(d.values)
	if scores, ok := d.placed[key]; ok {
		return scores, nil
	}
	scores, err := d.scores(config, d.segment(key))
	if err == nil && len(d.placed) < maxPlaced {
		d.placed[key] = scores
	}
	return scores, err
}

// segment names the segment of d.values. Where no baseline says which there are,
// they are those of the first rows: rows come in the order of their ranks, which is
// a random one that is the same each time.
func (d *division) segment(key string) map[string]string {
	if d.groups != nil {
		return d.crossing.Segment(int(d.groups.Place(key)))
	}
	segment := make(map[string]string, len(d.values))
	for i, name := range d.crossing.Columns {
		segment[name] = d.values[i]
	}
	if _, ok := d.segments[modelwatch.SegmentKey(segment)]; !ok && len(d.segments) >= modelwatch.MaxSegments {
		for name := range segment {
			segment[name] = modelwatch.SegmentOther
		}
	}
	return segment
}

func (d *division) scores(config backtest.Config, segment map[string]string) (*segmentScores, error) {
	key := modelwatch.SegmentKey(segment)
	if scores, ok := d.segments[key]; ok {
		return scores, nil
	}
	scorer, err := config.NewScorer()
	if err != nil {
		return nil, err
	}
	d.segments[key] = &segmentScores{segment, scorer}
	return d.segments[key], nil
}

// groups lists the whole population, then the segments crossing by crossing.
func (s *scoreboard) groups() []segmentScores {
	all := []segmentScores{{nil, s.whole}}
	for i := range s.divisions {
		segments := s.divisions[i].segments
		for _, key := range slices.Sorted(maps.Keys(segments)) {
			all = append(all, *segments[key])
		}
	}
	return all
}

// ownValues are the values of a baseline's own rows by segment.
type ownValues map[string][]modelwatch.Value

// own returns the values of every group by its segment.
func (s *scoreboard) own(opts backtest.Options) ownValues {
	out := ownValues{}
	for _, g := range s.groups() {
		out[modelwatch.SegmentKey(g.segment)] = g.scorer.Values(s.config.Metrics, opts)
	}
	return out
}
