package main

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/app"
)

// commandLine is the grammar; its names are fixed by the contract.
type commandLine struct {
	Dev         devCommand         `cmd:"" help:"Everything in one process, with simulated traffic that starts to drift; first result within a minute."`
	Serve       serveCommand       `cmd:"" help:"Run the service: ingest from Kafka, compute windows, answer the REST API."`
	Check       checkCommand       `cmd:"" help:"Reach every dependency; a line each: ok, or what is wrong and what to do."`
	Migrate     migrateCommand     `cmd:"" help:"Apply the database migrations and stop."`
	Drift       driftCommand       `cmd:"" help:"Compare two tables offline: no server, no database."`
	Backtest    backtestCommand    `cmd:"" help:"Compare predictions with the truth offline."`
	Ingest      ingestCommand      `cmd:"" help:"How far the archive is behind what producers have written."`
	DeadLetters deadLettersCommand `cmd:"" help:"What could not be read, and why: list, get, replay."`
	Send        sendCommand        `cmd:"" help:"Publish events from a file to Kafka."`
	Import      importCommand      `cmd:"" help:"Take Parquet, CSV or JSON-lines files into the archive, as if their rows had come through Kafka."`
	Orphans     orphansCommand     `cmd:"" help:"List the objects of the archive that the catalog does not know, as after it was restored from a backup; delete them on demand."`
	Erase       eraseCommand       `cmd:"" help:"Erase the rows of request ids from the archive."`
	Simulate    simulateCommand    `cmd:"" help:"Publish simulated traffic of two models to Kafka."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

type devCommand struct {
	Listen       string  `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address of the REST API (${default})."`
	BrokerListen string  `default:"127.0.0.1:9092" placeholder:"ADDR" help:"Address of the Kafka-protocol broker (${default})."`
	Data         string  `default:"./modelwatch-data" placeholder:"DIR" help:"Folder that keeps everything (${default})."`
	NoTraffic    bool    `help:"No simulated models: the small real service on one machine."`
	Speed        float64 `default:"60" help:"Simulated minutes a minute (${default})."`
	Plain        bool    `help:"Print lines instead of the live table, also on a terminal."`
}

func (c *devCommand) Run(ctx context.Context, s app.Streams) error {
	return app.Dev(ctx, app.DevOptions{
		Listen: c.Listen, BrokerListen: c.BrokerListen, Data: c.Data,
		Traffic: !c.NoTraffic, Speed: c.Speed, Plain: c.Plain, Streams: s,
	})
}

type configFlag struct {
	Config string `required:"" short:"c" placeholder:"FILE" env:"MODELWATCH_CONFIG" help:"Configuration file (modelwatch.yaml)."`
}

type serveCommand struct {
	configFlag
	Roles     []string `default:"ingest,work,api" enum:"ingest,work,api" help:"What this process does: ingest, work, api (${default})."`
	LogFormat string   `default:"json" enum:"json,text" help:"Format of the log on standard error: json or text (${default})."`
}

func (c *serveCommand) Run(ctx context.Context, s app.Streams) error {
	cfg, err := app.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	return app.Serve(ctx, cfg, app.ServeOptions{Roles: c.Roles, LogFormat: c.LogFormat, Streams: s})
}

type checkCommand struct{ configFlag }

func (c *checkCommand) Run(ctx context.Context, s app.Streams) error {
	cfg, err := app.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	return app.Check(ctx, cfg, s)
}

type migrateCommand struct{ configFlag }

func (c *migrateCommand) Run(ctx context.Context, s app.Streams) error {
	cfg, err := app.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	return app.Migrate(ctx, cfg, s)
}

// outputFlags are what the offline commands share.
type outputFlags struct {
	Format       string   `default:"table" enum:"table,json,ndjson,csv,html" help:"table, json, ndjson (a measurement a line), csv or html (${default})."`
	Output       string   `short:"o" placeholder:"FILE" help:"Write the result there instead of standard output."`
	Threshold    []string `sep:"none" placeholder:"METRIC=VALUE" help:"A value over it is a breach; repeatable. METRIC<VALUE for a lower limit, METRIC[COLUMN]=VALUE for one column, METRIC=null for what chance explains, METRIC=+50%@7d for a change in time; then 'for 2 of 3' chunks."`
	Metrics      []string `placeholder:"NAME" help:"Metrics, separated by commas; \"all\" for every one."`
	MinimumRows  int64    `default:"100" placeholder:"N" help:"Fewer rows than this give no value (${default})."`
	FailOnBreach bool     `help:"Exit with code 3 when a threshold is breached."`
	All          bool     `help:"Every line of a table, however many columns there are."`
}

