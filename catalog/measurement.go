package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/modelwatch/modelwatch"
)

const measurementColumns = `m.run_id, m.model, m.version, m.job, m.kind, m.window_start, m.window_end, m.revision, m.chunk,
m.segment, m.subject, m.name, m.metric, m.class, m.k, m.value, m.reason, m.lower_value, m.upper_value, m.p_value, m.null_95,
m.standard_error, m.n_baseline, m.n_current, m.baseline, m.thresholded, m.threshold_upper, m.threshold_lower, m.breached,
m.label_coverage, m.mature, m.computed_at,
m.effective_n_baseline, m.effective_n_current, m.adjusted_p_value, m.baseline_value, m.constant_value`

func scanMeasurement(r row) (modelwatch.Measurement, error) { return scanMeasurementAfter(r) }

// scanMeasurementAfter scans the columns before measurementColumns into lead.
func scanMeasurementAfter(r row, lead ...any) (m modelwatch.Measurement, err error) {
	var thresholded bool
	var bounds modelwatch.Bounds
	dest := slices.Concat(lead, []any{
		&m.RunID, &m.Model, &m.Version, &m.Job, &m.Kind, timeColumn{&m.Window.Start}, timeColumn{&m.Window.End}, &m.Revision, &m.Chunk,
		jsonColumn{&m.Segment}, &m.Subject, &m.Name, &m.Metric, &m.Class, &m.K, &m.Value.Value, &m.Reason, &m.Lower, &m.Upper, &m.PValue, &m.Null95,
		&m.StandardError, &m.NBaseline, &m.NCurrent, &m.Baseline, &thresholded, &bounds.Upper, &bounds.Lower, &m.Breached,
		&m.LabelCoverage, &m.Mature, timeColumn{&m.ComputedAt},
		&m.EffectiveBaseline, &m.EffectiveCurrent, &m.AdjustedP, &m.BaselineValue, &m.ConstantValue,
	})
	err = r.Scan(dest...)
	if thresholded {
		m.Threshold = &bounds
	}
	if len(m.Segment) == 0 {
		m.Segment = nil
	}
	return m, err
}

const insertMeasurements = `INSERT INTO measurement (run_id, model, version, job, kind, window_start, window_end, revision, chunk,
segment, subject, name, metric, class, k, value, reason, lower_value, upper_value, p_value, null_95,
standard_error, n_baseline, n_current, baseline, thresholded, threshold_upper, threshold_lower, breached,
label_coverage, mature, computed_at,
effective_n_baseline, effective_n_current, adjusted_p_value, baseline_value, constant_value, standing) VALUES `

// measurementValues are the columns of insertMeasurements.
func measurementValues(run modelwatch.Run, m modelwatch.Measurement, standing int) ([]any, error) {
	segment, err := segmentText(m.Segment)
	if err != nil {
		return nil, err
	}
	for _, v := range []*float64{
		m.Value.Value, m.Lower, m.Upper, m.PValue, m.Null95, m.StandardError, m.LabelCoverage,
		m.EffectiveBaseline, m.EffectiveCurrent, m.AdjustedP, m.BaselineValue, m.ConstantValue,
	} {
		if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			return nil, modelwatch.Errorf(modelwatch.CodeInternal, "the measurement %s of %s %q is %v: a number that cannot be computed is a reason",
				m.Metric, m.Subject, m.Name, *v)
		}
	}
	bounds := modelwatch.Bounds{}
	if m.Threshold != nil {
		bounds = *m.Threshold
	}
	return []any{
		run.ID, run.Model, clean(m.Version), run.Job, run.Kind, micros(run.Window.Start), micros(run.Window.End), run.Revision, m.Chunk,
		segment, m.Subject, clean(m.Name), m.Metric, clean(m.Class), m.K, m.Value.Value, m.Reason, m.Lower, m.Upper, m.PValue, m.Null95,
		m.StandardError, m.NBaseline, m.NCurrent, clean(m.Baseline), flag(m.Threshold != nil), bounds.Upper, bounds.Lower, flag(m.Breached),
		m.LabelCoverage, flag(m.Mature), micros(m.ComputedAt),
		m.EffectiveBaseline, m.EffectiveCurrent, m.AdjustedP, m.BaselineValue, m.ConstantValue, standing,
	}, nil
}

// segmentText is a segment as a JSON object with sorted keys: equal segments are
// equal text.
func segmentText(segment map[string]string) (string, error) {
	if len(segment) == 0 {
		return "{}", nil
	}
	return jsonText(segment)
}

// The standing of a measurement, kept by CompleteRun, makes "newest revision"
// and "newest window" conditions on the row.
const (
	standingReplaced = 0
	standingCurrent  = 1
	standingLatest   = 2
)

// Completions of one job follow each other: the first writes its row, the next
// waits for it and then sees its measurements.
const upsertJobResult = `INSERT INTO job_result (model, job, window_start, window_end, revision, run_id) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (model, job) DO UPDATE SET window_end = job_result.window_end`

const moveJobResult = `UPDATE job_result SET window_start = $3, window_end = $4, revision = $5, run_id = $6
WHERE model = $1 AND job = $2
	AND (window_end < $4 OR (window_end = $4 AND (window_start < $3 OR (window_start = $3 AND revision < $5))))`

const selectNewerResult = `SELECT count(*) FROM run
WHERE model = $1 AND job = $2 AND window_start = $3 AND window_end = $4 AND revision > $5 AND state = 'succeeded'`

const replaceMeasurements = `UPDATE measurement SET standing = 0
WHERE standing > 0 AND run_id IN (
	SELECT id FROM run WHERE model = $1 AND job = $2 AND window_start = $3 AND window_end = $4 AND revision < $5)`

