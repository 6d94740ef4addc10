package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// soakOptions bound the soak. They come from the environment, as `make soak` sets it.
type soakOptions struct {
	duration time.Duration // of the traffic
	strike   time.Duration // from one strike to the next
	rate     int           // events a second
	seed     uint64        // of the strikes
}

// readSoakOptions returns a soak that fits into a test run where nothing else is asked for.
func readSoakOptions(t *testing.T) soakOptions {
	t.Helper()
	read := func(name, fallback string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return fallback
	}
	var o soakOptions
	var errs [4]error
	o.duration, errs[0] = time.ParseDuration(read("SOAK_DURATION", "24s"))
	o.strike, errs[1] = time.ParseDuration(read("SOAK_STRIKE", min(20*time.Second, o.duration/4).String()))
	o.rate, errs[2] = strconv.Atoi(read("SOAK_RATE", "2000"))
	o.seed, errs[3] = strconv.ParseUint(read("SOAK_SEED", "1"), 10, 64)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if o.rate <= 0 || o.strike <= 0 || o.duration < o.strike {
		t.Fatalf("%+v: the rate and the times must be positive, and there must be time for a strike", o)
	}
	return o
}

// TestSoak lets events flow at a steady rate through three ingest processes and a
// keeper that compacts. At every strike one of them, by chance, is killed and
// started again, or frozen until others have its partitions and then woken. The
// sampling rate of a model changes on the way. In the end the archive holds
// exactly what was produced and is to be kept, each row once, the counts agree, and
// the bucket has no object besides.
//
// It runs for seconds; `make soak DURATION=30m RATE=20000` runs it for longer.
func TestSoak(t *testing.T) {
	o := readSoakOptions(t)
	s := newSoak(t, o)
	for _, name := range []string{"ingest-1", "ingest-2", "ingest-3", "work"} {
		s.launch(name)
	}
	s.produceAndStrike()
	t.Log(s.progress())
	s.drain()
	for _, victim := range s.crew {
		s.outcome(victim)
		victim.terminate(t)
	}
	s.check()
}

// soak is a deployment under strikes.
type soak struct {
	*deployment
	soakOptions
	traffic *soakTraffic
	random  *rand.Rand
	crew    []*service
	client  *kgo.Client

	kills, zombies, fenced int
}

// soakTuning has flushes happen often, and soakArchive compaction and the end of
// the objects that it replaces.
const (
	soakTuning = `
ingest: {flush_bytes: 16MiB, flush_age: 2s, memory: 128MiB}
work: {lease: 6s}
dead_letters: {max_count: 1000000}
sinks: {datadog: {enabled: auto, url: %q}}
`
	soakArchive = ", compaction: {min_age: 1m}, delete_after: 1m"
)

func newSoak(t *testing.T, o soakOptions) *soak {
	d := &deployment{t: t, kafka: testserver.Kafka(t), s3: testserver.S3(t), archive: soakArchive}
	d.dsn = testserver.Postgres(t).NewDatabase(t)
	d.configure(d.s3.Endpoint, soakTuning)
	d.address = freeAddress(t)
	d.start("api", "api", d.address)
	d.await("the api to be ready", func() (bool, error) { return d.status("/readyz") == http.StatusOK, nil })
	s := &soak{deployment: d, soakOptions: o, random: rand.New(rand.NewPCG(o.seed, 23))} //nolint:gosec // deterministic on purpose
	s.client = d.kafka.Client(t, kgo.DefaultProduceTopic(d.topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	s.traffic = newSoakTraffic(saltOf(t), o.rate)
	d.counts = d.openCatalog()
	for _, m := range soakModels {
		d.call(http.MethodPut, "/v1/models/"+m.name, "application/json", `{"task":"regression"}`, http.StatusCreated)
		s.setRate(m.name, m.version, m.rate, http.StatusCreated)
	}
	return s
}

func (s *soak) setRate(model, version string, rate float64, status int) {
	s.t.Helper()
	s.call(http.MethodPut, "/v1/models/"+model+"/versions/"+version, "application/json", fmt.Sprintf(`{"sampling_rate":%v}`, rate), status)
}

// launch starts a process of the crew, or one in the place of a dead one.
func (s *soak) launch(name string) {
	role, _, _ := strings.Cut(name, "-")
	next := s.start(name, role, freeAddress(s.t))
	for i, old := range s.crew {
		if old.name == name {
			s.crew[i] = next
			return
		}
	}
	s.crew = append(s.crew, next)
}

// produceAndStrike is the time of the traffic. Events are produced from one
// goroutine, strikes come from another.
func (s *soak) produceAndStrike() {
	over := make(chan struct{})
	struck := make(chan struct{})
	go func() {
		defer close(struck)
		s.strikes(over)
	}()
	s.produceAll()
	close(over)
	<-struck
}

func (s *soak) strikes(over <-chan struct{}) {
	tick := time.NewTicker(s.strike)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.hit(s.random.IntN(len(s.crew)), over)
		case <-over:
			return
		}
	}
}

