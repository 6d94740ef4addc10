package app

import (
	"cmp"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/engine"
)

// maxScoreGroups bounds chunks times segments: each group has counts of its own.
const maxScoreGroups = 100_000

// scoreKey names a group of rows: those of a chunk and of a segment. Without
// crossing (-1) it is the whole population.
type scoreKey struct {
	chunk    int64 // by rows: its number; by time: of its period since year 1
	crossing int
	place    int32
}

type scoreGroup struct {
	scorer    *backtest.Scorer
	estimator *backtest.Estimator // nil: nothing is estimated
}

// scoreGroups scores rows by chunk and segment.
type scoreGroups struct {
	config      backtest.Config
	calibration *backtest.Calibration
	chunk       chunking
	segments    []*engine.JoinSegments
	groups      map[scoreKey]*scoreGroup
	watch       scoreWatch
	noTime      int64
	report      *engine.JoinReport

	// Of a baseline: what else its rows are for.
	learning   *scoreGroups
	calibrator *backtest.Calibrator

	sub, segment scratchBatch
	scores       []float64
}

// scratchBatch holds some rows of a batch, and which they are.
type scratchBatch struct {
	batch modelwatch.JoinedBatch
	rows  map[int64][]int32
	order []int64
}

// newGroups returns groups that have seen no row. Areas are exact as long as all
// scores can be kept.
func (r *backtestRun) newGroups(chunk chunking, t *backtestTable) (*scoreGroups, error) {
	g := &scoreGroups{config: r.config, calibration: r.calibration, chunk: chunk, groups: map[scoreKey]*scoreGroup{}}
	g.config.Metrics = append([]string{}, r.metrics...)
	g.config.Exact = t.Rows()*int64(1+len(r.crossings))*int64(max(len(r.config.Classes), 1)) <= backtest.DefaultMaxRows
	for _, c := range r.crossings {
		g.segments = append(g.segments, engine.NewJoinSegments(c, r.columns.Segments))
	}
	if chunk.period == 0 {
		if _, err := g.group(scoreKey{crossing: -1}); err != nil { // there is a result, also of no rows
			return nil, err
		}
	}
	g.watch.task = r.config.Task
	return g, nil
}

func (g *scoreGroups) group(key scoreKey) (*scoreGroup, error) {
	if group, ok := g.groups[key]; ok {
		return group, nil
	}
	if len(g.groups) >= maxScoreGroups {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "chunks and segments make more than %d groups: make the chunks larger", maxScoreGroups)
	}
	s, err := g.config.NewScorer()
	if err != nil {
		return nil, err
	}
	group := &scoreGroup{scorer: s}
	if g.calibration != nil {
		group.estimator = g.calibration.NewEstimator()
	}
	g.groups[key] = group
	return group, nil
}

// add scores a batch.
func (g *scoreGroups) add(b *modelwatch.JoinedBatch) error {
	g.watch.see(b)
	if g.learning != nil {
		if err := g.learning.split(b); err != nil {
			return err
		}
	}
	if g.calibrator != nil {
		if err := g.eachRow(b, g.calibrator.Add); err != nil {
			return err
		}
	}
	return g.split(b)
}

func (g *scoreGroups) eachRow(b *modelwatch.JoinedBatch, f func(modelwatch.Joined) error) error {
	for i := range b.Rows {
		j := b.Row(i, g.scores)
		g.scores = j.Scores
		if err := f(j); err != nil {
			return err
		}
	}
	return nil
}

// split divides a batch into chunks.
func (g *scoreGroups) split(b *modelwatch.JoinedBatch) error {
	if !g.chunk.any() {
		return g.chunkOf(b, 0)
	}
	return g.sub.divide(b, func(i int) (int64, bool) {
		if g.chunk.rows > 0 {
			return b.Places[i] / g.chunk.rows, true
		}
		if b.Times[i] == modelwatch.MinTime {
			g.noTime++
			return 0, false
		}
		return periodOf(b.Times[i], g.chunk.period), true
	}, g.chunkOf)
}

// divide calls f with the rows of each part; rows whose part is not known are in none.
func (s *scratchBatch) divide(b *modelwatch.JoinedBatch, part func(i int) (int64, bool), f func(*modelwatch.JoinedBatch, int64) error) error {
	if s.rows == nil {
		s.rows = map[int64][]int32{}
	}
	s.order = s.order[:0]
	for i := range b.Rows {
		k, ok := part(i)
		if !ok {
			continue
		}
		rows := s.rows[k]
		if len(rows) == 0 {
			s.order = append(s.order, k)
		}
		s.rows[k] = append(rows, int32(i))
	}
	for _, k := range s.order {
		s.batch.Take(b, s.rows[k])
		if err := f(&s.batch, k); err != nil {
			return err
		}
		delete(s.rows, k)
	}
	return nil
}

