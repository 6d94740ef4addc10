package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// OrphansOptions are the flags of modelwatch orphans.
type OrphansOptions struct {
	Delete  bool
	Format  string // table, json or ndjson
	Streams Streams
}

// orphan is an object that the catalog does not know, as it is printed.
type orphan struct {
	Key      string    `json:"key"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
}

// orphans are those of one run.
type orphans struct {
	list   []orphan
	keys   []string // by which the catalog would know them, each once
	bytes  int64
	listed int
}

// Orphans lists the objects of the archive that the catalog does not know, such as
// those that are newer than the backup it was restored from, and on demand gives
// them up and deletes them.
func Orphans(ctx context.Context, cfg Config, opts OrphansOptions) (err error) {
	cfg.Sinks = SinksConfig{Datadog: DatadogConfig{Enabled: "false", Timestamps: "now"}}
	s, err := newService(ctx, cfg, serviceOptions{Log: discardLog(), EventNow: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.life.close()) }()
	found, err := s.findOrphans(ctx)
	if err != nil {
		return err
	}
	err = writeItems(opts.Streams.Out, opts.Format, found.list, "BYTES\tMODIFIED\tKEY", func(o orphan) string {
		return fmt.Sprintf("%d\t%s\t%s", o.Bytes, o.Modified.UTC().Format(time.DateTime), printable(o.Key))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(opts.Streams.Err, "%d of %d objects are orphans, %s\n", len(found.list), found.listed, humanize.IBytes(uint64(found.bytes)))
	if !opts.Delete || len(found.list) == 0 {
		return nil
	}
	if len(found.list) == found.listed {
		return modelwatch.Errorf(modelwatch.CodeConflict, "the catalog knows none of the %d objects, so it is hardly theirs: nothing was deleted; check catalog.dsn and archive.uri", found.listed)
	}
	condemned, err := s.catalog.CondemnUnknown(ctx, found.keys, s.owner)
	if err != nil {
		return err
	}
	// What a running service condemns meanwhile is garbage all the same.
	deleted, err := s.archive.CollectGarbage(ctx, s.catalog, time.Time{})
	fmt.Fprintf(opts.Streams.Err, "%d given up with what was derived of them, %d deleted\n", condemned, deleted)
	return err
}

func (s *service) findOrphans(ctx context.Context) (*orphans, error) {
	found := &orphans{}
	seen := map[string]bool{}
	var err error
	found.listed, err = s.archive.Orphans(ctx, s.catalog, func(o archive.Orphan) error {
		found.list = append(found.list, orphan{o.Key, o.Size, o.Modified})
		found.bytes += o.Size
		if !seen[o.Of] {
			seen[o.Of] = true
			found.keys = append(found.keys, o.Of)
		}
		return nil
	})
	return found, err
}
