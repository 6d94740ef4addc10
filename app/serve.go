package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/backtest"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/schedule"
	"github.com/modelwatch/modelwatch/sink"
)

// ServeOptions are the flags of modelwatch serve.
type ServeOptions struct {
	Roles     []string
	LogFormat string
	Streams   Streams
}

// Serve runs the service until ctx ends, then stops in order.
func Serve(ctx context.Context, cfg Config, opts ServeOptions) error {
	log := newLogger(opts.Streams.Err, opts.LogFormat, slog.LevelInfo)
	s, err := newService(ctx, cfg, serviceOptions{Roles: opts.Roles, Log: log, EventNow: time.Now})
	if err != nil {
		return err
	}
	if err := s.assemble(); err != nil {
		return errors.Join(err, s.life.close())
	}
	return s.run(ctx)
}

// assemble makes the parts of the process's roles; it starts none.
func (s *service) assemble() error {
	var handler http.Handler = s.probes()
	if s.has(roleAPI) {
		server, err := s.newAPI()
		if err != nil {
			return err
		}
		handler = server
	}
	if s.has(roleIngest) {
		if err := s.consume(); err != nil {
			return err
		}
	}
	if s.has(roleWork) {
		s.front = append(s.front, part{"worker", schedule.New(s.workerOptions()).Run})
		if err := s.deliver(); err != nil {
			return err
		}
		s.keep()
	}
	return s.serveHTTP(handler)
}

func (s *service) consume() error {
	client, err := kafkaOptions(s.cfg.Kafka)
	if err != nil {
		return err
	}
	sources, err := s.cfg.Kafka.sources()
	if err != nil {
		return err
	}
	consumer, err := ingest.New(ingest.Options{
		Client: append(client, consumerOptions(s.cfg.Kafka)...), Sources: sources, Group: s.cfg.Kafka.Group, Owner: s.owner,
		Catalog: s.catalog, Archive: s.archive, FileKey: archive.FileKey,
		Salt: s.salt, DefaultRate: s.cfg.Sampling.Rate,
		DeadLetterTopic: s.cfg.Kafka.DeadLetterTopic,
		Privacy:         s.cfg.privacy(),
		FlushBytes:      int64(s.cfg.Ingest.FlushBytes), FlushAge: time.Duration(s.cfg.Ingest.FlushAge), MemoryBytes: int64(s.cfg.Ingest.Memory),
		Log: s.log, Registerer: s.registry,
	})
	if err != nil {
		return err
	}
	s.front = append(s.front, part{"ingest", consumer.Run})
	s.limitMemory()
	s.ready = append(s.ready, readiness{"kafka", func(context.Context) error { return consumer.Ready() }})
	return nil
}

// kafkaMemory is what the Kafka client and everything else take beside the rows.
const kafkaMemory = 64 << 20

// limitMemory tells the garbage collector what ingest.memory promises, unless
// the environment has told it something else.
func (s *service) limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(s.cfg.Ingest.Memory) + kafkaMemory)
	}
}

func (s *service) workerOptions() schedule.Options {
	return schedule.Options{
		Store: s.catalog, Baselines: s.baselines(), Windows: windowProfiles{s.engine}, Labels: s.archive,
		Rows:   rows{s.engine, s.baselines()},
		Worker: s.owner, Executors: s.cfg.Work.Concurrency,
		Lease: time.Duration(s.cfg.Work.Lease), Poll: time.Duration(s.cfg.Work.Poll), ReviseAfter: time.Duration(s.cfg.Work.ReviseAfter),
		EventNow: s.eventNow, Log: s.log, Registerer: s.registry,
	}
}

// windowProfiles leaves out what a profile took.
type windowProfiles struct{ *engine.Engine }

func (w windowProfiles) WindowProfile(ctx context.Context, t schedule.Traffic, grids *profile.Set) (*profile.Set, error) {
	set, _, err := w.Engine.WindowsProfile(ctx, t.Files, t.Windows, grids)
	return set, err
}

func (s *service) newAPI() (*api.Server, error) {
	client, err := kafkaOptions(s.cfg.Kafka)
	if err != nil {
		return nil, err
	}
	producer, err := kgo.NewClient(append(client, kgo.RecordDeliveryTimeout(20*time.Second))...)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka")
	}
	s.life.onClose("producer", 5*time.Second, func(context.Context) error { producer.Close(); return nil })
	replays, err := newReplayClient(client)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka")
	}
	s.life.onClose("producer of replays", 5*time.Second, func(context.Context) error { replays.Close(); return nil })
	if err := s.registry.Register(sink.NewCollector(s.catalog, time.Now, s.log)); err != nil {
		return nil, err
	}
	events := eventProducer{producer, s.cfg.Kafka.eventTopic()}
	return api.New(api.Options{
		Store: s.catalog, Baselines: s.baselines(), Distributions: s,
		Producer: events, Labels: labels{s.baselines(), events},
		DeadLetters: deadLetters{store: s.catalog, archive: s.archive, client: replays, topics: s.cfg.Kafka.topics()},
		Ingest:      ingestLag{store: s.catalog, client: producer, reach: client, group: s.cfg.Kafka.Group, topics: s.cfg.Kafka.topics()},
		Backfill: func(ctx context.Context, job modelwatch.Job, span modelwatch.Window) ([]modelwatch.Run, error) {
			return schedule.Backfill(ctx, s.catalog, job, span)
		},
		ValidateCron: schedule.ValidateCron,
		Ready:        s.readyChecks,
		Tombstones: func(model, id string) []modelwatch.Tombstone {
			return modelwatch.NewTombstones(s.salt, modelwatch.PrivacyKey(s.cfg.Privacy.Key), model, id)
		},
		Metrics: map[modelwatch.JobKind][]string{
			modelwatch.JobDrift:    drift.Metrics(),
			modelwatch.JobQuality:  {drift.MissingRatio, drift.InvalidRatio, drift.NewCategoryRatio, drift.OutOfRangeRatio},
			modelwatch.JobBacktest: backtestMetrics(),
		},
		GroupMetrics: drift.GroupMetrics(),
		TaskMetrics: map[modelwatch.Task][]string{
			modelwatch.TaskBinary:     backtest.Metrics(modelwatch.TaskBinary),
			modelwatch.TaskMulticlass: backtest.Metrics(modelwatch.TaskMulticlass),
			modelwatch.TaskRegression: backtest.Metrics(modelwatch.TaskRegression),
			modelwatch.TaskRanking:    backtest.Metrics(modelwatch.TaskRanking),
		},
		NoPrivacyKey: s.cfg.Privacy.Key == "",
		Sinks:        jobSinks, Token: s.cfg.Token, Version: versionText(),
		Log: s.log, Registry: s.registry, EventNow: s.eventNow,
	})
}

// jobSinks are the sinks that a job may name. They are known whether or not this
// process delivers to them: the API and the workers may be configured apart.
var jobSinks = []string{"datadog", "stdout"} //nolint:gochecknoglobals // a constant

func backtestMetrics() []string {
	seen, out := map[string]bool{}, []string(nil)
	for _, task := range []modelwatch.Task{modelwatch.TaskBinary, modelwatch.TaskMulticlass, modelwatch.TaskRegression, modelwatch.TaskRanking} {
		for _, m := range backtest.Metrics(task) {
			if !seen[m] {
				seen[m] = true
				out = append(out, m)
			}
		}
	}
	return out
}