// chunkOf scores rows of one chunk, all together and by segment.
func (g *scoreGroups) chunkOf(b *modelwatch.JoinedBatch, chunk int64) error {
	if err := g.score(scoreKey{chunk: chunk, crossing: -1}, b); err != nil {
		return err
	}
	for k, s := range g.segments {
		places := s.Places(b)
		err := g.segment.divide(b, func(i int) (int64, bool) { return int64(places[i]), true }, func(part *modelwatch.JoinedBatch, place int64) error {
			return g.score(scoreKey{chunk, k, int32(place)}, part)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *scoreGroups) score(key scoreKey, b *modelwatch.JoinedBatch) error {
	group, err := g.group(key)
	if err != nil {
		return err
	}
	if group.estimator != nil {
		if err := g.eachRow(b, group.estimator.Add); err != nil {
			return err
		}
	}
	return group.scorer.AddBatch(b)
}

// yearOne is where periods are counted from: a Monday, so that weeks begin on one.
var yearOne = time.Time{}.UnixMicro() //nolint:gochecknoglobals // a constant

// periodOf is the number of a time's period, aligned to UTC.
func periodOf(micros int64, period time.Duration) int64 {
	d := micros - yearOne
	length := period.Microseconds()
	if d < 0 {
		return (d+1)/length - 1
	}
	return d / length
}

// err reports classes of which nobody says which is positive.
func (g *scoreGroups) err() error {
	for _, key := range g.keys() {
		if err := g.groups[key].scorer.Err(); err != nil {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "%v, with --positive VALUE", err)
		}
	}
	return nil
}

// keys lists the groups chunk by chunk, the whole population first.
func (g *scoreGroups) keys() []scoreKey {
	keys := make([]scoreKey, 0, len(g.groups))
	for key := range g.groups {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b scoreKey) int {
		return cmp.Or(cmp.Compare(a.chunk, b.chunk), cmp.Compare(a.crossing, b.crossing), cmp.Compare(a.place, b.place))
	})
	return keys
}

// complete adds the segments that are known but have no row, in every chunk: a
// segment that vanished is a result.
func (g *scoreGroups) complete() {
	for _, key := range g.keys() {
		if key.crossing >= 0 {
			continue
		}
		for k, s := range g.segments {
			for place := range s.Known() {
				if _, err := g.group(scoreKey{key.chunk, k, int32(place)}); err != nil {
					return // too many groups: those with rows are there
				}
			}
		}
	}
}

// measure returns the values of every group, with those of the same segment of
// the baseline beside.
func (g *scoreGroups) measure(r *backtestRun, own *scoreGroups) []modelwatch.Measurement {
	g.complete()
	var out []modelwatch.Measurement
	chunks, last := -1, int64(-1)
	for _, key := range g.keys() {
		if chunks < 0 || key.chunk != last {
			chunks, last = chunks+1, key.chunk
		}
		base := modelwatch.Measurement{Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel, Mature: true, Chunk: chunks}
		if key.crossing >= 0 {
			base.Segment = g.segments[key.crossing].Segment(key.place)
		}
		if p := g.chunk.period; p > 0 {
			start := time.UnixMicro(yearOne + key.chunk*p.Microseconds()).UTC()
			base.Window = modelwatch.Window{Start: start, End: start.Add(p)}
		} else if g.chunk.rows > 0 {
			base.Chunk = int(key.chunk)
		}
		group := g.groups[key]
		if c, ok := group.scorer.Accumulator().LabelCoverage(); ok && r.hasTruth() {
			base.LabelCoverage = &c
		}
		for _, v := range g.values(r, key, own) {
			base.Value = v
			out = append(out, base)
		}
	}
	return out
}

// values are those of one group.
func (g *scoreGroups) values(r *backtestRun, key scoreKey, own *scoreGroups) []modelwatch.Value {
	options := backtest.Options{MinimumRows: r.opts.MinimumRows}
	group := g.groups[key]
	var values []modelwatch.Value
	if len(r.metrics) > 0 && (r.hasTruth() || own == nil) {
		values = group.scorer.Values(r.metrics, options)
	}
	if own != nil {
		key.chunk = 0
		if b, ok := own.groups[key]; ok {
			backtest.Compare(values, b.scorer.Values(r.metrics, options))
		}
	}
	if group.estimator != nil && len(r.estimated) > 0 {
		values = append(values, group.estimator.Values(r.estimated, options)...)
	}
	return values
}

// hasTruth reports whether the current rows may have labels.
func (r *backtestRun) hasTruth() bool {
	_, ok := r.truth().Column(r.columns.Label)
	return ok
}
