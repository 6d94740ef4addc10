package ingest

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

// maxBuilders bounds the data files of one flush. Late events of many hours and
// many models would otherwise make any number of small ones at once.
const maxBuilders = 512

// maxDeadLetters bounds what one transaction has to write beside files.
const maxDeadLetters = 5000

// batch is everything that one commit will add: rows, counts, dead letters, and
// how far each partition was read for it.
type batch struct {
	lent        *pages // of builders
	builders    map[fileKey]*builder
	last        *builder // of the last row: rows of a kind come together
	volumes     map[volumeKey]*modelwatch.Volume
	lastVolume  *modelwatch.Volume
	lastKey     volumeKey
	deadLetters []modelwatch.DeadLetter
	replays     []modelwatch.Replay
	replaying   *replaying // the record that is being placed is a replay
	bytes       int64
	counts      counts
	resetAfter  bool // when it is committed, reading resumes at the catalog's cursors
}

type volumeKey struct {
	version *version
	kind    modelwatch.Kind
	bucket  int64
}

// counts are of one batch; metrics learn of them once they are committed.
type counts struct {
	records, kept, sampledOut               int64
	invalid, outOfRange, unknown, truncated int64
	dropped                                 int64 // by privacy rules
	opaque                                  int64 // rows of which a side was bytes
	replayedAgain                           int64
	rejected                                map[modelwatch.DeadLetterReason]int64
}

func newBatch(lent *pages) *batch {
	return &batch{
		lent:     lent,
		builders: map[fileKey]*builder{},
		volumes:  map[volumeKey]*modelwatch.Volume{},
		counts:   counts{rejected: map[modelwatch.DeadLetterReason]int64{}},
	}
}

const (
	microsPerHour   = int64(time.Hour / time.Microsecond)
	microsPerBucket = int64(modelwatch.BucketSize / time.Microsecond)
)

// add counts an event and, if it is kept, appends its row.
func (b *batch) add(e *event, r *row) {
	v := b.volume(r.version, r.kind, r.micros)
	v.Seen++
	b.counts.records++
	if !r.keep {
		b.counts.sampledOut++
		return
	}
	v.Kept++
	b.counts.kept++
	b.counts.invalid += int64(e.invalidValues)
	b.counts.outOfRange += int64(e.outOfRange)
	b.counts.unknown += int64(e.unknownFields)
	b.counts.truncated += int64(e.truncated)
	b.counts.dropped += int64(e.dropped)
	if e.opaque {
		b.counts.opaque++
	}
	f := b.builder(e, r)
	before := f.bytes
	f.add(e, r)
	b.bytes += f.bytes - before
}

func (b *batch) builder(e *event, r *row) *builder {
	key := fileKey{version: r.version, kind: r.kind, hour: r.micros / microsPerHour, rate: r.rate}
	key.numberPredicted = e.numberByValue(slotPredicted)
	key.numberLabel = e.numberByValue(slotLabel)
	if b.last != nil && b.last.key == key {
		return b.last
	}
	f := b.builders[key]
	if f == nil {
		f = &builder{key: key, lent: b.lent}
		b.builders[key] = f
	}
	b.last = f
	return f
}

// numberByValue reports that the event made a column a number that nobody has
// declared. The layout learns that it has such rows.
func (e *event) numberByValue(i int32) bool {
	if e.layout.columns[i].typ != cellByValue || !e.named.has(i) {
		return false
	}
	e.layout.byValue = true
	return e.forms[i] == cellNumber
}

func (b *batch) volume(v *version, kind modelwatch.Kind, micros int64) *modelwatch.Volume {
	key := volumeKey{v, kind, micros / microsPerBucket}
	if b.lastVolume != nil && b.lastKey == key {
		return b.lastVolume
	}
	vol := b.volumes[key]
	if vol == nil {
		vol = &modelwatch.Volume{Model: v.model, Version: v.name, Kind: kind, BucketStart: modelwatch.Bucket(microsTime(micros))}
		b.volumes[key] = vol
		b.bytes += 256
	}
	b.lastVolume, b.lastKey = vol, key
	return vol
}

// reject keeps a record that has no place.
func (b *batch) reject(letter modelwatch.DeadLetter, rej *rejection) {
	if b.replaying != nil && b.refuse(rej) {
		return // counted when it was refused first
	}
	b.counts.records++
	b.counts.rejected[rej.reason]++
	if rej.version != nil {
		b.volume(rej.version, rej.kind, rej.micros).Rejected++
	}
	b.deadLetters = append(b.deadLetters, letter)
	b.bytes += letterBytes(&letter)
}

// empty reports that there is nothing but cursors to commit.
func (b *batch) empty() bool { return b.counts.records == 0 && len(b.deadLetters) == 0 }

// full reports that the batch must be flushed whatever its age.
func (b *batch) full(flushBytes int64) bool {
	return b.bytes >= flushBytes || len(b.builders) >= maxBuilders || len(b.deadLetters)+len(b.replays) >= maxDeadLetters
}

// files returns the builders in a fixed order.
func (b *batch) files() []*builder {
	out := make([]*builder, 0, len(b.builders))
	for _, f := range b.builders {
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y *builder) int {
		return cmp.Or(cmp.Compare(x.key.version.model, y.key.version.model), cmp.Compare(x.key.version.name, y.key.version.name),
			cmp.Compare(x.key.kind, y.key.kind), cmp.Compare(x.key.hour, y.key.hour), cmp.Compare(x.key.rate, y.key.rate))
	})
	return out
}

// volumeList returns the counts in a fixed order. Two versions of the cache may
// stand for one of the catalog: their counts are added up.
func (b *batch) volumeList() []modelwatch.Volume {
	type name struct {
		model, version string
		kind           modelwatch.Kind
		bucket         int64
	}
	sums := make(map[name]modelwatch.Volume, len(b.volumes))
	for _, v := range b.volumes {
		k := name{v.Model, v.Version, v.Kind, v.BucketStart.UnixMicro()}
		sum := *v
		sum.Seen += sums[k].Seen
		sum.Kept += sums[k].Kept
		sum.Rejected += sums[k].Rejected
		sums[k] = sum
	}
	out := make([]modelwatch.Volume, 0, len(sums))
	for _, v := range sums {
		out = append(out, v)
	}
	slices.SortFunc(out, func(x, y modelwatch.Volume) int {
		return cmp.Or(cmp.Compare(x.Model, y.Model), cmp.Compare(x.Version, y.Version), cmp.Compare(x.Kind, y.Kind), x.BucketStart.Compare(y.BucketStart))
	})
	return out
}

// sortRanges orders what a transaction will lock, so that no two deadlock.
func sortRanges(ranges []modelwatch.Range) {
	slices.SortFunc(ranges, func(x, y modelwatch.Range) int {
		return cmp.Or(bytes.Compare(x.TopicID[:], y.TopicID[:]), cmp.Compare(x.Partition.Partition, y.Partition.Partition))
	})
}
