package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/simulate"
	"github.com/modelwatch/modelwatch/sink"
)

// DevOptions are the flags of modelwatch dev.
type DevOptions struct {
	Listen       string
	BrokerListen string
	Data         string
	Traffic      bool
	Speed        float64
	Plain        bool
	Streams      Streams

	onSent func(total int64) // of tests: called for each event that has been published
}

// Dev runs everything in one process on embedded parts: a broker that speaks
// Kafka's protocol, a folder, SQLite, the API, and simulated models whose
// traffic drifts. What it has done is kept in the folder; started again, it goes
// on from there.
func Dev(ctx context.Context, opts DevOptions) (err error) {
	if !(opts.Speed > 0) || opts.Speed > 10_000 {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--speed is %v: it must be over 0 and at most 10000 simulated minutes a minute", opts.Speed)
	}
	started := time.Now()
	if err := os.MkdirAll(opts.Data, 0o755); err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "make the data folder")
	}
	logFile, err := os.OpenFile(filepath.Join(opts.Data, "dev.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "open the log")
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	broker, err := startBroker(opts.BrokerListen, opts.Data)
	if err != nil {
		return err
	}
	defer broker.Close()

	clock := newSimulatedClock(time.Now, time.Now(), 1)
	d := &dev{opts: opts, started: started, clock: clock, preview: &previewSink{}}
	s, err := newService(ctx, devConfig(opts, broker.ListenAddrs()), serviceOptions{
		Roles: []string{roleIngest, roleWork, roleAPI}, Log: newLogger(logFile, "text", slog.LevelInfo),
		EventNow: func() time.Time { return d.clock.Now() }, Sinks: d.sinks(),
	})
	if err != nil {
		return err
	}
	d.service = s
	if err := d.prepare(ctx, broker.ListenAddrs()); err != nil {
		return errors.Join(err, s.life.close())
	}
	err = s.run(ctx)
	d.farewell()
	return err
}

// dev is one run of the command.
type dev struct {
	opts     DevOptions
	started  time.Time
	clock    *simulatedClock
	service  *service
	preview  *previewSink
	producer *producer
	resumed  bool
}

// sinks are what dev delivers to beside what the configuration turns on: without
// a key for Datadog, a view of the points that it would get.
func (d *dev) sinks() []sink.Sink {
	if os.Getenv("DD_API_KEY") != "" {
		return nil
	}
	return []sink.Sink{d.preview}
}

func devConfig(opts DevOptions, brokers []string) Config {
	cfg := DefaultConfig()
	cfg.Listen = opts.Listen
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(opts.Data, "catalog.db")
	cfg.Archive.URI = filepath.Join(opts.Data, "archive")
	cfg.Kafka.Brokers, cfg.Kafka.Group = brokers, "modelwatch-dev"
	cfg.Kafka.Sources = []SourceConfig{{Topic: devTopic, Format: "modelwatch"}}
	cfg.Ingest = IngestConfig{FlushBytes: 16 << 20, FlushAge: Duration(1500 * time.Millisecond), Memory: 128 << 20}
	cfg.Work.Poll, cfg.Work.ReviseAfter = Duration(500*time.Millisecond), Duration(5*time.Second)
	return cfg
}

// prepare assembles the service and adds dev's own parts to it.
func (d *dev) prepare(ctx context.Context, brokers []string) error {
	s := d.service
	if d.opts.Traffic {
		if err := d.prepareTraffic(ctx, brokers); err != nil {
			return err
		}
	}
	if err := s.assemble(); err != nil {
		return err
	}
	if d.opts.Traffic {
		s.front = append(s.front, part{"traffic", d.runTraffic})
	}
	s.front = append(s.front, part{"view", d.view})
	return nil
}

func (d *dev) prepareTraffic(ctx context.Context, brokers []string) error {
	start := time.Now().UTC().Add(-simulatedPast(d.opts.Speed)).Truncate(15 * time.Minute)
	state, err := d.service.loadDemo(ctx, demoState{Start: start, Event: start})
	if err != nil {
		return err
	}
	d.resumed = state.Position != simulate.Position{}
	d.clock = newSimulatedClock(time.Now, state.Event, d.opts.Speed)
	traffic := newDemoTraffic(state.Start)
	if err := traffic.Seek(state.Position); err != nil {
		return fmt.Errorf("go on with the traffic of before: %w", err)
	}
	client, err := newProducer(brokers)
	if err != nil {
		return err
	}
	d.service.life.onClose("traffic", 5*time.Second, func(context.Context) error { client.Close(); return nil })
	d.producer = &producer{client: client, topic: devTopic, traffic: traffic, clock: d.clock, onSent: d.opts.onSent, save: func(ctx context.Context, p simulate.Position) error {
		return d.service.saveDemo(ctx, demoState{Start: state.Start, Event: d.clock.Now(), Position: p})
	}}
	return nil
}

// runTraffic registers the simulated models over REST, as a user would, and
// then plays their traffic.
func (d *dev) runTraffic(ctx context.Context) error {
	client, err := api.NewClient("http://"+d.service.cfg.Listen, "", nil)
	if err != nil {
		return err
	}
	if err := registerDemo(ctx, client, d.producer.traffic, devRates()); err != nil {
		return err
	}
	return d.producer.run(ctx)
}

// farewell says what was kept.
func (d *dev) farewell() {
	out := d.opts.Streams.Err
	if d.producer != nil {
		fmt.Fprintf(out, "published %d events this time\n", d.producer.sent.Load())
	}
	fmt.Fprintf(out, "kept in %s: the broker's log, the archive (Parquet), the catalog; \"modelwatch dev\" goes on from there, deleting the folder starts anew\n", d.opts.Data)
}