func (f outputFlags) options(s app.Streams) app.OutputOptions {
	return app.OutputOptions{
		Format: f.Format, Output: f.Output, Thresholds: f.Threshold, Metrics: f.Metrics,
		MinimumRows: f.MinimumRows, FailOnBreach: f.FailOnBreach, All: f.All, Streams: s,
	}
}

type driftCommand struct {
	Baseline string   `required:"" placeholder:"FILE" help:"The training set: a file, a folder, a glob or s3://bucket/prefix; Parquet, CSV or JSON lines, also .gz and .zst. Or a file of --save-profile."`
	Current  string   `required:"" placeholder:"FILE" help:"The rows to compare with it, likewise."`
	Features []string `placeholder:"NAME" help:"Columns, separated by commas; a trailing * matches a prefix. Default: all."`
	Schema   string   `placeholder:"FILE" help:"Declared types, ranges, importance, feature groups, and which column plays which part, as YAML or JSON. Default: inferred, and shown in the result."`
	Segments []string `placeholder:"COLUMN" help:"Also compare segments with each other, separated by commas; crossed by *: country,country*device."`
	Weight   string   `placeholder:"COLUMN" help:"Column of weights: the inverse of the sampling probability."`
	Chunk    string   `placeholder:"ROWS|TIME" help:"A result for every so many rows in file order, for example 5000, or for every period of --time, for example 1d."`
	Time     string   `placeholder:"COLUMN" help:"Column of times (default: _time)."`

	LearnThresholds string `placeholder:"sd=3" help:"Thresholds from the baseline's own chunks: their mean and so many standard deviations."`
	Compat          string `enum:"evidently,nannyml,azureml,sagemaker,sagemaker_simple,vertex," default:"" placeholder:"TOOL" help:"Compute as another tool does: evidently, nannyml, azureml, sagemaker, sagemaker_simple or vertex."`
	Exact           bool   `help:"K-S and Wasserstein by sorting every row, without bounds."`
	SaveProfile     string `placeholder:"FILE" help:"Write the baseline's profile there, to be given as --baseline later instead of its rows."`
	DryRun          bool   `help:"Say what would be read and compared, and stop."`
	outputFlags
}

func (c *driftCommand) Run(ctx context.Context, s app.Streams) error {
	return app.Drift(ctx, app.DriftOptions{
		Baseline: c.Baseline, Current: c.Current, Features: c.Features, Schema: c.Schema, Segments: c.Segments, Weight: c.Weight,
		Chunk: c.Chunk, Time: c.Time, LearnThresholds: c.LearnThresholds, Compat: c.Compat, Exact: c.Exact,
		SaveProfile: c.SaveProfile, DryRun: c.DryRun, OutputOptions: c.options(s),
	})
}

