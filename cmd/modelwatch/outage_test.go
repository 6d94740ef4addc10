package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// What everything depends on goes away and comes back, one after the other,
// under steady traffic. In the end nothing is lost and nothing is there twice,
// the results are those of the whole traffic, and no process has ended by itself.

const outageTuning = `
ingest: {flush_bytes: 16MiB, flush_age: 2s, memory: 128MiB}
work: {concurrency: 2, lease: 6s, poll: 200ms, revise_after: 5s}
sinks: {datadog: {enabled: auto, timestamps: window, url: %q}, max_backoff: 2s}
`

// outageBed is one process of each role, on servers of its own.
type outageBed struct {
	*deployment
	postgres          *testserver.PostgresServer
	store             *testserver.Proxy // in front of S3
	api, ingest, work *probed
	stream            *stream
}

// probed is a process with the address of its probes.
type probed struct {
	*service
	address string
}

func newOutageBed(t *testing.T) *outageBed {
	d := &deployment{t: t, kafka: testserver.NewKafka(t), s3: testserver.NewS3(t)}
	b := &outageBed{deployment: d, postgres: testserver.NewPostgres(t)}
	b.store = testserver.NewHTTPProxy(t, d.s3.Addr)
	d.dsn = b.postgres.NewDatabase(t)
	d.configure("http://"+b.store.Addr, outageTuning)
	b.api = b.launch("api")
	d.address = b.api.address
	return b
}

func (b *outageBed) launch(role string) *probed {
	address := freeAddress(b.t)
	return &probed{b.start(role, role, address), address}
}

func TestOutages(t *testing.T) {
	b := newOutageBed(t)
	b.await("the api to be ready", func() (bool, error) { return b.status("/readyz") == http.StatusOK, nil })
	baseline := fraudBaseline()
	b.register(baseline)
	b.ingest, b.work = b.launch("ingest"), b.launch("work")
	b.stream = newStream(b.deployment)
	b.schedule(b.stream.traffic)
	b.stream.start()
	b.caughtUp("before the first outage")

	for _, o := range b.outages() {
		b.phase(o.name, func() {
			mark := b.mark()
			o.begin()
			if o.during != nil {
				o.during()
			}
			for _, s := range o.signs {
				b.await(s.of.name+" to say "+s.text, func() (bool, error) { return mark.matches(s.of, s.text), b.alive() })
			}
			o.end()
			b.caughtUp("after: " + o.name)
		})
	}
	for _, o := range b.refusals() {
		b.phase("Datadog: "+o.name, func() {
			mark := b.mark()
			o.begin()
			b.await("the deliverer to meet it", func() (bool, error) { return o.met(mark), b.alive() })
			b.await("delivery to work again", func() (bool, error) { return o.over(mark), b.alive() })
		})
	}
	b.phase("end", func() { b.checkEnd(baseline) })
}

// phase says how long a part of the test took.
func (b *outageBed) phase(name string, do func()) {
	b.t.Helper()
	began := time.Now()
	do()
	b.t.Logf("%-45s %5.1f s", name, time.Since(began).Seconds())
}

// outage is the loss of something that events and results pass through. Each
// sign is a line of a process's log, at warning or error, that must show it.
type outage struct {
	name       string
	begin, end func()
	during     func() // what else must be seen while it lasts
	signs      []sign
}

type sign struct {
	of   *probed
	text string // regular expression
}

func (b *outageBed) outages() []outage {
	return []outage{
		{
			name:   "S3 cuts connections, answers 503, refuses",
			begin:  b.spoilStore,
			end:    b.store.Accept,
			signs:  []sign{{b.ingest, `flush does not get on.*step=upload`}},
			during: func() { b.unready(b.ingest, "archive") },
		},
		{
			name:  "Postgres is gone",
			begin: b.postgres.Kill,
			end:   b.postgres.Start,
			signs: []sign{{b.ingest, `flush does not get on|commit in doubt|the catalog does not answer`}, {b.work, `work interrupted`}, {b.work, `delivery failed.*reason=outbox`}},
			during: func() {
				if got := b.status("/v1/models/fraud"); got != http.StatusServiceUnavailable {
					b.t.Errorf("the api answers %d while its database is away, want 503", got)
				}
				b.unready(b.ingest, "catalog")
			},
		},
		{
			name:  "Kafka is gone",
			begin: b.kafka.Kill,
			end:   b.kafka.Start,
			signs: []sign{{b.ingest, `component=kafka`}},
		},
	}
}

