package ingest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// ImportLedger is the part of the catalog that makes an import exactly once.
type ImportLedger interface {
	IntendUpload(ctx context.Context, keys []string, owner string) error
	CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error
}

// ImportGroup is what commits of imports carry as their consumer group. They are
// the ledger of what was imported, and are never cleaned.
const ImportGroup = "import"

// TableImport imports one table into the archive. Its rows are placed as if they
// had come through Kafka: kept by the rank of their id and the rate of their time,
// in files by hour, sorted by rank, and counted; all of them in one commit.
type TableImport struct {
	Ledger  ImportLedger
	Archive Archive
	FileKey func(modelwatch.FileSpec) string
	Salt    modelwatch.Salt
	Owner   string
	Now     func() time.Time

	// CommitID stands for the content of the table: a commit that is in the catalog
	// already is not made again.
	CommitID string
	// Source names the table in the ledger.
	Source  string
	Kind    modelwatch.Kind
	Version modelwatch.Version
	// DefaultRate is the sampling rate where the version states none.
	DefaultRate float64
	// MemoryBytes bounds the rows that are held; default 128 MiB.
	MemoryBytes int64
	// DryRun counts, and writes nothing.
	DryRun bool
	// Progress is told of rows that were read, of all passes together; nil for nobody.
	Progress func(done, total int64)
}

// TableImported is what became of the rows of a table.
type TableImported struct {
	Rows, Kept, SampledOut int64
	// Rejected counts the rows that cannot be placed, by reason.
	Rejected map[modelwatch.DeadLetterReason]int64
	// Letters is how many of the rejected have a dead letter: the first ones of a file.
	Letters int
	Files   int
}

// importPart is a data file to be: an hour, and the rate of its rows.
type importPart struct {
	hour int64
	rate float64
}

func compareParts(a, b importPart) int {
	return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.rate, b.rate))
}

// tableImport is the work of one import.
type tableImport struct {
	*TableImport
	table    *table.Reader
	columns  []table.ColumnInfo // beside id, time and rank
	counts   map[importPart]int64
	volumes  map[int64]*modelwatch.Volume
	files    []modelwatch.DataFile
	letters  importLetters
	report   TableImported
	read     int64
	passes   int64
	received int64
	limit    int64 // rows of a pass
}

// Run imports the table, whose columns have their names in the archive: it needs
// _id and _time. Where the rows do not fit into the memory it is read several
// times, for an hour of event time after the other.
func (o TableImport) Run(ctx context.Context, t *table.Reader) (TableImported, error) {
	w := &tableImport{
		TableImport: &o, table: t, counts: map[importPart]int64{}, volumes: map[int64]*modelwatch.Volume{}, letters: newImportLetters(o.CommitID, o.Source),
		report: TableImported{Rejected: map[modelwatch.DeadLetterReason]int64{}}, received: o.Now().UnixMicro(),
	}
	if err := w.describe(); err != nil {
		return w.report, err
	}
	if err := w.scan(ctx, []string{modelwatch.ColumnID, modelwatch.ColumnTime}, nil, w.count); err != nil {
		return w.report, err
	}
	w.report.Letters = len(w.letters.list)
	if o.DryRun {
		return w.report, nil
	}
	for _, parts := range w.plan() {
		if err := w.pass(ctx, parts); err != nil {
			return w.report, err
		}
	}
	commit := modelwatch.IngestCommit{ID: o.CommitID, Group: ImportGroup, Owner: o.Source, Files: w.files, DeadLetters: w.letters.list}
	for _, bucket := range sortedKeys(w.volumes) {
		commit.Volumes = append(commit.Volumes, *w.volumes[bucket])
	}
	return w.report, o.Ledger.CommitIngest(ctx, commit)
}

