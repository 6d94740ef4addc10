package archive

import (
	"context"
	"fmt"
	"io"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Archive reads and writes data files in a bucket. Its methods may be called
// concurrently.
type Archive struct {
	bucket Bucket
	opts   Options
}

// Options bounds what a join may hold. Zero values mean the defaults.
type Options struct {
	// TempDir holds what a join of very many files merges beforehand; empty
	// means the system's.
	TempDir string
	// MaxOpenFiles bounds the files that one join reads at the same time; default 256.
	MaxOpenFiles int
	// MergeBytes bounds the rows that one join holds; default 128 MiB. The heap
	// peaks below twice that, the garbage collector's share included.
	MergeBytes int64
}

// New makes an archive on a bucket.
func New(bucket Bucket, opts Options) *Archive {
	if opts.MaxOpenFiles <= 0 {
		opts.MaxOpenFiles = 256
	}
	if opts.MergeBytes <= 0 {
		opts.MergeBytes = 128 << 20
	}
	return &Archive{bucket: bucket, opts: opts}
}

// Bucket returns the bucket underneath.
func (a *Archive) Bucket() Bucket { return a.bucket }

// OpenDataFile opens a registered file. It is read under ctx, until the closer
// is called. A file whose object is gone or has another length than registered
// is an error that says so: the bucket was changed behind the catalog's back, or
// the file was replaced and its grace has passed. An object that is gone, be it
// while it is read, is modelwatch.ErrDataFileGone.
func (a *Archive) OpenDataFile(ctx context.Context, f modelwatch.DataFile) (*table.Reader, io.Closer, error) {
	o, err := a.bucket.Open(ctx, f.Key)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		return nil, nil, gone(f.Key, a.bucket.URI(), err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open data file: %w", err)
	}
	if o.Size() != f.Bytes {
		o.Close()
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInternal, "data file %s: registered with %d bytes, %s holds %d", f.Key, f.Bytes, a.bucket.URI(), o.Size())
	}
	o = dataObject{o, f.Key, a.bucket}
	t, err := readTail(o)
	if err != nil {
		o.Close()
		return nil, nil, fmt.Errorf("open data file: %w", err)
	}
	r, err := table.OpenParquet(t, t.Size())
	if err != nil {
		o.Close()
		return nil, nil, fmt.Errorf("open data file %s: %w", f.Key, err)
	}
	return r, o, nil
}

// gone says that a registered object does not exist.
func gone(key, uri string, err error) error {
	return modelwatch.Wrap(modelwatch.CodeNotFound, fmt.Errorf("%w: %w", modelwatch.ErrDataFileGone, err), "data file %s is registered, but its object is gone from %s", key, uri)
}

// dataObject is the object of a data file, which may go while it is read.
type dataObject struct {
	Object
	key    string
	bucket Bucket
}

func (o dataObject) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.Object.ReadAt(p, off)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		err = gone(o.key, o.bucket.URI(), err)
	}
	return n, err
}
