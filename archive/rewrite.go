package archive

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Rewritten is a data file that was made of others and is not uploaded yet.
type Rewritten struct {
	// Of are the files that it is made of: those given, less the ones that did not fit.
	Of      []modelwatch.DataFile
	Dropped int64 // rows left out

	file modelwatch.DataFile
	body []byte
}

// Rows is the number of rows that are left; with none there is nothing to upload.
func (r *Rewritten) Rows() int64 { return r.file.Rows }

// Key is where Upload will put the file: what its intent names.
func (r *Rewritten) Key() string { return r.file.Key }

// RewriteOptions bound a rewrite and say what it leaves out.
type RewriteOptions struct {
	// Memory bounds what the open files hold, two of them apart; default 128 MiB. The
	// new object comes on top: at most about the sum of those it is made of.
	Memory int64
	// Drop says which rows are left out; nil keeps all.
	Drop func(rank int64, id string) bool
}

// Rewrite merges data files of one partition and sampling rate into one file in
// memory, in the order of ranks and, where ranks are equal, of places. The first
// file is always taken. Of the others those are left out that would not fit into
// the memory, or hold a column as another type. Columns are those of any of the
// files. What was encoded is read back in full and compared, because the files it
// is made of will be deleted.
//
// A file without a rank, a time or an id in each row, or not sorted by rank, is
// an error: it was not written by WriteDataFile.
func (a *Archive) Rewrite(ctx context.Context, unique string, files []modelwatch.DataFile, opts RewriteOptions) (_ *Rewritten, err error) {
	if opts.Memory <= 0 {
		opts.Memory = 128 << 20
	}
	files = slices.Clone(files)
	slices.SortFunc(files, func(x, y modelwatch.DataFile) int { return cmp.Compare(place(&x), place(&y)) })
	w := &rewriter{opts: opts}
	defer func() { err = errors.Join(err, w.close()) }()
	for i := range files {
		if err := w.open(ctx, a, &files[i]); err != nil {
			return nil, fmt.Errorf("rewrite data files: %w", err)
		}
	}
	out, err := w.run(ctx, unique)
	if err != nil {
		return nil, fmt.Errorf("rewrite %d data files from %s: %w", len(w.sources), files[0].Key, err)
	}
	return out, nil
}

// Upload writes the rewritten file under its key, which must have been announced.
// Trying again after an error is safe.
func (a *Archive) Upload(ctx context.Context, r *Rewritten) (modelwatch.DataFile, error) {
	if err := a.bucket.PutIfAbsent(ctx, r.file.Key, r.body, r.file.Checksum); err != nil {
		return modelwatch.DataFile{}, fmt.Errorf("write data file: %w", err)
	}
	return r.file, nil
}

// place is what a file's rows are ordered by beside those of others.
func place(f *modelwatch.DataFile) int64 {
	if f.Place > 0 {
		return f.Place
	}
	return f.ID
}

// rewriter is the work of one rewrite.
type rewriter struct {
	opts    RewriteOptions
	sources []*rewriteSource
	columns []table.ColumnInfo // of the new file
	memory  int64
	out     rewriteOutput
	outs    []*rewriteOutput // all that are written to
}

// rewriteSource is one file that is read from its first row to its last.
type rewriteSource struct {
	file   modelwatch.DataFile
	reader *table.Reader
	closer func() error
	pull   func() (*table.Chunk, error, bool)
	stop   func()

	chunk             *table.Chunk
	at                int // the next row of chunk
	rank              int64
	rows              int64
	ranks, times, ids *table.Column
}

// open takes a file in, unless it does not fit beside those that are.
func (w *rewriter) open(ctx context.Context, a *Archive, f *modelwatch.DataFile) error {
	if len(w.sources) >= max(1, a.opts.MaxOpenFiles) {
		return nil
	}
	r, closer, err := a.OpenDataFile(ctx, *f)
	if err != nil {
		return err
	}
	need := r.ScanBytes()
	columns, fits := joinColumns(w.columns, r.Columns())
	if len(w.sources) > 0 && !fits || len(w.sources) > 1 && w.memory+need > w.opts.Memory {
		return closer.Close()
	}
	if skipped := r.Skipped(); len(skipped) > 0 {
		return errors.Join(modelwatch.Errorf(modelwatch.CodeInternal, "data file %s: column %q cannot be read: %s", f.Key, skipped[0].Name, skipped[0].Reason), closer.Close())
	}
	w.columns, w.memory = columns, w.memory+need
	w.sources = append(w.sources, &rewriteSource{file: *f, reader: r, closer: closer.Close, stop: func() {}, rank: -1})
	return nil
}

func (w *rewriter) close() error {
	var errs []error
	for _, s := range w.sources {
		s.stop()
		errs = append(errs, s.closer())
	}
	return errors.Join(errs...)
}

