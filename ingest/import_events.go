package ingest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// EventImport imports a file with a record a line, in any of the formats that a
// topic may have, such as the capture files of SageMaker or of Azure's collector.
// Its events are placed as if the lines had come through Kafka; all of them in one
// commit. A line that cannot be placed is a dead letter.
type EventImport struct {
	Ledger   ImportLedger
	Registry Registry
	Archive  Archive
	FileKey  func(modelwatch.FileSpec) string
	Salt     modelwatch.Salt
	Owner    string
	Now      func() time.Time

	// CommitID and Name are as in TableImport.
	CommitID string
	Name     string
	// Source says what the lines are; its topic is of no interest.
	Source      Source
	DefaultRate float64
	Privacy     PrivacyOptions
	// FlushBytes is how much is gathered before it is written; default 64 MiB.
	FlushBytes int64
	// DryRun counts, and writes nothing.
	DryRun bool
}

// eventImport is the work of one import.
type eventImport struct {
	*EventImport
	source  *source
	private *private
	batch   *batch
	letters importLetters
	files   []modelwatch.DataFile
	volumes []modelwatch.Volume
	replays []modelwatch.Replay
	report  TableImported
}

// Run imports the lines.
func (o EventImport) Run(ctx context.Context, lines io.Reader) (TableImported, error) {
	w, err := o.start()
	if err != nil {
		return w.report, err
	}
	scan := bufio.NewScanner(lines)
	scan.Buffer(make([]byte, 0, 1<<20), maxRecordBytes+1<<16)
	for n := int64(1); scan.Scan(); n++ {
		line := bytes.TrimSpace(scan.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := w.line(ctx, &kgo.Record{Value: line, Offset: n, Timestamp: o.Now()}); err != nil {
			return w.report, fmt.Errorf("line %d: %w", n, err)
		}
		if err := w.flushFull(ctx); err != nil {
			return w.report, err
		}
	}
	if err := scan.Err(); err != nil {
		return w.report, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read lines")
	}
	return w.report, w.commit(ctx)
}

func (o EventImport) start() (*eventImport, error) {
	registry := o.Registry
	if o.DryRun {
		registry = &dryRegistry{Registry: registry, versions: map[[2]string]modelwatch.Version{}}
	}
	vs := newVersions(registry, or(o.DefaultRate, 1), time.Hour, slog.New(slog.DiscardHandler), o.Privacy)
	w := &eventImport{
		EventImport: &o, private: vs.private, batch: newBatch(new(pages)), letters: newImportLetters(o.CommitID, o.Name),
		report: TableImported{Rejected: map[modelwatch.DeadLetterReason]int64{}},
	}
	var err error
	if w.source, err = newSource(o.Source, newDecoder(vs, o.Salt, o.Now)); err != nil {
		err = modelwatch.Wrap(modelwatch.CodeInvalid, err, "format %s", o.Source.Format)
	}
	return w, err
}

// flushFull writes what was gathered once that is much.
func (w *eventImport) flushFull(ctx context.Context) error {
	if w.batch.full(or(w.FlushBytes, 64<<20)) {
		return w.flush(ctx)
	}
	return nil
}

// commit writes what is left and has all of it take effect.
func (w *eventImport) commit(ctx context.Context) error {
	if err := w.flush(ctx); err != nil || w.DryRun {
		return err
	}
	now := w.Now()
	if err := w.letters.write(ctx, w.Ledger, w.Archive, w.Owner, importUnique(now, w.CommitID, len(w.files)), now); err != nil {
		return err
	}
	return w.Ledger.CommitIngest(ctx, modelwatch.IngestCommit{
		ID: w.CommitID, Group: ImportGroup, Owner: w.Name, Files: w.files, Volumes: w.volumes, DeadLetters: w.letters.list, Replays: w.replays,
	})
}

// line places a record.
func (w *eventImport) line(ctx context.Context, r *kgo.Record) (err error) {
	add := func(out *row) { w.batch.add(&w.source.decoder.event, out) }
	var rejected *rejection
	if w.source.format == nil {
		var out *row
		if out, rejected, err = w.source.decode(ctx, r); err == nil && rejected == nil {
			add(out)
		}
	} else if rejected, err = w.source.read(ctx, r); err == nil && rejected == nil {
		once := func(_ context.Context, do func() error) error { return do() }
		rejected, err = w.source.each(ctx, r, once, add)
	}
	if err == nil && rejected != nil {
		err = w.reject(ctx, r, rejected)
	}
	return err
}

// reject keeps a line that has no place, without what privacy rules cover.
func (w *eventImport) reject(ctx context.Context, r *kgo.Record, rej *rejection) error {
	letter := newLetter(r, rej, r.Timestamp)
	if err := w.private.redact(ctx, &letter, w.source.format == nil); err != nil {
		return err
	}
	rej.detail = letter.Detail
	w.batch.reject(letter, rej)
	return nil
}

// flush writes what was gathered.
func (w *eventImport) flush(ctx context.Context) error {
	b := w.batch
	w.batch = newBatch(b.lent)
	w.report.Rows += b.counts.records
	for reason, n := range b.counts.rejected {
		w.report.Rejected[reason] += n
	}
	w.letters.keep(b.deadLetters...)
	w.replays = append(w.replays, b.replays...)
	w.report.Letters = len(w.letters.list)
	w.report.Kept += b.counts.kept
	w.report.SampledOut += b.counts.sampledOut
	if w.DryRun {
		return nil
	}
	w.volumes = append(w.volumes, b.volumeList()...)
	for _, file := range b.files() {
		file.seal()
		spec := file.spec(w.CommitID, importUnique(w.Now(), w.CommitID, len(w.files)))
		if err := w.Ledger.IntendUpload(ctx, []string{w.FileKey(spec)}, w.Owner); err != nil {
			return err
		}
		rows := file.sorted()
		f, err := w.Archive.WriteDataFile(ctx, spec, rows)
		if err != nil {
			return err
		}
		rows.release()
		w.files = append(w.files, f)
		w.report.Files++
	}
	return nil
}

// importUnique is part of the key of a data file. No two attempts share one, so
// that a commit fails if the objects of its attempt were condemned meanwhile.
func importUnique(now time.Time, commit string, n int) string {
	return fmt.Sprintf("i%s-%s-%d", now.UTC().Format("20060102T150405.000000Z"), commit[:min(len(commit), 24)], n)
}

// dryRegistry makes nothing known to the catalog.
type dryRegistry struct {
	Registry
	versions map[[2]string]modelwatch.Version
}

func (d *dryRegistry) EnsureVersion(ctx context.Context, model, version string) (modelwatch.Version, error) {
	key := [2]string{model, version}
	if v, ok := d.versions[key]; ok {
		return v, nil
	}
	v, err := d.Registry.Version(ctx, model, version)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		v, err = modelwatch.Version{Model: model, Name: version, SamplingRate: 1, SchemaRevision: 1}, nil
	}
	if err == nil {
		d.versions[key] = v
	}
	return v, err
}

func (d *dryRegistry) Version(ctx context.Context, model, version string) (modelwatch.Version, error) {
	return d.EnsureVersion(ctx, model, version)
}

func (d *dryRegistry) GrowSchema(_ context.Context, model, version string, _ int64, s modelwatch.Schema) (modelwatch.Version, error) {
	v := d.versions[[2]string{model, version}]
	v.Model, v.Name, v.Schema = model, version, s
	v.SchemaRevision++
	d.versions[[2]string{model, version}] = v
	return v, nil
}
