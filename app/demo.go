package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/simulate"
)

// demoBaselineRows is the size of the simulated models' training sets.
const demoBaselineRows = 20_000

// demoRates are how fast the simulated models' jobs run.
type demoRates struct {
	cron, window, delay, labelDelay, maturity string
}

// registerDemo registers the simulated models as a user would: over REST. What
// is there already stays as it is.
func registerDemo(ctx context.Context, client *api.Client, traffic *simulate.Generator, rates demoRates) error {
	for _, m := range simulate.Models() {
		if _, _, err := client.PutModel(ctx, m.Name, api.ModelBody{Task: m.Task, Positive: m.Positive, Description: m.Description, Owner: m.Owner}); err != nil {
			return fmt.Errorf("register model %s: %w", m.Name, err)
		}
	}
	for _, v := range simulate.Versions() {
		if err := registerDemoBaseline(ctx, client, traffic, v); err != nil {
			return fmt.Errorf("register baseline of %s %s: %w", v.Model, v.Name, err)
		}
		if _, _, err := client.PutJob(ctx, v.Model, "drift", demoDriftJob(v, rates)); err != nil {
			return fmt.Errorf("put job drift of %s: %w", v.Model, err)
		}
		if _, _, err := client.PutJob(ctx, v.Model, "backtest", demoBacktestJob(v.Model, rates)); err != nil {
			return fmt.Errorf("put job backtest of %s: %w", v.Model, err)
		}
	}
	return nil
}

func registerDemoBaseline(ctx context.Context, client *api.Client, traffic *simulate.Generator, v modelwatch.Version) error {
	body, write := io.Pipe()
	go func() {
		write.CloseWithError(traffic.WriteBaseline(write, v.Model, demoBaselineRows, simulate.FormatCSV))
	}()
	defer func() { _ = body.Close() }() // of a pipe: never fails
	_, err := client.RegisterBaseline(ctx, api.RegisterRequest{Model: v.Model, Version: v.Name, ContentType: "text/csv", Body: body})
	return err
}

// demoDriftJob leaves the hour of the day out: in windows shorter than a day it
// differs from the training set by nature.
func demoDriftJob(v modelwatch.Version, rates demoRates) api.JobBody {
	var columns []string
	for _, c := range v.Schema.Profiled() {
		if c.Name != "hour" {
			columns = append(columns, c.Name)
		}
	}
	limit := 0.2
	return api.JobBody{
		Kind: modelwatch.JobDrift, Cron: rates.cron, Window: rates.window, Delay: rates.delay, Maturity: "2h", Columns: columns,
		Metrics:    []string{drift.PSI, drift.JSDistance, drift.KS, drift.MissingRatio, drift.NewCategoryRatio, drift.DriftedFeatures, drift.DriftedShare},
		Thresholds: []api.Threshold{{Metric: drift.PSI, Upper: &limit}}, Sinks: []string{"datadog"},
	}
}

func demoBacktestJob(model string, rates demoRates) api.JobBody {
	body := api.JobBody{
		Kind: modelwatch.JobBacktest, Cron: rates.cron, Window: rates.window, Delay: rates.delay,
		LabelDelay: rates.labelDelay, Maturity: rates.maturity, Sinks: []string{"datadog"},
	}
	low := 0.55
	if model == simulate.Fraud {
		body.Metrics = []string{"accuracy", "precision", "recall", "f1"}
		body.Thresholds = []api.Threshold{{Metric: "precision", Lower: &low}}
	} else {
		body.Metrics = []string{"rmse", "mae"}
	}
	return body
}

// The real-time rates of modelwatch simulate, and the ones of dev, in which an
// hour passes in a minute.
func realTimeRates() demoRates {
	return demoRates{cron: "*/5 * * * *", window: "15m", delay: "1m", labelDelay: "0s", maturity: "1d"}
}

func devRates() demoRates {
	return demoRates{cron: "*/5 * * * *", window: "15m", delay: "3m", labelDelay: "30m", maturity: "4h"}
}

const (
	demoSeed       = 1
	demoPerMinute  = 600
	demoDriftAfter = 15 * time.Minute
	demoDriftOver  = time.Hour
	demoLabelDelay = 45 * time.Minute
)

func newDemoTraffic(start time.Time) *simulate.Generator {
	return simulate.New(simulate.Options{
		Seed: demoSeed, Start: start, EventsPerMinute: demoPerMinute, DriftAfter: demoDriftAfter, DriftOver: demoDriftOver, LabelDelay: demoLabelDelay,
	})
}
