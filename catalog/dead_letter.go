package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/modelwatch/modelwatch"
)

// deadLetterColumns are the letter's own, as they are inserted.
const deadLetterColumns = `topic_id, topic, partition_id, record_offset, reason, detail, model, record_key, record_value, headers, value_size,
checksum, object_key, object_offset, object_length, truncated, redacted, record_time, created_at`

const selectDeadLetters = `SELECT d.id, d.topic_id, d.topic, d.partition_id, d.record_offset, d.reason, d.detail, d.model, d.record_key,
d.record_value, d.headers, d.value_size, d.checksum, d.object_key, d.object_offset, d.object_length, d.truncated, d.redacted, d.record_time,
d.created_at, coalesce(r.state, 'open'), coalesce(r.updated_at, 0) ` + fromDeadLetters

const fromDeadLetters = `FROM dead_letter d
LEFT JOIN dead_letter_replay r ON r.topic_id = d.topic_id AND r.partition_id = d.partition_id AND r.record_offset = d.record_offset`

func scanDeadLetter(r row) (d modelwatch.DeadLetter, err error) {
	var topic string
	var truncated, redacted int64
	err = r.Scan(&d.ID, &topic, &d.Topic, &d.Partition, &d.Offset, &d.Reason, &d.Detail, &d.Model, &d.Key,
		&d.Value, jsonColumn{&d.Headers}, &d.Size, &d.Checksum, &d.Object.Key, &d.Object.Offset, &d.Object.Length, &truncated, &redacted,
		timeColumn{&d.Time}, timeColumn{&d.CreatedAt}, &d.State, timeColumn{&d.ReplayedAt})
	if err != nil {
		return d, err
	}
	d.Truncated, d.Redacted = truncated != 0, redacted != 0
	if d.Size < 0 { // written before sizes were kept
		d.Size = int64(len(d.Value))
	}
	if _, err := hex.Decode(d.TopicID[:], []byte(topic)); err != nil {
		return d, fmt.Errorf("scan topic id %q: %w", topic, err)
	}
	return d, nil
}

// narrow adds the conditions of a filter.
func narrow(q *selection, f DeadLetterFilter) {
	q.andText("d.model", f.Model)
	q.andText("d.reason", string(f.Reason))
	q.andText("d.topic", f.Topic)
	if f.TopicPrefix != "" { // LIKE has wildcards, and in SQLite takes either case
		q.and("substr(d.topic, 1, ?) = ?", utf8.RuneCountInString(f.TopicPrefix), clean(f.TopicPrefix))
	}
	q.andText("coalesce(r.state, 'open')", string(f.State))
	if !f.From.IsZero() {
		q.and("d.created_at >= ?", micros(f.From))
	}
	if !f.To.IsZero() {
		q.and("d.created_at < ?", micros(f.To))
	}
}

// DeadLetters lists dead letters, newest first.
func (c *Catalog) DeadLetters(ctx context.Context, f DeadLetterFilter) (letters []modelwatch.DeadLetter, next string, err error) {
	after, ok, err := startAfter(f.Page, "dead letters")
	if err != nil {
		return nil, "", err
	}
	q := selectFrom(selectDeadLetters)
	narrow(q, f)
	if ok {
		q.and("d.id < ?", after.ID)
	}
	q.add(" ORDER BY d.id DESC LIMIT ?", pageSize(f.Page)+1)
	letters, err = find(ctx, c, "list dead letters", scanDeadLetter, q.text.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	return cut(letters, f.Page, func(d modelwatch.DeadLetter) key { return key{List: "dead letters", ID: d.ID} })
}

const selectDeadLetter = selectDeadLetters + ` WHERE d.id = $1`

// DeadLetter returns one dead letter, or CodeNotFound.
func (c *Catalog) DeadLetter(ctx context.Context, id int64) (modelwatch.DeadLetter, error) {
	d, err := findOne(ctx, c, scanDeadLetter, selectDeadLetter, id)
	return d, c.wrap(missing(err, "there is no dead letter %d", id), "read dead letter")
}

const countDeadLetters = `SELECT d.reason, coalesce(r.state, 'open'), count(*), CAST(sum(CASE WHEN d.value_size < 0 THEN 0 ELSE d.value_size END) AS BIGINT) ` + fromDeadLetters

// CountDeadLetters counts the letters that the filter selects, by reason and
// state. The filter's page plays no part.
func (c *Catalog) CountDeadLetters(ctx context.Context, f DeadLetterFilter) ([]modelwatch.DeadLetterCount, error) {
	q := selectFrom(countDeadLetters)
	narrow(q, f)
	q.add(" GROUP BY d.reason, coalesce(r.state, 'open') ORDER BY d.reason, coalesce(r.state, 'open')")
	scan := func(r row) (n modelwatch.DeadLetterCount, err error) {
		err = r.Scan(&n.Reason, &n.State, &n.Count, &n.Bytes)
		return n, err
	}
	return find(ctx, c, "count dead letters", scan, q.text.String(), q.args...)
}

const insertDeadLetters = `INSERT INTO dead_letter (` + deadLetterColumns + `) VALUES `

// A record that another consumer group has put here already is kept once.
const keepDeadLetter = ` ON CONFLICT (topic_id, partition_id, record_offset) DO NOTHING`

// addDeadLetters stores the dead letters of a commit, whose ranges say which
// topic a name stands for unless the letter does.
func (c *Catalog) addDeadLetters(ctx context.Context, tx *sql.Tx, commit modelwatch.IngestCommit) error {
	topics := map[string]string{}
	for _, r := range commit.Ranges {
		topics[r.Topic] = topicID(r.Partition)
	}
	now := c.now()
	rows := make([][]any, len(commit.DeadLetters))
	for i, d := range commit.DeadLetters {
		id, ok := topics[d.Topic]
		if d.TopicID != [16]byte{} {
			id, ok = hex.EncodeToString(d.TopicID[:]), true
		}
		if !ok {
			return modelwatch.Errorf(modelwatch.CodeInternal, "the dead letter at offset %d of %s/%d lies in no range of its commit", d.Offset, d.Topic, d.Partition)
		}
		if d.CreatedAt.IsZero() {
			d.CreatedAt = now
		}
		headers := "[]"
		if len(d.Headers) > 0 {
			var err error
			if headers, err = jsonText(d.Headers); err != nil {
				return err
			}
		}
		rows[i] = []any{
			id, d.Topic, d.Partition, d.Offset, d.Reason, clean(d.Detail), clean(d.Model), d.Key, d.Value, headers, max(d.Size, int64(len(d.Value))),
			d.Checksum, d.Object.Key, d.Object.Offset, d.Object.Length, flag(d.Truncated), flag(d.Redacted), micros(d.Time), micros(d.CreatedAt),
		}
	}
	_, err := insertRows(ctx, tx, insertDeadLetters, keepDeadLetter, rows)
	return err
}

// topicID is the id of a partition's topic as the tables hold it.
func topicID(p modelwatch.Partition) string { return hex.EncodeToString(p.TopicID[:]) }
