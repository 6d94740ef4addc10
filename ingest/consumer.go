package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
	"github.com/twmb/franz-go/plugin/kslog"

	"github.com/modelwatch/modelwatch"
)

// What the Kafka client may hold beside our buffers: fetches of 16 MiB, three at
// a time, and what they become when decompressed.
const (
	fetchMaxBytes          = 16 << 20
	fetchMaxPartitionBytes = 2 << 20
	fetchMaxWait           = 500 * time.Millisecond
	maxConcurrentFetches   = 3
	maxDecompressedBatch   = 128 << 20
	pollRecords            = 2000
	metadataMaxAge         = time.Minute // how long new topics and partitions may go unseen
)

// Consumer reads the sources and archives what they say. Several consumers of
// one group share the partitions.
//
// One goroutine polls and decodes. A second one, the flight, writes a sealed
// batch while the next is being filled. The client's callbacks run in a third,
// but not between a poll and AllowRebalance: what only the first goroutine and
// the callbacks touch needs no lock.
type Consumer struct {
	options  Options
	log      *slog.Logger
	metrics  *metrics
	kafka    *kprom.Metrics
	versions *versions
	formats  map[string]format // by topic
	client   *kgo.Client       // set by Run, before opened is closed
	opened   chan struct{}
	building *batch // touched between a poll and AllowRebalance, or else under mu

	mu     sync.Mutex
	parts  map[topicPartition]*assignment
	flight *flight // nil: none
	// since is when the oldest of what is not sealed was read; zero if all is.
	since time.Time
	// reset: what is buffered cannot be committed any more. It is to be dropped,
	// and reading resumes at the catalog's cursors.
	reset     bool
	refusals  int // resets since the last commit: the next one waits longer
	killed    error
	joined    bool
	stalled   string // why a flush does not get on; "" when it does
	stats     Stats
	stopPoll  context.CancelFunc
	renewed   []string // topics that were deleted and made again
	lastFault string   // of the client, so that a repeated one is logged once
}

// New checks the options. Run starts the work.
func New(o Options) (*Consumer, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Consumer{
		options: o, log: o.Log, metrics: newMetrics(o.Registerer),
		versions: newVersions(o.Catalog, o.DefaultRate, o.SchemaAge, o.Log),
		formats:  map[string]format{},
		parts:    map[topicPartition]*assignment{},
		building: newBatch(),
		opened:   make(chan struct{}),
		stopPoll: func() {},
	}
	for _, reason := range reasons {
		c.metrics.rejected.WithLabelValues(string(reason))
	}
	decoder := newDecoder(c.versions, o.Salt, o.Now)
	for _, s := range o.Sources {
		c.formats[s.Topic] = decoder // all of FormatModelwatch
	}
	if o.Registerer != nil {
		c.kafka = kprom.NewMetrics("modelwatch_kafka", kprom.Registerer(o.Registerer))
	}
	if err := kgo.ValidateOpts(c.clientOptions()...); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka options")
	}
	return c, nil
}

func (c *Consumer) clientOptions() []kgo.Opt {
	topics := make([]string, 0, len(c.options.Sources))
	for _, s := range c.options.Sources {
		topics = append(topics, s.Topic)
	}
	opts := []kgo.Opt{
		kgo.WithLogger(kslog.New(c.log.With("component", "kafka"))),
		kgo.ConsumerGroup(c.options.Group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that the cursor passes them
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.FetchMaxWait(fetchMaxWait),
		kgo.MaxConcurrentFetches(maxConcurrentFetches),
		kgo.MaxDecompressBatchBytes(maxDecompressedBatch),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.AdjustFetchOffsetsFn(c.adjust),
		kgo.OnPartitionsAssigned(c.onAssigned),
		kgo.OnPartitionsRevoked(c.onRevoked),
		kgo.OnPartitionsLost(c.onLost),
	}
	if c.kafka != nil {
		opts = append(opts, kgo.WithHooks(c.kafka))
	}
	return append(opts, c.options.Client...)
}

// Run consumes until the context ends; then it flushes what it has, hands its
// partitions back and returns nil. A consumer runs once.
func (c *Consumer) Run(ctx context.Context) error {
	client, err := kgo.NewClient(c.clientOptions()...)
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka options")
	}
	c.client = client
	close(c.opened)
	c.log.Info("ingest started", "group", c.options.Group, "owner", c.options.Owner, "topics", client.GetConsumeTopics())
	watchCtx, stopWatch := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watchEnds(watchCtx)
	}()
	err = c.loop(ctx)
	stopWatch()
	<-watched
	c.stop(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed // by a hook, when the context had ended already
}

