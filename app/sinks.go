package app

import (
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

// deliver adds a deliverer for each sink, and the reporter of counts.
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
	s.back = append(s.back, part{"reporter", r.Run}, part{"dead letters", s.pruneDeadLetters})
	return nil
}