const sameSeries = `a.version = b.version AND a.subject = b.subject AND a.name = b.name AND a.metric = b.metric
	AND a.class = b.class AND a.k = b.k AND a.segment = b.segment`

// Of two rows of a series, the one whose window ends earlier is not the latest.
const demoteOlder = `UPDATE measurement AS a SET standing = 1
WHERE a.model = $1 AND a.job = $2 AND a.standing = 2 AND a.run_id <> $3
	AND (a.window_end < $5 OR (a.window_end = $5 AND a.window_start <= $4))
	AND EXISTS (SELECT 1 FROM measurement AS b WHERE b.run_id = $3 AND ` + sameSeries + `)`

const demoteOwn = `UPDATE measurement AS a SET standing = 1
WHERE a.run_id = $3 AND a.standing = 2
	AND EXISTS (SELECT 1 FROM measurement AS b WHERE b.model = $1 AND b.job = $2 AND b.standing = 2 AND b.run_id <> $3
		AND (b.window_end > $5 OR (b.window_end = $5 AND b.window_start > $4)) AND ` + sameSeries + `)`

// storeResults writes the measurements of a run that the transaction has just
// marked succeeded, and settles which rows are current and latest.
func storeResults(ctx context.Context, tx *sql.Tx, run modelwatch.Run, ms []modelwatch.Measurement) error {
	slot := []any{run.Model, run.Job, micros(run.Window.Start), micros(run.Window.End), run.Revision}
	for _, query := range []string{upsertJobResult, moveJobResult} {
		if _, err := tx.ExecContext(ctx, query, append(slot, run.ID)...); err != nil {
			return err
		}
	}
	var newer int
	if err := tx.QueryRowContext(ctx, selectNewerResult, slot...).Scan(&newer); err != nil {
		return err
	}
	standing := standingLatest
	if newer > 0 {
		standing = standingReplaced
	}
	rows := make([][]any, len(ms))
	for i, m := range ms {
		var err error
		if rows[i], err = measurementValues(run, m, standing); err != nil {
			return err
		}
	}
	if standing == standingLatest {
		if _, err := tx.ExecContext(ctx, replaceMeasurements, slot...); err != nil {
			return err
		}
	}
	if _, err := insertRows(ctx, tx, insertMeasurements, "", rows); err != nil || standing == standingReplaced {
		return err
	}
	for _, query := range []string{demoteOlder, demoteOwn} {
		if _, err := tx.ExecContext(ctx, query, run.Model, run.Job, run.ID, micros(run.Window.Start), micros(run.Window.End)); err != nil {
			return err
		}
	}
	return nil
}

const selectMeasurements = `SELECT m.id, ` + measurementColumns + ` FROM measurement AS m`

// listedMeasurement carries the sort key of a page.
type listedMeasurement struct {
	id int64
	modelwatch.Measurement
}

// Measurements lists measurements, newest window first and within a window in
// the order in which its run gave them.
func (c *Catalog) Measurements(ctx context.Context, f MeasurementFilter) (ms []modelwatch.Measurement, next string, err error) {
	q, err := measurementSelection(f)
	if err != nil {
		return nil, "", err
	}
	scan := func(r row) (l listedMeasurement, err error) {
		l.Measurement, err = scanMeasurementAfter(r, &l.id)
		return l, err
	}
	listed, err := find(ctx, c, "list measurements", scan, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	listed, next, err = cut(listed, f.Page, func(l listedMeasurement) key {
		return key{List: "measurements", Time: micros(l.Window.End), ID: l.id}
	})
	return convert(listed, func(l listedMeasurement) modelwatch.Measurement { return l.Measurement }), next, err
}

func measurementSelection(f MeasurementFilter) (*selection, error) {
	after, ok, err := startAfter(f.Page, "measurements")
	if err != nil {
		return nil, err
	}
	q := selectFrom(selectMeasurements)
	switch {
	case f.Latest:
		q.and("standing = 2")
	case f.Run == "":
		q.and("standing > 0")
	}
	q.andText("run_id", f.Run)
	q.andText("model", f.Model)
	q.andText("version", f.Version)
	q.andText("job", f.Job)
	q.andText("metric", f.Metric)
	q.andText("subject", string(f.Subject))
	q.andText("name", f.Name)
	q.andWindow(f.From, f.To)
	for _, name := range slices.Sorted(maps.Keys(f.Segment)) {
		if err := q.andSegment(name, f.Segment[name]); err != nil {
			return nil, err
		}
	}
	if ok {
		q.and("(window_end < ? OR (window_end = ? AND id > ?))", after.Time, after.Time, after.ID)
	}
	q.add(" ORDER BY window_end DESC, id LIMIT ?", pageSize(f.Page)+1)
	return q, nil
}

// andSegment keeps segments with this pair. The text of a segment is JSON made
// by segmentText, in which an unescaped quote stands only around a key or a
// value: the pair as text, after { or a comma, cannot be anything else.
func (q *selection) andSegment(name, value string) error {
	n, err := json.Marshal(name)
	if err != nil {
		return err
	}
	v, err := json.Marshal(value)
	if err != nil {
		return err
	}
	pair := string(n) + ":" + string(v)
	q.and("(replace(segment, ?, '') <> segment OR replace(segment, ?, '') <> segment)", "{"+pair, ","+pair)
	return nil
}

const selectLatestMeasurements = `SELECT ` + measurementColumns + `
FROM job_result AS r JOIN measurement AS m ON m.run_id = r.run_id ORDER BY r.model, r.job, m.id`

// LatestMeasurements returns, for each job, the results of its newest window in
// their newest revision, by model and job.
func (c *Catalog) LatestMeasurements(ctx context.Context) ([]modelwatch.Measurement, error) {
	return find(ctx, c, "read the latest measurements", scanMeasurement, selectLatestMeasurements)
}
