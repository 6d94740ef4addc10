package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
	"github.com/twmb/franz-go/plugin/kslog"

	"github.com/modelwatch/modelwatch"
)

// What the Kafka client may hold beside our buffers: fetches of 4 MiB, three at a time,
// and what they become when decompressed. Larger ones go through memory where these
// stay in the processor's cache, and are no faster.
const (
	fetchMaxBytes          = 4 << 20
	fetchMaxPartitionBytes = 1 << 20
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
	sources  map[string]*source // by topic
	replays  replays
	client   *kgo.Client // set by Run, before opened is closed
	opened   chan struct{}
	progress chan struct{} // something was committed
	pages    pages         // of builders
	building *batch        // touched between a poll and AllowRebalance, or else under mu

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
	stalledAt string // at which step
	awaiting  bool   // reading waits for the flight
	paused    pausing
	blocked   string // why a record of blockedAt cannot be read; "" when all can
	blockedAt topicPartition
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
		versions: newVersions(o.Catalog, o.DefaultRate, o.SchemaAge, o.Log, o.Privacy),
		sources:  map[string]*source{},
		parts:    map[topicPartition]*assignment{},
		opened:   make(chan struct{}),
		progress: make(chan struct{}, 1),
		stopPoll: func() {},
	}
	c.building = newBatch(&c.pages)
	c.metrics.showZeros()
	factory{o.Registerer}.gaugeFunc("oldest_uncommitted_seconds", "Age of the oldest record that was read and is in no commit yet.", c.oldestUncommitted)
	decoder := newDecoder(c.versions, o.Salt, o.Now)
	for _, s := range o.Sources {
		src, err := newSource(s, decoder)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "source of topic %q", s.Topic)
		}
		c.sources[s.Topic] = src
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
		kgo.KeepControlRecords(), // so that the cursor passes them
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.AdjustFetchOffsetsFn(c.adjust),
		kgo.OnPartitionsAssigned(c.onAssigned),
		kgo.OnPartitionsRevoked(c.onRevoked),
		kgo.OnPartitionsLost(c.onLost),
	}
	if c.kafka != nil {
		opts = append(opts, kgo.WithHooks(c.kafka))
	}
	return append(append(opts, fetchOptions()...), c.options.Client...)
}

// fetchOptions say how much is fetched at a time, and into which memory.
func fetchOptions() []kgo.Opt {
	lent := new(buffers)
	decompressor := newDecompressor(lent)
	return []kgo.Opt{
		kgo.WithPools(lent), kgo.WithDecompressor(decompressor), kgo.WithHooks(lent, decompressor),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.FetchMaxWait(fetchMaxWait),
		kgo.MaxConcurrentFetches(maxConcurrentFetches),
		kgo.MaxDecompressBatchBytes(maxDecompressedBatch),
	}
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
		c.watch(watchCtx)
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
	c.report(ctx)
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
			c.whilePaused(pauseReset, func() { c.resume(ctx) })
		case wait != nil:
			c.awaitFlight(wait.done, ctx.Done())
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
	case c.blocked != "":
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "ingest does not get on: %s", c.blocked)
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
