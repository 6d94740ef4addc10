package archive

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Halves are files of inputs of one partition of the archive and one sampling
// rate, and files of outputs among which theirs may be.
type Halves struct {
	Inputs, Outputs []modelwatch.DataFile
	// GiveUp makes predictions also of halves without another half.
	GiveUp bool
}

// JoinedHalves are what halves became: whole predictions, and halves that go on
// waiting. Files without rows are left out.
type JoinedHalves struct {
	Of      []modelwatch.DataFile
	Files   []*Rewritten
	Matched int64 // pairs
	Alone   int64 // halves that became predictions by themselves, because their other half did not come
	Volumes []modelwatch.Volume
}

// JoinHalves makes predictions of inputs and outputs of the same id, by merging
// files in the order of ranks, in memory. Of several halves of an id the first
// input belongs to the first output, the second to the second. A prediction has
// its input's time, and the columns of both; where both have a value, as of a tag,
// the input's counts, and what does not fit a column stands together.
//
// What has no other half stays one, in a file of its own, or is given up: then it
// is a prediction that lacks the rest. Files that hold a column as another type
// than those before them, or do not fit into the memory, are left out.
func (a *Archive) JoinHalves(ctx context.Context, name string, h Halves, memory int64) (_ *JoinedHalves, err error) {
	j := &halfJoiner{rewriter: rewriter{opts: RewriteOptions{Memory: memory}}, giveUp: h.GiveUp, name: name, buckets: map[int64]int64{}}
	defer func() { err = errors.Join(err, j.close()) }()
	if j.opts.Memory <= 0 {
		j.opts.Memory = 128 << 20
	}
	files := alternate(h.Inputs, h.Outputs)
	for i := range files {
		if err := j.open(ctx, a, &files[i]); err != nil {
			return nil, fmt.Errorf("join halves: %w", err)
		}
	}
	// Rows of one time are ordered by their files' places.
	slices.SortFunc(j.sources, func(x, y *rewriteSource) int { return cmp.Compare(place(&x.file), place(&y.file)) })
	out, err := j.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("join halves of %d files from %s: %w", len(j.sources), j.sources[0].file.Key, err)
	}
	return out, nil
}

// alternate takes files of both sides in turn, so that there is room for both.
func alternate(a, b []modelwatch.DataFile) (out []modelwatch.DataFile) {
	for i := range max(len(a), len(b)) {
		out = append(append(out, a[min(i, len(a)):min(i+1, len(a))]...), b[min(i, len(b)):min(i+1, len(b))]...)
	}
	return out
}

// halfJoiner is the work of one join of halves.
type halfJoiner struct {
	rewriter
	name    string
	giveUp  bool
	writers []*halfWriter
	waiting []*halfWriter // by source: where its rows go on waiting
	whole   []*halfWriter // by source: where its rows become predictions

	group   []halfRow // of one rank
	buckets map[int64]int64
	out     JoinedHalves
}

// halfWriter is one file that is being written.
type halfWriter struct {
	spec    modelwatch.FileSpec
	place   int64
	body    bytes.Buffer
	writer  *table.Writer
	columns []table.ColumnInfo
	out     rewriteOutput
}

// halfRow is a row of its source's current chunk, until all of its rank are there.
type halfRow struct {
	source, row int
	id          string
	time        int64
	matched     bool
}

func (j *halfJoiner) run(ctx context.Context) (*JoinedHalves, error) {
	if err := j.prepare(); err != nil {
		return nil, err
	}
	if err := j.merge(ctx); err != nil {
		return nil, err
	}
	for _, w := range j.writers {
		if err := w.writer.Close(); err != nil {
			return nil, err
		}
		if w.out.rows == 0 {
			continue
		}
		r, err := w.finish(ctx)
		if err != nil {
			return nil, err
		}
		j.out.Files = append(j.out.Files, r)
	}
	for _, s := range j.sources {
		j.out.Of = append(j.out.Of, s.file)
	}
	j.volumes()
	return &j.out, nil
}

// prepare starts the files: of predictions for each hour of inputs and of outputs
// that are given up, and of halves for each hour of those that wait.
func (j *halfJoiner) prepare() error {
	revision := int64(0)
	for _, s := range j.sources {
		revision = max(revision, s.file.SchemaRevision)
	}
	for _, s := range j.sources {
		f := &s.file
		spec := modelwatch.FileSpec{
			Kind: f.Kind, Model: f.Model, Version: f.Version, Hour: f.MinTime.Truncate(time.Hour), SamplingRate: f.SamplingRate, SchemaRevision: revision,
		}
		waiting, err := j.writer(spec, f)
		if err != nil {
			return err
		}
		spec.Kind = modelwatch.KindPrediction
		whole, err := j.writer(spec, f)
		if err != nil {
			return err
		}
		j.waiting, j.whole = append(j.waiting, waiting), append(j.whole, whole)
	}
	return nil
}

// writer returns the writer of a partition, started if there is none yet.
func (j *halfJoiner) writer(spec modelwatch.FileSpec, f *modelwatch.DataFile) (*halfWriter, error) {
	for _, w := range j.writers {
		if w.spec.Kind == spec.Kind && w.spec.Hour.Equal(spec.Hour) && w.spec.SamplingRate == spec.SamplingRate {
			w.place = min(w.place, place(f))
			return w, nil
		}
	}
	spec.Unique = fmt.Sprintf("%s-%d", j.name, len(j.writers))
	w := &halfWriter{spec: spec, columns: j.columns, place: place(f)}
	var err error
	if w.writer, err = newFileWriter(&w.body, spec, j.columns); err != nil {
		return nil, err
	}
	w.out = newRewriteOutput(w.writer, j.columns)
	for _, c := range j.columns {
		w.out.halves = append(w.out.halves, halfColumn(c.Name))
	}
	j.writers, j.outs = append(j.writers, w), append(j.outs, &w.out)
	return w, nil
}

