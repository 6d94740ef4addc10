// Package engine turns tables into profiles: a training set into a baseline with
// frozen grids, a table or a window of the archive into counts on them, and
// predictions with labels into rows for a backtest.
//
// A data file never changes, so its profile on given grids is computed once,
// kept beside it as an object, and merged ever after.
package engine

import (
	"log/slog"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/modelwatch/modelwatch/archive"
)

// Options bound what an engine uses. Zero values mean the defaults.
type Options struct {
	// Files is how many data files are read at the same time; default 8.
	Files int
	// Workers is how many goroutines count rows; default GOMAXPROCS.
	Workers int
	// CacheBytes is the memory for profiles of data files that were used lately; default 64 MiB.
	CacheBytes int64
	// Log takes what is mended on the way: a cached profile that does not decode
	// or cannot be stored. Default: nowhere.
	Log *slog.Logger
}

// Engine profiles windows of an archive. Its methods may be called concurrently.
type Engine struct {
	archive *archive.Archive
	files   int
	workers chan struct{} // held by who counts a column
	compute chan struct{} // held by who profiles a data file
	recent  *recent
	zip     *zstd.Encoder
	unzip   *zstd.Decoder
	log     *slog.Logger
}

// New makes an engine on an archive.
func New(a *archive.Archive, opts Options) *Engine {
	if opts.Files <= 0 {
		opts.Files = 8
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = 64 << 20
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	// Neither has options that could be refused, nor goroutines to be ended.
	zip, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(opts.Workers))
	unzip, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(opts.Workers), zstd.WithDecoderMaxMemory(maxPayload))
	return &Engine{
		zip:     zip,
		unzip:   unzip,
		archive: a,
		files:   opts.Files,
		workers: make(chan struct{}, opts.Workers),
		compute: make(chan struct{}, opts.Workers),
		recent:  newRecent(opts.CacheBytes),
		log:     opts.Log,
	}
}
