//go:build !purego

package ingest

import "golang.org/x/sys/cpu"

// hasRun says that the processor has what readRun takes: most have since 2013.
var hasRun = cpu.X86.HasAVX && cpu.X86.HasBMI1 //nolint:gochecknoglobals // does not change but in tests

// readRun reads members of an object for as long as each has the name that came here in
// the last event, and a value that is usual for its column; the first begins at d[at],
// which is not among the first 16 bytes, and is probably that of column i. A run ends
// before the member that is left to others; done says that it ended behind the object.
// A white space may stand before a name and before a value.
//
// Usual are numbers of up to 31 bytes without an exponent and within bounds, texts of up
// to 31 bytes without escapes, null, and booleans of boolean columns. What the caller has
// to convert is listed in long, which has that much room: i for a text, ^i for a number of
// more than 15 bytes. The column's word is where in d that is: its first byte and its end,
// 32 bits each. If sifted, values are only checked.
//
//go:noescape
func readRun(d *byte, size, at int, columns *column, i int32, sifted bool, words, named, set *uint64, long *int32, room int) (end int, last int32, longs int, done bool)
