package app

import (
	"context"
	"fmt"
	"io"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/table"
)

// BacktestOptions are the flags of modelwatch backtest.
type BacktestOptions struct {
	Predictions string
	Labels      string
	Task        string
	ID          string
	Score       string
	Predicted   string
	Label       string
	Positive    string
	OutputOptions
}

// Backtest compares predictions with the truth, from two files joined by id or
// from one, and prints the result.
func Backtest(ctx context.Context, opts BacktestOptions) error {
	task := modelwatch.Task(opts.Task)
	thresholds, err := parseThresholds(opts.Thresholds, backtest.Metrics(task))
	if err != nil {
		return err
	}
	metrics, err := parseMetrics(opts.Metrics, backtest.Metrics(task), backtest.Default(task))
	if err != nil {
		return err
	}
	metrics = withThresholds(metrics, thresholds)
	scorer, err := backtest.NewScorer(task, opts.Positive)
	if err != nil {
		return err
	}
	if err := scoreFiles(ctx, opts, scorer); err != nil {
		return err
	}
	if n := scorer.Unscored(); n > 0 {
		fmt.Fprintf(opts.Streams.Err, "%d of %d predictions carry nothing that the task %s can be scored by\n", n, scorer.Rows(), task)
	}
	measured := measureScores(scorer, metrics, opts.MinimumRows)
	breached := judge(measured, thresholds)
	noteUnjudged(opts.Streams.Err, measured, thresholds)
	result := api.Result{
		Kind: modelwatch.JobBacktest, Current: &api.Source{URI: opts.Predictions, Rows: scorer.Rows()}, Measurements: apiMeasurements(measured),
	}
	err = opts.write(rendering{result: result, table: func(w io.Writer, c canvas) error {
		fmt.Fprintf(w, "predictions  %s  %d rows\n\n", opts.Predictions, scorer.Rows())
		return writeBacktestTable(w, c.palette, measured)
	}})
	if err == nil && breached && opts.FailOnBreach {
		return ErrBreached
	}
	return err
}

func scoreFiles(ctx context.Context, opts BacktestOptions, scorer *backtest.Scorer) error {
	predictions, closePredictions, err := openTable(ctx, opts.Predictions, nil, opts.Streams)
	if err != nil {
		return err
	}
	defer closePredictions()
	var labels *table.Reader
	truth := predictions
	if opts.Labels != "" {
		var closeLabels func()
		if labels, closeLabels, err = openTable(ctx, opts.Labels, nil, opts.Streams); err != nil {
			return err
		}
		defer closeLabels()
		truth = labels
	}
	columns := engine.JoinColumns{
		ID:    orText(opts.ID, modelwatch.ColumnID),
		Label: orText(opts.Label, modelwatch.ColumnLabel),
		Score: reservedOr(opts.Score, predictions, modelwatch.ColumnScore), Predicted: reservedOr(opts.Predicted, predictions, modelwatch.ColumnPredicted),
	}
	if columns.Score == "" && columns.Predicted == "" {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%s: which column is the prediction? say so with --predicted COLUMN, or --score COLUMN for a probability", opts.Predictions)
	}
	if _, ok := truth.Column(columns.Label); !ok && opts.Label == "" {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "which column is the truth? say so with --label COLUMN")
	}
	join := engine.FileJoin{Predictions: predictions, Columns: columns, Numbers: modelwatch.Task(opts.Task) == modelwatch.TaskRegression}
	if labels != nil {
		join.Labels = labels
	}
	if _, err := join.Run(ctx, scorer.AddBatch); err != nil {
		return err
	}
	if err := scorer.Err(); err != nil {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "%v, with --positive VALUE", err)
	}
	return nil
}

// reservedOr is the column that the user names, else ours if the file has it.
func reservedOr(named string, r *table.Reader, reserved string) string {
	if named != "" {
		return named
	}
	if _, ok := r.Column(reserved); ok {
		return reserved
	}
	return ""
}

func measureScores(scorer *backtest.Scorer, metrics []string, minimum int64) []modelwatch.Measurement {
	var coverage *float64
	if c, ok := scorer.Accumulator().LabelCoverage(); ok {
		coverage = &c
	}
	values := scorer.Accumulator().Values(metrics, backtest.Options{MinimumRows: minimum})
	out := make([]modelwatch.Measurement, len(values))
	for i, v := range values {
		out[i] = modelwatch.Measurement{Value: v, Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel, LabelCoverage: coverage, Mature: true}
	}
	return out
}
