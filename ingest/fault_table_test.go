package ingest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// fault is a row of the table.
type fault struct {
	name       string
	partitions int32
	happen     func(t *testing.T, b *testBundle)
}

// TestFaultTable does to consumers everything that may happen to them. After each,
// every offset is accounted for once: as a row, as sampled away, as a dead letter
// or in a gap.
func TestFaultTable(t *testing.T) {
	for _, f := range slices.Concat(stopFaults(), eventFaults()) {
		t.Run(f.name, func(t *testing.T) { bubble(t, f.partitions, f.happen) })
	}
}

// What happens to a process at a point.
const (
	killed = "killed" // its connections are closed, it does nothing any more
	frozen = "frozen" // its connections stay, it does nothing any more
	zombie = "zombie" // it wakes up when another has its partitions and has committed
)

// The ways in which a group moves partitions.
func protocol(name string) []kgo.Opt {
	switch name {
	case "eager":
		return []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())}
	case "static": // the successor is the same member, restarted
		return []kgo.Opt{kgo.InstanceID("one")}
	case "server-side": // the brokers assign: KIP-848
		return []kgo.Opt{kgo.ServerSideBalancer()}
	}
	return nil
}

// stopFaults stop a consumer at each point of a flush, in each way.
func stopFaults() (out []fault) {
	add := func(how, point, group string) {
		flush := 1 + len(out)%2
		out = append(out, fault{name: fmt.Sprintf("%s %s in flush %d, %s", how, point, flush, group), partitions: 2, happen: func(t *testing.T, b *testBundle) {
			(&stopping{testBundle: b, how: how, point: point, flush: flush, options: protocol(group)}).run()
		}})
	}
	for _, how := range []string{killed, frozen, zombie} {
		for _, point := range faultPoints {
			add(how, point, "cooperative")
		}
	}
	for _, point := range []string{afterIntent, afterUpload, beforeCommit, afterCommit} {
		add(zombie, point, "eager")
		add(zombie, point, "static")
		add(zombie, point, "server-side")
	}
	return out
}

// stopping is one consumer stopped at a point, and what follows.
type stopping struct {
	*testBundle
	how, point string
	flush      int
	options    []kgo.Opt

	gate    *gate
	mu      sync.Mutex
	flushes int  // begun
	down    bool // it has come to its point
	stopped chan struct{}
}

// at stops the process if it has come to its point.
func (s *stopping) at(point string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if point == beforeIntent {
		s.flushes++
	}
	if point != s.point || s.flushes != s.flush || s.down {
		return
	}
	s.down = true
	s.gate.shut()
	if s.how == killed {
		s.gate.hangUp()
	}
	close(s.stopped)
}

// victim is the process that will stop.
func (s *stopping) victim() *running {
	o := s.testBundle.options("victim")
	o.Client = append(append(o.Client, kgo.Dialer(s.gate.dial(s.network.DialContext))), s.options...)
	o.Catalog = &victimCatalog{fakeCatalog: s.catalog, gate: s.gate, at: s.at}
	o.Archive = &victimArchive{fakeArchive: s.archive, gate: s.gate, at: s.at}
	o.Hooks.At = func(point string) error {
		switch point {
		case PointUploaded:
			s.at(afterUpload)
		case PointCommitted:
			s.at(afterAnswer)
		}
		return s.gate.pass()
	}
	return s.start(o)
}

func (s *stopping) run() {
	s.gate, s.stopped = newGate(), make(chan struct{})
	s.registerMix()
	victim := s.victim()
	defer func() { // whatever happens, its goroutines must end
		s.gate.release(s.how != zombie)
		victim.cancel()
		<-victim.done
	}()
	s.mix(12)
	for flush := 1; flush < s.flush; flush++ {
		s.await(len(s.traffic))
		s.mix(12)
	}
	<-s.stopped
	o := s.testBundle.options("successor")
	o.Client = append(o.Client, s.options...)
	successor := s.start(o)
	s.mix(12)
	s.await(len(s.traffic))
	s.collect() // what the victim has announced is garbage, and known to be
	if s.how == zombie {
		s.gate.release(false)
		s.mix(12)
		s.await(len(s.traffic))
		victim.stop()
	}
	s.mix(6)
	s.await(len(s.traffic))
	successor.stop()
	s.audit()
}

// sentRecord is a record of the mix and what must become of it.
type sentRecord struct {
	partition int32
	offset    int64
	kind      modelwatch.Kind // "": a dead letter
	id        string
	kept      bool
}

