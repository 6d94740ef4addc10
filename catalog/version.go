package catalog

import (
	"context"
	"database/sql"
	"reflect"

	"github.com/modelwatch/modelwatch"
)

const versionColumns = `model, name, schema_body, sampling_rate, retention_days, registered, schema_revision, created_at, updated_at, rate_body`

func scanVersion(r row) (v modelwatch.Version, err error) {
	var body schemaBody
	var rates []rateBody
	err = r.Scan(&v.Model, &v.Name, jsonColumn{&body}, &v.SamplingRate, &v.RetentionDays, &v.Registered, &v.SchemaRevision,
		timeColumn{&v.CreatedAt}, timeColumn{&v.UpdatedAt}, jsonColumn{&rates})
	v.Schema = body.schema()
	v.Rates = convert(rates, rateBody.step)
	return v, err
}

const selectVersion = `SELECT ` + versionColumns + ` FROM model_version WHERE model = $1 AND name = $2 `

// Version returns a version of a model.
func (c *Catalog) Version(ctx context.Context, model, version string) (modelwatch.Version, error) {
	v, err := findOne(ctx, c, scanVersion, selectVersion, clean(model), clean(version))
	return v, c.wrap(noVersion(err, model, version), "read version "+version+" of model "+model)
}

func noVersion(err error, model, version string) error {
	return missing(err, "there is no version %q of model %q", version, model)
}

// The nameless version of labels is not one that a user knows.
const selectVersions = `SELECT ` + versionColumns + ` FROM model_version WHERE model = $1 AND name > $2 ORDER BY name LIMIT $3`

// Versions lists the versions of a model by name. A model that does not exist
// has none.
func (c *Catalog) Versions(ctx context.Context, model string, page Page) (versions []modelwatch.Version, next string, err error) {
	after, _, err := startAfter(page, "versions")
	if err != nil {
		return nil, "", err
	}
	versions, err = find(ctx, c, "list versions of model "+model, scanVersion, selectVersions, clean(model), after.Text, pageSize(page)+1)
	if err != nil {
		return nil, "", err
	}
	return cut(versions, page, func(v modelwatch.Version) key { return key{List: "versions", Text: v.Name} })
}

// JSON has no other "privacy" with a colon but as the name of a member: see privacyBody.
const selectPrivateVersions = `SELECT ` + versionColumns + ` FROM model_version WHERE schema_body LIKE '%"privacy":{%' ORDER BY model, name`

// PrivateVersions returns the versions whose schemas have privacy rules.
func (c *Catalog) PrivateVersions(ctx context.Context) ([]modelwatch.Version, error) {
	return find(ctx, c, "find versions with privacy rules", scanVersion, selectPrivateVersions)
}

