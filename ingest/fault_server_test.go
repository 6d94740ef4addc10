//go:build unix

package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// victimEnv tells a child process of the test what to be.
const victimEnv = "INGEST_TEST_VICTIM"

// victim is a consumer in a process of its own that stops itself at a point.
type victim struct {
	Brokers    []string
	Topic, DSN string
	Bucket     archive.BucketConfig
	Point      string
	Signal     syscall.Signal
}

// The points that hooks do not know.
const (
	pointCommitting = "committing" // the transaction is not begun
	pointUnanswered = "unanswered" // the transaction is done, its answer is not read
)

// strike stops the process.
func (v *victim) strike(point string) error {
	if point == v.Point {
		v.Point = "" // once
		return syscall.Kill(os.Getpid(), v.Signal)
	}
	return nil
}

// strikingCatalog strikes around the commit.
type strikingCatalog struct {
	*catalog.Catalog
	victim *victim
}

func (c strikingCatalog) CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error {
	if err := c.victim.strike(pointCommitting); err != nil {
		return err
	}
	if err := c.Catalog.CommitIngest(ctx, commit); err != nil {
		return err
	}
	return c.victim.strike(pointUnanswered)
}

// faultClient joins the group so that the silent are thrown out soon.
func faultClient(brokers []string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond)}
}

// TestVictim is the child process of TestFaultsOnServers.
func TestVictim(t *testing.T) {
	text := os.Getenv(victimEnv)
	if text == "" {
		return
	}
	var v victim
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), v.DSN, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	bucket, err := archive.OpenBucket(t.Context(), v.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := ingest.New(ingest.Options{
		Client: faultClient(v.Brokers), Sources: []ingest.Source{{Topic: v.Topic}}, Group: v.Topic, Owner: "victim", Catalog: strikingCatalog{c, &v},
		Archive: archive.New(bucket, archive.Options{}), FileKey: archive.FileKey, FlushAge: 50 * time.Millisecond, Hooks: ingest.Hooks{At: v.strike},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	if err := consumer.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsOnServers repeats rows of the fault table with real processes, killed
// with SIGKILL or stopped with SIGSTOP, on real Kafka, PostgreSQL and S3.
func TestFaultsOnServers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts servers and processes")
	}
	kafka, postgres, s3 := testserver.Kafka(t), testserver.Postgres(t), testserver.S3(t)
	points := []string{ingest.PointSealed, ingest.PointIntended, ingest.PointUploaded, pointCommitting, pointUnanswered, ingest.PointCommitted}
	for _, how := range []string{"killed", "frozen", "zombie"} {
		for i, point := range points {
			if how == "frozen" && i%3 != 2 {
				continue // as a zombie that never wakes up
			}
			t.Run(how+" "+point, func(t *testing.T) {
				t.Parallel()
				f := &serverFault{bundle: &bundle{t: t, topic: kafka.Topic(t, 2), client: faultClient(kafka.Brokers)}, how: how}
				f.victim = victim{Brokers: kafka.Brokers, Topic: f.topic, DSN: postgres.NewDatabase(t), Point: point, Signal: syscall.SIGSTOP}
				if how == "killed" {
					f.victim.Signal = syscall.SIGKILL
				}
				f.victim.Bucket = archive.BucketConfig{
					URI: "s3://" + s3.Bucket(t) + "/p", Endpoint: s3.Endpoint, Region: s3.Region, PathStyle: true, AccessKey: s3.AccessKey, SecretKey: s3.SecretKey,
				}
				f.open([]kgo.Opt{kgo.SeedBrokers(kafka.Brokers...)}, f.victim.DSN, f.victim.Bucket)
				f.run()
			})
		}
	}
}

type serverFault struct {
	*bundle
	victim victim
	how    string
	sent   int
}

func (f *serverFault) more() {
	var events []string
	for range 40 {
		events = append(events, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"p-%d","features":{"n":%d}}`, f.sent, f.sent))
		f.sent++
	}
	f.send(events...)
}

func (f *serverFault) run() {
	f.more()
	process := f.start()
	f.awaitStop(process.Pid)
	successor, err := ingest.New(ingest.Options{
		Client: f.client, Sources: []ingest.Source{{Topic: f.topic}}, Group: f.topic, Owner: "successor", Catalog: f.commits,
		Archive: f.archive, FileKey: archive.FileKey, FlushAge: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- successor.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
		f.check()
	}()
	f.more()
	f.awaitSeen()
	if f.how != "zombie" {
		return
	}
	f.signal(process, syscall.SIGCONT)
	f.more()
	f.signal(process, syscall.SIGTERM)
	if state, err := process.Wait(); err != nil || !state.Success() {
		f.t.Errorf("the zombie: %v, %v", state, err)
	}
	f.more()
	f.awaitSeen()
}

func (f *serverFault) start() *os.Process {
	f.t.Helper()
	text, err := json.Marshal(f.victim)
	if err != nil {
		f.t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), victimEnv+"="+string(text))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd.Process
}

// awaitStop waits until the process has been killed or stopped.
func (f *serverFault) awaitStop(pid int) {
	f.t.Helper()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || !status.Stopped() && !(status.Signaled() && status.Signal() == syscall.SIGKILL) {
			f.t.Fatalf("the victim ended otherwise: %v, %#x", err, status)
		}
		return
	}
}

func (f *serverFault) signal(p *os.Process, s syscall.Signal) {
	f.t.Helper()
	if err := p.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}

// awaitSeen waits until all that was sent is accounted for, by whomever; the
// successor is the last to commit.
func (f *serverFault) awaitSeen() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		f.commits.mu.Lock()
		changed := f.commits.changed
		f.commits.mu.Unlock()
		if seen, _ := f.volumes(); seen >= int64(f.sent) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			seen, _ := f.volumes()
			f.t.Fatalf("%d of %d records are accounted for", seen, f.sent)
		}
	}
}

func (f *serverFault) volumes() (seen, kept int64) {
	f.t.Helper()
	volumes, err := f.catalog.Volumes(f.t.Context(), "m", modelwatch.Window{Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, v := range volumes {
		seen, kept = seen+v.Seen, kept+v.Kept
	}
	return seen, kept
}

// check finds each prediction once, and after garbage collection no object that is
// not registered.
func (f *serverFault) check() {
	f.t.Helper()
	if rows := f.rows("m", modelwatch.KindPrediction, "n"); len(rows) != f.sent {
		f.t.Errorf("%d of %d predictions have a row", len(rows), f.sent)
	}
	if seen, kept := f.volumes(); seen != int64(f.sent) || kept != seen {
		f.t.Errorf("%d seen, %d kept, %d were sent", seen, kept, f.sent)
	}
	if _, err := f.archive.CollectGarbage(f.t.Context(), f.catalog, time.Now().Add(-time.Hour)); err != nil {
		f.t.Error(err)
	}
	files, err := f.catalog.DataFiles(f.t.Context(), modelwatch.DataFileFilter{})
	if err != nil {
		f.t.Fatal(err)
	}
	var registered, have []string
	for _, file := range files {
		registered = append(registered, file.Key)
	}
	for object, err := range f.archive.Bucket().List(f.t.Context(), "") {
		if err != nil {
			f.t.Fatal(err)
		}
		have = append(have, object.Key)
	}
	slices.Sort(registered)
	if slices.Sort(have); !slices.Equal(have, registered) {
		f.t.Errorf("objects are %q, registered are %q", have, registered)
	}
}
