package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Replacements is the part of the catalog that puts files in the place of others.
type Replacements interface {
	IntendUpload(ctx context.Context, keys []string, owner string) error
	// ReplaceDataFiles does all of the replacement or nothing. It returns an error
	// with CodeFenced if one of the files was retired or the upload condemned. Called
	// again with the same ID after an error, it returns nil if the first call had
	// done it.
	ReplaceDataFiles(ctx context.Context, r modelwatch.Replacement) error
}

// Compactions is the part of the catalog that compaction needs.
type Compactions interface {
	Replacements
	// FileGroups returns the groups that have more than one file smaller than a size
	// and registered before a time, those with the most first.
	FileGroups(ctx context.Context, smallerThan int64, olderThan time.Time, limit int) ([]modelwatch.FileGroup, error)
	// GroupFiles returns these files, by place.
	GroupFiles(ctx context.Context, g modelwatch.FileGroup, smallerThan int64, olderThan time.Time) ([]modelwatch.DataFile, error)
}

// CompactionOptions say which files become one.
type CompactionOptions struct {
	// MinAge is how long a file stays as it was written; default 30 minutes.
	MinAge time.Duration
	// TargetBytes is the size up to which files are merged; default 64 MiB. Files of
	// half of it and more stay as they are. A merge holds about that much.
	TargetBytes int64
	// Memory bounds what the files that are merged hold while they are read; default 128 MiB.
	Memory int64
	// Derive is told of a file that is about to replace others, so that what is
	// derived of them can be made for it. Its error is logged and changes nothing.
	Derive func(ctx context.Context, of []modelwatch.DataFile, merged modelwatch.DataFile) error
	Off    bool
}

// groupsAtOnce bounds what a round looks at.
const groupsAtOnce = 1000

// compact makes few large files of many small ones: within an hour of event time,
// a kind, a model version and a sampling rate. Readers see the old ones or the new
// one, and the rows are the same, so no window is computed again.
func (k *Keeper) compact(ctx context.Context) error {
	if k.opts.Compaction.Off {
		return nil
	}
	small, before := k.opts.Compaction.TargetBytes/2, k.opts.Now().Add(-k.opts.Compaction.MinAge)
	groups, err := k.opts.Ledger.FileGroups(ctx, small, before, groupsAtOnce)
	if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	for _, g := range groups {
		files, err := k.opts.Ledger.GroupFiles(ctx, g, small, before)
		if err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		if err := k.compactGroup(ctx, files); err != nil {
			return fmt.Errorf("compact: %w", err)
		}
	}
	return nil
}

// compactGroup merges the files of a group, as many at a time as fit. What cannot
// be merged now comes again in a later round.
func (k *Keeper) compactGroup(ctx context.Context, files []modelwatch.DataFile) error {
	for {
		batch := mergeable(files, k.opts.Compaction.TargetBytes)
		if len(batch) < 2 {
			return nil
		}
		used, err := k.merge(ctx, batch)
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(f modelwatch.DataFile) bool { return slices.Contains(used, f.ID) })
	}
}

// mergeable picks the files to merge, by place, up to about the target size. A file
// that makes more than half of the sum is left alone until others have grown
// beside it: so each row is written again a number of times that is logarithmic
// in the number of files, however slowly they come.
func mergeable(files []modelwatch.DataFile, target int64) []modelwatch.DataFile {
	files = slices.Clone(files)
	for {
		var batch []modelwatch.DataFile
		var sum, largest int64
		at := -1
		for i, f := range files {
			if len(batch) > 1 && sum+f.Bytes > target {
				break
			}
			batch = append(batch, f)
			sum += f.Bytes
			if f.Bytes > largest {
				largest, at = f.Bytes, i
			}
		}
		if len(batch) < 2 || sum >= 2*largest {
			return batch
		}
		files = slices.Delete(files, at, at+1)
	}
}

// merge replaces files by one and returns the ids of those that it is done with:
// replaced, or taken by another.
func (k *Keeper) merge(ctx context.Context, files []modelwatch.DataFile) (used []int64, err error) {
	started := time.Now()
	out, err := k.opts.Archive.Rewrite(ctx, unique("c"), files, RewriteOptions{Memory: k.opts.Compaction.Memory})
	switch {
	case errors.Is(err, modelwatch.ErrDataFileGone):
		return idsOf(files), nil // replaced, and the list is old
	case err != nil:
		k.metrics.merges.WithLabelValues(mergeFailed).Inc()
		return nil, err
	}
	used = idsOf(out.Of)
	if len(out.Of) < 2 {
		return used, nil
	}
	merged, err := k.replace(ctx, out, modelwatch.Replacement{Reason: "compaction", Retired: used})
	switch {
	case modelwatch.ErrorCode(err) == modelwatch.CodeFenced:
		k.metrics.merges.WithLabelValues(mergeFenced).Inc()
		return used, nil
	case err != nil:
		k.metrics.merges.WithLabelValues(mergeFailed).Inc()
		return nil, err
	}
	k.metrics.merges.WithLabelValues(mergeDone).Inc()
	k.metrics.files.Add(float64(len(used)))
	k.metrics.bytes.Add(float64(merged.Bytes))
	k.metrics.seconds.Observe(time.Since(started).Seconds())
	k.opts.Log.InfoContext(ctx, "data files compacted", "model", merged.Model, "version", merged.Version, "kind", merged.Kind, "hour", merged.MinTime.Truncate(time.Hour),
		"files", len(used), "rows", merged.Rows, "bytes", merged.Bytes, "key", merged.Key, "took", time.Since(started))
	return used, nil
}

// replace announces, writes and registers a rewritten file in the place of those
// it is made of. Whatever fails before the end leaves the old files in force, and
// an announced upload for garbage collection. A file without rows is not written.
func (k *Keeper) replace(ctx context.Context, out *Rewritten, r modelwatch.Replacement) (file modelwatch.DataFile, err error) {
	r.ID, r.Owner = unique("r"), k.opts.Owner
	if err := k.at(PointRewritten); err != nil {
		return file, err
	}
	if out.Rows() > 0 {
		if file, err = k.upload(ctx, out); err != nil {
			return file, err
		}
		r.Files = []modelwatch.DataFile{file}
		if derive := k.opts.Compaction.Derive; derive != nil && out.Dropped == 0 {
			if err := derive(ctx, out.Of, file); err != nil {
				k.opts.Log.WarnContext(ctx, "profiles of merged data files are not merged", "key", file.Key, "error", err)
			}
		}
	}
	if err := insist(ctx, func() error { return k.opts.Ledger.ReplaceDataFiles(ctx, r) }); err != nil {
		return file, err
	}
	return file, k.at(PointReplaced)
}

func (k *Keeper) upload(ctx context.Context, out *Rewritten) (file modelwatch.DataFile, err error) {
	err = k.opts.Ledger.IntendUpload(ctx, []string{out.Key()}, k.opts.Owner)
	if err == nil {
		err = k.at(PointIntended)
	}
	if err == nil {
		err = insist(ctx, func() error {
			file, err = k.opts.Archive.Upload(ctx, out)
			return err
		})
	}
	if err == nil {
		err = k.at(PointUploaded)
	}
	return file, err
}

// unique is a name that no other attempt has.
func unique(kind string) string {
	return kind + time.Now().UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text())
}

func idsOf(files []modelwatch.DataFile) []int64 {
	ids := make([]int64, len(files))
	for i, f := range files {
		ids[i] = f.ID
	}
	return ids
}
