package ingest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// replays are the replays of dead letters that this consumer holds and that are
// not committed. The catalog knows those that are: together they make that of
// any number of records of one replay the first has an effect.
type replays struct {
	mu   sync.Mutex
	held map[modelwatch.RecordID]struct{}
}

// claim is false if the replay is held already.
func (r *replays) claim(id modelwatch.RecordID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.held[id]; ok {
		return false
	}
	if r.held == nil {
		r.held = map[modelwatch.RecordID]struct{}{}
	}
	r.held[id] = struct{}{}
	return true
}

// release forgets replays: they are committed, or were not placed.
func (r *replays) release(settled ...modelwatch.Replay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range settled {
		delete(r.held, s.Record)
	}
}

// drop forgets all: what was read is being dropped.
func (r *replays) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.held)
}

// replayOf reads which record a replay stands for.
func replayOf(r *kgo.Record) (modelwatch.RecordID, bool) {
	for i := range r.Headers {
		if r.Headers[i].Key == modelwatch.HeaderReplayOf {
			return modelwatch.ParseRecordID(string(r.Headers[i].Value))
		}
	}
	return modelwatch.RecordID{}, false
}

// asItWas is the record that a replay stands for, as far as decoding needs it.
func asItWas(r *kgo.Record) *kgo.Record {
	out := *r
	for i := range r.Headers {
		if r.Headers[i].Key != modelwatch.HeaderReplayTime {
			continue
		}
		if us, err := strconv.ParseInt(string(r.Headers[i].Value), 10, 64); err == nil {
			out.Timestamp = time.UnixMicro(us)
		}
	}
	return &out
}

// replaying is the replay that a batch is about to place.
type replaying struct {
	record modelwatch.RecordID
	state  modelwatch.ReplayState
}

// placeReplay places the replay of a dead letter, unless that is done. One that
// the catalog does not know is an ordinary record: anybody may write headers.
func (c *Consumer) placeReplay(ctx context.Context, b *batch, s *source, r *kgo.Record, id modelwatch.RecordID) error {
	if !c.replays.claim(id) {
		b.passReplay()
		return nil
	}
	var state modelwatch.ReplayState
	var known bool
	err := c.retry(ctx, func() (err error) {
		state, known, err = c.options.Catalog.Replay(ctx, id)
		return err
	})
	switch {
	case err != nil:
		c.replays.release(modelwatch.Replay{Record: id})
		return err
	case !known:
		c.replays.release(modelwatch.Replay{Record: id})
		return c.placeOne(ctx, b, s, r)
	case state.State == modelwatch.DeadLetterReplayed:
		c.replays.release(modelwatch.Replay{Record: id})
		b.passReplay()
		return nil
	}
	n := len(b.replays)
	b.replaying, s.decoder.redacted = &replaying{id, state}, state.Redacted
	err = c.placeOne(ctx, b, s, asItWas(r))
	b.replaying, s.decoder.redacted = nil, false
	if err == nil && len(b.replays) == n {
		b.addReplay(modelwatch.Replay{Record: id})
	}
	return err
}

// passReplay counts a record whose replay has an effect already.
func (b *batch) passReplay() {
	b.counts.records++
	b.counts.replayedAgain++
}

func (b *batch) addReplay(r modelwatch.Replay) {
	b.replays = append(b.replays, r)
	b.bytes += 128
}

// refuse keeps a replay among the dead letters. It is false if its letter is
// gone: then the record becomes one of its own.
func (b *batch) refuse(rej *rejection) bool {
	b.addReplay(modelwatch.Replay{Record: b.replaying.record, Reason: rej.reason, Detail: rej.detail, Model: rej.model})
	if b.replaying.state.Kept {
		b.counts.records++
	}
	return b.replaying.state.Kept
}
