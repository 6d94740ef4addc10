package main

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/app"
)

type deadLettersCommand struct {
	List    listDeadLettersCommand    `cmd:"" help:"List them, the newest first."`
	Summary summaryDeadLettersCommand `cmd:"" help:"Count them by reason and state."`
	Get     getDeadLetterCommand      `cmd:"" help:"Show one, or download its bytes."`
	Replay  replayDeadLettersCommand  `cmd:"" help:"Publish them again, after what was wrong has been mended. Each is placed once."`
}

// clientFlags say which service to talk to, and how results are printed.
type clientFlags struct {
	Server string `default:"http://127.0.0.1:8080" placeholder:"URL" env:"MODELWATCH_SERVER" help:"The service (${default})."`
	Token  string `placeholder:"TOKEN" env:"MODELWATCH_TOKEN" help:"Bearer token for it."`
	Format string `default:"table" enum:"table,json,ndjson" help:"table, json or ndjson (${default})."`
}

type deadLetterFilterFlags struct {
	Model  string    `placeholder:"NAME" help:"Only those of this model."`
	Topic  string    `placeholder:"NAME" help:"Only those of this topic."`
	Reason string    `placeholder:"REASON" help:"Only those for this reason, for example no_id; summary shows which there are."`
	State  string    `default:"" enum:",open,queued,produced,replayed" placeholder:"STATE" help:"Only those in this state: open, queued, produced or replayed."`
	From   time.Time `placeholder:"TIME" help:"Only those written at this time or later, for example 2026-11-21T10:00:00Z."`
	To     time.Time `placeholder:"TIME" help:"Only those written before this time."`
}

func (f deadLetterFilterFlags) options(c clientFlags, s app.Streams) app.DeadLetterOptions {
	return app.DeadLetterOptions{Server: c.Server, Token: c.Token, Format: c.Format, Streams: s, Filter: modelwatch.DeadLetterFilter{
		Model: f.Model, Topic: f.Topic, Reason: modelwatch.DeadLetterReason(f.Reason), State: modelwatch.DeadLetterState(f.State), From: f.From, To: f.To,
	}}
}

type listDeadLettersCommand struct {
	Limit int `default:"100" placeholder:"N" help:"How many at most (${default}); 0 for all."`
	deadLetterFilterFlags
	clientFlags
}

func (c *listDeadLettersCommand) Run(ctx context.Context, s app.Streams) error {
	o := c.options(c.clientFlags, s)
	o.Limit = c.Limit
	return app.ListDeadLetters(ctx, o)
}

type summaryDeadLettersCommand struct {
	deadLetterFilterFlags
	clientFlags
}

func (c *summaryDeadLettersCommand) Run(ctx context.Context, s app.Streams) error {
	return app.CountDeadLetters(ctx, c.options(c.clientFlags, s))
}

type getDeadLetterCommand struct {
	ID     int64  `arg:"" name:"id" help:"Its id, as the list shows it."`
	Raw    bool   `help:"Only the bytes of the record, as they were received."`
	Output string `short:"o" placeholder:"FILE" help:"With --raw: write them there instead of standard output."`
	clientFlags
}

func (c *getDeadLetterCommand) Run(ctx context.Context, s app.Streams) error {
	if c.Output != "" && !c.Raw {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--output goes with --raw")
	}
	o := deadLetterFilterFlags{}.options(c.clientFlags, s)
	o.Output = c.Output
	return app.GetDeadLetter(ctx, c.ID, c.Raw, o)
}

type replayDeadLettersCommand struct {
	All    bool `help:"All there are, if nothing selects some."`
	DryRun bool `help:"Only count."`
	deadLetterFilterFlags
	clientFlags
}

func (c *replayDeadLettersCommand) Run(ctx context.Context, s app.Streams) error {
	if c.deadLetterFilterFlags == (deadLetterFilterFlags{}) && !c.All && !c.DryRun {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "say which dead letters to replay, for example --reason time_out_of_range, or --all")
	}
	o := c.options(c.clientFlags, s)
	o.DryRun = c.DryRun
	return app.ReplayDeadLetters(ctx, o)
}
