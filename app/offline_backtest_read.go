package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

// backtestTable is one of the tables of a backtest.
type backtestTable struct {
	*table.Union
	uri   string
	files *tables
}

func (r *backtestRun) open(ctx context.Context, uri string) (*backtestTable, error) {
	if uri == "" {
		return nil, nil
	}
	files, err := openTables(ctx, uri, nil, r.opts.Streams)
	if err != nil {
		return nil, err
	}
	parts := make([]table.Part, len(files.files))
	for i, f := range files.files {
		parts[i] = table.Part{Name: f.name, Reader: f.reader}
	}
	union, err := table.NewUnion(ctx, parts...)
	if err != nil {
		files.Close()
		return nil, err
	}
	return &backtestTable{Union: union, uri: uri, files: files}, nil
}

func (r *backtestRun) close() {
	for _, t := range []*backtestTable{r.predictions, r.labels, r.baseline} {
		if t != nil {
			t.files.Close()
		}
	}
}

// read opens the tables and scores their rows.
func (r *backtestRun) read(ctx context.Context) (err error) {
	if r.predictions, err = r.open(ctx, r.opts.Predictions); err != nil {
		return err
	}
	if r.labels, err = r.open(ctx, r.opts.Labels); err != nil {
		return err
	}
	if r.baseline, err = r.open(ctx, r.opts.Baseline); err != nil {
		return err
	}
	if err := r.name(); err != nil {
		return err
	}
	if err := r.findSegments(ctx); err != nil {
		return err
	}
	if r.baseline != nil {
		if err := r.readBaseline(ctx); err != nil {
			return err
		}
	}
	return r.readCurrent(ctx)
}

// name finds the columns: those that the user names, else ours.
func (r *backtestRun) name() error {
	o, p := &r.opts, r.predictions
	r.columns = engine.JoinColumns{
		ID: orText(o.ID, modelwatch.ColumnID), Score: reservedOr(o.Score, p, modelwatch.ColumnScore), Predicted: reservedOr(o.Predicted, p, modelwatch.ColumnPredicted),
		Label: reservedOr(o.Label, p, modelwatch.ColumnLabel), Weight: reservedOr(o.Weight, p, modelwatch.ColumnWeight), Group: o.Group,
	}
	if r.labels != nil {
		r.columns.Label = orText(o.Label, modelwatch.ColumnLabel)
	}
	if r.chunk.period > 0 {
		r.columns.Time = orText(o.Time, modelwatch.ColumnTime)
		if err := r.checkTime(); err != nil {
			return err
		}
	}
	if r.config.Task == modelwatch.TaskMulticlass {
		r.nameClasses()
	}
	for _, crossing := range r.segments {
		for _, column := range crossing {
			if !slices.Contains(r.columns.Segments, column) {
				r.columns.Segments = append(r.columns.Segments, column)
			}
		}
	}
	return r.checkColumns()
}

func (r *backtestRun) checkColumns() error {
	c := r.columns
	if c.Score == "" && c.Predicted == "" && len(c.ClassScores) == 0 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s: which column is the prediction? say so with --predicted COLUMN, or --score COLUMN for a probability", r.opts.Predictions)
	}
	if _, ok := r.truth().Column(c.Label); !ok && r.opts.Label == "" && (!r.opts.Estimate || r.labels != nil) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "which column is the truth? say so with --label COLUMN")
	}
	for _, t := range []*backtestTable{r.predictions, r.labels, r.baseline} {
		if t == nil {
			continue
		}
		for _, s := range t.Skipped() {
			if slices.Contains([]string{c.ID, c.Score, c.Predicted, c.Label, c.Group, c.Weight, c.Time}, s.Name) {
				return modelwatch.Errorf(modelwatch.CodeInvalid, "%s: column %q cannot be read: %s", t.uri, s.Name, s.Reason)
			}
		}
	}
	return nil
}

// truth is the table that has the labels.
func (r *backtestRun) truth() *backtestTable {
	if r.labels != nil {
		return r.labels
	}
	return r.predictions
}

func (r *backtestRun) checkTime() error {
	for _, t := range []*backtestTable{r.predictions, r.baseline} {
		if t == nil || t == r.baseline && r.learnSD == 0 {
			continue
		}
		info, ok := t.Column(r.columns.Time)
		switch {
		case !ok:
			return modelwatch.Errorf(modelwatch.CodeInvalid, "%s has no column %q: say which holds the times with --time", t.uri, r.columns.Time)
		case info.Type != modelwatch.TypeTimestamp:
			return modelwatch.Errorf(modelwatch.CodeInvalid, "%s: column %q is a %s, no time that chunks can be cut by", t.uri, r.columns.Time, info.Type)
		}
	}
	return nil
}

