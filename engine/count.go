package engine

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

const (
	// maxInMemory is the size up to which a data file is fetched whole: one request
	// instead of one per column.
	maxInMemory = 64 << 20
	// maxBuckets is how many buckets are counted in one pass over a file; rows of
	// more take further passes, so that memory does not grow with them.
	maxBuckets = 64
	nowhere    = -1
)

// bucketProfile is the profile of one bucket's rows.
type bucketProfile struct {
	start int64 // microseconds, or whatever place said
	set   *profile.Set
}

// count profiles the rows of a file by the bucket that place gives their time,
// in the order of buckets.
func (e *Engine) count(ctx context.Context, f modelwatch.DataFile, like *profile.Set, place func(time.Time) (int64, bool)) ([]bucketProfile, error) {
	var out []bucketProfile
	err := e.countPasses(ctx, f, like, place, func(b bucketProfile) error {
		out = append(out, b)
		return nil
	})
	return out, err
}

// countPasses is count in bounded memory: f is given one bucket after the other.
func (e *Engine) countPasses(ctx context.Context, file modelwatch.DataFile, like *profile.Set, place func(time.Time) (int64, bool), f func(bucketProfile) error) error {
	e.compute <- struct{}{}
	defer func() { <-e.compute }()
	r, closer, err := e.open(ctx, file)
	if err != nil {
		return err
	}
	defer closer.Close()
	starts, rows, err := placeRows(ctx, r, place)
	if err != nil {
		return err
	}
	for from := 0; from < len(starts); from += maxBuckets {
		pass := bucketPass{e: e, r: r, like: like, rows: rows, from: from, n: min(maxBuckets, len(starts)-from)}
		sets, err := pass.run(ctx, file)
		if err != nil {
			return err
		}
		for i, set := range sets {
			if err := f(bucketProfile{starts[from+i], set}); err != nil {
				return err
			}
		}
	}
	return nil
}

// open reads a data file: whole, if it is not too large for that.
func (e *Engine) open(ctx context.Context, f modelwatch.DataFile) (*table.Reader, io.Closer, error) {
	if f.Bytes <= 0 || f.Bytes > maxInMemory {
		return e.archive.OpenDataFile(ctx, f)
	}
	body, err := e.archive.Bucket().Read(ctx, f.Key)
	if err != nil {
		return nil, nil, err
	}
	if int64(len(body)) != f.Bytes {
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInternal, "the object has %d bytes, %d were registered: the bucket was changed behind the catalog's back", len(body), f.Bytes)
	}
	r, err := table.OpenParquet(bytes.NewReader(body), f.Bytes)
	return r, io.NopCloser(nil), err
}

