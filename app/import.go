package app

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/schollz/progressbar/v3"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/ingest/format"
	"github.com/modelwatch/modelwatch/table"
)

// ImportOptions are the flags of modelwatch import.
type ImportOptions struct {
	From string
	// DeadLetters, instead of From, is the topic of letters of an imported file, file:
	// and its name, or allImported; Reason restricts them.
	DeadLetters string
	Reason      modelwatch.DeadLetterReason

	Model   string
	Version string
	Kind    modelwatch.Kind
	Mapping modelwatch.ColumnMapping
	// Format is one of ingest.Formats, of files with a record a line; "" is a table.
	Format  string
	Inputs  []string // names of values that a format has none for
	Outputs []string
	// Columns and Paths say to a format what plays which part, Timezone where times
	// without a zone are from: as kafka.sources has them.
	Columns, Paths map[string]string
	Timezone       string
	DryRun         bool
	Streams        Streams
}

// allImported stands for all files in ImportOptions.DeadLetters.
const allImported = ingest.ImportTopic + "*"

// imports is one run of modelwatch import.
type imports struct {
	*service
	opts    ImportOptions
	files   int
	known   int // imported before
	report  ingest.TableImported
	skipped []table.Skipped
}

// Import takes tables into the archive as if their rows had come through Kafka.
// Each file is one commit, known by its content: what was imported before is
// passed over, so an import that broke off goes on where it was.
func Import(ctx context.Context, cfg Config, opts ImportOptions) (err error) {
	if opts.Format != "" && !slices.Contains(ingest.Formats(), opts.Format) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the format %q is not known; known: %s", opts.Format, strings.Join(ingest.Formats(), ", "))
	}
	if err := opts.check(); err != nil {
		return err
	}
	if opts.Version == "" && opts.Kind != modelwatch.KindLabel && opts.Format == "" {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "only labels go without a version: give --version")
	}
	var files []tableFile
	if opts.DeadLetters == "" {
		if files, err = findImports(ctx, cfg, opts.From); err != nil {
			return err
		}
	}
	cfg.Sinks = SinksConfig{Datadog: DatadogConfig{Enabled: "false", Timestamps: "now"}}
	s, err := newService(ctx, cfg, serviceOptions{Log: discardLog(), EventNow: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.life.close()) }()
	m := &imports{service: s, opts: opts, report: ingest.TableImported{Rejected: map[modelwatch.DeadLetterReason]int64{}}}
	if opts.DeadLetters != "" {
		return m.deadLetters(ctx)
	}
	bar := importBar(opts.Streams.Err, len(files))
	for _, f := range files {
		bar.Describe(f.name)
		if err := m.file(ctx, f); err != nil {
			_ = bar.Finish() // drawing only
			return fmt.Errorf("import %s: %w", f.name, err)
		}
		_ = bar.Add(1) // drawing only
	}
	_ = bar.Finish() // drawing only
	return m.print(opts.Streams.Out)
}

// check refuses what would have no effect.
func (o *ImportOptions) check() error {
	switch {
	case o.DeadLetters == "" && o.Reason != "":
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--reason goes with --dead-letters")
	case o.Reason != "" && o.Reason.Check() != nil:
		return o.Reason.Check()
	case o.DeadLetters != "" && o.Format == "":
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--dead-letters are lines: say with --format, --columns and so on how to read them; of tables the values are not kept")
	case o.DeadLetters != "" && !strings.HasPrefix(o.DeadLetters, ingest.ImportTopic):
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--dead-letters %q is no imported file: they are called %sNAME, and %s are all; those of topics, modelwatch dead-letters replay publishes",
			o.DeadLetters, ingest.ImportTopic, allImported)
	}
	if o.Format == "" {
		if len(o.Columns)+len(o.Paths)+len(o.Inputs)+len(o.Outputs) > 0 || o.Timezone != "" {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "--columns, --paths, --inputs, --outputs and --timezone go with --format; of a table --id, --time, --score and so on name the columns")
		}
		return nil
	}
	if o.Mapping != (modelwatch.ColumnMapping{}) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "--id, --time, --score and so on name columns of tables; with --format say --columns id=NAME")
	}
	return nil
}

func importBar(w io.Writer, files int) *progressbar.ProgressBar {
	return progressCount(w, files, "importing")
}

// findImports lists the files to import. Objects are read with the archive's
// endpoint and credentials.
func findImports(ctx context.Context, cfg Config, from string) ([]tableFile, error) {
	if !strings.HasPrefix(from, "s3://") || cfg.Archive.Endpoint == "" && cfg.Archive.AccessKey == "" {
		return findTables(ctx, from)
	}
	return findObjectsIn(ctx, from, cfg.Archive.bucket())
}