// joinColumns adds a file's columns to those of others, false if one has another
// type. Texts and categories are stored alike.
func joinColumns(have, more []table.ColumnInfo) ([]table.ColumnInfo, bool) {
	have = slices.Clone(have)
	for _, c := range more {
		i := slices.IndexFunc(have, func(h table.ColumnInfo) bool { return h.Name == c.Name })
		if i < 0 {
			have = append(have, c)
			continue
		}
		if have[i].Type != c.Type || have[i].Physical != c.Physical {
			return nil, false
		}
	}
	slices.SortStableFunc(have, func(x, y table.ColumnInfo) int {
		return cmp.Or(cmp.Compare(columnClass(x.Name), columnClass(y.Name)), strings.Compare(x.Name, y.Name))
	})
	return have, true
}

// columnClass orders columns as ingest does: what a row is, features, the rest.
func columnClass(name string) int {
	order := []string{modelwatch.ColumnID, modelwatch.ColumnTime, modelwatch.ColumnRank, modelwatch.ColumnReceivedAt}
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	if !modelwatch.Reserved(name) {
		return len(order)
	}
	return len(order) + 1
}

func (w *rewriter) run(ctx context.Context, unique string) (*Rewritten, error) {
	first := w.sources[0].file
	spec := modelwatch.FileSpec{
		Kind: first.Kind, Model: first.Model, Version: first.Version, Hour: first.MinTime.Truncate(time.Hour), Unique: unique,
		SamplingRate: first.SamplingRate,
	}
	out := &Rewritten{}
	for _, s := range w.sources {
		spec.SchemaRevision = max(spec.SchemaRevision, s.file.SchemaRevision)
		out.Of = append(out.Of, s.file)
		out.Dropped += s.file.Rows
	}
	var body bytes.Buffer
	pw, err := newFileWriter(&body, spec, w.columns)
	if err != nil {
		return nil, err
	}
	w.out = newRewriteOutput(pw, w.columns)
	w.outs = []*rewriteOutput{&w.out}
	if err := w.merge(ctx); err != nil {
		return nil, err
	}
	if err := pw.Close(); err != nil {
		return nil, err
	}
	out.Dropped -= w.out.rows
	out.body = body.Bytes()
	out.file = modelwatch.DataFile{
		Key: FileKey(spec), Kind: spec.Kind, Model: spec.Model, Version: spec.Version,
		Rows: w.out.rows, Bytes: int64(len(out.body)), Checksum: digest(out.body),
		MinTime: time.UnixMicro(w.out.minTime).UTC(), MaxTime: time.UnixMicro(w.out.maxTime).UTC(),
		SamplingRate: spec.SamplingRate, SchemaRevision: spec.SchemaRevision, Place: place(&first),
	}
	if err := out.verify(ctx, w.columns, w.out.digests); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInternal, err, "what was encoded reads back differently")
	}
	return out, nil
}

// merge writes the rows of all sources in the order of ranks.
func (w *rewriter) merge(ctx context.Context) error {
	rows, err := w.start(ctx)
	if err != nil {
		return err
	}
	for len(rows.heap) > 0 {
		i := rows.heap[0]
		s := w.sources[i]
		if w.opts.Drop == nil || !w.opts.Drop(s.rank, s.ids.Text(s.at)) {
			if err := w.out.pick(w.sources, i, s.at); err != nil {
				return err
			}
		}
		s.at++
		more, err := w.next(s, i)
		if err != nil {
			return err
		}
		if more {
			heap.Fix(rows, 0)
		} else {
			heap.Pop(rows)
		}
	}
	return w.flush()
}

// start moves each source to its first row.
func (w *rewriter) start(ctx context.Context) (*rewriteRows, error) {
	names := make([]string, len(w.columns))
	for i, c := range w.columns {
		names[i] = c.Name
	}
	rows := &rewriteRows{sources: w.sources}
	for i, s := range w.sources {
		s.pull, s.stop = iter.Pull2(chunks(ctx, s.reader, names))
		more, err := w.next(s, i)
		if err != nil {
			return nil, err
		}
		if more {
			rows.heap = append(rows.heap, i)
		}
	}
	heap.Init(rows)
	return rows, nil
}

// flush writes what was picked.
func (w *rewriter) flush() error {
	for _, o := range w.outs {
		if err := o.flush(w.sources); err != nil {
			return err
		}
	}
	return nil
}

// next moves a source to its next row. What was picked of its chunk is written
// before the chunk makes room for the next.
func (w *rewriter) next(s *rewriteSource, i int) (bool, error) {
	for s.chunk == nil || s.at >= s.chunk.Rows {
		if s.chunk != nil {
			if err := w.flush(); err != nil {
				return false, err
			}
		}
		c, err, ok := s.pull()
		if err != nil {
			return false, fmt.Errorf("read data file %s: %w", s.file.Key, err)
		}
		if !ok {
			if s.rows != s.file.Rows {
				return false, modelwatch.Errorf(modelwatch.CodeInternal, "data file %s: %d rows, registered with %d", s.file.Key, s.rows, s.file.Rows)
			}
			return false, nil
		}
		s.chunk, s.at = c, 0
		s.ranks, s.times, s.ids = c.Column(modelwatch.ColumnRank), c.Column(modelwatch.ColumnTime), c.Column(modelwatch.ColumnID)
		for _, o := range w.outs {
			o.renew(i, c)
		}
	}
	if s.ranks == nil || s.times == nil || s.ids == nil || s.ranks.Missing(s.at) || s.times.Missing(s.at) || s.ids.Missing(s.at) {
		return false, modelwatch.Errorf(modelwatch.CodeInternal, "data file %s: row %d has no rank, time or id", s.file.Key, s.rows)
	}
	rank := s.ranks.Ints[s.at]
	if rank < s.rank {
		return false, modelwatch.Errorf(modelwatch.CodeInternal, "data file %s: row %d has rank %d after %d, the file is not sorted by %s", s.file.Key, s.rows, rank, s.rank, modelwatch.ColumnRank)
	}
	s.rank = rank
	s.rows++
	return true, nil
}

