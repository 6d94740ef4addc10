package app

import (
	"context"
	"io"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/engine"
)

// BacktestOptions are the flags of modelwatch backtest.
type BacktestOptions struct {
	Predictions     string
	Labels          string
	Baseline        string
	Task            string
	ID              string
	Score           string
	Predicted       string
	Label           string
	Positive        string
	Group           string
	Weight          string
	Time            string
	Chunk           string
	LearnThresholds string
	K               []int
	Segments        []string
	Estimate        bool
	OutputOptions
}

// backtestRun is one backtest on its way.
type backtestRun struct {
	opts       BacktestOptions
	config     backtest.Config
	metrics    []string // of labelled rows
	estimated  []string // without labels
	thresholds []modelwatch.Threshold
	learnSD    float64 // 0: nothing is learnt
	chunk      chunking
	segments   [][]string

	predictions, labels, baseline *backtestTable
	columns                       engine.JoinColumns
	crossings                     []engine.Crossing

	calibration *backtest.Calibration
	ownScores   *scoreGroups                    // the baseline's; nil without
	learnt      map[modelwatch.Series][]float64 // values of the baseline's own chunks
	scores      *scoreGroups
	notes       []string
}

// joinGCPercent lets garbage be a quarter of what is in use: a join holds a large
// table that never becomes garbage, and waiting until as much again has gathered
// would double the memory for nothing.
const joinGCPercent = 25

// Backtest compares predictions with the truth, from two tables joined by id or
// from one, and prints the result.
func Backtest(ctx context.Context, opts BacktestOptions) error {
	r := &backtestRun{opts: opts, config: backtest.Config{Task: modelwatch.Task(opts.Task), Positive: opts.Positive, Ks: opts.K}}
	if err := r.plan(); err != nil {
		return err
	}
	defer r.close()
	defer debug.SetGCPercent(debug.SetGCPercent(joinGCPercent))
	if err := r.read(ctx); err != nil {
		return err
	}
	measured := r.measure()
	breached := slices.ContainsFunc(measured, func(m modelwatch.Measurement) bool { return m.Breached })
	r.warn()
	noteUnjudged(opts.Streams.Err, measured, r.thresholds)
	if err := opts.write(r.rendering(measured)); err != nil {
		return err
	}
	if breached && opts.FailOnBreach {
		return ErrBreached
	}
	return nil
}

// plan reads the flags.
func (r *backtestRun) plan() (err error) {
	known := backtest.Metrics(r.config.Task)
	if r.opts.Estimate {
		known = append(slices.Clone(known), backtest.EstimatedMetrics(r.config.Task)...)
	}
	if r.chunk, err = parseChunk(r.opts.Chunk); err != nil {
		return err
	}
	if r.segments, err = parseSegments(r.opts.Segments); err != nil {
		return err
	}
	if r.thresholds, err = parseThresholds(r.opts.Thresholds, known); err != nil {
		return err
	}
	metrics, err := parseMetrics(r.opts.Metrics, known, backtest.Default(r.config.Task))
	if err != nil {
		return err
	}
	r.choose(withThresholds(metrics, r.thresholds))
	if err := r.learn(); err != nil {
		return err
	}
	switch {
	case r.opts.Estimate && r.opts.Baseline == "":
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--estimate: which rows with truth is the score calibrated by? say so with --baseline FILE")
	case r.config.Task == modelwatch.TaskRanking && r.opts.Group == "":
		r.opts.Group = modelwatch.ColumnGroup
	}
	return nil
}

// choose divides the metrics into those of labelled rows and estimates. Where
// estimates are asked for, those of all metrics are.
func (r *backtestRun) choose(metrics []string) {
	for _, m := range metrics {
		if strings.HasPrefix(m, backtest.EstimatedPrefix) {
			r.estimated = append(r.estimated, m)
		} else {
			r.metrics = append(r.metrics, m)
		}
	}
	if !r.opts.Estimate {
		return
	}
	for _, m := range backtest.EstimatedMetrics(r.config.Task) {
		if of := strings.TrimPrefix(m, backtest.EstimatedPrefix); slices.Contains(r.metrics, of) && !slices.Contains(r.estimated, m) {
			r.estimated = append(r.estimated, m)
		}
	}
}

// learn reads "sd=3" as a learnt threshold for each metric that is measured. How
// many rows there are of a kind is no measure of quality.
func (r *backtestRun) learn() error {
	if r.opts.LearnThresholds == "" {
		return nil
	}
	number, ok := strings.CutPrefix(r.opts.LearnThresholds, "sd=")
	sd, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(sd > 0) || sd > 1e6 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--learn-thresholds %s: write how many standard deviations from the mean, for example sd=3", r.opts.LearnThresholds)
	}
	if r.opts.Baseline == "" {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--learn-thresholds: from which rows with truth? say so with --baseline FILE")
	}
	for _, m := range slices.Concat(r.metrics, r.estimated) {
		if !isCount(m) && m != backtest.LabelCoverage {
			r.thresholds = append(r.thresholds, modelwatch.Threshold{Metric: m, Learn: &modelwatch.Learn{SD: sd}})
		}
	}
	r.learnSD = sd
	return nil
}

// measure scores every group of rows, beside the baseline's own rows, and judges.
func (r *backtestRun) measure() []modelwatch.Measurement {
	if r.learnt != nil {
		r.learnt = map[modelwatch.Series][]float64{}
		for _, m := range r.ownScores.learning.measure(r, nil) {
			if m.Value.Value != nil {
				s := m.Series()
				r.learnt[s] = append(r.learnt[s], *m.Value.Value)
			}
		}
	}
	measured := r.scores.measure(r, r.ownScores)
	history := modelwatch.NewHistory(measured)
	for i := range measured {
		m := &measured[i]
		m.Judge(r.thresholds, modelwatch.Past{Windows: history.Windows(m), Chunks: r.learnt[m.Series()]})
		if m.Threshold != nil && m.Threshold.Upper == nil && m.Threshold.Lower == nil {
			m.Threshold = nil // nothing was learnt, or the past does not reach far enough
		}
	}
	return measured
}

func (r *backtestRun) result(measured []modelwatch.Measurement) api.Result {
	result := api.Result{
		Kind: modelwatch.JobBacktest, Current: &api.Source{URI: r.opts.Predictions, Rows: r.predictions.Rows()}, Measurements: apiMeasurements(measured),
	}
	if r.baseline != nil {
		result.Baseline = &api.Source{URI: r.opts.Baseline, Rows: r.baseline.Rows()}
	}
	return result
}

// rendering is the result in every format.
func (r *backtestRun) rendering(measured []modelwatch.Measurement) rendering {
	return rendering{
		result: func() api.Result { return r.result(measured) },
		table:  func(w io.Writer, c canvas) error { return r.draw(w, c, measured) },
		page:   func(w io.Writer) error { return r.page(w, measured) },
	}
}
