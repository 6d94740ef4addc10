package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/ingest"
)

// letterStore is the part of the catalog that replays need.
type letterStore interface {
	DeadLetters(ctx context.Context, f modelwatch.DeadLetterFilter) ([]modelwatch.DeadLetter, string, error)
	QueueReplays(ctx context.Context, letters []modelwatch.DeadLetter) ([]modelwatch.DeadLetter, error)
	ReplaysProduced(ctx context.Context, records []modelwatch.RecordID) error
}

// partReader reads what was too large for the catalog.
type partReader interface {
	ReadPart(ctx context.Context, p modelwatch.ObjectPart) ([]byte, error)
}

// deadLetters publishes dead letters again. A letter is queued in the catalog
// before it is published: from then on ingest places it once, however many of its
// records there are. So whatever fails on the way is mended by doing it again.
type deadLetters struct {
	store   letterStore
	archive partReader
	client  *kgo.Client // for replays alone: see newReplayClient
	topics  []string    // that ingest reads
}

// newReplayClient makes a producer whose batches are as large as the largest record.
func newReplayClient(options []kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(slices.Clone(options),
		kgo.RecordDeliveryTimeout(20*time.Second),
		kgo.ProducerBatchMaxBytes(maxEventBytes+1<<20),
		kgo.ProducerLinger(0),
	)...)
}

// Value returns the bytes that are kept of a letter. CodeNotFound says that the
// object which held them is gone.
func (d deadLetters) Value(ctx context.Context, letter modelwatch.DeadLetter) ([]byte, error) {
	value := letter.Value
	if letter.Object.Key != "" {
		var err error
		if value, err = d.archive.ReadPart(ctx, letter.Object); err != nil {
			return nil, err
		}
	}
	if sum := sha256.Sum256(value); letter.Checksum != "" && !letter.Truncated && !letter.Redacted && hex.EncodeToString(sum[:]) != letter.Checksum {
		return nil, modelwatch.Errorf(modelwatch.CodeInternal, "dead letter %d: its bytes are not those that were received", letter.ID)
	}
	return value, nil
}

// Replay publishes one page of letters.
func (d deadLetters) Replay(ctx context.Context, f modelwatch.DeadLetterFilter, dryRun bool) (api.ReplayResult, error) {
	out := api.ReplayResult{Skipped: map[string]int{}}
	letters, next, err := d.store.DeadLetters(ctx, f)
	if err != nil {
		return out, err
	}
	out.Matched, out.NextCursor = len(letters), next
	var batch []letterBytes
	size := 0
	for _, letter := range letters {
		why := d.skip(letter, f.State)
		var value []byte
		if why == "" && !dryRun {
			value, err = d.Value(ctx, letter)
			if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
				why, err = "gone", nil
			}
			if err != nil {
				return out, err
			}
		}
		switch {
		case why != "":
			out.Skipped[why]++
			continue
		case dryRun:
			out.Replayed++
			continue
		}
		batch = append(batch, letterBytes{letter, value})
		if size += len(value); size < replayBytes && len(batch) < replayLetters {
			continue
		}
		if err := d.publish(ctx, batch, &out); err != nil {
			return out, err
		}
		batch, size = batch[:0], 0
	}
	err = d.publish(ctx, batch, &out)
	return out, err
}

// What is published at a time: the memory that a call takes, and what is left
// queued if the process dies.
const (
	replayBytes   = 16 << 20
	replayLetters = 200
)

// skip says why a letter is not published; "" if it is.
func (d deadLetters) skip(letter modelwatch.DeadLetter, asked modelwatch.DeadLetterState) string {
	if why := letter.Replayable(); why != "" {
		return why
	}
	switch {
	case letter.State == modelwatch.DeadLetterProduced && asked != modelwatch.DeadLetterProduced:
		return "produced"
	case strings.HasPrefix(letter.Topic, ingest.ImportTopic):
		return "file"
	case !slices.Contains(d.topics, letter.Topic):
		return "topic"
	}
	return ""
}

// letterBytes is a letter with its bytes.
type letterBytes struct {
	letter modelwatch.DeadLetter
	value  []byte
}

func (r letterBytes) record() *kgo.Record {
	id := r.letter.Record()
	out := &kgo.Record{Topic: r.letter.Topic, Key: r.letter.Key, Value: r.value}
	for _, h := range r.letter.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader(h))
	}
	out.Headers = append(out.Headers,
		kgo.RecordHeader{Key: modelwatch.HeaderReplayOf, Value: []byte(id.String())},
		kgo.RecordHeader{Key: modelwatch.HeaderReplayTime, Value: strconv.AppendInt(nil, r.letter.Time.UnixMicro(), 10)},
	)
	return out
}

// publish queues letters, produces them and notes those that the brokers have.
func (d deadLetters) publish(ctx context.Context, batch []letterBytes, out *api.ReplayResult) error {
	if len(batch) == 0 {
		return nil
	}
	letters, values := make([]modelwatch.DeadLetter, len(batch)), make(map[int64][]byte, len(batch))
	for i, r := range batch {
		letters[i], values[r.letter.ID] = r.letter, r.value
	}
	queued, err := d.store.QueueReplays(ctx, letters)
	if err != nil {
		return err
	}
	if n := len(batch) - len(queued); n > 0 {
		out.Skipped["changed"] += n
	}
	produced := make([]modelwatch.RecordID, 0, len(queued))
	for _, letter := range queued {
		// One at a time, so that a batch is never larger than the topic takes: each
		// of the records has been in it once.
		r := letterBytes{letter, values[letter.ID]}.record()
		if err = d.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			err = modelwatch.Wrap(modelwatch.CodeUnavailable, err, "publish dead letter %d to topic %s; those that follow were not published", letter.ID, letter.Topic)
			break
		}
		produced = append(produced, letter.Record())
	}
	out.Replayed += len(produced)
	if noted := d.store.ReplaysProduced(ctx, produced); noted != nil {
		return errors.Join(err, fmt.Errorf("%d dead letters were published: %w", len(produced), noted))
	}
	return err
}

// pruneInterval is how long the bounds of dead letters may be exceeded.
const pruneInterval = 5 * time.Minute

// pruneDeadLetters keeps the dead letters within their bounds. Objects that held
// the large ones are condemned with the last of them, and deleted with the garbage.
func (s *service) pruneDeadLetters(ctx context.Context) error {
	tick := time.NewTicker(pruneInterval)
	defer tick.Stop()
	for {
		deleted, err := s.catalog.PruneDeadLetters(ctx, time.Now().Add(-time.Duration(s.cfg.DeadLetters.MaxAge)), s.cfg.DeadLetters.MaxCount)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Warn("dead letters not pruned", "error", err)
		case deleted > 0:
			s.log.Info("dead letters deleted", "letters", deleted, "max_age", time.Duration(s.cfg.DeadLetters.MaxAge), "max_count", s.cfg.DeadLetters.MaxCount)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