type backtestCommand struct {
	Predictions string   `required:"" placeholder:"FILE" help:"Rows with the prediction, and with the truth unless --labels is given: a file, a folder, a glob or s3://bucket/prefix; Parquet, CSV or JSON lines, also .gz and .zst."`
	Labels      string   `placeholder:"FILE" help:"Rows with the truth, joined by --id, likewise."`
	Baseline    string   `placeholder:"FILE" help:"Reference rows with the truth, likewise: their own values beside, --learn-thresholds and --estimate."`
	Task        string   `default:"binary" enum:"binary,multiclass,regression,ranking" help:"binary, multiclass, regression or ranking (${default})."`
	ID          string   `name:"id" placeholder:"COLUMN" help:"Column that joins predictions with labels (default: _id). The first prediction and the last label of an id count."`
	Score       string   `placeholder:"COLUMN" help:"Column with the probability of the positive class; for multiclass the beginning of the names of one column for each class: score for score_<class>."`
	Predicted   string   `placeholder:"COLUMN" help:"Column with the predicted class or value."`
	Label       string   `placeholder:"COLUMN" help:"Column with the truth."`
	Positive    string   `placeholder:"VALUE" help:"The class counted as positive; 1 or true if that is one of the two."`
	Group       string   `placeholder:"COLUMN" help:"Column that the rows of one ranking share (default: _group)."`
	K           []int    `placeholder:"N" help:"Cut-offs of a ranking, separated by commas (default: 5,10)."`
	Segments    []string `placeholder:"COLUMN" help:"Also score segments, separated by commas; crossed by *: country,country*device."`
	Weight      string   `placeholder:"COLUMN" help:"Column of weights: the inverse of the sampling probability."`
	Chunk       string   `placeholder:"ROWS|TIME" help:"A result for every so many rows in file order, for example 5000, or for every period of --time, for example 1d."`
	Time        string   `placeholder:"COLUMN" help:"Column of times (default: _time)."`

	LearnThresholds string `placeholder:"sd=3" help:"Thresholds from the baseline's own chunks: their mean and so many standard deviations."`
	Estimate        bool   `help:"Also estimate the metrics without labels, from scores that the baseline calibrates."`
	outputFlags
}

func (c *backtestCommand) Run(ctx context.Context, s app.Streams) error {
	return app.Backtest(ctx, app.BacktestOptions{
		Predictions: c.Predictions, Labels: c.Labels, Baseline: c.Baseline, Task: c.Task, ID: c.ID, Score: c.Score,
		Predicted: c.Predicted, Label: c.Label, Positive: c.Positive, Group: c.Group, K: c.K, Segments: c.Segments, Weight: c.Weight,
		Chunk: c.Chunk, Time: c.Time, LearnThresholds: c.LearnThresholds, Estimate: c.Estimate, OutputOptions: c.options(s),
	})
}

type sendCommand struct {
	File    string   `required:"" short:"f" placeholder:"FILE" help:"Events, one JSON object a line; - for standard input."`
	Brokers []string `default:"127.0.0.1:9092" help:"Kafka brokers (${default})."`
	Topic   string   `default:"modelwatch.events" help:"Topic (${default})."`
	DryRun  bool     `help:"Read and check the file, send nothing."`
}

func (c *sendCommand) Run(ctx context.Context, s app.Streams) error {
	return app.Send(ctx, app.SendOptions{File: c.File, Brokers: c.Brokers, Topic: c.Topic, DryRun: c.DryRun, Streams: s})
}

type simulateCommand struct {
	Brokers []string `default:"127.0.0.1:9092" help:"Kafka brokers (${default})."`
	Topic   string   `default:"modelwatch.events" help:"Topic (${default})."`
	Speed   float64  `default:"1" help:"Simulated minutes a minute (${default})."`
	Server  string   `placeholder:"URL" env:"MODELWATCH_SERVER" help:"Also register the two models, their baselines and jobs at this service."`
	Token   string   `env:"MODELWATCH_TOKEN" help:"Bearer token for the service."`
}

func (c *simulateCommand) Run(ctx context.Context, s app.Streams) error {
	return app.Simulate(ctx, app.SimulateOptions{Brokers: c.Brokers, Topic: c.Topic, Speed: c.Speed, Server: c.Server, Token: c.Token, Streams: s})
}

