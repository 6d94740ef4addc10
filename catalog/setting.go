package catalog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/modelwatch/modelwatch"
)

const selectSetting = `SELECT value FROM setting WHERE name = $1`

// Setting returns a small durable value, ok false if none was stored.
func (c *Catalog) Setting(ctx context.Context, key string) (value string, ok bool, err error) {
	value, err = findOne(ctx, c, scanText, selectSetting, clean(key))
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, c.wrap(err, "read setting "+key)
}

const insertSetting = `INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`

// PutSettingIfAbsent stores a value unless there is one, and returns what is
// stored: of several processes that come with values of their own, all end up
// with the same.
func (c *Catalog) PutSettingIfAbsent(ctx context.Context, key, value string) (stored string, err error) {
	if err := checkSetting(key, value); err != nil {
		return "", err
	}
	err = c.change(ctx, "store setting "+key, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insertSetting, key, value); err != nil {
			return err
		}
		stored, err = scanText(tx.QueryRowContext(ctx, selectSetting, key))
		return err
	})
	return stored, err
}

const upsertSetting = `INSERT INTO setting (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value`

// PutSetting stores a value, replacing the one before.
func (c *Catalog) PutSetting(ctx context.Context, key, value string) error {
	if err := checkSetting(key, value); err != nil {
		return err
	}
	return c.statement(ctx, "store setting "+key, func(ctx context.Context, r runner) error {
		_, err := r.ExecContext(ctx, upsertSetting, key, value)
		return err
	})
}

// checkSetting refuses what would be changed by storing it: a key of raw bytes
// must come encoded.
func checkSetting(key, value string) error {
	if clean(key) != key || clean(value) != value {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "setting %q is not text: encode bytes, for example in base64", key)
	}
	return nil
}