func (m *imports) file(ctx context.Context, f tableFile) (err error) {
	object, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if object.Size() == 0 { // Spark leaves such parts
		return nil
	}
	m.files++
	commit, err := m.commitID(object)
	if err != nil {
		return err
	}
	known, err := m.catalog.HasCommit(ctx, commit)
	if err != nil {
		return err
	}
	if known {
		m.known++
		return nil
	}
	if m.opts.Format != "" {
		return m.events(ctx, f, commit, object)
	}
	version, err := m.version(ctx)
	if err != nil {
		return err
	}
	spooled, err := table.Spool(ctx, table.Source{Name: f.name, ReaderAt: object, Size: object.Size()}, m.spoolOptions(version))
	if err != nil {
		return err
	}
	defer func() { _ = spooled.Close() }() // a temporary file that stays is no error of the import
	if spooled.Rows == 0 {
		return nil
	}
	if err := m.protect(ctx, version, spooled); err != nil {
		return err
	}
	if version, err = m.learn(ctx, version, spooled.Schema); err != nil {
		return err
	}
	for _, s := range spooled.Skipped {
		if !slices.Contains(m.skipped, s) {
			m.skipped = append(m.skipped, s)
		}
	}
	return m.rows(ctx, f, commit, version, spooled)
}

// protect takes out of a table what privacy rules cover, before anything of it is
// written. What traffic may not bring, a table may not either.
func (m *imports) protect(ctx context.Context, version modelwatch.Version, spooled *table.Spooled) (err error) {
	b := &baselines{catalog: m.catalog, privacyKey: modelwatch.PrivacyKey(m.cfg.Privacy.Key), hashIDs: m.cfg.Privacy.HashIDs}
	if !version.Registered {
		if version.Schema, err = b.inherited(ctx, version.Model); err != nil {
			return err
		}
	}
	return b.protect(ctx, version, spooled, protection{closed: version.Schema.Privacy.AllowList})
}

func (m *imports) rows(ctx context.Context, f tableFile, commit string, version modelwatch.Version, spooled *table.Spooled) error {
	reader, err := spooled.Reader()
	if err != nil {
		return err
	}
	done, err := ingest.TableImport{
		Ledger: m.catalog, Archive: m.archive, FileKey: archive.FileKey, Salt: m.salt, Owner: m.owner, Now: time.Now,
		CommitID: commit, Source: f.name, Kind: m.opts.Kind, Version: version, DefaultRate: m.cfg.Sampling.Rate, DryRun: m.opts.DryRun,
	}.Run(ctx, reader)
	if err != nil {
		return err
	}
	m.add(done)
	return nil
}

// events imports a file with a record a line.
func (m *imports) events(ctx context.Context, f tableFile, commit string, object archive.Object) error {
	text, err := unpacked(f.name, object)
	if err != nil {
		return err
	}
	done, err := m.eventImport(commit, f.name).Run(ctx, text)
	err = errors.Join(err, text.Close())
	if err == nil {
		m.add(done)
	}
	return err
}

// eventImport imports records in the format that the flags say.
func (m *imports) eventImport(commit, name string) ingest.EventImport {
	kind := m.opts.Kind
	if kind == modelwatch.KindPrediction {
		kind = "" // what the records say, which may be labels, too
	}
	return ingest.EventImport{
		Ledger: m.catalog, Registry: m.catalog, Archive: m.archive, FileKey: archive.FileKey, Salt: m.salt, Owner: m.owner, Now: time.Now,
		CommitID: commit, Name: name, DefaultRate: m.cfg.Sampling.Rate, DryRun: m.opts.DryRun, Privacy: m.cfg.privacy(),
		Source: ingest.Source{Format: m.opts.Format, Options: format.Options{
			Model: m.opts.Model, Version: m.opts.Version, Kind: kind, Inputs: m.opts.Inputs, Outputs: m.opts.Outputs,
			Columns: m.opts.Columns, Paths: m.opts.Paths, Timezone: m.opts.Timezone,
		}},
	}
}

// unpacked reads a file that is packed if its name says so.
func unpacked(name string, object archive.Object) (io.ReadCloser, error) {
	raw := bufio.NewReaderSize(io.NewSectionReader(object, 0, object.Size()), 1<<20)
	switch path.Ext(name) {
	case ".gz":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "unpack")
		}
		return z, nil
	case ".zst":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "unpack")
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(raw), nil
}

func (m *imports) add(done ingest.TableImported) {
	m.report.Rows += done.Rows
	m.report.Kept += done.Kept
	m.report.SampledOut += done.SampledOut
	m.report.Files += done.Files
	m.report.Letters += done.Letters
	for reason, n := range done.Rejected {
		m.report.Rejected[reason] += n
	}
}