// stop flushes, unless a hook has killed the consumer, and leaves the group.
func (c *Consumer) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.options.ShutdownTimeout)
	defer cancel()
	if err := c.flushAll(ctx); err != nil {
		c.log.Warn("stopped before all was flushed; it will be read again", "err", err)
	}
	c.client.CloseAllowingRebalance()
	c.mu.Lock()
	f := c.flight
	c.joined = false
	c.mu.Unlock()
	if f != nil {
		f.cancel()
		<-f.done
		c.settle(f)
	}
	c.log.Info("ingest stopped", "owner", c.options.Owner)
}

func (c *Consumer) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, reset, err := c.maintain(ctx)
		switch {
		case err != nil:
			return err
		case reset:
			c.resume(ctx)
		case wait != nil:
			select {
			case <-wait.done:
			case <-ctx.Done():
			}
		default:
			if err := c.poll(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// maintain settles and starts flights. It returns the one to wait for where
// there is no memory to read on, and whether reading must be reset first.
func (c *Consumer) maintain(ctx context.Context) (wait *flight, reset bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil && c.flight.ended() {
		c.settleLocked(c.flight)
	}
	if c.killed != nil || c.reset {
		return nil, c.reset, c.killed
	}
	b := c.building
	aged := !c.since.IsZero() && time.Since(c.since) >= c.options.FlushAge
	if c.flight == nil && (aged || b.resetAfter || b.full(c.options.FlushBytes)) {
		c.launch(ctx)
	}
	c.observe()
	if c.flight != nil && c.mustWait(c.flight) {
		wait = c.flight
	}
	return wait, false, nil
}

// mustWait reports that reading has to wait for the flight: there is no memory,
// or what comes next is a reset.
func (c *Consumer) mustWait(f *flight) bool {
	b := c.building
	return b.full(c.options.FlushBytes) || b.bytes+f.bytes >= c.options.MemoryBytes || b.resetAfter || f.resetAfter
}

func (c *Consumer) observe() {
	held := c.building.bytes
	if c.flight != nil {
		held += c.flight.bytes
	}
	c.stats.BufferBytes = held
	c.metrics.bufferBytes.Set(float64(held))
	c.metrics.openFiles.Set(float64(len(c.building.builders)))
}

// idlePoll is how long a poll waits where nothing else is to be done.
const idlePoll = time.Second

// poll reads some records and places them. Rebalances wait until it is done.
func (c *Consumer) poll(ctx context.Context) error {
	c.mu.Lock()
	timeout := idlePoll
	if !c.since.IsZero() && c.flight == nil {
		timeout = min(timeout, c.options.FlushAge-time.Since(c.since))
	}
	pollCtx, cancel := context.WithTimeout(ctx, timeout)
	c.stopPoll = cancel // the flight's end ends the poll
	if c.flight != nil && c.flight.ended() {
		cancel()
	}
	c.mu.Unlock()
	defer cancel()

	fetches := c.client.PollRecords(pollCtx, pollRecords)
	defer c.client.AllowRebalance()
	if fetches.IsClientClosed() {
		return modelwatch.Errorf(modelwatch.CodeInternal, "the kafka client was closed while it was in use")
	}
	c.refresh(ctx)
	fetches.EachError(func(topic string, partition int32, err error) { c.fault(topic, partition, err) })
	fetches.EachPartition(func(p kgo.FetchTopicPartition) { c.place(ctx, p) })
	return nil
}

// refreshTimeout bounds how long following schemas may keep records waiting.
const refreshTimeout = 2 * time.Second

func (c *Consumer) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	c.versions.refresh(ctx)
}

// place decodes the records of one partition into the batch.
func (c *Consumer) place(ctx context.Context, p kgo.FetchTopicPartition) {
	c.mu.Lock()
	a, skip := c.parts[topicPartition{p.Topic, p.Partition}], c.reset // then it will be read again
	next := int64(0)
	if a != nil {
		next = a.next
	}
	c.mu.Unlock()
	if a == nil || skip || len(p.Records) == 0 || ctx.Err() != nil {
		return
	}
	next, err := c.placeRecords(ctx, p.Records, next)

	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.postpone(ctx, err)
	}
	if c.parts[topicPartition{p.Topic, p.Partition}] != a {
		c.reset = true // it was taken again meanwhile, from an earlier offset
		return
	}
	c.advance(a, next)
	a.end, a.seen = max(a.end, p.HighWatermark), p.Records[len(p.Records)-1].Timestamp
	c.metrics.lag(a, c.options.Now())
}