// spoilStore lets S3 do badly in three ways; the last one stays. An upload gives
// up after some time of it: the client of S3 tries again before anybody is told.
func (b *outageBed) spoilStore() {
	b.store.Delay(20 * time.Millisecond) // so that there is something to cut
	cuts := 0
	b.await("a few connections to S3 to be cut", func() (bool, error) {
		b.store.Cut()
		cuts++
		return cuts == 10, b.alive()
	})
	b.store.Delay(0)
	const many = 1 << 30
	b.store.Unavailable(many)
	b.await("S3 to have answered 503 a few times", func() (bool, error) { return many-b.store.Refused() >= 5, b.alive() })
	b.store.Unavailable(0)
	b.store.Refuse()
}

// refusal is something that the intake does instead of taking points.
type refusal struct {
	name      string
	begin     func()
	met, over func(logMark) bool
}

func (b *outageBed) refusals() []refusal {
	// A retry is logged when it begins to be needed and when it is over.
	retried := func(name, reason string, begin func()) refusal {
		return refusal{
			name: name, begin: begin,
			met:  func(m logMark) bool { return m.matches(b.work, "delivery failed.*reason="+reason) },
			over: func(m logMark) bool { return strings.Contains(m.since(b.work), "delivery works again") },
		}
	}
	return []refusal{
		retried("403", "forbidden", func() { b.intake.Fail(1, http.StatusForbidden) }),
		{
			// Too large is no trouble: the same points go in smaller requests at once.
			name: "413", begin: func() { b.intake.Fail(1, http.StatusRequestEntityTooLarge) },
			met:  func(m logMark) bool { return m.answered(b, http.StatusRequestEntityTooLarge) == 1 },
			over: func(m logMark) bool { return m.answered(b, http.StatusAccepted) >= 2 },
		},
		retried("429, to come back in 3 s", `throttled retry_in=3s`, func() { b.intake.Throttle(1, 3*time.Second) }),
		retried("500", "server_error", func() { b.intake.Fail(1, http.StatusInternalServerError) }),
		retried("no answer", "timeout", func() { b.intake.Hang(1) }),
		retried("cut before the points are taken", "unreachable", func() { b.intake.Cut(1) }),
		retried("cut after the points are taken", "unreachable", func() { b.intake.CutAnswer(1) }),
	}
}

// logMark is how far the logs, and the requests of the intake, had come.
type logMark struct {
	logs     map[*service]int
	requests int
}

func (b *outageBed) mark() logMark {
	m := logMark{logs: map[*service]int{}, requests: len(b.intake.Requests())}
	for _, p := range b.processes() {
		m.logs[p.service] = len(p.log.String())
	}
	return m
}

func (m logMark) since(p *probed) string { return p.log.String()[m.logs[p.service]:] }

// matches reports that the process has logged the text as a warning or an error.
func (m logMark) matches(p *probed, text string) bool {
	return regexp.MustCompile(`level=(WARN|ERROR) .*(` + text + `)`).MatchString(m.since(p))
}

// answered counts the answers of the intake with a status.
func (m logMark) answered(b *outageBed, status int) (n int) {
	for _, r := range b.intake.Requests()[m.requests:] {
		if r.Status == status {
			n++
		}
	}
	return n
}

func (b *outageBed) processes() []*probed { return []*probed{b.api, b.ingest, b.work} }

// alive returns an error when a process has ended, or events cannot be sent.
func (b *outageBed) alive() error {
	for _, p := range b.processes() {
		select {
		case err := <-p.done:
			return errors.Join(fmt.Errorf("%s ended by itself", p.name), err)
		default:
		}
	}
	return b.stream.failure()
}