// halfColumn says which half of a pair a column is taken from.
func halfColumn(name string) half {
	switch name {
	case modelwatch.ColumnID, modelwatch.ColumnTime, modelwatch.ColumnRank, modelwatch.ColumnReceivedAt:
		return ofFirst
	case modelwatch.ColumnExtra, modelwatch.ColumnInvalid:
		return ofBoth
	}
	return ofEither
}

// merge visits the rows of all sources, those of one rank together.
func (j *halfJoiner) merge(ctx context.Context) error {
	rows, err := j.start(ctx)
	if err != nil {
		return err
	}
	for len(rows.heap) > 0 {
		ended, err := j.gather(rows)
		if err == nil {
			err = j.settle()
		}
		if err != nil {
			return err
		}
		// Only now may chunks make room for others. Rows of this rank that stand in
		// the next chunk are settled apart: should one's other half be among these,
		// both wait for the next join.
		for _, i := range ended {
			more, err := j.next(j.sources[i], i)
			if err != nil {
				return err
			}
			if more {
				heap.Push(rows, i)
			}
		}
	}
	return j.flush()
}

// gather takes the rows of the lowest rank, and says which sources are at the end
// of their chunk.
func (j *halfJoiner) gather(rows *rewriteRows) (ended []int, err error) {
	rank := j.sources[rows.heap[0]].rank
	for len(rows.heap) > 0 && j.sources[rows.heap[0]].rank == rank {
		i := rows.heap[0]
		s := j.sources[i]
		j.group = append(j.group, halfRow{source: i, row: s.at, id: s.ids.Text(s.at), time: s.times.Ints[s.at]})
		s.at++
		if s.at >= s.chunk.Rows {
			heap.Pop(rows)
			ended = append(ended, i)
			continue
		}
		if _, err := j.next(s, i); err != nil {
			return nil, err
		}
		heap.Fix(rows, 0)
	}
	return ended, nil
}

// settle gives the rows of one rank their places.
func (j *halfJoiner) settle() error {
	slices.SortStableFunc(j.group, func(x, y halfRow) int { return cmp.Compare(x.time, y.time) })
	for a := range j.group {
		in := &j.group[a]
		if in.matched || j.kind(in) != modelwatch.KindInput {
			continue
		}
		for b := range j.group {
			out := &j.group[b]
			if out.matched || out.id != in.id || j.kind(out) != modelwatch.KindOutput {
				continue
			}
			in.matched, out.matched = true, true
			j.out.Matched++
			if err := j.write(j.whole[in.source], rewritePick{source: int32(in.source), row: int32(in.row), paired: true, other: int32(out.source), otherRow: int32(out.row)}, in.time); err != nil {
				return err
			}
			break
		}
	}
	for i := range j.group {
		r := &j.group[i]
		if r.matched {
			continue
		}
		w := j.waiting[r.source]
		if j.giveUp {
			w = j.whole[r.source]
			j.out.Alone++
		}
		if err := j.write(w, rewritePick{source: int32(r.source), row: int32(r.row)}, r.time); err != nil {
			return err
		}
	}
	j.group = j.group[:0]
	return nil
}

func (j *halfJoiner) kind(r *halfRow) modelwatch.Kind { return j.sources[r.source].file.Kind }

func (j *halfJoiner) write(w *halfWriter, p rewritePick, micros int64) error {
	if w.spec.Kind == modelwatch.KindPrediction {
		j.buckets[modelwatch.Bucket(time.UnixMicro(micros)).UnixMicro()]++
	}
	w.out.picks = append(w.out.picks, p)
	if len(w.out.picks) < rewriteRowsAtOnce {
		return nil
	}
	return w.out.flush(j.sources)
}

// volumes counts the predictions by bucket: their windows have new rows. They were
// seen before, as halves.
func (j *halfJoiner) volumes() {
	f := &j.sources[0].file
	for start, n := range j.buckets {
		j.out.Volumes = append(j.out.Volumes, modelwatch.Volume{
			Model: f.Model, Version: f.Version, Kind: modelwatch.KindPrediction, BucketStart: time.UnixMicro(start).UTC(), Kept: n,
		})
	}
	slices.SortFunc(j.out.Volumes, func(x, y modelwatch.Volume) int { return x.BucketStart.Compare(y.BucketStart) })
}

// finish describes the file and compares it with what was written.
func (w *halfWriter) finish(ctx context.Context) (*Rewritten, error) {
	r := &Rewritten{body: w.body.Bytes()}
	r.file = modelwatch.DataFile{
		Key: FileKey(w.spec), Kind: w.spec.Kind, Model: w.spec.Model, Version: w.spec.Version,
		Rows: w.out.rows, Bytes: int64(len(r.body)), Checksum: digest(r.body),
		MinTime: time.UnixMicro(w.out.minTime).UTC(), MaxTime: time.UnixMicro(w.out.maxTime).UTC(),
		SamplingRate: w.spec.SamplingRate, SchemaRevision: w.spec.SchemaRevision, Place: w.place,
	}
	if err := r.verify(ctx, w.columns, w.out.digests); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInternal, err, "what was encoded reads back differently")
	}
	return r, nil
}