// placeRows gives each row the place of its bucket among starts, which are
// sorted; nowhere if it has none.
func placeRows(ctx context.Context, r *table.Reader, place func(time.Time) (int64, bool)) (starts []int64, rows []int32, err error) {
	if _, ok := r.Column(modelwatch.ColumnTime); !ok {
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInternal, "the data file has no column %s", modelwatch.ColumnTime)
	}
	found := map[int64]int32{}
	rows = make([]int32, 0, r.Rows())
	err = r.ScanColumn(ctx, modelwatch.ColumnTime, func(n int, c *table.Column) error {
		for i := range n {
			rows = append(rows, nowhere)
			if c.Missing(i) {
				continue
			}
			if start, ok := place(time.UnixMicro(c.Ints[i])); ok {
				at, known := found[start]
				if !known {
					at = int32(len(starts))
					found[start] = at
					starts = append(starts, start)
				}
				rows[len(rows)-1] = at
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return sortPlaces(starts, rows), rows, nil
}

// sortPlaces sorts the starts and renumbers the rows accordingly.
func sortPlaces(starts []int64, rows []int32) []int64 {
	order := make([]int32, len(starts))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(starts[a], starts[b]) })
	rank, sorted := make([]int32, len(starts)), make([]int64, len(starts))
	for i, old := range order {
		rank[old], sorted[i] = int32(i), starts[old]
	}
	for i, at := range rows {
		if at != nowhere {
			rows[i] = rank[at]
		}
	}
	return sorted
}

// bucketPass counts n buckets of a file, from the from-th.
type bucketPass struct {
	e       *Engine
	r       *table.Reader
	like    *profile.Set
	rows    []int32
	from, n int
}

func (p *bucketPass) run(ctx context.Context, file modelwatch.DataFile) ([]*profile.Set, error) {
	sets := make([]*profile.Set, p.n)
	for i := range sets {
		sets[i] = p.like.Empty()
	}
	invalid, err := p.invalid(ctx)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	for j := range p.like.Columns {
		g.Go(func() error {
			p.e.workers <- struct{}{}
			defer func() { <-p.e.workers }()
			return p.column(ctx, file, j, sets, invalid)
		})
	}
	return sets, g.Wait()
}

// place is the pass's bucket of a row, or nowhere.
func (p *bucketPass) place(row int) int {
	if at := int(p.rows[row]) - p.from; at >= 0 && at < p.n {
		return at
	}
	return nowhere
}

func (p *bucketPass) invalid(ctx context.Context) ([][]tally, error) {
	t := newTallies(setColumns(p.like))
	out := make([][]tally, p.n)
	err := eachInvalid(ctx, p.r, func(row int, object string) {
		at := p.place(row)
		if at == nowhere {
			return
		}
		if out[at] == nil {
			out[at] = make([]tally, len(p.like.Columns))
		}
		t.add(object, out[at])
	})
	return out, err
}

// column counts column j into the sets.
func (p *bucketPass) column(ctx context.Context, file modelwatch.DataFile, j int, sets []*profile.Set, invalid [][]tally) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &p.like.Columns[j]
	counts := make([]counter, p.n)
	for i := range counts {
		counts[i] = newCounter(&sets[i].Columns[j])
	}
	var sort sorter
	var gathered gatherer
	row := 0
	err := through(p.r, c).ScanColumn(ctx, c.Column.Column, func(rows int, col *table.Column) error {
		sort.sort(p.rows[row:row+rows], p.from, p.n)
		for at := range p.n {
			switch picked := sort.of(at); len(picked) {
			case 0:
			case rows:
				counts[at].add(rows, col)
			default:
				counts[at].add(len(picked), gathered.pick(col, picked))
			}
		}
		row += rows
		return nil
	})
	changed := false
	for i := range counts {
		changed = changed || counts[i].changed
		if invalid[i] != nil {
			addInvalid(counts[i].profile, invalid[i][j])
		}
	}
	if changed {
		p.e.log.WarnContext(ctx, "column is not of the baseline's type", "file", file.Key, "column", c.Column.Column, "type", c.Type)
	}
	return err
}

// sorter sorts the rows of a chunk, which come in any order, by their place. Its
// slices are reused.
type sorter struct {
	ends  []int
	order []int32
}

// sort sorts rows by their places from the from-th on, of which there are n; those
// elsewhere are left out.
func (s *sorter) sort(places []int32, from, n int) {
	s.ends = resize(s.ends, n+1)
	clear(s.ends)
	for _, p := range places {
		if at := int(p) - from; at >= 0 && at < n {
			s.ends[at+1]++
		}
	}
	for at := range n {
		s.ends[at+1] += s.ends[at]
	}
	s.order = resize(s.order, s.ends[n])
	for i, p := range places {
		if at := int(p) - from; at >= 0 && at < n {
			s.order[s.ends[at]] = int32(i)
			s.ends[at]++ // what was the start becomes the end
		}
	}
}

// of returns the rows of the place from + at, ascending.
func (s *sorter) of(at int) []int32 {
	start := 0
	if at > 0 {
		start = s.ends[at-1]
	}
	return s.order[start:s.ends[at]]
}

// gatherer copies rows of a column. Its slices are reused.
type gatherer struct{ picked table.Column }

func (g *gatherer) pick(col *table.Column, rows []int32) *table.Column {
	p := &g.picked
	p.Name, p.Type, p.Physical, p.Dict = col.Name, col.Type, col.Physical, col.Dict
	p.Valid = pick(p.Valid, col.Valid, rows)
	p.Floats = pick(p.Floats, col.Floats, rows)
	p.Ints = pick(p.Ints, col.Ints, rows)
	p.Bools = pick(p.Bools, col.Bools, rows)
	p.Index = pick(p.Index, col.Index, rows)
	p.Vectors = pick(p.Vectors, col.Vectors, rows)
	return p
}

func pick[T any](dst, src []T, rows []int32) []T {
	if len(src) == 0 {
		return nil
	}
	dst = resize(dst, len(rows))
	for i, row := range rows {
		dst[i] = src[row]
	}
	return dst
}
