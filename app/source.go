package app

import (
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// sources are what ingest needs to know of the topics.
func (c *KafkaConfig) sources() ([]ingest.Source, error) {
	registry, err := c.Registry.load()
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka.registry")
	}
	sources := make([]ingest.Source, len(c.Sources))
	for i, s := range c.Sources {
		sources[i] = ingest.Source{Topic: s.Topic, Format: s.Format, Options: format.Options{
			Model: s.Model, Version: s.Version, Kind: modelwatch.Kind(s.Kind),
			Inputs: s.Inputs, Outputs: s.Outputs, Columns: s.Columns, Paths: s.Paths, Timezone: s.Timezone,
		}}
		if format.NeedsRegistry(s.Format) {
			sources[i].Options.Registry = registry
		}
	}
	return sources, nil
}

// load makes what formats need of the configuration, nil if there is none.
func (c *RegistryConfig) load() (*format.Registry, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // none is configured
	}
	r := &format.Registry{Username: c.Username, Password: c.Password, Token: c.Token}
	r.URLs = strings.FieldsFunc(c.URL, func(c rune) bool { return c == ',' || c == ' ' })
	if c.TLS != nil {
		var err error
		if r.TLS, err = c.TLS.load(); err != nil {
			return nil, err
		}
	}
	return r, nil
}