func sortedKeys[V any](m map[int64]V) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// describe checks the columns and says which are written.
func (w *tableImport) describe() error {
	id, hasID := w.table.Column(modelwatch.ColumnID)
	at, hasTime := w.table.Column(modelwatch.ColumnTime)
	switch {
	case !hasID || id.Type != modelwatch.TypeCategory && id.Type != modelwatch.TypeText:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "there is no column of request ids: say which it is")
	case !hasTime || at.Type != modelwatch.TypeTimestamp:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "there is no column of times: say which it is; it must be of timestamps, RFC 3339 text or seconds since 1970")
	}
	if _, ok := w.table.Column(modelwatch.ColumnLabel); !ok && w.Kind == modelwatch.KindLabel {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "there is no column of labels: say which it is")
	}
	wide := int64(0)
	for _, c := range w.table.Columns() {
		switch c.Name {
		case modelwatch.ColumnID, modelwatch.ColumnTime, modelwatch.ColumnRank, modelwatch.ColumnReceivedAt:
			continue
		}
		if w.Kind == modelwatch.KindLabel && !modelwatch.Reserved(c.Name) {
			continue // what a label was about stands with the prediction
		}
		w.columns = append(w.columns, c)
		wide += 16
	}
	slices.SortStableFunc(w.columns, func(x, y table.ColumnInfo) int {
		if rx, ry := modelwatch.Reserved(x.Name), modelwatch.Reserved(y.Name); rx != ry {
			if ry {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Name, y.Name)
	})
	// A row stands in the columns that are gathered and in those of its file.
	w.limit = max(10_000, or(w.MemoryBytes, 128<<20)/(2*(wide+100)))
	return nil
}

// placed is where a row of a chunk belongs.
type placed struct {
	part importPart
	rank int64
	time int64
	keep bool
}

// place finds out where row i belongs, from the first two columns of a chunk. The
// reason is "" unless it cannot be placed.
func (w *tableImport) place(c *table.Chunk, i int) (p placed, reason modelwatch.DeadLetterReason) {
	ids, times := &c.Columns[0], &c.Columns[1]
	id := ids.Text(i)
	switch {
	case id == "" || len(id) > maxIDBytes:
		return p, modelwatch.DeadNoID
	case times.Missing(i) || len(times.Ints) == 0:
		return p, modelwatch.DeadInvalidTime
	case times.Ints[i] < earliest.UnixMicro() || times.Ints[i] > w.received+maxAhead.Microseconds():
		return p, modelwatch.DeadTimeOutOfSpan
	}
	p.time, p.rank = times.Ints[i], modelwatch.Rank(w.Salt, []byte(id))
	p.part = importPart{hour: p.time / microsPerHour, rate: 1}
	p.keep = true
	if w.Kind != modelwatch.KindLabel {
		p.part.rate = rateAt(&w.Version, microsTime(p.time), w.DefaultRate)
		p.keep = p.rank < modelwatch.RankLimit(p.part.rate)
	}
	return p, ""
}

// rateAt is the sampling rate of a version at an event time.
func rateAt(v *modelwatch.Version, t time.Time, fallback float64) float64 {
	rate := v.SamplingRate
	if !v.Registered {
		rate = 0
	}
	for _, s := range v.Rates {
		if !s.From.After(t) {
			rate = s.Rate
		}
	}
	if !(rate > 0) {
		return fallback
	}
	return rate
}

func (w *tableImport) count(c *table.Chunk) error {
	for i := range c.Rows {
		w.report.Rows++
		p, reason := w.place(c, i)
		if reason != "" {
			w.report.Rejected[reason]++
			w.letters.keep(rowLetter(w.Version.Model, w.report.Rows, reason, microsTime(w.received)))
			continue
		}
		v := w.volume(p.time)
		v.Seen++
		if !p.keep {
			w.report.SampledOut++
			continue
		}
		v.Kept++
		w.report.Kept++
		w.counts[p.part]++
	}
	return nil
}

func (w *tableImport) volume(micros int64) *modelwatch.Volume {
	bucket := micros / microsPerBucket
	v := w.volumes[bucket]
	if v == nil {
		v = &modelwatch.Volume{Model: w.Version.Model, Version: w.Version.Name, Kind: w.Kind, BucketStart: modelwatch.Bucket(microsTime(micros))}
		w.volumes[bucket] = v
	}
	return v
}

