package engine

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path"
	"sync"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// storedProfiles are the encoded counts of one data file on one baseline's grids.
type storedProfiles struct {
	all     []byte // of every row
	buckets []storedBucket
}

type storedBucket struct {
	start  time.Time
	counts []byte
}

// split lists the buckets within the window, and says whether others overlap it.
func (s *storedProfiles) split(w modelwatch.Window) (inside []storedBucket, cut bool) {
	for _, b := range s.buckets {
		switch {
		case whole(b.start, w):
			inside = append(inside, b)
		case b.start.Before(w.End) && b.start.Add(modelwatch.BucketSize).After(w.Start):
			cut = true
		}
	}
	return inside, cut
}

// profileKey names the object with a file's profiles: in the file's folder, and
// with the underscore that makes query engines pass over it.
func profileKey(f modelwatch.DataFile, grid string) string {
	dir, base := path.Split(f.Key)
	return dir + "_" + base + "." + grid + ".profile"
}

// stored reads the profiles of a file, or makes and stores them. An object that
// cannot be read is made anew, and one that cannot be stored is made again next
// time: it is derived data.
func (e *Engine) stored(ctx context.Context, f modelwatch.DataFile, like *profile.Set, grid string) (_ *storedProfiles, hit bool, err error) {
	key := profileKey(f, grid)
	if b := e.recent.get(key); b != nil {
		if s, err := decodeStored(b, f.Checksum); err == nil {
			return s, true, nil
		}
	}
	switch b, err := e.archive.Bucket().Read(ctx, key); {
	case err == nil:
		s, err := decodeStored(b, f.Checksum)
		if err == nil {
			_, err = like.DecodeCounts(s.all) // of this version's encoding, on these grids?
		}
		if err == nil {
			e.recent.put(key, b)
			return s, true, nil
		}
		e.log.WarnContext(ctx, "stored profile is made anew", "key", key, "error", err)
	case modelwatch.ErrorCode(err) != modelwatch.CodeNotFound:
		return nil, false, err
	}
	b, err := e.make(ctx, f, like)
	if err != nil {
		return nil, false, err
	}
	if err := e.archive.Bucket().Put(ctx, key, bytes.NewReader(b), int64(len(b))); err != nil {
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		e.log.WarnContext(ctx, "profile is not stored", "key", key, "error", err)
	}
	e.recent.put(key, b)
	s, err := decodeStored(b, f.Checksum)
	return s, false, err
}

// make counts a file and encodes its profiles.
func (e *Engine) make(ctx context.Context, f modelwatch.DataFile, like *profile.Set) ([]byte, error) {
	all := like.Empty()
	var buckets []byte
	n := 0
	place := func(t time.Time) (int64, bool) { return modelwatch.Bucket(t).UnixMicro(), true }
	err := e.countPasses(ctx, f, like, place, func(b bucketProfile) error {
		n++
		buckets = binary.AppendVarint(buckets, b.start)
		buckets = appendBytes(buckets, b.set.AppendCounts(nil))
		return all.Merge(b.set)
	})
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), storedMagic...)
	out = appendBytes(out, []byte(f.Checksum))
	out = appendBytes(out, all.AppendCounts(nil))
	out = binary.AppendUvarint(out, uint64(n))
	out = append(out, buckets...)
	sum := sha256.Sum256(out)
	return append(out, sum[:sumBytes]...), nil
}

// storedMagic begins an object; its last byte is the version.
const (
	storedMagic = "mwpf\x01"
	sumBytes    = 8
)

func appendBytes(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

var errCorrupt = errors.New("the stored profile is corrupt")

// decodeStored reads an object; the counts in it are decoded when they are needed.
func decodeStored(b []byte, checksum string) (*storedProfiles, error) {
	if len(b) < len(storedMagic)+sumBytes || string(b[:len(storedMagic)]) != storedMagic {
		return nil, errCorrupt
	}
	body, sum := b[:len(b)-sumBytes], b[len(b)-sumBytes:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:sumBytes]) {
		return nil, errCorrupt
	}
	d := decoder{b: body[len(storedMagic):]}
	if of := d.bytes(); string(of) != checksum {
		return nil, errors.New("the stored profile is of another object")
	}
	s := &storedProfiles{all: d.bytes()}
	for n := d.uint(); n > 0 && !d.failed; n-- {
		start := time.UnixMicro(d.int()).UTC()
		s.buckets = append(s.buckets, storedBucket{start, d.bytes()})
	}
	if d.failed || len(d.b) > 0 {
		return nil, errCorrupt
	}
	return s, nil
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
