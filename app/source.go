package app

import (
	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// source is what ingest needs to know of it.
func (c *SourceConfig) source() ingest.Source {
	return ingest.Source{Topic: c.Topic, Format: c.Format, Options: format.Options{
		Model: c.Model, Version: c.Version, Kind: modelwatch.Kind(c.Kind),
		Inputs: c.Inputs, Outputs: c.Outputs, Columns: c.Columns, Paths: c.Paths,
	}}
}