// mixRate is the sampling rate of the mix's model.
const mixRate = 0.5

// registerMix makes the model of the mix known.
func (b *testBundle) registerMix() {
	b.catalog.put(modelwatch.Version{Model: "m", Name: "1", SamplingRate: mixRate, Schema: modelwatch.Schema{
		Features: []modelwatch.Feature{{Name: "n", Type: modelwatch.TypeNumber}}, Attributions: []string{"n"},
	}})
}

// mix produces n records of everything that there is: predictions, attributions
// and labels, kept and not, and what cannot be placed.
func (b *testBundle) mix(n int) {
	b.t.Helper()
	for range n {
		i := len(b.traffic)
		r := sentRecord{partition: int32(i % 2), id: fmt.Sprintf("x-%d", i)}
		var value string
		switch i % 6 {
		case 0, 1, 2:
			r.kind = modelwatch.KindPrediction
			value = fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":%q,"features":{"n":%d}}`, r.id, i)
		case 3:
			r.kind = modelwatch.KindLabel
			value = fmt.Sprintf(`{"kind":"label","model":"m","version":"1","id":%q,"label":"a"}`, r.id)
		case 4:
			r.kind = modelwatch.KindAttribution
			value = fmt.Sprintf(`{"kind":"attribution","model":"m","version":"1","id":%q,"attributions":{"n":1}}`, r.id)
		default:
			value = fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","number":%d}`, i)
		}
		r.kept = r.kind == modelwatch.KindLabel || r.kind != "" && modelwatch.Rank(modelwatch.Salt{}, []byte(r.id)) < modelwatch.RankLimit(mixRate)
		record := &kgo.Record{Topic: topic, Partition: r.partition, Value: []byte(value)}
		if err := b.producer.ProduceSync(b.t.Context(), record).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
		r.offset = record.Offset
		b.traffic = append(b.traffic, r)
	}
}

// audit checks what became of each record of the mix, and that nothing else is there.
func (b *testBundle) audit() {
	b.t.Helper()
	rows := map[modelwatch.Kind]map[string]int{}
	var want, have modelwatch.Volume
	for _, kind := range []modelwatch.Kind{modelwatch.KindPrediction, modelwatch.KindLabel, modelwatch.KindAttribution} {
		rows[kind] = keptIDs(b.catalog, b.archive, kind)
	}
	letters := map[[2]int64]int{}
	for _, c := range b.catalog.ledger() {
		for _, l := range c.DeadLetters {
			letters[[2]int64{int64(l.Partition), l.Offset}]++
		}
		for _, v := range c.Volumes {
			have.Seen, have.Kept, have.Rejected = have.Seen+v.Seen, have.Kept+v.Kept, have.Rejected+v.Rejected
		}
	}
	for _, r := range b.traffic {
		at := [2]int64{int64(r.partition), r.offset}
		n, wantRows, wantLetters := 0, 0, 0
		switch {
		case r.kind == "":
			wantLetters = 1
			want.Rejected++
		default:
			n = rows[r.kind][r.id]
			want.Seen++
		}
		if r.kept {
			wantRows = 1
			want.Kept++
		}
		if n != wantRows || letters[at] != wantLetters {
			b.t.Errorf("%s %s at %v: %d rows and %d dead letters, want %d and %d", r.kind, r.id, at, n, letters[at], wantRows, wantLetters)
		}
	}
	if have != want {
		b.t.Errorf("volumes: seen, kept, rejected are %+v, want %+v", have, want)
	}
	b.auditRanges()
	b.auditObjects()
}

// auditRanges checks that what was committed tiles the partitions to their ends.
func (b *testBundle) auditRanges() {
	b.t.Helper()
	next, err := checkTiling(b.catalog.ledger())
	if err != nil {
		b.t.Error(err)
	}
	ends := map[int32]int64{}
	for _, r := range b.traffic {
		ends[r.partition] = r.offset + 1
	}
	for p, to := range next {
		if to != ends[p.Partition] {
			b.t.Errorf("partition %d is committed up to %d of %d", p.Partition, to, ends[p.Partition])
		}
	}
	if len(next) != len(ends) {
		b.t.Errorf("%d partitions are committed, %d have records", len(next), len(ends))
	}
}

