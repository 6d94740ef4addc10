//go:build !amd64 || purego

package ingest

// hasRun says that there is no readRun: streak reads all.
const hasRun = false

func readRun(*byte, int, int, *column, int32, bool, *uint64, *uint64, *uint64, *int32, int) (end int, last int32, longs int, done bool) {
	panic("readRun: not on this processor")
}
