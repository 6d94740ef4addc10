package ingest

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// ImportTopic begins what dead letters of imported files have as their topic: the
// name of the file follows. No topic of Kafka can be called so. Their partition is
// 0 and their offset the line, or the row of a table, counted from 1.
const ImportTopic = "file:"

// LetterReplay is a dead letter with its bytes, whose replay the catalog has queued.
type LetterReplay struct {
	Letter modelwatch.DeadLetter
	Value  []byte
}

// Replay imports dead letters again, as Run imports lines: those that find their
// place now, and why the others do not, are one commit. CodeFenced says that another
// one has settled one of the letters; then nothing was done. A dry run needs no letter queued.
func (o EventImport) Replay(ctx context.Context, letters []LetterReplay) (TableImported, error) {
	w, err := o.start()
	if err != nil {
		return w.report, err
	}
	for _, l := range letters {
		if err := w.replay(ctx, l); err != nil {
			return w.report, fmt.Errorf("dead letter %d: %w", l.Letter.ID, err)
		}
	}
	if err := w.commit(ctx); err != nil {
		return w.report, err
	}
	for _, r := range w.replays {
		if r.Reason != "" {
			w.report.Rejected[r.Reason]++
		}
	}
	return w.report, nil
}

// replay places a letter as the line that it was.
func (w *eventImport) replay(ctx context.Context, l LetterReplay) error {
	r := &kgo.Record{Key: l.Letter.Key, Value: l.Value, Offset: l.Letter.Offset, Timestamp: l.Letter.Time}
	for _, h := range l.Letter.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader(h))
	}
	b, placed := w.batch, modelwatch.Replay{Record: l.Letter.Record()}
	n := len(b.replays)
	b.replaying = &replaying{placed.Record, modelwatch.ReplayState{State: l.Letter.State, Kept: true, Redacted: l.Letter.Redacted}}
	w.source.decoder.redacted = l.Letter.Redacted
	err := w.line(ctx, r)
	b.replaying, w.source.decoder.redacted = nil, false
	if err != nil {
		return err
	}
	if len(b.replays) == n {
		b.addReplay(placed)
	}
	return w.flushFull(ctx)
}
