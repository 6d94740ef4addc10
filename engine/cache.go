package engine

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/profile"
)

// Beside a data file lie two objects: its profile, for windows that hold all of
// it, and the profiles of its buckets, for windows that do not. The second is the
// larger by far: a bucket's rows mostly have a cell each.
const (
	objectWhole   = "profile"
	objectBuckets = "buckets"
)

// storedBucket is the encoded counts of one bucket.
type storedBucket struct {
	start  time.Time
	counts []byte
}

// objectKey names such an object, beside the file.
func objectKey(f modelwatch.DataFile, grid, kind string) string {
	return archive.DerivedPrefix(f.Key) + grid + "." + kind
}

// counted is a file on a baseline's grids: what is asked for, from memory, from
// its object, or from the rows.
type counted struct {
	e    *Engine
	file modelwatch.DataFile
	like *profile.Set
	grid string
}

// whole returns the profile of all rows of the file.
func (c *counted) whole(ctx context.Context) (set *profile.Set, hit bool, err error) {
	hit, err = c.load(ctx, objectWhole, func(payload []byte) (err error) {
		set, err = c.like.DecodeCounts(payload)
		return err
	})
	return set, hit, err
}

// buckets returns the encoded profiles of the file's buckets, in the order of time.
func (c *counted) buckets(ctx context.Context) (all []storedBucket, hit bool, err error) {
	hit, err = c.load(ctx, objectBuckets, func(payload []byte) (err error) {
		all, err = decodeBuckets(payload)
		if err == nil && len(all) > 0 {
			_, err = c.like.DecodeCounts(all[0].counts) // of this version's encoding, on these grids?
		}
		return err
	})
	return all, hit, err
}

// load finds the payload of an object and has it decoded. An object that cannot
// be read is made anew, and one that cannot be stored is made again next time:
// it is derived data.
func (c *counted) load(ctx context.Context, kind string, decode func(payload []byte) error) (hit bool, err error) {
	key := objectKey(c.file, c.grid, kind)
	if b := c.e.recent.get(key); b != nil {
		if err := c.open(b, decode); err == nil {
			return true, nil
		}
	}
	switch b, err := c.e.archive.Bucket().Read(ctx, key); {
	case err == nil:
		if err = c.open(b, decode); err == nil {
			c.e.recent.put(key, b)
			return true, nil
		}
		c.e.log.WarnContext(ctx, "stored profile is made anew", "key", key, "error", err)
	case modelwatch.ErrorCode(err) != modelwatch.CodeNotFound:
		return false, err
	}
	made, err := c.make(ctx)
	if err != nil {
		return false, err
	}
	for made, b := range made {
		if err := c.store(ctx, objectKey(c.file, c.grid, made), b); err != nil {
			return false, err
		}
	}
	return false, c.open(made[kind], decode)
}

func (c *counted) store(ctx context.Context, key string, b []byte) error {
	if err := c.e.archive.Bucket().Put(ctx, key, bytes.NewReader(b), int64(len(b))); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.e.log.WarnContext(ctx, "profile is not stored", "key", key, "error", err)
	}
	c.e.recent.put(key, b)
	return nil
}

// make counts the file and encodes both objects.
func (c *counted) make(ctx context.Context) (map[string][]byte, error) {
	all := c.like.Empty()
	var buckets []byte
	n := 0
	place := func(t time.Time) (int64, bool) { return modelwatch.Bucket(t).UnixMicro(), true }
	err := c.e.countPasses(ctx, c.file, c.like, place, func(b bucketProfile) error {
		n++
		buckets = binary.AppendVarint(buckets, b.start)
		buckets = appendBytes(buckets, b.set.AppendCounts(nil))
		return all.Merge(b.set)
	})
	if err != nil {
		return nil, err
	}
	buckets = append(binary.AppendUvarint(nil, uint64(n)), buckets...)
	return map[string][]byte{objectWhole: c.seal(all.AppendCounts(nil)), objectBuckets: c.seal(buckets)}, nil
}

// An object is magic, the compressed checksum of the data file and payload, and
// a checksum of all that. The last byte of the magic is the version.
const (
	objectMagic = "mwpf\x01"
	sumBytes    = 8
	maxPayload  = 1 << 30
)

var errCorrupt = errors.New("the stored profile is corrupt")

func (c *counted) seal(payload []byte) []byte {
	content := append(appendBytes(nil, []byte(c.file.Checksum)), payload...)
	b := c.e.zip.EncodeAll(content, []byte(objectMagic))
	sum := sha256.Sum256(b)
	return append(b, sum[:sumBytes]...)
}

// open undoes seal.
func (c *counted) open(b []byte, decode func(payload []byte) error) error {
	if len(b) < len(objectMagic)+sumBytes || string(b[:len(objectMagic)]) != objectMagic {
		return errCorrupt
	}
	body, sum := b[:len(b)-sumBytes], b[len(b)-sumBytes:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:sumBytes]) {
		return errCorrupt
	}
	content, err := c.e.unzip.DecodeAll(body[len(objectMagic):], nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errCorrupt, err)
	}
	d := decoder{b: content}
	if of := d.bytes(); d.failed || string(of) != c.file.Checksum {
		return errors.New("the stored profile is of another object")
	}
	return decode(d.b)
}

func appendBytes(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

func decodeBuckets(payload []byte) ([]storedBucket, error) {
	d := decoder{b: payload}
	var all []storedBucket
	for n := d.uint(); n > 0 && !d.failed; n-- {
		start := time.UnixMicro(d.int()).UTC()
		all = append(all, storedBucket{start, d.bytes()})
	}
	if d.failed || len(d.b) > 0 {
		return nil, errCorrupt
	}
	return all, nil
}

type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	return advance(d, v, n)
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	return advance(d, v, n)
}

func advance[T any](d *decoder, v T, n int) T {
	if n <= 0 {
		d.failed, d.b = true, nil
		var zero T
		return zero
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.failed, d.b = true, nil
		return nil
	}
	part := d.b[:n:n]
	d.b = d.b[n:]
	return part
}

// recent keeps the objects used last, up to a number of bytes.
type recent struct {
	mu     sync.Mutex
	limit  int64
	size   int64
	order  *list.List // of *recentEntry, the newest in front
	places map[string]*list.Element
}

type recentEntry struct {
	key string
	b   []byte
}

func newRecent(limit int64) *recent {
	return &recent{limit: limit, order: list.New(), places: map[string]*list.Element{}}
}

func (r *recent) get(key string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.places[key]
	if !ok {
		return nil
	}
	r.order.MoveToFront(at)
	return at.Value.(*recentEntry).b
}

func (r *recent) put(key string, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.places[key]; ok {
		r.drop(at)
	}
	if int64(len(b)) > r.limit {
		return
	}
	r.places[key] = r.order.PushFront(&recentEntry{key, b})
	r.size += int64(len(b))
	for r.size > r.limit {
		r.drop(r.order.Back())
	}
}

func (r *recent) drop(at *list.Element) {
	e := r.order.Remove(at).(*recentEntry)
	delete(r.places, e.key)
	r.size -= int64(len(e.b))
}
