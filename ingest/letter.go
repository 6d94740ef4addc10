package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

const (
	// maxInlineLetter is the size up to which the value of a dead letter stands in
	// the catalog. Larger ones lie in the archive, those of a flush in one object.
	maxInlineLetter = 16 << 10
	// maxKeptTooLarge bounds what is kept of a record that is too large to be read.
	maxKeptTooLarge = 64 << 10
	// maxLetterMeta bounds the key, and the headers, that are kept of a record.
	maxLetterMeta = 64 << 10
)

// newLetter keeps a record that has no place.
func newLetter(r *kgo.Record, rej *rejection, now time.Time) modelwatch.DeadLetter {
	sum := sha256.Sum256(r.Value)
	letter := modelwatch.DeadLetter{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Reason: rej.reason, Detail: rej.detail, Model: rej.model,
		Size: int64(len(r.Value)), Checksum: hex.EncodeToString(sum[:]), Time: r.Timestamp.UTC(), CreatedAt: now.UTC(),
	}
	value, key := r.Value, r.Key
	if rej.reason == modelwatch.DeadTooLarge {
		value = value[:min(len(value), maxKeptTooLarge)]
	}
	key = key[:min(len(key), maxLetterMeta)]
	letter.Headers, letter.Truncated = keepHeaders(r.Headers)
	letter.Truncated = letter.Truncated || len(value) < len(r.Value) || len(key) < len(r.Key)
	letter.Value, letter.Key = slices.Clone(value), slices.Clone(key)
	return letter
}

// reject keeps a record that has no place, without what privacy rules cover.
func (c *Consumer) reject(ctx context.Context, b *batch, s *source, r *kgo.Record, rej *rejection) error {
	letter := newLetter(r, rej, time.Now())
	err := c.retry(ctx, func() error { return c.versions.private.redact(ctx, &letter, s.format == nil) })
	if err != nil {
		return err
	}
	rej.detail = letter.Detail
	b.reject(letter, rej)
	return nil
}

// keepHeaders copies the headers of a record; cut is true where they are too long.
func keepHeaders(headers []kgo.RecordHeader) (kept []modelwatch.RecordHeader, cut bool) {
	size := 0
	for _, h := range headers {
		if size += len(h.Key) + len(h.Value); size > maxLetterMeta {
			return kept, true
		}
		if h.Key != modelwatch.HeaderReplayOf && h.Key != modelwatch.HeaderReplayTime {
			kept = append(kept, modelwatch.RecordHeader{Key: h.Key, Value: slices.Clone(h.Value)})
		}
	}
	return kept, false
}

// letterBytes estimates the memory of a letter.
func letterBytes(d *modelwatch.DeadLetter) int64 {
	n := 512 + len(d.Value) + len(d.Key) + len(d.Detail)
	for _, h := range d.Headers {
		n += 64 + len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// packLetters moves large values out of the letters into the body of one object,
// whose key it returns; the key is "" if there are none.
func packLetters(letters []modelwatch.DeadLetter, commit string, at time.Time) (key string, body []byte) {
	size := 0
	for i := range letters {
		if n := len(letters[i].Value); n > maxInlineLetter {
			size += n
		}
	}
	if size == 0 {
		return "", nil
	}
	key, body = modelwatch.DeadLetterKey(commit, at), make([]byte, 0, size)
	for i := range letters {
		d := &letters[i]
		if len(d.Value) > maxInlineLetter {
			d.Object = modelwatch.ObjectPart{Key: key, Offset: int64(len(body)), Length: int64(len(d.Value))}
			body = append(body, d.Value...)
			d.Value = nil
		}
	}
	return key, body
}
