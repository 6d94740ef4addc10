// Package catalog is all SQL of modelwatch.
package catalog

import (
	"context"
	"log/slog"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Catalog is the ledger.
type Catalog struct{}

var errTmp = modelwatch.Errorf(modelwatch.CodeUnimplemented, "the catalog is being written")

func Open(ctx context.Context, dsn string, log *slog.Logger) (*Catalog, error) { return nil, errTmp }
func (c *Catalog) Migrate(ctx context.Context) (applied []string, err error)   { return nil, errTmp }
func (c *Catalog) Check(ctx context.Context) error                             { return errTmp }
func (c *Catalog) Close() error                                                { return nil }
func (c *Catalog) PutModel(ctx context.Context, m modelwatch.Model) (stored modelwatch.Model, created bool, err error) {
	return m, false, errTmp
}
func (c *Catalog) Model(ctx context.Context, name string) (m modelwatch.Model, err error) {
	return m, errTmp
}
func (c *Catalog) Models(ctx context.Context, page Page) (models []modelwatch.Model, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) PutVersion(ctx context.Context, v modelwatch.Version) (stored modelwatch.Version, created bool, err error) {
	return v, false, errTmp
}
func (c *Catalog) Version(ctx context.Context, model, version string) (v modelwatch.Version, err error) {
	return v, errTmp
}
func (c *Catalog) Versions(ctx context.Context, model string, page Page) (versions []modelwatch.Version, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) EnsureVersion(ctx context.Context, model, version string) (v modelwatch.Version, err error) {
	return v, errTmp
}
func (c *Catalog) GrowSchema(ctx context.Context, model, version string, fromRevision int64, s modelwatch.Schema) (v modelwatch.Version, err error) {
	return v, errTmp
}
func (c *Catalog) PutBaseline(ctx context.Context, b modelwatch.Baseline) error { return errTmp }
func (c *Catalog) Baseline(ctx context.Context, model, version, id string) (b modelwatch.Baseline, err error) {
	return b, errTmp
}
func (c *Catalog) Baselines(ctx context.Context, model, version string, page Page) (baselines []modelwatch.Baseline, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) LatestBaseline(ctx context.Context, model, version string) (b modelwatch.Baseline, err error) {
	return b, errTmp
}
func (c *Catalog) PutJob(ctx context.Context, j modelwatch.Job) (stored modelwatch.Job, changed bool, err error) {
	return j, false, errTmp
}
func (c *Catalog) Job(ctx context.Context, model, name string) (j modelwatch.Job, err error) {
	return j, errTmp
}
func (c *Catalog) Jobs(ctx context.Context, model string, page Page) (jobs []modelwatch.Job, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) AllJobs(ctx context.Context) ([]modelwatch.Job, error)   { return nil, errTmp }
func (c *Catalog) DeleteJob(ctx context.Context, model, name string) error { return errTmp }
func (c *Catalog) PlanRuns(ctx context.Context, job modelwatch.Job, windows []modelwatch.Window, plannedUntil time.Time) (added int, err error) {
	return 0, errTmp
}
func (c *Catalog) AddRun(ctx context.Context, run modelwatch.Run) (stored modelwatch.Run, created bool, err error) {
	return run, false, errTmp
}
func (c *Catalog) ClaimRun(ctx context.Context, worker string, now time.Time, lease time.Duration) (run modelwatch.Run, ok bool, err error) {
	return run, false, errTmp
}
func (c *Catalog) RenewRun(ctx context.Context, id string, token int64, until time.Time) error {
	return errTmp
}
func (c *Catalog) CompleteRun(ctx context.Context, run modelwatch.Run, ms []modelwatch.Measurement, outbox []modelwatch.OutboxEntry) error {
	return errTmp
}
func (c *Catalog) RetryRun(ctx context.Context, run modelwatch.Run, notBefore time.Time, errText string) error {
	return errTmp
}
func (c *Catalog) FailRun(ctx context.Context, run modelwatch.Run, errText string, outbox []modelwatch.OutboxEntry) error {
	return errTmp
}
func (c *Catalog) ReleaseRun(ctx context.Context, run modelwatch.Run) error { return errTmp }
func (c *Catalog) Runs(ctx context.Context, f RunFilter) (runs []modelwatch.Run, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) Run(ctx context.Context, id string) (run modelwatch.Run, err error) {
	return run, errTmp
}
func (c *Catalog) RevisableRuns(ctx context.Context, model, job string, since time.Time) ([]modelwatch.Run, error) {
	return nil, errTmp
}
func (c *Catalog) Measurements(ctx context.Context, f MeasurementFilter) (ms []modelwatch.Measurement, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) LatestMeasurements(ctx context.Context) ([]modelwatch.Measurement, error) {
	return nil, errTmp
}
func (c *Catalog) DataFiles(ctx context.Context, f DataFileFilter) ([]modelwatch.DataFile, error) {
	return nil, errTmp
}
func (c *Catalog) KeptRows(ctx context.Context, model, version string, kind modelwatch.Kind, w modelwatch.Window) (int64, error) {
	return 0, errTmp
}
func (c *Catalog) Volumes(ctx context.Context, model string, w modelwatch.Window) ([]modelwatch.Volume, error) {
	return nil, errTmp
}
func (c *Catalog) TakePartitions(ctx context.Context, group, owner string, parts []modelwatch.Partition) (map[modelwatch.Partition]modelwatch.Cursor, error) {
	return nil, errTmp
}
func (c *Catalog) IntendUpload(ctx context.Context, keys []string, owner string) error { return errTmp }
func (c *Catalog) CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error {
	return errTmp
}
func (c *Catalog) DeadLetters(ctx context.Context, f DeadLetterFilter) (letters []modelwatch.DeadLetter, next string, err error) {
	return nil, "", errTmp
}
func (c *Catalog) CountDeadLetters(ctx context.Context) (map[modelwatch.DeadLetterReason]int64, error) {
	return nil, errTmp
}
func (c *Catalog) CondemnIntents(ctx context.Context, olderThan time.Time, limit int) (keys []string, err error) {
	return nil, errTmp
}
func (c *Catalog) ForgetIntents(ctx context.Context, keys []string) error { return errTmp }
func (c *Catalog) ClaimOutbox(ctx context.Context, sink, owner string, now time.Time, lease time.Duration, limit int) (entries []modelwatch.OutboxEntry, leader bool, err error) {
	return nil, false, errTmp
}
func (c *Catalog) AckOutbox(ctx context.Context, ids []int64) error { return errTmp }
func (c *Catalog) RetryOutbox(ctx context.Context, ids []int64, notBefore time.Time, errText string) error {
	return errTmp
}
func (c *Catalog) DropOutbox(ctx context.Context, ids []int64, errText string) error { return errTmp }
func (c *Catalog) OutboxDepth(ctx context.Context) (map[string]int64, error)         { return nil, errTmp }
func (c *Catalog) ReportCounts(ctx context.Context, owner string, now time.Time, sinks []string) (reported int, leader bool, err error) {
	return 0, false, errTmp
}
func (c *Catalog) Setting(ctx context.Context, key string) (value string, ok bool, err error) {
	return "", false, errTmp
}
func (c *Catalog) PutSettingIfAbsent(ctx context.Context, key, value string) (stored string, err error) {
	return "", errTmp
}
func (c *Catalog) PutSetting(ctx context.Context, key, value string) error { return errTmp }
