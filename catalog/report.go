package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// reporterLease is how long a reporter stays the only one after its last call.
// Another taking over early would do no harm, only report at odd times.
const reporterLease = 2 * time.Minute

// The names of the counts that are reported.
const (
	countRejected  = "modelwatch.volume.rejected"
	countSucceeded = "modelwatch.run.succeeded"
	countFailed    = "modelwatch.run.failed"
)

var countSeen = map[modelwatch.Kind]string{
	modelwatch.KindPrediction:  "modelwatch.volume.predictions",
	modelwatch.KindOutput:      "modelwatch.volume.predictions", // of those that come in two parts
	modelwatch.KindLabel:       "modelwatch.volume.labels",
	modelwatch.KindAttribution: "modelwatch.volume.attributions",
}

const selectLastReport = `SELECT reported_at FROM report WHERE name = 'counts'`

const upsertLastReport = `INSERT INTO report (name, reported_at) VALUES ('counts', $1)
ON CONFLICT (name) DO UPDATE SET reported_at = excluded.reported_at`

// ReportCounts puts what was counted since the last report into the outbox of
// each sink and marks it reported, in one transaction: nothing is reported
// twice or lost. One owner at a time leads; leader is false for the others.
//
// Counts are stamped with now, cut to the second. If that is not later than the
// last report's, nothing is reported this time: two counts of one series in the
// same second would overwrite each other at the sink. reported is the number of
// counts; the interval of the first report ever is not known and 0.
func (c *Catalog) ReportCounts(ctx context.Context, owner string, now time.Time, sinks []string) (reported int, leader bool, err error) {
	err = c.change(ctx, "report counts", func(ctx context.Context, tx *sql.Tx) error {
		reported = 0
		leader, err = lead(ctx, tx, "reporter", owner, now, reporterLease)
		if err != nil || !leader {
			return err
		}
		stamp := now.UTC().Truncate(time.Second)
		interval, ok, err := nextReport(ctx, tx, stamp)
		if err != nil || !ok {
			return err
		}
		counts, err := takeCounts(ctx, tx)
		if err != nil {
			return err
		}
		for i := range counts {
			counts[i].Time, counts[i].IntervalSeconds = stamp, interval
		}
		reported = len(counts)
		return c.publishCounts(ctx, tx, counts, sinks)
	})
	if err != nil {
		return 0, false, err
	}
	return reported, leader, nil
}

// nextReport moves the time of the last report; ok is false if stamp is not later.
func nextReport(ctx context.Context, tx *sql.Tx, stamp time.Time) (intervalSeconds int64, ok bool, err error) {
	var last time.Time
	err = tx.QueryRowContext(ctx, selectLastReport).Scan(timeColumn{&last})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false, err
	}
	if err == nil {
		if !stamp.After(last) {
			return 0, false, nil
		}
		intervalSeconds = int64(stamp.Sub(last) / time.Second)
	}
	_, err = tx.ExecContext(ctx, upsertLastReport, micros(stamp))
	return intervalSeconds, err == nil, err
}

// takeCounts marks everything that was counted as reported and returns it, by
// metric and tags.
func takeCounts(ctx context.Context, tx *sql.Tx) ([]modelwatch.Count, error) {
	sums := countSums{}
	if err := takeVolumes(ctx, tx, sums); err != nil {
		return nil, err
	}
	if err := takeRuns(ctx, tx, sums); err != nil {
		return nil, err
	}
	return sums.counts(), nil
}

const selectUnreportedVolumes = `SELECT model, version, kind, seen, rejected, reported_seen, reported_rejected FROM volume_total
WHERE seen <> reported_seen OR rejected <> reported_rejected ORDER BY model, version, kind`

// Commits may add to the totals meanwhile; what they add is for the next report.
const markVolumeReported = `UPDATE volume_total SET reported_seen = $4, reported_rejected = $5
WHERE model = $1 AND version = $2 AND kind = $3`

func takeVolumes(ctx context.Context, tx *sql.Tx, sums countSums) error {
	type total struct {
		modelwatch.Volume
		reportedSeen, reportedRejected int64
	}
	scan := func(r row) (t total, err error) {
		err = r.Scan(&t.Model, &t.Version, &t.Kind, &t.Seen, &t.Rejected, &t.reportedSeen, &t.reportedRejected)
		return t, err
	}
	totals, err := all(ctx, tx, scan, selectUnreportedVolumes)
	if err != nil {
		return err
	}
	for _, t := range totals {
		if _, err := tx.ExecContext(ctx, markVolumeReported, t.Model, t.Version, t.Kind, t.Seen, t.Rejected); err != nil {
			return err
		}
		series := countSeries{model: t.Model, version: t.Version}
		if name, ok := countSeen[t.Kind]; ok { // an input is counted with its output
			series.metric = name
			sums[series] += t.Seen - t.reportedSeen
		}
		series.metric = countRejected
		sums[series] += t.Rejected - t.reportedRejected
	}
	return nil
}

const takeUnreportedRuns = `UPDATE run SET reported = 1 WHERE reported = 0 AND state IN ('succeeded', 'failed')
RETURNING model, job, kind, state`

func takeRuns(ctx context.Context, tx *sql.Tx, sums countSums) error {
	scan := func(r row) (run modelwatch.Run, err error) {
		err = r.Scan(&run.Model, &run.Job, &run.Kind, &run.State)
		return run, err
	}
	runs, err := all(ctx, tx, scan, takeUnreportedRuns)
	for _, run := range runs {
		metric := countSucceeded
		if run.State == modelwatch.RunFailed {
			metric = countFailed
		}
		sums[countSeries{metric: metric, model: run.Model, job: run.Job, kind: run.Kind}]++
	}
	return err
}

// countSeries is a series of counts: a metric and its tags, "" for one it lacks.
type countSeries struct {
	metric, model, version, job string
	kind                        modelwatch.JobKind
}

type countSums map[countSeries]int64

// counts lists the sums that are not 0, by metric and tags.
func (s countSums) counts() []modelwatch.Count {
	var series []countSeries
	for k, n := range s {
		if n != 0 && k.metric != "" {
			series = append(series, k)
		}
	}
	slices.SortFunc(series, func(a, b countSeries) int {
		return cmp.Or(strings.Compare(a.metric, b.metric), strings.Compare(a.model, b.model),
			strings.Compare(a.version, b.version), strings.Compare(a.job, b.job), cmp.Compare(a.kind, b.kind))
	})
	return convert(series, func(k countSeries) modelwatch.Count {
		tags := map[string]string{"model": k.model, "model_version": k.version, "job": k.job, "kind": string(k.kind)}
		for name, value := range tags {
			if value == "" {
				delete(tags, name)
			}
		}
		return modelwatch.Count{Metric: k.metric, Tags: tags, Value: s[k]}
	})
}

// publishCounts puts one entry per sink into the outbox, if there are counts.
func (c *Catalog) publishCounts(ctx context.Context, tx *sql.Tx, counts []modelwatch.Count, sinks []string) error {
	if len(counts) == 0 {
		return nil
	}
	entries := make([]modelwatch.OutboxEntry, len(sinks))
	for i, sink := range sinks {
		entries[i] = modelwatch.OutboxEntry{Sink: sink, Publication: modelwatch.Publication{Counts: counts}}
	}
	rows, err := c.outboxRows(modelwatch.Run{}, 0, entries)
	if err != nil {
		return err
	}
	return addOutbox(ctx, tx, rows)
}