// unready expects the readiness of a process to name what is away.
func (b *outageBed) unready(p *probed, dependency string) {
	b.t.Helper()
	status, text := b.probe(p, "/readyz")
	if status != http.StatusServiceUnavailable || !regexp.MustCompile(`(?m)^`+dependency+`: `).MatchString(text) || strings.Contains(text, dependency+": ok") {
		b.t.Errorf("%s answers %d %q to /readyz while the %s is away", p.name, status, text, dependency)
	}
}

// probe asks a process; status is 0 while it does not listen.
func (b *outageBed) probe(p *probed, path string) (status int, text string) {
	b.t.Helper()
	resp, err := http.Get("http://" + p.address + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// counter reads a counter without labels, or adds up one with them.
func (b *outageBed) counter(p *probed, name string) (sum int64) {
	b.t.Helper()
	_, text := b.probe(p, "/metrics")
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{.*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			b.t.Fatalf("metric %s: %v", name, err)
		}
		sum += int64(v)
	}
	return sum
}

// caughtUp waits until all that was sent by now is committed.
func (b *outageBed) caughtUp(when string) {
	b.t.Helper()
	sent := max(b.stream.sent(), 1)
	b.await("ingest to catch up "+when, func() (bool, error) {
		return b.counter(b.ingest, "modelwatch_ingest_records_total") >= sent, b.alive()
	})
}

// checkEnd ends the traffic and compares everything with what was sent.
func (b *outageBed) checkEnd(baseline []fraudRow) {
	t := b.t
	traffic := b.stream.stop()
	sent := b.stream.sent()
	b.await("every event to be committed", func() (bool, error) {
		return b.counter(b.ingest, "modelwatch_ingest_records_total") >= sent, b.alive()
	})
	if got := b.counter(b.ingest, "modelwatch_ingest_records_total"); got != sent {
		t.Errorf("ingest has committed %d records, %d were sent", got, sent)
	}
	expected := newExpectation(traffic, baseline, b.frozenUppers(), saltOf(t))
	rows, rejected := b.kept()
	if rows != expected.archived || rejected != int64(len(traffic.broken)) {
		t.Errorf("the catalog counts %d rows and %d dead letters, want %d and %d", rows, rejected, expected.archived, len(traffic.broken))
	}
	expected.checkArchive(b.deployment)
	b.checkDeadLetters(len(traffic.broken))
	b.await("the expected metrics at the intake", func() (bool, error) { return expected.firstDifference(b.deployment) == "", b.alive() },
		func() string { return expected.firstDifference(b.deployment) })
	if rejections := b.intake.Rejections(); len(rejections) > 0 {
		t.Errorf("the intake refused %d points, first: %v", len(rejections), rejections[0])
	}
	if n := b.counter(b.work, "modelwatch_sink_rejected_total") + b.counter(b.work, "modelwatch_sink_dropped_total"); n != 0 {
		t.Errorf("%d points were given up", n)
	}
	b.checkRuns(traffic)
	for _, p := range b.processes() {
		p.terminate(t)
	}
}

func (b *outageBed) checkDeadLetters(n int) {
	want := map[modelwatch.DeadLetterReason]int64{}
	for i := range n {
		want[[]modelwatch.DeadLetterReason{modelwatch.DeadInvalidJSON, modelwatch.DeadNoID, modelwatch.DeadNoModel}[i%3]]++
	}
	counts, err := b.counts.CountDeadLetters(b.t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil {
		b.t.Fatal(err)
	}
	got := map[modelwatch.DeadLetterReason]int64{}
	for _, c := range counts {
		got[c.Reason] += c.Count
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("dead letters by reason (-want +got):\n%s", diff)
	}
}

// checkRuns expects no run to have failed, however often it was tried, and the
// last revision of each window of the traffic to have succeeded.
func (b *outageBed) checkRuns(traffic *traffic) {
	b.t.Helper()
	ctx := b.t.Context()
	failed, _, err := b.counts.Runs(ctx, modelwatch.RunFilter{State: modelwatch.RunFailed})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range failed {
		b.t.Errorf("run %s of job %s/%s failed: %s", r.ID, r.Model, r.Job, r.Error)
	}
	b.await("the last revisions to succeed", func() (bool, error) { return b.unfinished(traffic) == "", b.alive() },
		func() string { return b.unfinished(traffic) })
}

// unfinished names a window whose last revision has not succeeded, "" if there is none.
func (b *outageBed) unfinished(traffic *traffic) string {
	b.t.Helper()
	for _, job := range []string{"fraud/drift", "fraud/backtest", "price/backtest"} {
		model, name, _ := strings.Cut(job, "/")
		succeeded, err := b.counts.RevisableRuns(b.t.Context(), model, name, traffic.start)
		if err != nil {
			b.t.Fatal(err)
		}
		last := map[int64]int{}
		for _, r := range succeeded {
			last[r.Window.Start.Unix()] = r.Revision
		}
		for i := range traffic.count {
			if start := traffic.window(i).Start; last[start.Unix()] == 0 {
				return fmt.Sprintf("job %s, window from %s", job, start.Format(time.TimeOnly))
			}
		}
	}
	return ""
}

// stream produces events all the time. While Kafka is away it waits: the
// client is idempotent, so each event is in the topic once.
type stream struct {
	d       *deployment
	client  *kgo.Client
	rng     *rand.Rand
	span    time.Duration
	end     context.CancelFunc
	ended   chan struct{}
	traffic *traffic // read it after stop

	mu    sync.Mutex
	acked int64
	err   error
}

const (
	streamTick   = 100 * time.Millisecond
	streamWindow = 2 * time.Minute
	streamFraud  = 16 // events in a tick; half of them get a label
	streamPrice  = 4  // and each of these
)

func newStream(d *deployment) *stream {
	const windows = 3
	s := &stream{
		d: d, rng: rand.New(rand.NewPCG(17, 19)), //nolint:gosec // deterministic on purpose
		client: d.kafka.Client(d.t, kgo.DefaultProduceTopic(d.topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner())),
		ended:  make(chan struct{}),
		span:   windows * streamWindow,
	}
	s.traffic = &traffic{start: time.Now().UTC().Truncate(streamWindow).Add(-s.span), length: streamWindow, count: windows}
	return s
}

func (s *stream) start() {
	ctx, cancel := context.WithCancel(s.d.t.Context())
	s.end = cancel
	go func() {
		defer close(s.ended)
		tick := time.NewTicker(streamTick)
		defer tick.Stop()
		for ctx.Err() == nil {
			s.produce(s.next())
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	s.d.t.Cleanup(func() { _ = s.stop() })
}

// next draws the events of one tick. They fall into any of the windows, so that
// every commit outdates all of them.
func (s *stream) next() []*kgo.Record {
	t := s.traffic
	var out []*kgo.Record
	add := func(event []byte) { out = append(out, &kgo.Record{Value: event}) }
	at := func() time.Time {
		return t.start.Add(time.Duration(s.rng.Int64N(int64(s.span)))).Truncate(time.Microsecond)
	}
	for i := range streamFraud {
		row := drawFraud(s.rng, s.rng.IntN(2) == 0)
		row.id, row.time = fmt.Sprintf("fraud-%07d", len(t.fraud)), at()
		add(row.event())
		if i%2 == 0 {
			add(row.label())
		} else {
			row.truth = ""
		}
		t.fraud = append(t.fraud, row)
	}
	for range streamPrice {
		row := drawPrice(s.rng)
		row.id, row.time = fmt.Sprintf("price-%07d", len(t.price)), at()
		add(row.event())
		add(row.label())
		t.price = append(t.price, row)
	}
	if s.rng.IntN(4) == 0 {
		broken := brokenEvent(len(t.broken))
		add(broken)
		t.broken = append(t.broken, broken)
	}
	return out
}

func (s *stream) produce(records []*kgo.Record) {
	// Not the stream's own context: what was drawn must arrive.
	ctx, cancel := context.WithTimeout(s.d.t.Context(), time.Minute)
	defer cancel()
	err := s.client.ProduceSync(ctx, records...).FirstErr()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = errors.Join(s.err, err)
		return
	}
	s.acked += int64(len(records))
}

// sent is how many events Kafka has taken.
func (s *stream) sent() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked
}

func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("send events: %w", s.err)
	}
	return nil
}

// stop ends the traffic and returns all of it.
func (s *stream) stop() *traffic {
	s.end()
	<-s.ended
	return s.traffic
}
