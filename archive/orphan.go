package archive

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// Known is the part of the catalog that knows objects.
type Known interface {
	// UnknownObjects returns those of the keys that no row names.
	UnknownObjects(ctx context.Context, keys []string) ([]string, error)
}

// Orphan is an object that the catalog does not know.
type Orphan struct {
	ObjectInfo
	// Of is the key by which the catalog would know it: its own, or, of what is
	// derived of a data file, that file's.
	Of string
}

// orphanBatch is how many objects the catalog is asked about at a time.
const orphanBatch = 512

// Orphans lists the objects of data files and dead letters, with what was derived
// of them, and hands on those that the catalog does not know; listed is how many
// it has seen. Others, such as those of baselines, are passed over.
//
// No clock is needed to tell them from uploads under way: an upload is announced
// in the catalog before its object exists, and the catalog is asked after the
// object was listed. So what it does not know was written for another catalog, or
// for this one as it was before a backup of it was restored, or by a writer that
// slept until its intent was forgotten. None of them can be registered.
func (a *Archive) Orphans(ctx context.Context, catalog Known, f func(Orphan) error) (listed int, err error) {
	batch := make([]ObjectInfo, 0, orphanBatch)
	for _, prefix := range []string{"kind=", modelwatch.DeadLetterPrefix} {
		for o, err := range a.bucket.List(ctx, prefix) {
			if err != nil {
				return listed, fmt.Errorf("list orphans: %w", err)
			}
			listed++
			if batch = append(batch, o); len(batch) == orphanBatch {
				if err := orphansOf(ctx, catalog, batch, f); err != nil {
					return listed, err
				}
				batch = batch[:0]
			}
		}
	}
	return listed, orphansOf(ctx, catalog, batch, f)
}

func orphansOf(ctx context.Context, catalog Known, objects []ObjectInfo, f func(Orphan) error) error {
	var keys []string
	asked := map[string]bool{}
	for _, o := range objects {
		if of := knownBy(o.Key); !asked[of] {
			asked[of] = true
			keys = append(keys, of)
		}
	}
	unknown, err := catalog.UnknownObjects(ctx, keys)
	if err != nil {
		return err
	}
	lost := make(map[string]bool, len(unknown))
	for _, key := range unknown {
		lost[key] = true
	}
	for _, o := range objects {
		if of := knownBy(o.Key); lost[of] {
			if err := f(Orphan{o, of}); err != nil {
				return err
			}
		}
	}
	return nil
}

// knownBy is the key of the data file that an object was derived of, or its own:
// the other direction of DerivedPrefix.
func knownBy(key string) string {
	const end = ".parquet"
	dir, base := path.Split(key)
	if rest, ok := strings.CutPrefix(base, "_"); ok {
		if file, _, ok := strings.Cut(rest, end+"."); ok {
			return dir + file + end
		}
	}
	return key
}
