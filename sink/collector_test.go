package sink

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/modelwatch/modelwatch"
)

type fakeLatest struct {
	ms    []modelwatch.Measurement
	err   error
	reads int
}

func (f *fakeLatest) LatestMeasurements(context.Context) ([]modelwatch.Measurement, error) {
	f.reads++
	return f.ms, f.err
}

type collectorBundle struct {
	latest *fakeLatest
	now    time.Time
	log    *lockedBuffer
	reg    *prometheus.Registry
}

func collect1(t *testing.T, ms ...modelwatch.Measurement) *collectorBundle {
	t.Helper()
	b := &collectorBundle{latest: &fakeLatest{ms: ms}, now: testNow, log: &lockedBuffer{}, reg: prometheus.NewPedanticRegistry()}
	b.reg.MustRegister(NewCollector(b.latest, func() time.Time { return b.now }, slog.New(slog.NewTextHandler(b.log, nil))))
	return b
}

// scrape gives the sample lines of a scrape, without help and type.
func (b *collectorBundle) scrape(t *testing.T) []string {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatalf("the scrape fails: %v", err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	slices.Sort(lines)
	return lines
}

func TestCollector(t *testing.T) {
	t.Parallel()
	none, infinite := driftOf("psi", "city", 0), driftOf("psi", "vector", math.NaN())
	none.Value.Value = nil
	segment := driftOf("psi", "amount", 0.1)
	segment.Segment = map[string]string{"Country": "DE", "country": "FR", "2fa": "on\xff"}
	rmse := driftOf("rmse", "", 12.5)
	rmse.Kind, rmse.RunID, rmse.Model, rmse.Job, rmse.Subject = modelwatch.JobBacktest, "run-2", "price", "daily", modelwatch.SubjectModel
	rmse.LabelCoverage, rmse.Mature = value(0.5), true

	most := driftOf("psi", "device", 0.2)
	most.NCurrent = 5100
	// The measurements of a run need not stand together.
	b := collect1(t, driftOf("psi", "amount", 0.3), driftOf("psi", "amount", 0.4), none, infinite, rmse, segment, most)
	want := []string{
		`modelwatch_backtest_rmse{job="daily",mature="true",model="price",model_version="3.1.0",window="1h"} 12.5`,
		`modelwatch_drift_psi{Country="DE",baseline="training",country="FR",feature="amount",job="hourly",model="fraud",model_version="3.1.0",segment_2fa="on�",subject="feature",window="1h"} 0.1`,
		`modelwatch_drift_psi{baseline="training",feature="amount",job="hourly",model="fraud",model_version="3.1.0",subject="feature",window="1h"} 0.3`,
		`modelwatch_drift_psi{baseline="training",feature="device",job="hourly",model="fraud",model_version="3.1.0",subject="feature",window="1h"} 0.2`,
		`modelwatch_label_coverage{job="daily",model="price",model_version="3.1.0",window="1h"} 0.5`,
		`modelwatch_measurements_up 1`,
		`modelwatch_sample_size{job="daily",model="price",model_version="3.1.0",window="1h"} 5000`,
		`modelwatch_sample_size{job="hourly",model="fraud",model_version="3.1.0",window="1h"} 5100`,
	}
	if diff := cmp.Diff(want, b.scrape(t)); diff != "" {
		t.Errorf("scrape (-want +got):\n%s", diff)
	}
}

func TestCollectorCaches(t *testing.T) {
	t.Parallel()
	b := collect1(t, driftOf("psi", "amount", 0.3))
	b.scrape(t)
	b.now = b.now.Add(9 * time.Second)
	b.scrape(t)
	if b.latest.reads != 1 {
		t.Errorf("%d reads within ten seconds, want 1", b.latest.reads)
	}
	b.now = b.now.Add(2 * time.Second)
	b.scrape(t)
	if b.latest.reads != 2 {
		t.Errorf("%d reads after ten seconds, want 2", b.latest.reads)
	}
}

func TestCollectorCannotRead(t *testing.T) {
	t.Parallel()
	b := collect1(t, driftOf("psi", "amount", 0.3))
	b.latest.err = errors.New("database is away")
	for range 3 {
		if got := b.scrape(t); len(got) != 1 || got[0] != "modelwatch_measurements_up 0" {
			t.Errorf("scrape = %q, want nothing but the failure", got)
		}
		b.now = b.now.Add(time.Minute)
	}
	if n := b.log.count("database is away"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	b.latest.err = nil
	if got := b.scrape(t); len(got) != 3 {
		t.Errorf("scrape = %q after the recovery", got)
	}
}
