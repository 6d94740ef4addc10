package main

import (
	"context"

	"github.com/modelwatch/modelwatch/app"
)

type ingestCommand struct {
	Status ingestStatusCommand `cmd:"" help:"By partition: cursor, lag, owner, gaps; by model version: kept, sampled out, rejected in the last hour."`
}

type ingestStatusCommand struct{ clientFlags }

func (c *ingestStatusCommand) Run(ctx context.Context, s app.Streams) error {
	return app.PrintIngestStatus(ctx, app.IngestStatusOptions{Server: c.Server, Token: c.Token, Format: c.Format, Streams: s})
}