// nameClasses finds the columns of a multiclass model's probabilities, one a
// class: those that begin with the score's name and an underscore.
func (r *backtestRun) nameClasses() {
	for _, prefix := range r.classPrefixes() {
		for _, c := range r.predictions.Columns() {
			if class, ok := strings.CutPrefix(c.Name, prefix); ok && class != "" && c.Type == modelwatch.TypeNumber {
				r.columns.ClassScores, r.config.Classes = append(r.columns.ClassScores, c.Name), append(r.config.Classes, class)
			}
		}
		if r.config.Classes != nil {
			r.columns.Score = "" // the probabilities say more
			return
		}
	}
}

// classPrefixes are what the names of columns of probabilities begin with.
func (r *backtestRun) classPrefixes() []string {
	if r.opts.Score != "" {
		return []string{r.opts.Score + "_"}
	}
	return []string{modelwatch.ColumnScore + "_", "score_"}
}

func (r *backtestRun) isClassScore(name string) bool {
	return slices.ContainsFunc(r.classPrefixes(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// findSegments finds the segments of the baseline or, without one, of the predictions.
func (r *backtestRun) findSegments(ctx context.Context) error {
	if len(r.segments) == 0 {
		return nil
	}
	from := r.predictions
	if r.baseline != nil {
		from = r.baseline
	}
	var err error
	if r.crossings, err = engine.Crossings(ctx, from.Union, r.segments); err != nil {
		return fmt.Errorf("%s: %w", from.uri, err)
	}
	return nil
}

// reservedOr is the column that the user names, else ours if the table has it.
func reservedOr(named string, r *backtestTable, reserved string) string {
	if named != "" {
		return named
	}
	if _, ok := r.Column(reserved); ok {
		return reserved
	}
	return ""
}

// join scores the rows of a table in the groups.
func (r *backtestRun) join(ctx context.Context, what string, t *backtestTable, labels *backtestTable, columns engine.JoinColumns, f func(*modelwatch.JoinedBatch) error) (*engine.JoinReport, error) {
	total := t.Rows()
	j := engine.FileJoin{Predictions: t.Union, Columns: columns, Numbers: r.config.Task == modelwatch.TaskRegression || r.config.Task == modelwatch.TaskRanking}
	if labels != nil {
		j.Labels = labels.Union
		total += labels.Rows()
	}
	bar := progressRows(r.opts.Streams.Err, total, what)
	j.Progress = func(done, all int64) {
		bar.ChangeMax64(all)
		_ = bar.Set64(done) // drawing only
	}
	report, err := j.Run(ctx, f)
	_ = bar.Finish() // drawing only
	return report, err
}

// readBaseline scores the baseline's own rows, cuts them into chunks where
// thresholds are learnt, and calibrates where metrics are estimated.
func (r *backtestRun) readBaseline(ctx context.Context) error {
	columns := r.columns
	columns.Label = reservedOr(r.opts.Label, r.baseline, modelwatch.ColumnLabel)
	if _, ok := r.baseline.Column(columns.Label); !ok {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s: the baseline has no column %q of the truth: its rows must have one", r.baseline.uri, orText(r.columns.Label, modelwatch.ColumnLabel))
	}
	if _, ok := r.baseline.Column(columns.Weight); !ok {
		columns.Weight = "" // a training set need not be a sample of anything
	}
	if r.learnSD == 0 {
		columns.Time = ""
	}
	var err error
	if r.ownScores, err = r.newGroups(chunking{}, r.baseline); err != nil {
		return err
	}
	own := r.ownScores
	if r.learnSD > 0 {
		if own.learning, err = r.newGroups(r.learnChunk(), r.baseline); err != nil {
			return err
		}
		r.learnt = map[modelwatch.Series][]float64{}
	}
	if r.opts.Estimate {
		if own.calibrator, err = r.config.NewCalibrator(); err != nil {
			return err
		}
	}
	if own.report, err = r.join(ctx, "scoring the baseline", r.baseline, nil, columns, own.add); err != nil {
		return fmt.Errorf("%s: %w", r.baseline.uri, err)
	}
	if r.opts.Estimate {
		if r.calibration, err = own.calibrator.Fit(backtest.CalibrateIfBetter); err != nil {
			return fmt.Errorf("%s: %w", r.baseline.uri, err)
		}
	}
	return own.err()
}

// backtestLearnChunks is how many chunks of the baseline thresholds are learnt from where
// --chunk does not say.
const backtestLearnChunks = 10

func (r *backtestRun) learnChunk() chunking {
	if r.chunk.any() {
		return r.chunk
	}
	return chunking{rows: max((r.baseline.Rows()+backtestLearnChunks-1)/backtestLearnChunks, 1)}
}

func (r *backtestRun) readCurrent(ctx context.Context) (err error) {
	if r.scores, err = r.newGroups(r.chunk, r.predictions); err != nil {
		return err
	}
	columns := r.columns
	if r.opts.Estimate && !r.hasTruth() {
		columns.Label = "" // the estimates need none
	}
	if r.scores.report, err = r.join(ctx, "scoring", r.predictions, r.labels, columns, r.scores.add); err != nil {
		return err
	}
	return r.scores.err()
}
