//go:build linux

package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
)

// smallDiskEnv tells the child process of TestDiskFull where to mount its disk.
const smallDiskEnv = "INGEST_TEST_SMALL_DISK"

// TestDiskFull archives into a folder on a file system of one megabyte that is full
// for a while. A mount needs a name space of its own, so it is in a child process.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(smallDiskEnv); dir != "" {
		fillDisk(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	cmd.Env = append(os.Environ(), smallDiskEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), errMayNotMount) {
		t.Skipf("this system lets nobody mount a small file system: %v", err) // such as a container; the table has the fault all the same
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

const errMayNotMount = "may not mount"

// fillDisk runs in the child process.
func fillDisk(t *testing.T, dir string) {
	// Only for this name space: what is mounted here ends with the process.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(errMayNotMount, err)
	}
	if err := syscall.Mount("small", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(errMayNotMount, err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	b := &bundle{t: t, topic: "events", client: []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}}
	b.open(b.client, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), archive.BucketConfig{URI: dir})
	consumer, err := ingest.New(ingest.Options{
		Client: b.client, Sources: []ingest.Source{{Topic: b.topic}}, Group: "g", Owner: "o", Catalog: b.commits, Archive: b.archive, FileKey: archive.FileKey,
		FlushAge: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx) }()
	b.commits.await(t, b.sendMore(100))
	ballast := filepath.Join(dir, "ballast")
	fillUp(t, ballast)
	sent := b.sendMore(100)
	awaitUnready(t, consumer, "no space left on device")
	before := b.objects(ballast)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	b.commits.await(t, sent)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if rows := b.rows("m", modelwatch.KindPrediction, "text"); len(rows) != sent {
		t.Errorf("%d rows of %d predictions", len(rows), sent)
	}
	files, err := b.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{})
	if err != nil || len(files) != b.objects("") || before >= len(files) {
		t.Errorf("%d files, %d objects, %d while the disk was full; %v", len(files), b.objects(""), before, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, ".tmp")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

// fillUp writes a file until the disk has no room.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// objects counts what the folder holds beside one file.
func (b *bundle) objects(beside string) (n int) {
	b.t.Helper()
	for o, err := range b.archive.Bucket().List(b.t.Context(), "") {
		if err != nil {
			b.t.Fatal(err)
		}
		if o.Key != filepath.Base(beside) {
			n++
		}
	}
	return n
}

// awaitUnready waits until a consumer says why it does not get on.
func awaitUnready(t *testing.T, c *ingest.Consumer, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.Ready()
		if err != nil && strings.Contains(err.Error(), why) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the consumer does not say %q: %v", why, err)
		}
	}
}
