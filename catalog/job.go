package catalog

import (
	"context"
	"database/sql"

	"github.com/modelwatch/modelwatch"
)

const jobColumns = `model, name, kind, body, revision, planned_until, created_at, updated_at`

func scanJob(r row) (j modelwatch.Job, err error) {
	var body jobBody
	err = r.Scan(&j.Model, &j.Name, &j.Kind, jsonColumn{&body}, &j.Revision, timeColumn{&j.PlannedUntil},
		timeColumn{&j.CreatedAt}, timeColumn{&j.UpdatedAt})
	body.fill(&j)
	return j, err
}

const selectJob = `SELECT ` + jobColumns + ` FROM job WHERE model = $1 AND name = $2 `

// Job returns a job of a model.
func (c *Catalog) Job(ctx context.Context, model, name string) (modelwatch.Job, error) {
	j, err := findOne(ctx, c, scanJob, selectJob, clean(model), clean(name))
	return j, c.wrap(noJob(err, model, name), "read job "+name+" of model "+model)
}

func noJob(err error, model, name string) error {
	return missing(err, "there is no job %q of model %q", name, model)
}

const selectJobs = `SELECT ` + jobColumns + ` FROM job`

// Jobs lists the jobs of a model by name, or those of every model by model and
// name if model is "".
func (c *Catalog) Jobs(ctx context.Context, model string, page Page) (jobs []modelwatch.Job, next string, err error) {
	after, ok, err := startAfter(page, "jobs")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectJobs)
	q.andText("model", model)
	if ok {
		q.and("(model > ? OR (model = ? AND name > ?))", after.Text, after.Text, after.More)
	}
	q.add(" ORDER BY model, name LIMIT ?", pageSize(page)+1)
	jobs, err = find(ctx, c, "list jobs", scanJob, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(jobs, page, func(j modelwatch.Job) key { return key{List: "jobs", Text: j.Model, More: j.Name} })
}

const selectAllJobs = `SELECT ` + jobColumns + ` FROM job ORDER BY model, name`

// AllJobs returns every job, by model and name.
func (c *Catalog) AllJobs(ctx context.Context) ([]modelwatch.Job, error) {
	return find(ctx, c, "list all jobs", scanJob, selectAllJobs)
}

const insertJob = `INSERT INTO job (` + jobColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (model, name) DO NOTHING`

const updateJob = `UPDATE job SET kind = $3, body = $4, revision = $5, updated_at = $6 WHERE model = $1 AND name = $2`

// PutJob creates or replaces a job. The same body again changes nothing; another
// one gets the next revision and keeps PlannedUntil, so the new schedule goes on
// where the old one stood. A new job starts at the PlannedUntil given. The model
// must exist, else CodeNotFound.
func (c *Catalog) PutJob(ctx context.Context, j modelwatch.Job) (stored modelwatch.Job, changed bool, err error) {
	what := "store job " + j.Name + " of model " + j.Model
	body, err := jsonText(newJobBody(j))
	if err != nil {
		return j, false, c.wrap(err, what)
	}
	now := micros(c.now())
	err = c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := scanModel(tx.QueryRowContext(ctx, selectModel, j.Model)); err != nil {
			return missing(err, "there is no model %q: create it before its job %q", j.Model, j.Name)
		}
		n, err := exec(ctx, tx, insertJob, j.Model, j.Name, j.Kind, body, 1, micros(j.PlannedUntil), now, now)
		if err != nil {
			return err
		}
		stored, err = scanJob(tx.QueryRowContext(ctx, selectJob+c.dialect.lock, j.Model, j.Name))
		if err != nil || n == 1 {
			changed = n == 1
			return err
		}
		before, err := jsonText(newJobBody(stored))
		if err != nil || (before == body && stored.Kind == j.Kind) {
			changed = false
			return err
		}
		changed = true
		newJobBody(j).fill(&stored)
		stored.Kind, stored.Revision, stored.UpdatedAt = j.Kind, stored.Revision+1, fromMicros(now)
		_, err = tx.ExecContext(ctx, updateJob, j.Model, j.Name, j.Kind, body, stored.Revision, now)
		return err
	})
	return stored, changed, err
}

const deleteJob = `DELETE FROM job WHERE model = $1 AND name = $2`

// A worker that still computes one of the runs is fenced when it reports.
const cancelRuns = `UPDATE run SET state = 'cancelled', token = token + 1, lease_until = 0, finished_at = $3
WHERE model = $1 AND job = $2 AND state IN ('queued', 'running')`

const deleteJobResult = `DELETE FROM job_result WHERE model = $1 AND job = $2`

// DeleteJob removes a job and cancels its runs that are not finished. Finished
// runs and their measurements stay; LatestMeasurements no longer shows them.
func (c *Catalog) DeleteJob(ctx context.Context, model, name string) error {
	return c.change(ctx, "delete job "+name+" of model "+model, func(ctx context.Context, tx *sql.Tx) error {
		n, err := exec(ctx, tx, deleteJob, clean(model), clean(name))
		if err != nil {
			return err
		}
		if n == 0 {
			return noJob(sql.ErrNoRows, model, name)
		}
		if _, err := tx.ExecContext(ctx, cancelRuns, clean(model), clean(name), micros(c.now())); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, deleteJobResult, clean(model), clean(name))
		return err
	})
}