// plan groups the parts into passes, none of more rows than fit into the memory
// unless it is one part.
func (w *tableImport) plan() (passes [][]importPart) {
	var parts []importPart
	for p := range w.counts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, compareParts)
	from, sum := 0, int64(0)
	for i, p := range parts {
		if i > from && sum+w.counts[p] > w.limit {
			passes, from, sum = append(passes, parts[from:i]), i, 0
		}
		sum += w.counts[p]
	}
	if from < len(parts) {
		passes = append(passes, parts[from:])
	}
	w.passes = int64(len(passes))
	return passes
}

// scan reads columns of the row groups that may have rows of some hours, all of
// them where none are named.
func (w *tableImport) scan(ctx context.Context, columns []string, parts []importPart, f func(*table.Chunk) error) error {
	groups := make([]int, 0, w.table.Groups())
	ranges, err := w.table.IntRanges(modelwatch.ColumnTime)
	if err != nil {
		return err
	}
	for i, r := range ranges {
		if len(parts) == 0 || !r.Known || r.Max/microsPerHour >= parts[0].hour && r.Min/microsPerHour <= parts[len(parts)-1].hour {
			groups = append(groups, i)
		}
	}
	return w.table.ScanGroups(ctx, groups, columns, func(c *table.Chunk) error {
		w.read += int64(c.Rows)
		if w.Progress != nil {
			w.Progress(min(w.read, w.table.Rows()*(1+w.passes)), w.table.Rows()*(1+w.passes))
		}
		return f(c)
	})
}

// pass writes the data files of some parts.
func (w *tableImport) pass(ctx context.Context, parts []importPart) error {
	names := []string{modelwatch.ColumnID, modelwatch.ColumnTime}
	for _, c := range w.columns {
		names = append(names, c.Name)
	}
	rows := newImportRows(w.columns)
	err := w.scan(ctx, names, parts, func(c *table.Chunk) error {
		rows.begin(c)
		for i := range c.Rows {
			p, reason := w.place(c, i)
			if reason != "" || !p.keep || compareParts(p.part, parts[0]) < 0 || compareParts(p.part, parts[len(parts)-1]) > 0 {
				continue
			}
			rows.add(c, i, p)
		}
		if int64(len(rows.placed)) >= 2*w.limit { // an hour of very many rows becomes several files
			return w.write(ctx, rows)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.write(ctx, rows)
}

// write makes a data file of each part of the rows that were gathered.
func (w *tableImport) write(ctx context.Context, rows *importRows) error {
	order := make([]int32, len(rows.placed))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(x, y int32) int {
		a, b := &rows.placed[x], &rows.placed[y]
		return cmp.Or(compareParts(a.part, b.part), cmp.Compare(a.rank, b.rank))
	})
	for from := 0; from < len(order); {
		part, to := rows.placed[order[from]].part, from+1
		for to < len(order) && rows.placed[order[to]].part == part {
			to++
		}
		if err := w.writeFile(ctx, part, rows.chunk(order[from:to], w.received)); err != nil {
			return err
		}
		from = to
	}
	rows.reset()
	return nil
}

func (w *tableImport) writeFile(ctx context.Context, part importPart, chunk *table.Chunk) error {
	spec := modelwatch.FileSpec{
		Kind: w.Kind, Model: w.Version.Model, Version: w.Version.Name, Hour: microsTime(part.hour * microsPerHour),
		Unique:       importUnique(w.Now(), w.CommitID, len(w.files)),
		SamplingRate: part.rate, SchemaRevision: w.Version.SchemaRevision, CommitID: w.CommitID,
	}
	if err := w.Ledger.IntendUpload(ctx, []string{w.FileKey(spec)}, w.Owner); err != nil {
		return err
	}
	f, err := w.Archive.WriteDataFile(ctx, spec, chunk)
	if err != nil {
		return err
	}
	w.files = append(w.files, f)
	w.report.Files++
	return nil
}