type importCommand struct {
	configFlag
	From      string   `required:"" xor:"from" placeholder:"FILE" help:"The rows: a file, a folder, a glob or s3://bucket/prefix; Parquet, CSV or JSON lines, also .gz and .zst. A file that was imported before, known by its content, is passed over: an import that broke off is started again."`
	Letters   string   `name:"dead-letters" required:"" xor:"from" placeholder:"file:NAME" help:"Instead of files: the dead letters of a file that was imported with --format, under the topic that dead-letters list shows, or of all of the model (file:*). After what was wrong has been mended, each is placed once."`
	Reason    string   `placeholder:"REASON" help:"With --dead-letters: only those for this reason."`
	Model     string   `required:"" placeholder:"NAME" help:"Model that the rows are of."`
	Version   string   `placeholder:"NAME" help:"Its version; labels may go without."`
	Kind      string   `default:"prediction" enum:"prediction,label,attribution" help:"What a row is: prediction, label or attribution (${default})."`
	ID        string   `name:"id" placeholder:"COLUMN" help:"Column with the request id (default: _id)."`
	Time      string   `placeholder:"COLUMN" help:"Column with the event time (default: _time)."`
	Score     string   `placeholder:"COLUMN" help:"Column with the score (default: _score)."`
	Predicted string   `placeholder:"COLUMN" help:"Column with the predicted class or value (default: _predicted)."`
	Label     string   `placeholder:"COLUMN" help:"Column with the truth (default: _label)."`
	Group     string   `placeholder:"COLUMN" help:"Column that the rows of one ranking share (default: _group)."`
	Weight    string   `placeholder:"COLUMN" help:"Column of weights (default: _weight)."`
	Format    string   `placeholder:"NAME" help:"Files with a record a line in a format of Kafka's sources, such as sagemaker or azureml, instead of tables."`
	Inputs    []string `placeholder:"NAME" help:"With --format: names of the inputs, where records have none."`
	Outputs   []string `placeholder:"NAME" help:"With --format: names of the outputs."`

	Columns  map[string]string `mapsep:"none" placeholder:"PART=NAME" help:"With --format: which named value is the id, the time, the score and so on, as in kafka.sources; repeatable."`
	Paths    map[string]string `mapsep:"none" placeholder:"PART=JSONPATH" help:"With --format json: what selects the id, the features and so on, as in kafka.sources; repeatable."`
	Timezone string            `placeholder:"ZONE" help:"With --format: the zone of times that are written without one, for example Europe/Berlin."`

	DryRun bool `help:"Read and count the rows, write nothing."`
}

func (c *importCommand) Run(ctx context.Context, s app.Streams) error {
	cfg, err := app.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	return app.Import(ctx, cfg, app.ImportOptions{
		From: c.From, DeadLetters: c.Letters, Reason: modelwatch.DeadLetterReason(c.Reason), Model: c.Model, Version: c.Version, Kind: modelwatch.Kind(c.Kind), DryRun: c.DryRun, Streams: s,
		Format: c.Format, Inputs: c.Inputs, Outputs: c.Outputs, Columns: c.Columns, Paths: c.Paths, Timezone: c.Timezone,
		Mapping: modelwatch.ColumnMapping{ID: c.ID, Time: c.Time, Score: c.Score, Predicted: c.Predicted, Label: c.Label, Group: c.Group, Weight: c.Weight},
	})
}

type orphansCommand struct {
	configFlag
	Delete bool   `help:"Delete them for good. Not if another catalog keeps its archive in the same place, and not while the offsets whose rows they hold cannot be read again."`
	Format string `default:"table" enum:"table,json,ndjson" help:"table, json or ndjson (${default})."`
}

func (c *orphansCommand) Run(ctx context.Context, s app.Streams) error {
	cfg, err := app.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	return app.Orphans(ctx, cfg, app.OrphansOptions{Delete: c.Delete, Format: c.Format, Streams: s})
}

type eraseCommand struct {
	Model   string        `required:"" placeholder:"NAME" help:"Model whose rows are erased, in all its versions."`
	ID      []string      `name:"id" sep:"none" placeholder:"ID" help:"Request id; repeatable."`
	IDsFile string        `name:"ids-file" placeholder:"FILE" help:"Request ids, one a line; - for standard input."`
	DryRun  bool          `help:"Count the rows, erase nothing."`
	Wait    time.Duration `default:"1h" help:"How long to wait until no reader sees the rows (${default})."`
	Server  string        `default:"http://127.0.0.1:8080" placeholder:"URL" env:"MODELWATCH_SERVER" help:"The service (${default})."`
	Token   string        `env:"MODELWATCH_TOKEN" help:"Bearer token for the service."`
}

func (c *eraseCommand) Run(ctx context.Context, s app.Streams) error {
	return app.Erase(ctx, app.EraseOptions{
		Model: c.Model, IDs: c.ID, IDsFile: c.IDsFile, DryRun: c.DryRun, Wait: c.Wait, Server: c.Server, Token: c.Token, Streams: s,
	})
}

type versionCommand struct{}

func (versionCommand) Run(s app.Streams) error { return app.PrintVersion(s) }