// advance notes how far a partition was read. It needs mu.
func (c *Consumer) advance(a *assignment, next int64) {
	a.next = next
	c.stats.Buffered = c.building.counts.records
	if c.flight != nil {
		c.stats.Buffered += c.flight.counts.records
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
}

// placeRecords returns the offset after the last record that has its place.
func (c *Consumer) placeRecords(ctx context.Context, records []*kgo.Record, next int64) (int64, error) {
	for _, r := range records {
		if r.Offset < next {
			continue
		}
		if !r.Attrs.IsControl() {
			if err := c.placeRecord(ctx, c.building, r); err != nil {
				return next, err
			}
		}
		next = r.Offset + 1
	}
	return next, nil
}

func (c *Consumer) placeRecord(ctx context.Context, b *batch, r *kgo.Record) error {
	d := c.formats[r.Topic]
	row, rejected, err := d.decode(ctx, r)
	for attempt := 0; err != nil && attempt < quickRetries; attempt++ {
		if !pause(ctx, backoff(attempt)) {
			return err
		}
		row, rejected, err = d.decode(ctx, r)
	}
	switch {
	case err != nil:
		return err
	case rejected != nil:
		b.reject(r, rejected, time.Now())
	default:
		b.add(d.current(), &row)
	}
	return nil
}

// quickRetries bridge a hiccup of the catalog without dropping what was read;
// with the back-off between them they take about four seconds.
const quickRetries = 4

// postpone gives up on a record for now: the catalog cannot be asked about it.
func (c *Consumer) postpone(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // stopping: what was placed before is flushed
	}
	c.log.Warn("the catalog does not answer about a model version; reading again from the last commit", "err", err)
	c.metrics.retries.WithLabelValues("schema").Inc()
	c.reset = true
}

// fault handles an error of the client. Most are retried inside it.
func (c *Consumer) fault(topic string, partition int32, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	var tooLarge *kgo.ErrDecompressTooLarge
	if errors.As(err, &tooLarge) {
		c.skipBatch(tooLarge)
		return
	}
	if outOfRange(err) {
		c.log.Warn("kafka does not have the next offset of a partition", "topic", topic, "partition", partition, "err", err)
		c.settleGap()
		return
	}
	if recreated(err) {
		c.recreate(topic)
		return
	}
	text := fmt.Sprintf("%s/%d: %v", topic, partition, err)
	if text != c.lastFault {
		c.log.Warn("kafka client", "topic", topic, "partition", partition, "err", err)
	}
	c.lastFault = text
}

// Ready returns nil once the consumer has joined the group and while its flushes
// get on; else the error says what it waits for.
func (c *Consumer) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.joined:
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "ingest has not joined consumer group %q yet", c.options.Group)
	case c.stalled != "":
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "ingest cannot flush: %s", c.stalled)
	case c.reset:
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "ingest is going back to the last commit")
	}
	return nil
}

// Stats returns what was committed so far and how far reading is behind.
func (c *Consumer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Partitions = len(c.parts)
	for _, a := range c.parts {
		s.LagRecords += a.behind()
	}
	return s
}
