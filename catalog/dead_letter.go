package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"

	"github.com/modelwatch/modelwatch"
)

const deadLetterColumns = `topic, partition_id, record_offset, reason, detail, model, record_key, record_value, record_time, created_at`

func scanDeadLetter(r row) (d modelwatch.DeadLetter, err error) {
	err = r.Scan(&d.ID, &d.Topic, &d.Partition, &d.Offset, &d.Reason, &d.Detail, &d.Model, &d.Key, &d.Value,
		timeColumn{&d.Time}, timeColumn{&d.CreatedAt})
	return d, err
}

const selectDeadLetters = `SELECT id, ` + deadLetterColumns + ` FROM dead_letter`

// DeadLetters lists dead letters, newest first.
func (c *Catalog) DeadLetters(ctx context.Context, f DeadLetterFilter) (letters []modelwatch.DeadLetter, next string, err error) {
	after, ok, err := startAfter(f.Page, "dead letters")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectDeadLetters)
	q.andText("model", f.Model)
	q.andText("reason", string(f.Reason))
	q.andText("topic", f.Topic)
	if !f.From.IsZero() {
		q.and("created_at >= ?", micros(f.From))
	}
	if !f.To.IsZero() {
		q.and("created_at < ?", micros(f.To))
	}
	if ok {
		q.and("id < ?", after.ID)
	}
	q.add(" ORDER BY id DESC LIMIT ?", pageSize(f.Page)+1)
	letters, err = find(ctx, c, "list dead letters", scanDeadLetter, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(letters, f.Page, func(d modelwatch.DeadLetter) key { return key{List: "dead letters", ID: d.ID} })
}

const selectDeadLetterCounts = `SELECT reason, count(*) FROM dead_letter GROUP BY reason`

// CountDeadLetters returns how many dead letters there are, by reason.
func (c *Catalog) CountDeadLetters(ctx context.Context) (map[modelwatch.DeadLetterReason]int64, error) {
	return countBy[modelwatch.DeadLetterReason](ctx, c, "count dead letters", selectDeadLetterCounts)
}

const insertDeadLetters = `INSERT INTO dead_letter (topic_id, ` + deadLetterColumns + `) VALUES `

// A record that another consumer group has put here already is kept once.
const keepDeadLetter = ` ON CONFLICT (topic_id, partition_id, record_offset) DO NOTHING`

// addDeadLetters stores the dead letters of a commit, whose ranges say which
// topic a name stands for.
func (c *Catalog) addDeadLetters(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit) error {
	topics := map[string]string{}
	for _, r := range commit.Ranges {
		topics[r.Topic] = topicID(r.Partition)
	}
	now := c.now()
	rows := make([][]any, len(commit.DeadLetters))
	for i, d := range commit.DeadLetters {
		id, ok := topics[d.Topic]
		if !ok {
			return modelwatch.Errorf(modelwatch.CodeInternal, "the dead letter at offset %d of %s/%d lies in no range of its commit", d.Offset, d.Topic, d.Partition)
		}
		if d.CreatedAt.IsZero() {
			d.CreatedAt = now
		}
		rows[i] = []any{
			id, d.Topic, d.Partition, d.Offset, d.Reason, clean(d.Detail), clean(d.Model), d.Key, d.Value,
			micros(d.Time), micros(d.CreatedAt),
		}
	}
	_, err := insertRows(ctx, tx, insertDeadLetters, keepDeadLetter, rows)
	return err
}

// topicID is the id of a partition's topic as the tables hold it.
func topicID(p modelwatch.Partition) string { return hex.EncodeToString(p.TopicID[:]) }