// soakNap is how long a zombie sleeps: twice the time after which the group gives
// its partitions to others.
const soakNap = 12 * time.Second

// hit kills a process of the crew and starts another, or has it sleep. Two in three
// are killed.
func (s *soak) hit(i int, over <-chan struct{}) {
	victim := s.crew[i]
	if s.random.IntN(3) > 0 {
		s.kills++
		s.signal(victim, syscall.SIGKILL)
		if err := <-victim.done; err == nil {
			s.t.Errorf("%s ended by itself before it was killed", victim.name)
		}
		s.outcome(victim)
		s.launch(victim.name)
		return
	}
	s.zombies++
	s.signal(victim, syscall.SIGSTOP)
	select {
	case <-time.After(min(soakNap, s.strike)):
	case <-over: // the others end the work without it
	}
	s.signal(victim, syscall.SIGCONT)
}

func (s *soak) signal(victim *service, signal syscall.Signal) {
	if err := victim.cmd.Process.Signal(signal); err != nil {
		s.t.Errorf("%s to %s: %v", signal, victim.name, err)
	}
}

var fencedLine = regexp.MustCompile(`(?m)^.*a batch was fenced`)

// outcome counts what a process has said, once it is over.
func (s *soak) outcome(of *service) {
	s.fenced += len(fencedLine.FindAllString(of.log.String(), -1))
}

