package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// buckets are the profiles of one data file by the start of their time bucket,
// in microseconds.
type buckets map[int64]*profile.Set

// fileProfile is the profile of the rows of one file that fall into the window.
func (e *Engine) fileProfile(ctx context.Context, f modelwatch.DataFile, w modelwatch.Window, like *profile.Set, grid string) (*profile.Set, bool, error) {
	all, hit, err := e.fileBuckets(ctx, f, like, grid)
	if err != nil {
		return nil, false, err
	}
	set, cut := like.Empty(), false
	for _, at := range slices.Sorted(maps.Keys(all)) {
		start := time.UnixMicro(at)
		end := start.Add(modelwatch.BucketSize)
		switch {
		case !end.After(w.Start) || !start.Before(w.End):
		case start.Before(w.Start) || end.After(w.End):
			cut = true
		default:
			if err := set.Merge(all[at]); err != nil {
				return nil, false, err
			}
		}
	}
	if cut {
		partial, err := e.scan(ctx, f, like, func(t time.Time) (int64, bool) {
			b := modelwatch.Bucket(t)
			whole := !b.Before(w.Start) && !b.Add(modelwatch.BucketSize).After(w.End)
			return 0, w.Contains(t) && !whole
		})
		if err != nil {
			return nil, false, err
		}
		if rest, ok := partial[0]; ok {
			if err := set.Merge(rest); err != nil {
				return nil, false, err
			}
		}
	}
	return set, hit, nil
}

// fileBuckets reads the stored profiles of a file, or makes and stores them. A
// stored object that cannot be read is made anew: it is derived data.
func (e *Engine) fileBuckets(ctx context.Context, f modelwatch.DataFile, like *profile.Set, grid string) (buckets, bool, error) {
	key := f.Key + "." + grid + ".profile"
	stored, err := e.archive.Bucket().Read(ctx, key)
	if err == nil {
		if all, err := decodeBuckets(stored, like); err == nil {
			return all, true, nil
		}
	} else if modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		return nil, false, err
	}
	all, err := e.scan(ctx, f, like, func(t time.Time) (int64, bool) { return modelwatch.Bucket(t).UnixMicro(), true })
	if err != nil {
		return nil, false, err
	}
	encoded := encodeBuckets(all)
	if err := e.archive.Bucket().Put(ctx, key, bytes.NewReader(encoded), int64(len(encoded))); err != nil {
		return nil, false, fmt.Errorf("store profile: %w", err)
	}
	return all, false, nil
}

// scan profiles the rows of a file by the bucket that place gives their time.
func (e *Engine) scan(ctx context.Context, f modelwatch.DataFile, like *profile.Set, place func(time.Time) (int64, bool)) (buckets, error) {
	reader, closer, err := e.archive.OpenDataFile(ctx, f)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	s := &scanner{like: like, place: place, out: buckets{}, tallies: map[int64]map[string]tally{}}
	for i := range like.Columns {
		s.columns = append(s.columns, like.Columns[i].Column.Column)
		s.counters = append(s.counters, newCounter(like.Columns[i].Profile.Grid()))
	}
	s.columns = append(s.columns, modelwatch.ColumnTime, modelwatch.ColumnInvalid)
	if err := reader.Scan(ctx, s.columns, s.add); err != nil {
		return nil, err
	}
	s.moveInvalid()
	return s.out, nil
}

// scanner sorts rows, which come in the order of their rank, into time buckets.
type scanner struct {
	like     *profile.Set
	place    func(time.Time) (int64, bool)
	columns  []string
	counters []*counter
	out      buckets
	tallies  map[int64]map[string]tally
	gathered table.Column
}

func (s *scanner) add(c *table.Chunk) error {
	n := len(s.like.Columns)
	times, invalid := &c.Columns[n], &c.Columns[n+1]
	if times.Ints == nil && c.Rows > 0 {
		return errors.New("the file has no column _time")
	}
	rows := map[int64][]int32{}
	for i, us := range times.Ints {
		if at, ok := s.place(time.UnixMicro(us)); ok {
			rows[at] = append(rows[at], int32(i))
		}
	}
	for at, picked := range rows {
		set, ok := s.out[at]
		if !ok {
			set = s.like.Empty()
			s.out[at], s.tallies[at] = set, map[string]tally{}
		}
		for j := range set.Columns {
			col := &c.Columns[j]
			if len(picked) < c.Rows {
				col = gather(&s.gathered, col, picked)
			}
			s.counters[j].add(set.Columns[j].Profile, col, 0, len(picked))
		}
		for _, i := range picked {
			countInvalid(s.tallies[at], invalid, int(i), int(i)+1)
		}
	}
	return nil
}

func (s *scanner) moveInvalid() {
	for at, tallies := range s.tallies {
		for j := range s.out[at].Columns {
			move(s.out[at].Columns[j].Profile, tallies[s.out[at].Columns[j].Column.Column])
		}
	}
}

// gather copies the picked rows of a column into dst, whose slices are reused.
func gather(dst, src *table.Column, rows []int32) *table.Column {
	dst.Name, dst.Type, dst.Physical, dst.Dict = src.Name, src.Type, src.Physical, src.Dict
	dst.Valid = pick(dst.Valid, src.Valid, rows)
	dst.Floats = pick(dst.Floats, src.Floats, rows)
	dst.Ints = pick(dst.Ints, src.Ints, rows)
	dst.Bools = pick(dst.Bools, src.Bools, rows)
	dst.Index = pick(dst.Index, src.Index, rows)
	dst.Vectors = pick(dst.Vectors, src.Vectors, rows)
	return dst
}

func pick[T any](dst, src []T, rows []int32) []T {
	if src == nil {
		return nil
	}
	dst = slices.Grow(dst[:0], len(rows))
	for _, i := range rows {
		dst = append(dst, src[i])
	}
	return dst
}

// bucketsVersion is the first byte of a stored object.
const bucketsVersion = 1

// encodeBuckets writes the buckets in the order of time: their number, then of
// each its start, the length of its counts, and the counts.
func encodeBuckets(all buckets) []byte {
	b := binary.AppendUvarint([]byte{bucketsVersion}, uint64(len(all)))
	for _, at := range slices.Sorted(maps.Keys(all)) {
		counts := all[at].AppendCounts(nil)
		b = binary.AppendVarint(b, at)
		b = binary.AppendUvarint(b, uint64(len(counts)))
		b = append(b, counts...)
	}
	return b
}

var errCorrupt = errors.New("stored profiles are corrupt")

func decodeBuckets(b []byte, like *profile.Set) (buckets, error) {
	if len(b) == 0 || b[0] != bucketsVersion {
		return nil, errCorrupt
	}
	n, read := binary.Uvarint(b[1:])
	if read <= 0 {
		return nil, errCorrupt
	}
	b = b[1+read:]
	all := buckets{}
	for range n {
		at, used := binary.Varint(b)
		if used <= 0 {
			return nil, errCorrupt
		}
		size, more := binary.Uvarint(b[used:])
		if more <= 0 || size > uint64(len(b)-used-more) {
			return nil, errCorrupt
		}
		b = b[used+more:]
		set, err := like.DecodeCounts(b[:size])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errCorrupt, err)
		}
		all[at], b = set, b[size:]
	}
	if len(b) > 0 {
		return nil, errCorrupt
	}
	return all, nil
}
