package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
)

// parallelUploads bounds how many files of a flush are encoded and uploaded at once.
const parallelUploads = 4

// flight is a sealed batch on its way into the archive. It ends committed, or
// with an error after which the consumer resumes at the catalog's cursors.
type flight struct {
	id         string
	counts     counts
	bytes      int64
	ranges     []modelwatch.Range
	files      []*upload
	volumes    []modelwatch.Volume
	letters    []modelwatch.DeadLetter
	letterKey  string // of the object with the large ones; "" if there are none
	letterBody []byte
	replays    []modelwatch.Replay
	resetAfter bool
	sealed     time.Time
	since      time.Time // when the oldest of its records was read

	cancel context.CancelFunc
	done   chan struct{} // closed at the end
	err    error         // readable when done is closed
}

// upload is one data file of a flight.
type upload struct {
	spec    modelwatch.FileSpec
	builder *builder
	rows    *sortedRows
	key     string
	file    modelwatch.DataFile
}

// errKilled wraps what a hook returned.
var errKilled = errors.New("killed by a hook")

func (f *flight) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// launch seals the batch and starts its flight. It needs mu, and no flight.
func (c *Consumer) launch(ctx context.Context) *flight {
	b := c.building
	now := time.Now().UTC()
	f := &flight{
		id: strings.ToLower(rand.Text()), counts: b.counts, bytes: b.bytes, volumes: b.volumeList(), letters: b.deadLetters, replays: b.replays,
		resetAfter: b.resetAfter, sealed: time.Now(), since: c.since, done: make(chan struct{}),
	}
	for _, a := range c.parts {
		if a.dirty() {
			f.ranges = append(f.ranges, a.seal())
		}
	}
	sortRanges(f.ranges)
	stamp := now.Format("20060102T150405Z") + "-" + f.id
	for i, file := range b.files() {
		file.seal()
		spec := file.spec(f.id, fmt.Sprintf("%s-%d", stamp, i))
		f.files = append(f.files, &upload{spec: spec, builder: file, key: c.options.FileKey(spec)})
	}
	c.building, c.since, c.flight = newBatch(&c.pages), time.Time{}, f
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go c.fly(ctx, f)
	return f
}

func (c *Consumer) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	f.err = c.deliver(ctx, f)
	close(f.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopPoll()
}

// deliver takes a flight through intents, uploads and the commit. What fails for
// another reason than fencing is repeated until it succeeds or ctx ends: meanwhile
// the consumer reads on as far as its memory goes, and then waits.
func (c *Consumer) deliver(ctx context.Context, f *flight) error {
	if len(f.ranges)+len(f.files)+len(f.letters)+len(f.volumes) == 0 {
		return nil // only a reset was asked for
	}
	if err := c.at(PointSealed); err != nil {
		return err
	}
	f.letterKey, f.letterBody = packLetters(f.letters, f.id, f.sealed)
	keys := make([]string, len(f.files), len(f.files)+1)
	for i, u := range f.files {
		keys[i] = u.key
	}
	if f.letterKey != "" {
		keys = append(keys, f.letterKey)
	}
	if len(keys) > 0 {
		if err := c.intend(ctx, f, keys); err != nil {
			return err
		}
	}
	if err := c.at(PointIntended); err != nil {
		return err
	}
	if err := c.upload(ctx, f); err != nil {
		return err
	}
	if err := c.at(PointUploaded); err != nil {
		return err
	}
	commit := modelwatch.IngestCommit{
		ID: f.id, Group: c.options.Group, Owner: c.options.Owner, Ranges: f.ranges, Volumes: f.volumes, DeadLetters: f.letters, Replays: f.replays,
	}
	for _, u := range f.files {
		commit.Files = append(commit.Files, u.file)
	}
	err := c.insist(ctx, "commit", func(ctx context.Context) error { return c.options.Catalog.CommitIngest(ctx, commit) })
	if err != nil {
		return err
	}
	return c.at(PointCommitted)
}

func (c *Consumer) at(point string) error {
	if c.options.Hooks.At == nil {
		return nil
	}
	if err := c.options.Hooks.At(point); err != nil {
		return fmt.Errorf("%w at %s: %w", errKilled, point, err)
	}
	return nil
}

// intend notes the keys. Nobody else makes the same ones: if they are there
// already, they are from an attempt of ours whose answer was lost.
func (c *Consumer) intend(ctx context.Context, f *flight, keys []string) error {
	intent := modelwatch.IngestIntent{CommitID: f.id, Group: c.options.Group, Owner: c.options.Owner, Keys: keys, Ranges: f.ranges}
	err := c.insist(ctx, "intend", func(ctx context.Context) error { return c.options.Catalog.IntendIngest(ctx, intent) })
	if modelwatch.ErrorCode(err) == modelwatch.CodeConflict {
		return nil
	}
	return err
}

func (c *Consumer) upload(ctx context.Context, f *flight) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelUploads)
	for _, u := range f.files {
		group.Go(func() error { return c.uploadFile(ctx, f, u) })
	}
	if f.letterKey != "" {
		group.Go(func() error {
			return c.insist(ctx, "upload", func(ctx context.Context) error {
				return c.options.Archive.WriteDeadLetters(ctx, f.letterKey, f.letterBody)
			})
		})
	}
	group.Go(func() error { return c.produceLetters(ctx, f) })
	err := group.Wait()
	f.letterBody = nil
	return err
}

