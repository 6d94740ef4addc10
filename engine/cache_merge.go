package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// MergeProfiles stores the profiles of a file that has the rows of others, from
// those that are stored of them. Counts merge exactly, so they are the same as
// from the rows. If one of the files has none on these grids nothing is stored:
// the profiles are made from the rows when they are asked for.
func (e *Engine) MergeProfiles(ctx context.Context, of []modelwatch.DataFile, merged modelwatch.DataFile, like *profile.Set) error {
	all, buckets := like.Empty(), map[time.Time]*profile.Set{}
	grid := like.GridID()
	for _, f := range of {
		found, err := e.storedBuckets(ctx, &counted{e: e, file: f, like: like, grid: grid})
		if err != nil {
			return fmt.Errorf("merge profiles: %w", err)
		}
		if found == nil {
			return nil
		}
		for start, set := range found {
			if err := all.Merge(set); err != nil {
				return fmt.Errorf("merge profiles: %w", err)
			}
			if have := buckets[start]; have == nil {
				buckets[start] = set
			} else if err := have.Merge(set); err != nil {
				return fmt.Errorf("merge profiles: %w", err)
			}
		}
	}
	if len(all.Columns) > 0 && all.Columns[0].Profile.Rows() != merged.Rows {
		return nil // of other rows than the file has
	}
	c := &counted{e: e, file: merged, like: like, grid: grid}
	payload := binary.AppendUvarint(nil, uint64(len(buckets)))
	for _, start := range slices.SortedFunc(maps.Keys(buckets), time.Time.Compare) {
		payload = binary.AppendVarint(payload, start.UnixMicro())
		payload = appendBytes(payload, buckets[start].AppendCounts(nil))
	}
	if err := c.store(ctx, objectKey(merged, grid, objectWhole), c.seal(all.AppendCounts(nil))); err != nil {
		return err
	}
	return c.store(ctx, objectKey(merged, grid, objectBuckets), c.seal(payload))
}

// storedBuckets returns the profiles of a file's buckets if they are stored, else nil.
func (e *Engine) storedBuckets(ctx context.Context, c *counted) (map[time.Time]*profile.Set, error) {
	key := objectKey(c.file, c.grid, objectBuckets)
	b := e.recent.get(key)
	if b == nil {
		var err error
		b, err = e.archive.Bucket().Read(ctx, key)
		if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	sets := map[time.Time]*profile.Set{}
	err := c.open(b, func(payload []byte) error {
		stored, err := decodeBuckets(payload)
		for _, s := range stored {
			if err == nil {
				sets[s.start], err = c.like.DecodeCounts(s.counts)
			}
		}
		return err
	})
	if err != nil {
		return nil, nil //nolint:nilerr // a stored profile that cannot be read is made anew from the rows
	}
	return sets, nil
}
