package app

import (
	"context"
	"os"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/sink"
	"github.com/modelwatch/modelwatch/sink/datadog"
)

// openSinks adds the sinks that the configuration turns on.
func (s *service) openSinks() error {
	dd, err := s.cfg.Sinks.Datadog.open()
	if err != nil {
		return err
	}
	if dd != nil {
		s.sinks = append(s.sinks, dd)
	}
	if s.cfg.Sinks.Stdout.Enabled {
		s.sinks = append(s.sinks, sink.NewStdout(os.Stdout))
	}
	return nil
}

// open returns the Datadog sink, nil if it is off.
func (c DatadogConfig) open() (*datadog.Client, error) {
	key := os.Getenv("DD_API_KEY")
	switch {
	case c.Enabled == "false", c.Enabled == "auto" && key == "":
		return nil, nil
	case key == "":
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "sinks.datadog.enabled is true, but the environment variable DD_API_KEY is not set")
	}
	return datadog.New(datadog.Config{APIKey: key, Site: os.Getenv("DD_SITE"), URL: c.URL})
}

func (s *service) sinkNames() []string {
	names := make([]string, len(s.sinks))
	for i, k := range s.sinks {
		names[i] = k.Name()
	}
	return names
}

// deliver adds a deliverer for each sink, the reporter of counts, and the
// collection of garbage.
func (s *service) deliver() error {
	for _, k := range s.sinks {
		d, err := sink.NewDeliverer(sink.DelivererOptions{
			Outbox: s.catalog, Sink: k, Owner: s.owner, Log: s.log, Lease: time.Duration(s.cfg.Work.Lease),
			MaxBackoff: time.Duration(s.cfg.Sinks.MaxBackoff), Timestamps: sink.Timestamps(s.cfg.Sinks.Datadog.Timestamps), Registerer: s.registry,
		})
		if err != nil {
			return err
		}
		s.back = append(s.back, part{"sink " + k.Name(), d.Run})
	}
	r, err := sink.NewReporter(sink.ReporterOptions{Counts: s.catalog, Owner: s.owner, Sinks: s.sinkNames(), Log: s.log})
	if err != nil {
		return err
	}
	s.back = append(s.back, part{"reporter", r.Run}, part{"garbage", s.collectGarbage})
	return nil
}

const (
	garbageInterval = 10 * time.Minute
	// garbageAge only decides when an orphan is worth deleting. A slow upload
	// that outlives it fails to register; nothing is lost by that.
	garbageAge = time.Hour
)

func (s *service) collectGarbage(ctx context.Context) error {
	tick := time.NewTicker(garbageInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		deleted, err := s.archive.CollectGarbage(ctx, s.catalog, time.Now().Add(-garbageAge))
		switch {
		case err != nil:
			s.log.Warn("garbage not collected", "error", err)
		case deleted > 0:
			s.log.Info("orphaned objects deleted", "objects", deleted)
		}
	}
}