// rewriteHeap holds the numbers of the sources that have rows left.
type rewriteHeap []int

// rewriteRows orders sources by rank, then by their place, which is their number.
type rewriteRows struct {
	heap    rewriteHeap
	sources []*rewriteSource
}

func (r *rewriteRows) Len() int { return len(r.heap) }
func (r *rewriteRows) Less(i, j int) bool {
	x, y := r.heap[i], r.heap[j]
	return cmp.Or(cmp.Compare(r.sources[x].rank, r.sources[y].rank), cmp.Compare(x, y)) < 0
}
func (r *rewriteRows) Swap(i, j int) { r.heap[i], r.heap[j] = r.heap[j], r.heap[i] }
func (r *rewriteRows) Push(x any)    { r.heap = append(r.heap, x.(int)) }
func (r *rewriteRows) Pop() any {
	last := len(r.heap) - 1
	x := r.heap[last]
	r.heap = r.heap[:last]
	return x
}

// verify reads the new file and compares every value with what was written.
func (r *Rewritten) verify(ctx context.Context, columns []table.ColumnInfo, written digests) error {
	t, err := table.OpenParquet(bytes.NewReader(r.body), int64(len(r.body)))
	if err != nil {
		return err
	}
	have := t.Columns()
	if t.Rows() != r.file.Rows || !slices.Equal(have, columns) {
		return fmt.Errorf("%d rows of %d columns, wrote %d of %d", t.Rows(), len(have), r.file.Rows, len(columns))
	}
	names := make([]string, len(have))
	for i, c := range have {
		names[i] = c.Name
	}
	again := newDigests(len(have))
	err = t.Scan(ctx, names, func(c *table.Chunk) error {
		again.add(c)
		return nil
	})
	if err != nil {
		return err
	}
	for i, name := range names {
		if again[i] != written[i] {
			return fmt.Errorf("column %q has other values than written", name)
		}
	}
	return nil
}

// newFileWriter starts a data file with the metadata of its spec.
func newFileWriter(to *bytes.Buffer, spec modelwatch.FileSpec, columns []table.ColumnInfo) (*table.Writer, error) {
	return table.NewWriter(to, columns, map[string]string{
		MetadataKind:           string(spec.Kind),
		MetadataModel:          spec.Model,
		MetadataVersion:        spec.Version,
		MetadataSamplingRate:   strconv.FormatFloat(spec.SamplingRate, 'g', -1, 64),
		MetadataSchemaRevision: strconv.FormatInt(spec.SchemaRevision, 10),
	})
}

// digests are of the values of columns, row by row: equal for equal values,
// however they are cut into chunks.
type digests []uint64

func newDigests(n int) digests { return make(digests, n) }

func (d digests) add(c *table.Chunk) {
	for i := range c.Columns {
		d[i] = digestColumn(d[i], c.Rows, &c.Columns[i])
	}
}

func digestColumn(h uint64, rows int, c *table.Column) uint64 {
	var words []uint64
	if len(c.Index) > 0 {
		words = make([]uint64, len(c.Dict))
		for i, s := range c.Dict {
			words[i] = hashText(s)
		}
	}
	for i := range rows {
		v := uint64(0x6d697373)
		if !c.Missing(i) {
			v = cellBits(c, i, words)
		}
		h = mix(h ^ v)
	}
	return h
}

// cellBits is a number that stands for a value.
func cellBits(c *table.Column, i int, words []uint64) uint64 {
	switch {
	case len(c.Floats) > 0:
		if math.IsNaN(c.Floats[i]) {
			return 1
		}
		return math.Float64bits(c.Floats[i])
	case len(c.Ints) > 0:
		return uint64(c.Ints[i])
	case len(c.Index) > 0:
		return words[c.Index[i]]
	case len(c.Bools) > 0:
		if c.Bools[i] {
			return 3
		}
		return 2
	case len(c.Vectors) > 0:
		h := uint64(len(c.Vectors[i]))
		for _, v := range c.Vectors[i] {
			h = mix(h ^ uint64(math.Float32bits(v)))
		}
		return h
	}
	return 0x6d697373 // a column without values is missing throughout
}

// hashText is FNV-1a.
func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