// commitID is by what the content of a file is known again, for the same model,
// version and kind, and read in the same way.
func (m *imports) commitID(object archive.Object) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q %q %q\n", m.opts.Model, m.opts.Version, m.opts.Kind, m.opts.Mapping, m.opts.Format, m.opts.Inputs, m.opts.Outputs)
	if len(m.opts.Columns)+len(m.opts.Paths) > 0 || m.opts.Timezone != "" { // without them ids are those of before there were any
		fmt.Fprintf(h, "%q %q %q\n", m.opts.Columns, m.opts.Paths, m.opts.Timezone)
	}
	if _, err := io.Copy(h, io.NewSectionReader(object, 0, object.Size())); err != nil {
		return "", err
	}
	return "import-" + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// version returns the version that the rows are of. A dry run makes none known.
func (m *imports) version(ctx context.Context) (modelwatch.Version, error) {
	if !m.opts.DryRun {
		return m.catalog.EnsureVersion(ctx, m.opts.Model, m.opts.Version)
	}
	v, err := m.catalog.Version(ctx, m.opts.Model, m.opts.Version)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		return modelwatch.Version{Model: m.opts.Model, Name: m.opts.Version, SamplingRate: 1}, nil
	}
	return v, err
}

// spoolOptions gives the columns the types that the version has for them already.
func (m *imports) spoolOptions(v modelwatch.Version) table.SpoolOptions {
	opts := spoolOptions(v, m.opts.Mapping)
	if len(v.Schema.Features) > 0 {
		opts.Schema = &v.Schema
	}
	return opts
}

// learn adds what a table has shown to the schema of a version whose features
// nobody has declared, as traffic does.
func (m *imports) learn(ctx context.Context, v modelwatch.Version, shown modelwatch.Schema) (modelwatch.Version, error) {
	if m.opts.DryRun || m.opts.Kind == modelwatch.KindLabel || v.Registered && len(v.Schema.Features) > 0 {
		return v, nil
	}
	for range 10 {
		grown, changed := growSchema(v.Schema, shown)
		if !changed {
			return v, nil
		}
		stored, err := m.catalog.GrowSchema(ctx, v.Model, v.Name, v.SchemaRevision, grown)
		if modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
			return stored, err
		}
		if v, err = m.catalog.Version(ctx, v.Model, v.Name); err != nil {
			return v, err
		}
	}
	return v, modelwatch.Errorf(modelwatch.CodeUnavailable, "the schema of version %q of model %q keeps changing", v.Name, v.Model)
}

// growSchema adds the columns of a table that a schema does not have.
func growSchema(s, shown modelwatch.Schema) (grown modelwatch.Schema, changed bool) {
	s.Features = slices.Clone(s.Features)
	for _, f := range shown.Features {
		if _, ok := s.Feature(f.Name); !ok {
			s.Features = append(s.Features, modelwatch.Feature{Name: f.Name, Type: f.Type})
			s.SortFeatures()
			changed = true
		}
	}
	for _, part := range [][2]*modelwatch.FeatureType{{&s.Score, &shown.Score}, {&s.Predicted, &shown.Predicted}, {&s.Label, &shown.Label}} {
		if *part[0] == "" && *part[1] != "" {
			*part[0], changed = *part[1], true
		}
	}
	for _, names := range [][2]*[]string{{&s.Classes, &shown.Classes}, {&s.Attributions, &shown.Attributions}, {&s.Tags, &shown.Tags}} {
		for _, n := range *names[1] {
			if i, ok := slices.BinarySearch(*names[0], n); !ok {
				*names[0], changed = slices.Insert(slices.Clone(*names[0]), i, n), true
			}
		}
	}
	return s, changed
}

func (m *imports) print(w io.Writer) error {
	verb := "imported"
	if m.opts.DryRun {
		verb = "to import"
	}
	fmt.Fprintf(w, "%d files: %d %s, %d imported before\n", m.files, m.files-m.known, verb, m.known)
	rejected := m.report.Rows - m.report.Kept - m.report.SampledOut
	fmt.Fprintf(w, "%d rows: %d kept in %d data files, %d sampled out, %d rejected\n",
		m.report.Rows, m.report.Kept, m.report.Files, m.report.SampledOut, rejected)
	if rejected > 0 && !m.opts.DryRun {
		fmt.Fprintf(m.opts.Streams.Err, "note: %d of the rejected are dead letters: modelwatch dead-letters list shows their file and line\n", m.report.Letters)
	}
	reasons := make([]string, 0, len(m.report.Rejected))
	for reason := range m.report.Rejected {
		reasons = append(reasons, string(reason))
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		fmt.Fprintf(w, "  %s: %d\n", reason, m.report.Rejected[modelwatch.DeadLetterReason(reason)])
	}
	for _, s := range m.skipped {
		fmt.Fprintf(m.opts.Streams.Err, "note: column %s is left out: %s\n", s.Name, s.Reason)
	}
	return nil
}