// auditObjects checks that after garbage collection what exists is what is registered.
func (b *testBundle) auditObjects() {
	b.t.Helper()
	b.collect()
	var registered, pending []string
	for _, c := range b.catalog.ledger() {
		for _, f := range c.Files {
			registered = append(registered, f.Key)
			if f.Key != "" && b.archive.chunk(f.Key) != nil && int64(b.archive.chunk(f.Key).Rows) != f.Rows {
				b.t.Errorf("%s has %d rows, %d are registered", f.Key, b.archive.chunk(f.Key).Rows, f.Rows)
			}
		}
	}
	slices.Sort(registered)
	if have := slices.Sorted(maps.Keys(b.archive.objects)); !slices.Equal(have, registered) {
		b.t.Errorf("objects are %v, registered are %v", have, registered)
	}
	for k, state := range b.catalog.intents {
		if state == "pending" {
			pending = append(pending, k)
		}
	}
	if len(pending) > 0 {
		b.t.Errorf("nobody knows what becomes of %v", pending)
	}
}

// collect is garbage collection: what can never be registered is condemned, and
// what is condemned is deleted, however often it is written.
func (b *testBundle) collect() {
	b.catalog.mu.Lock()
	defer b.catalog.mu.Unlock()
	for k, state := range b.catalog.intents {
		claim := b.catalog.claims[k]
		if state == "pending" && b.catalog.checkCursors(claim.Group, claim.Ranges) != nil {
			state, b.catalog.intents[k] = "dead", "dead"
		}
		if state == "dead" {
			b.archive.remove(k)
		}
	}
}

// eventFaults are what happens around a consumer.
func eventFaults() []fault {
	out := []fault{
		{"a member dies, another takes over", 4, faultGroup},
		{"an outsider takes a partition", 2, faultFenced},
		{"the group throws a member out", 2, faultLostPartitions},
		{"a flush outlasts a revoke", 4, faultSlowRevoke},
		{"garbage collection condemns what is being uploaded", 1, faultCondemned},
		{"retention overtakes a consumer that is away", 1, faultRetentionGap},
		{"retention overtakes a consumer that cannot flush", 1, faultGapWhileRunning},
		{"the log was cut back", 1, faultTruncatedLog},
		{"the topic is made again", 1, faultRecreatedTopic},
		{"transactions are aborted", 1, faultTransactions},
		{"a batch is too large", 1, faultTooLargeBatch},
		{"partitions are added", 1, faultNewPartitions},
		{"the topic is made late", 1, faultLateTopic},
		{"models cannot be looked up", 2, faultSchemaOutage},
		{"two owners of everything", 3, faultSplitBrain},
		{"an orderly end", 2, faultShutdownFlushes},
		{"the log was cut back and written again", 1, faultRewrittenLog},
		{"the topic is made again before what was read is flushed", 1, faultRecreatedUnflushed},
		{"the topic is made again while nobody reads", 1, faultRecreatedAway},
		{"somebody rewinds the group in kafka", 2, faultRewoundGroup},
		{"the catalog fails over and has lost a commit", 2, faultLostCommit},
		{"an upload lands, its answer is lost, and the object looks different", 2, faultPutConflict},
		{"the disk is full", 2, faultDiskFull},
		{"nothing but poison", 2, faultPoison},
		{"the clock jumps a day", 2, faultClock},
		{"leaders and coordinators move", 2, faultLeaders},
		{"two processes of one static member", 2, faultTwins},
		{"brokers are restarted one after the other", 6, faultBrokersRestarted},
		{"two deployments use one group", 4, faultTwoDeployments},
		{"uploads take half a minute", 4, faultSlowUploads},
		{"records of 10 MB", 2, faultLargeRecords},
		{"a log that was compacted has holes", 1, faultCompactedLog},
	}
	for _, step := range []string{"upload", "intend", "commit"} {
		out = append(out, fault{"outage of " + step, 2, faultOutage(step)})
	}
	for _, step := range []string{"take", "intend", "commit", "ensure", "grow"} {
		out = append(out, fault{"lost answers of " + step, 2, faultLostAnswers(step)})
	}
	for name, group := range map[string]func(int) []kgo.Opt{
		"cooperative": func(int) []kgo.Opt { return nil },
		"eager":       func(int) []kgo.Opt { return []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())} },
		"static":      func(i int) []kgo.Opt { return []kgo.Opt{kgo.InstanceID(fmt.Sprint(i % 2))} },
		"server-side": func(int) []kgo.Opt { return []kgo.Opt{kgo.ServerSideBalancer()} },
	} {
		out = append(out, fault{"a storm of rebalances, " + name, 6, faultRebalanceStorm(group)})
	}
	return out
}
