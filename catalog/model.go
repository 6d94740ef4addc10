package catalog

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/modelwatch/modelwatch"
)

const modelColumns = `name, task, positive, description, owner, tags, registered, created_at, updated_at, feature_groups`

func scanModel(r row) (m modelwatch.Model, err error) {
	err = r.Scan(&m.Name, &m.Task, &m.Positive, &m.Description, &m.Owner, jsonColumn{&m.Tags}, &m.Registered,
		timeColumn{&m.CreatedAt}, timeColumn{&m.UpdatedAt}, jsonColumn{&m.FeatureGroups})
	if len(m.FeatureGroups) == 0 {
		m.FeatureGroups = nil
	}
	return m, err
}

const selectModel = `SELECT ` + modelColumns + ` FROM model WHERE name = $1 `

// Model returns a model by its name.
func (c *Catalog) Model(ctx context.Context, name string) (modelwatch.Model, error) {
	m, err := findOne(ctx, c, scanModel, selectModel, clean(name))
	return m, c.wrap(missing(err, "there is no model %q", name), "read model "+name)
}

const selectModels = `SELECT ` + modelColumns + ` FROM model`

// Models lists the models by name.
func (c *Catalog) Models(ctx context.Context, page Page) (models []modelwatch.Model, next string, err error) {
	after, ok, err := startAfter(page, "models")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectModels)
	if ok {
		q.and("name > ?", after.Text)
	}
	q.add(" ORDER BY name LIMIT ?", pageSize(page)+1)
	models, err = find(ctx, c, "list models", scanModel, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(models, page, func(m modelwatch.Model) key { return key{List: "models", Text: m.Name} })
}

const insertModel = `INSERT INTO model (` + modelColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (name) DO NOTHING`

const updateModel = `UPDATE model SET task = $2, positive = $3, description = $4, owner = $5, tags = $6, registered = 1, updated_at = $7, feature_groups = $8
WHERE name = $1`

// PutModel creates or replaces a model by the user's word: it is registered from
// then on. The same model again changes nothing, not even UpdatedAt. created is
// true when the name was not known, not even from traffic.
func (c *Catalog) PutModel(ctx context.Context, m modelwatch.Model) (stored modelwatch.Model, created bool, err error) {
	m.Registered = true
	m.CreatedAt = fromMicros(micros(c.now()))
	m.UpdatedAt = m.CreatedAt
	m.Positive, m.Description, m.Owner = clean(m.Positive), clean(m.Description), clean(m.Owner)
	tags, err := jsonText(m.Tags)
	if err != nil {
		return m, false, c.wrap(err, "store model "+m.Name)
	}
	groups := "{}"
	if len(m.FeatureGroups) > 0 {
		if groups, err = jsonText(m.FeatureGroups); err != nil {
			return m, false, c.wrap(err, "store model "+m.Name)
		}
	}
	err = c.change(ctx, "store model "+m.Name, func(ctx context.Context, tx *sql.Tx) error {
		n, err := exec(ctx, tx, insertModel, m.Name, m.Task, m.Positive, m.Description, m.Owner, tags, 1, micros(m.CreatedAt), micros(m.UpdatedAt), groups)
		if err != nil {
			return err
		}
		stored, err = scanModel(tx.QueryRowContext(ctx, selectModel+c.dialect.lock, m.Name))
		created = n == 1
		if err != nil || created || sameModel(stored, m) {
			return err
		}
		m.CreatedAt = stored.CreatedAt
		stored = m
		_, err = tx.ExecContext(ctx, updateModel, m.Name, m.Task, m.Positive, m.Description, m.Owner, tags, micros(m.UpdatedAt), groups)
		return err
	})
	return stored, created, err
}

func sameModel(a, b modelwatch.Model) bool {
	return a.Task == b.Task && a.Positive == b.Positive && a.Description == b.Description && a.Owner == b.Owner &&
		a.Registered == b.Registered && maps.Equal(a.Tags, b.Tags) &&
		maps.EqualFunc(a.FeatureGroups, b.FeatureGroups, slices.Equal)
}

// ensureModel makes a model known from its traffic.
func (c *Catalog) ensureModel(ctx context.Context, tx *sql.Tx, name string) error {
	now := micros(c.now())
	_, err := tx.ExecContext(ctx, insertModel, name, modelwatch.TaskOther, "", "", "", "{}", 0, now, now, "{}")
	return err
}