// uploadFile writes one file. If its key holds something else already, which a
// retry after an unclear failure may find where encoding is not repeatable, it
// goes under another key, and the first object is left to garbage collection.
func (c *Consumer) uploadFile(ctx context.Context, f *flight, u *upload) error {
	u.rows = u.builder.sorted()
	u.builder = nil
	for retry := 1; ; retry++ {
		err := c.insist(ctx, "upload", func(ctx context.Context) (err error) {
			u.file, err = c.options.Archive.WriteDataFile(ctx, u.spec, u.rows)
			return err
		})
		if err == nil {
			c.metrics.flushBytes.Observe(float64(u.file.Bytes))
			u.rows.release()
			u.rows = nil
			return nil
		}
		if modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
			return err
		}
		u.spec.Unique = fmt.Sprintf("%s-r%d", u.spec.Unique, retry)
		u.key = c.options.FileKey(u.spec)
		if err := c.intend(ctx, f, []string{u.key}); err != nil {
			return err
		}
	}
}

// insist repeats a step until it succeeds. It gives up when the context ends, and
// on errors that a repetition cannot change: fenced, and conflict.
func (c *Consumer) insist(ctx context.Context, step string, do func(context.Context) error) error {
	for attempt := 0; ; attempt++ {
		err := do(ctx)
		switch code := modelwatch.ErrorCode(err); {
		case err == nil:
			if attempt > 0 {
				c.setStalled("", "")
				c.log.Info("flush goes on", "step", step, "attempts", attempt+1)
			}
			return nil
		case code == modelwatch.CodeFenced, code == modelwatch.CodeConflict:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.metrics.retries.WithLabelValues(step).Inc()
		if attempt == 0 || attempt%20 == 0 {
			c.log.Error("flush does not get on; trying again", "step", step, "attempts", attempt+1, "err", err)
		}
		if attempt > 0 {
			c.setStalled(step, fmt.Sprintf("%s: %v", step, err))
		}
		if !pause(ctx, backoff(attempt)) {
			return ctx.Err()
		}
	}
}

// settle takes note of how a flight has ended.
func (c *Consumer) settle(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked(f)
}

func (c *Consumer) settleLocked(f *flight) {
	if c.flight != f {
		return // somebody else has
	}
	c.flight, c.stalledAt, c.stalled = nil, "", ""
	switch {
	case f.err == nil:
		c.metrics.flushes.WithLabelValues("committed").Inc()
		c.metrics.flushSeconds.Observe(time.Since(f.sealed).Seconds())
		c.metrics.committed(&f.counts)
		c.metrics.models.add(f.volumes)
		if len(f.ranges) > 0 {
			c.metrics.lastCommit.SetToCurrentTime()
		}
		c.metrics.replayed(f.replays)
		c.replays.release(f.replays...)
		c.stats.add(&f.counts)
		c.stats.Buffered = c.building.counts.records
		c.refusals = 0
		c.reset = c.reset || f.resetAfter
		c.committed(f.ranges)
		c.log.Info("batch committed", "commit", f.id, "records", f.counts.records, "kept", f.counts.kept, "dead_letters", len(f.letters),
			"files", len(f.files), "partitions", len(f.ranges), "duration", time.Since(f.sealed))
		return
	case errors.Is(f.err, errKilled):
		c.killed = f.err
	case modelwatch.ErrorCode(f.err) == modelwatch.CodeFenced:
		c.metrics.flushes.WithLabelValues("fenced").Inc()
		c.refusals++
		c.log.Warn("a batch was fenced: another consumer has its partitions, or its objects were condemned; it is dropped", "commit", f.id, "records", f.counts.records, "err", f.err)
	default:
		c.metrics.flushes.WithLabelValues("aborted").Inc()
		c.log.Warn("a batch was dropped before it was committed", "commit", f.id, "records", f.counts.records, "err", f.err)
	}
	c.metrics.dropped.Add(float64(f.counts.records))
	c.reset = true
}

// committed notes how far the catalog has come, to be told to Kafka.
func (c *Consumer) committed(ranges []modelwatch.Range) {
	for _, r := range ranges {
		a := c.parts[topicPartition{r.Topic, r.Partition.Partition}]
		if a != nil && a.epoch == r.Epoch && a.TopicID == r.TopicID {
			a.committed = r.To
		}
	}
	select {
	case c.progress <- struct{}{}:
	default: // it is being told already
	}
}

// abort ends the flight, if there is one, and asks for a reset. It needs mu.
func (c *Consumer) abort() {
	c.reset = true
	if c.flight != nil {
		c.flight.cancel()
	}
}

// flushAll commits everything that was read. If it cannot before the context
// ends, all of it is dropped, and reading resumes at the catalog's cursors.
func (c *Consumer) flushAll(ctx context.Context) error {
	for {
		c.mu.Lock()
		f := c.flight
		if f != nil && f.ended() {
			c.settleLocked(f)
			f = nil
		}
		if killed := c.killed; killed != nil || c.reset {
			c.mu.Unlock()
			if killed != nil {
				return killed
			}
			return modelwatch.Errorf(modelwatch.CodeFenced, "what was read is being dropped")
		}
		if c.flight == nil {
			if !c.dirty() {
				c.mu.Unlock()
				return nil
			}
			f = c.launch(ctx)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			c.mu.Lock()
			c.abort()
			c.mu.Unlock()
			return fmt.Errorf("flush batch: %w", ctx.Err())
		}
	}
}

func (c *Consumer) dirty() bool {
	for _, a := range c.parts {
		if a.dirty() {
			return true
		}
	}
	return !c.building.empty()
}

// pause waits; false if the context has ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// backoff grows from a quarter of a second to 15 s, and is spread by half, so
// that replicas that fail together do not come back together.
func backoff(attempt int) time.Duration {
	const first, most = 250 * time.Millisecond, 15 * time.Second
	d := time.Duration(math.Min(float64(first)*math.Pow(2, float64(min(attempt, 10))), float64(most)))
	return d/2 + mathrand.N(d/2)
}
