package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const takeLease = `INSERT INTO lease (name, owner, held_until, token) VALUES ($1, $2, $3, 1)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, held_until = excluded.held_until,
	token = lease.token + CASE WHEN lease.owner = excluded.owner THEN 0 ELSE 1 END
WHERE lease.owner = excluded.owner OR lease.held_until <= $4
RETURNING token`

// lead takes or extends a lease; false if another owner holds it. The row stays
// locked until the transaction ends, so leaders act one after the other.
func lead(ctx context.Context, tx *sql.Tx, name, owner string, now time.Time, lease time.Duration) (bool, error) {
	var token int64
	err := tx.QueryRowContext(ctx, takeLease, name, owner, micros(now.Add(lease)), micros(now)).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
