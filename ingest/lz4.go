package ingest

import (
	"encoding/binary"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The LZ4 frame format: a magic number, flags, the bound of blocks, perhaps the size
// of the content, a checksum of the header; then blocks, each behind its size, and a
// size of 0 for the end.
const (
	lz4Magic = 0x184D2204

	lz4Version     = 1 << 6 // of the flags; the other bit of the version is 0
	lz4VersionMask = 3 << 6
	lz4Independent = 1 << 5 // no block refers to the ones before it
	lz4BlockSums   = 1 << 4
	lz4ContentSize = 1 << 3
	lz4ContentSum  = 1 << 2
	lz4Unknown     = 1<<1 | 1<<0 // a reserved bit; a dictionary

	lz4Stored = 1 << 31 // of the size of a block: it is not compressed

	lz4Window     = 64 << 10 // how far back a linked block refers
	lz4Expansion  = 255      // a byte of a block stands for so many at most
	lz4HeaderSize = 4 + 2 + 1
	lz4SumSize    = 4
)

// lz4Frame is the head of a frame.
type lz4Frame struct {
	flags    byte
	maxBlock int // bytes that a block may become
	size     uint64
}

// lz4Decoder decodes LZ4 frames into lent memory. It takes no account of the frames'
// checksums: Kafka's own, of the batch around them, has been compared by then.
type lz4Decoder struct {
	lent  *buffers
	limit int    // of what is decoded
	out   []byte // what is decoded so far, in lent memory
}

// decode returns what the frames of src hold, in lent memory. It returns false where it
// cannot: src is damaged or cut off, holds more than the limit, or is of a kind that
// producers do not write, which is a legacy or skippable frame, or one with a
// dictionary. Then it has kept no memory, and the library may say what is the matter.
func (d *lz4Decoder) decode(src []byte) ([]byte, bool) {
	d.out = d.lent.GetDecompressBytes(src, kgo.CodecLz4)
	for len(src) > 0 {
		var ok bool
		if src, ok = d.frame(src); !ok {
			d.lent.PutDecompressBytes(d.out)
			return nil, false
		}
	}
	return d.out, true
}

// frame decodes the first frame of src and returns what follows it.
func (d *lz4Decoder) frame(src []byte) (rest []byte, ok bool) {
	f, src, ok := parseLZ4(src)
	start := len(d.out)
	for ok {
		var head uint32
		if head, src, ok = takeUint32(src); !ok {
			return nil, false
		}
		if head == 0 {
			break
		}
		n := int(head &^ lz4Stored)
		if n > f.maxBlock || n > len(src) {
			return nil, false
		}
		if head&lz4Stored != 0 {
			ok = d.store(src[:n])
		} else {
			ok = d.block(src[:n], f, start)
		}
		src = src[n:]
		if f.flags&lz4BlockSums != 0 && ok {
			_, src, ok = takeUint32(src)
		}
	}
	if f.flags&lz4ContentSum != 0 && ok {
		_, src, ok = takeUint32(src)
	}
	if f.flags&lz4ContentSize != 0 && uint64(len(d.out)-start) != f.size {
		return nil, false
	}
	return src, ok
}

func takeUint32(src []byte) (v uint32, rest []byte, ok bool) {
	if len(src) < 4 {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint32(src), src[4:], true
}

// parseLZ4 reads the head of a frame.
func parseLZ4(src []byte) (f lz4Frame, rest []byte, ok bool) {
	if len(src) < lz4HeaderSize || binary.LittleEndian.Uint32(src) != lz4Magic {
		return f, nil, false
	}
	f.flags = src[4]
	index := src[5] >> 4
	if f.flags&lz4VersionMask != lz4Version || f.flags&lz4Unknown != 0 || src[5]&0x8f != 0 || index < 4 {
		return f, nil, false
	}
	f.maxBlock = 1 << (8 + 2*index) // 64 KiB to 4 MiB
	n := lz4HeaderSize
	if f.flags&lz4ContentSize != 0 {
		if n += 8; len(src) < n {
			return f, nil, false
		}
		f.size = binary.LittleEndian.Uint64(src[6:])
	}
	return f, src[n:], true
}

// store adds a block that is not compressed.
func (d *lz4Decoder) store(src []byte) bool {
	if len(d.out)+len(src) > d.limit {
		return false
	}
	if cap(d.out)-len(d.out) < len(src) {
		d.grow(len(d.out) + len(src))
	}
	d.out = append(d.out, src...)
	return true
}

// block adds a compressed block of a frame whose content begins at start of out. How
// large it becomes shows at its end only: it is tried again with more memory as long
// as that may be what was wrong.
func (d *lz4Decoder) block(src []byte, f lz4Frame, start int) bool {
	n := len(d.out)
	most := min(f.maxBlock, lz4Expansion*len(src), d.limit-n)
	for {
		room := min(most, cap(d.out)-n)
		var dictionary []byte
		if f.flags&lz4Independent == 0 {
			dictionary = d.out[max(start, n-lz4Window):n]
		}
		written, err := lz4.UncompressBlockWithDict(src, d.out[n:n+room], dictionary)
		if err == nil {
			d.out = d.out[:n+written]
			return true
		}
		if room == most {
			return false
		}
		d.grow(n + min(most, 2*room+minLent))
	}
}

// minLent is what memory grows by at least.
const minLent = 64 << 10

// grow makes room for n bytes in all, and for a quarter more than there was, so that not
// each block of a large batch has all before it copied.
func (d *lz4Decoder) grow(n int) {
	n = max(n, min(cap(d.out)+cap(d.out)/4, d.limit))
	larger := append(d.lent.bytes.get(n), d.out...)
	d.lent.PutDecompressBytes(d.out)
	d.out = larger
}