// produceAll produces the events of the whole time, each at its time.
func (s *soak) produceAll() {
	const beat = 20 * time.Millisecond
	total := int(s.duration.Seconds() * float64(s.rate))
	changes, report := s.rateChanges(), time.Now()
	failed := make(chan error, 1)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for s.traffic.count < total {
		due := min(total, int(time.Since(s.traffic.start)/s.traffic.apart))
		for s.traffic.count < due {
			s.client.Produce(s.t.Context(), &kgo.Record{Value: s.traffic.next()}, func(_ *kgo.Record, err error) {
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
		if len(changes) > 0 && s.traffic.count >= changes[0].after {
			s.setRate(soakModels[0].name, soakModels[0].version, changes[0].rate, http.StatusOK)
			changes = changes[1:]
		}
		if time.Since(report) >= time.Minute {
			report = time.Now()
			s.t.Log(s.progress())
		}
		select {
		case err := <-failed:
			s.t.Fatalf("produce: %v", err)
		case <-tick.C:
		}
	}
	if err := s.client.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-failed:
		s.t.Fatalf("produce: %v", err)
	default:
	}
}

type rateChange struct {
	after int // events
	rate  float64
}

// rateChanges has the first model's rate rise, fall and return. A changed rate
// takes effect within six minutes, so a short soak has none.
func (s *soak) rateChanges() (out []rateChange) {
	if s.duration < 20*time.Minute {
		return nil
	}
	for i, rate := range []float64{0.5, 0.1, 0.25} {
		out = append(out, rateChange{int(s.duration.Seconds()*float64(s.rate)) * (i + 1) / 4, rate})
	}
	return out
}

// sums adds up what the catalog has counted.
func (s *soak) sums() (v modelwatch.Volume) {
	for _, m := range soakModels {
		for _, x := range s.volumes(m.name) {
			v.Seen, v.Kept, v.Rejected = v.Seen+x.Seen, v.Kept+x.Kept, v.Rejected+x.Rejected
		}
	}
	return v
}

func (s *soak) accountedFor() (bool, error) {
	v := s.sums()
	n := v.Seen + v.Rejected
	if n > int64(s.traffic.count) {
		return false, fmt.Errorf("%d events are accounted for, %d were produced", n, s.traffic.count)
	}
	return n == int64(s.traffic.count), nil
}

// drain waits until every event is accounted for, however long that takes, as long
// as it goes on.
func (s *soak) drain() {
	for done := false; !done; {
		before := s.sums()
		s.await("more events to be accounted for", func() (_ bool, err error) {
			done, err = s.accountedFor()
			return done || s.sums() != before, err
		}, s.progress)
	}
}

func (s *soak) progress() string {
	v := s.sums()
	return fmt.Sprintf("after %s: %d produced, %d accounted for, %d kept; %d killed, %d frozen", time.Since(s.traffic.start).Round(time.Second), s.traffic.count, v.Seen+v.Rejected, v.Kept,
		s.kills, s.zombies)
}

// check compares archive, counts and bucket with what was produced.
func (s *soak) check() {
	began := time.Now()
	version, err := s.counts.Version(s.t.Context(), soakModels[0].name, soakModels[0].version)
	if err != nil {
		s.t.Fatal(err)
	}
	if got, want := max(1, len(version.Rates)), 1+len(s.rateChanges()); got != want {
		s.t.Errorf("the rate of %s has %d steps, want %d: %v", version.Model, got, want, version.Rates)
	}
	s.traffic.rates = version.Rates
	found := newSoakFound(s.traffic)
	files := s.scanArchive(soakColumns, found.add)
	found.finish(s.t)
	s.checkCounts()
	s.keep(files)
	v := s.sums()
	s.t.Logf("%d events produced in %s, %d seen, %d kept, %d rejected; %d rows in %d objects; %d killed, %d frozen, %d batches fenced; checked in %s",
		s.traffic.count, s.duration, v.Seen, v.Kept, v.Rejected, found.rows, len(files), s.kills, s.zombies, s.fenced, time.Since(began).Round(time.Second))
}

// checkCounts compares what the catalog has counted with what was produced.
func (s *soak) checkCounts() {
	got := map[soakCell]modelwatch.Volume{}
	for _, m := range soakModels {
		for _, v := range s.volumes(m.name) {
			cell := soakCell{v.Kind, v.Model, v.Version}
			sum := got[cell]
			sum.Seen, sum.Kept, sum.Rejected = sum.Seen+v.Seen, sum.Kept+v.Kept, sum.Rejected+v.Rejected
			got[cell] = sum
		}
	}
	want := s.traffic.volumes()
	for cell, v := range want {
		if got[cell] != v {
			s.t.Errorf("%v: counted are %+v, want %+v", cell, got[cell], v)
		}
	}
	if len(got) != len(want) {
		s.t.Errorf("counted are %v, want the kinds of %v", got, want)
	}
	letters, err := s.counts.CountDeadLetters(s.t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	var rejected, dead int64
	for _, v := range want {
		rejected += v.Rejected
	}
	for _, n := range letters {
		dead += n.Count
	}
	if dead != rejected {
		s.t.Errorf("%d dead letters, want %d", dead, rejected)
	}
	gaps, err := s.counts.Gaps(s.t.Context(), "e2e", 10)
	if err != nil || len(gaps) > 0 {
		s.t.Errorf("gaps: %v, %v", gaps, err)
	}
}

// keep lets a keeper do its round, with no grace for anything, and expects the
// bucket to hold the files of the catalog alone.
func (s *soak) keep(files []modelwatch.DataFile) {
	ctx := s.t.Context()
	bucket := s.openBucket()
	keeper := archive.NewKeeper(archive.KeeperOptions{
		Archive: archive.New(bucket, archive.Options{}), Ledger: s.counts, Owner: "last", Salt: s.traffic.salt, Compaction: archive.CompactionOptions{Off: true},
		DeleteAfter: time.Nanosecond, GarbageAge: time.Nanosecond,
		Retention: archive.RetentionOptions{Commits: 24 * time.Hour, Measurements: 24 * time.Hour},
	})
	s.await("the keeper's round", func() (bool, error) { return keeper.Round(ctx) }) // the last one's lease must end
	registered := map[string]bool{}
	for _, f := range files {
		registered[f.Key] = true
	}
	for object, err := range bucket.List(ctx, "") {
		if err != nil {
			s.t.Fatal(err)
		}
		if !registered[object.Key] {
			s.t.Errorf("object %s is of no file", object.Key)
		}
		delete(registered, object.Key)
	}
	for key := range registered {
		s.t.Errorf("the object of file %s is not there", key)
	}
}