const insertVersion = `INSERT INTO model_version (` + versionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '[]')
ON CONFLICT (model, name) DO NOTHING`

const updateVersion = `UPDATE model_version
SET schema_body = $3, sampling_rate = $4, retention_days = $5, registered = 1, schema_revision = $6, updated_at = $7, rate_body = $8
WHERE model = $1 AND name = $2`

// PutVersion creates or replaces a version by the user's word: it is registered
// from then on. A schema that says nothing leaves the stored one, which traffic
// or a baseline may have taught; one that differs gets the next revision. A rate
// that differs takes effect by event time; see Version.ChangeRate. The
// same version again changes nothing. The model must exist, else CodeNotFound.
func (c *Catalog) PutVersion(ctx context.Context, v modelwatch.Version) (stored modelwatch.Version, created bool, err error) {
	what := "store version " + v.Name + " of model " + v.Model
	v.Registered, v.SchemaRevision = true, 1
	v.CreatedAt = fromMicros(micros(c.now()))
	v.UpdatedAt = v.CreatedAt
	err = c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := scanModel(tx.QueryRowContext(ctx, selectModel, v.Model)); err != nil {
			return missing(err, "there is no model %q: create it before its version %q", v.Model, v.Name)
		}
		n, err := c.addVersion(ctx, tx, v)
		if err != nil {
			return err
		}
		stored, err = scanVersion(tx.QueryRowContext(ctx, selectVersion+c.dialect.lock, v.Model, v.Name))
		created = n == 1
		if err != nil || created {
			return err
		}
		stored, err = replaceVersion(ctx, tx, stored, v)
		return err
	})
	return stored, created, err
}

func (c *Catalog) addVersion(ctx context.Context, tx *sql.Tx, v modelwatch.Version) (int64, error) {
	schema, err := jsonText(newSchemaBody(v.Schema))
	if err != nil {
		return 0, err
	}
	return exec(ctx, tx, insertVersion, v.Model, v.Name, schema, v.SamplingRate, v.RetentionDays, flag(v.Registered),
		v.SchemaRevision, micros(v.CreatedAt), micros(v.UpdatedAt))
}

// replaceVersion writes v over old, which the transaction has locked, and
// returns what is stored then.
func replaceVersion(ctx context.Context, tx *sql.Tx, old, v modelwatch.Version) (modelwatch.Version, error) {
	v.CreatedAt, v.SchemaRevision, v.Rates = old.CreatedAt, old.SchemaRevision, old.Rates
	if reflect.ValueOf(v.Schema).IsZero() {
		v.Schema = old.Schema
	}
	schema, err := jsonText(newSchemaBody(v.Schema))
	if err != nil {
		return old, err
	}
	before, err := jsonText(newSchemaBody(old.Schema))
	if err != nil {
		return old, err
	}
	if schema == before && v.SamplingRate == old.SamplingRate && v.RetentionDays == old.RetentionDays && old.Registered {
		return old, nil
	}
	if schema != before {
		v.SchemaRevision++
	}
	if v.SamplingRate != old.SamplingRate || !old.Registered {
		v.Rates = old.ChangeRate(v.SamplingRate, v.UpdatedAt)
	}
	rates, err := jsonText(convert(v.Rates, newRateBody))
	if err != nil {
		return old, err
	}
	_, err = tx.ExecContext(ctx, updateVersion, v.Model, v.Name, schema, v.SamplingRate, v.RetentionDays, v.SchemaRevision, micros(v.UpdatedAt), rates)
	return v, err
}

// EnsureVersion returns a version, making it and its model known first if its
// traffic is the first that is heard of them: not registered, keeping every
// row, with an empty schema of revision 1. The version "" stands for labels that
// name none; lists do not show it.
func (c *Catalog) EnsureVersion(ctx context.Context, model, version string) (modelwatch.Version, error) {
	what := "make version " + version + " of model " + model + " known"
	v, err := findOne(ctx, c, scanVersion, selectVersion, model, version)
	if code := c.code(err); err == nil || code != modelwatch.CodeNotFound {
		return v, c.wrap(err, what)
	}
	now := fromMicros(micros(c.now()))
	err = c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		if err := c.ensureModel(ctx, tx, model); err != nil {
			return err
		}
		_, err := c.addVersion(ctx, tx, modelwatch.Version{Model: model, Name: version, SamplingRate: 1, SchemaRevision: 1, CreatedAt: now, UpdatedAt: now})
		if err != nil {
			return err
		}
		v, err = scanVersion(tx.QueryRowContext(ctx, selectVersion, model, version))
		return err
	})
	return v, err
}

const growSchema = `UPDATE model_version SET schema_body = $4, schema_revision = schema_revision + 1, updated_at = $5
WHERE model = $1 AND name = $2 AND schema_revision = $3 RETURNING ` + versionColumns

// GrowSchema replaces the schema of a version if it is still at fromRevision. If
// it has moved, the error is CodeConflict: read it again and build on that.
func (c *Catalog) GrowSchema(ctx context.Context, model, version string, fromRevision int64, s modelwatch.Schema) (v modelwatch.Version, err error) {
	what := "change the schema of version " + version + " of model " + model
	schema, err := jsonText(newSchemaBody(s))
	if err != nil {
		return v, c.wrap(err, what)
	}
	err = c.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		v, err = scanVersion(tx.QueryRowContext(ctx, growSchema, model, version, fromRevision, schema, micros(c.now())))
		if c.code(err) != modelwatch.CodeNotFound {
			return err
		}
		current, err := scanVersion(tx.QueryRowContext(ctx, selectVersion, model, version))
		if err != nil {
			return noVersion(err, model, version)
		}
		return modelwatch.Errorf(modelwatch.CodeConflict, "the schema of version %q of model %q is at revision %d, not %d",
			version, model, current.SchemaRevision, fromRevision)
	})
	return v, err
}
