package catalog

import (
	"context"
	"database/sql"
	"slices"
)

const selectKnownObjects = `SELECT object_key FROM (
	SELECT object_key FROM upload_intent UNION ALL SELECT object_key FROM data_file UNION ALL SELECT object_key FROM dead_letter WHERE object_key <> ''
) known WHERE object_key IN`

// UnknownObjects returns those of the keys that no row of the catalog names: no
// upload, no data file, readers' or retired, and no dead letter.
func (c *Catalog) UnknownObjects(ctx context.Context, keys []string) (unknown []string, err error) {
	known := map[string]bool{}
	err = eachBatch(keys, 1, func(batch []string) error {
		text, args := inList(selectKnownObjects, "", batch, nil)
		found, err := find(ctx, c, "look objects up", scanText, text, args...)
		for _, key := range found {
			known[key] = true
		}
		return err
	})
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return known[key] }), err
}

// One that has been announced meanwhile has a row, and keeps it.
const condemnUnknown = `INSERT INTO upload_intent (object_key, owner, state, created_at, commit_id)
SELECT $1, $2, 'dead', CAST($3 AS BIGINT), '' WHERE NOT EXISTS (SELECT 1 FROM data_file WHERE object_key = $1)
AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE object_key = $1 AND object_key <> '')
ON CONFLICT (object_key) DO NOTHING`

// CondemnUnknown gives up objects that the catalog does not know, so that they are
// garbage from then on, and returns how many are: see CondemnIntents. One of them
// cannot be registered any more, whoever wakes up: that takes a pending intent.
func (c *Catalog) CondemnUnknown(ctx context.Context, keys []string, owner string) (n int64, err error) {
	now := micros(c.now())
	err = c.change(ctx, "condemn unknown objects", func(ctx context.Context, tx *sql.Tx) error {
		n = 0
		for _, key := range slices.Sorted(slices.Values(keys)) {
			changed, err := exec(ctx, tx, condemnUnknown, key, clean(owner), now)
			if err != nil {
				return err
			}
			n += changed
		}
		return nil
	})
	return n, err
}
