package catalog

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"
)

// Why an entry left the outbox without being delivered.
const (
	dropSuperseded = "superseded" // a newer revision of the window took its place
	dropRejected   = "rejected"   // its sink would never take it
)

// OutboxDrop counts the entries of a sink that were not delivered for one reason.
type OutboxDrop struct {
	Sink      string
	Reason    string // superseded or rejected
	Entries   int64  // since the database was made
	LastError string // what the sink said of the last one it rejected
	UpdatedAt time.Time
}

const upsertDrop = `INSERT INTO outbox_drop (sink, reason, entries, last_error, updated_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (sink, reason) DO UPDATE SET entries = outbox_drop.entries + excluded.entries,
	last_error = excluded.last_error, updated_at = excluded.updated_at`

func (c *Catalog) countDrops(ctx context.Context, tx *sql.Tx, drops map[string]int64, reason, errText string) error {
	for _, sink := range slices.Sorted(maps.Keys(drops)) {
		if _, err := tx.ExecContext(ctx, upsertDrop, sink, reason, drops[sink], clean(errText), micros(c.now())); err != nil {
			return err
		}
	}
	return nil
}

const selectDrops = `SELECT sink, reason, entries, last_error, updated_at FROM outbox_drop ORDER BY sink, reason`

// OutboxDrops returns what was dropped so far, by sink and reason.
func (c *Catalog) OutboxDrops(ctx context.Context) ([]OutboxDrop, error) {
	scan := func(r row) (d OutboxDrop, err error) {
		err = r.Scan(&d.Sink, &d.Reason, &d.Entries, &d.LastError, timeColumn{&d.UpdatedAt})
		return d, err
	}
	return find(ctx, c, "count dropped outbox entries", scan, selectDrops)
}
