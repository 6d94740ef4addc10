package ingest

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// errDead is what the calls of a process that was killed return, once the test
// is over and its goroutines must end.
var errDead = errors.New("the process is dead")

// gate stands between a consumer and the world. Shut, nothing gets through in
// either direction, as if the process were stopped: its calls neither begin nor
// return, its connections stay open and silent.
type gate struct {
	mu    sync.Mutex
	open  chan struct{} // closed: open
	dead  bool
	conns []net.Conn
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

// hangUp closes all connections, as the end of a process does.
func (g *gate) hangUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close() // the broker sees it, that is all
	}
}

// release opens the gate: to a process that goes on, or to one that is dead and
// whose goroutines only have to end.
func (g *gate) release(dead bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = dead
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

// pass waits until the gate is open.
func (g *gate) pass() error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return errDead
	}
	return nil
}

// through makes a call that a gate may stop before it begins or before it returns.
func through[T any](g *gate, call func() (T, error)) (zero T, err error) {
	if err := g.pass(); err != nil {
		return zero, err
	}
	v, err := call()
	if dead := g.pass(); dead != nil {
		return zero, dead
	}
	return v, err
}

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

func (g *gate) dial(next dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := through(g, func() (net.Conn, error) { return next(ctx, network, addr) })
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.conns = append(g.conns, c)
		return &gatedConn{Conn: c, gate: g}, nil
	}
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c *gatedConn) Read(p []byte) (int, error) {
	return through(c.gate, func() (int, error) { return c.Conn.Read(p) })
}

func (c *gatedConn) Write(p []byte) (int, error) {
	return through(c.gate, func() (int, error) { return c.Conn.Write(p) })
}

// The points of the table: before and after each step of a flush.
const (
	beforeIntent = "before intent"
	afterIntent  = "after intent"
	beforeUpload = "before upload"
	amidUploads  = "amid uploads" // one of two objects is there
	afterUpload  = "after upload"
	beforeCommit = "before commit"
	afterCommit  = "after commit" // and before its answer
	afterAnswer  = "after answer" // and before Kafka, or anybody, is told
)

var faultPoints = []string{beforeIntent, afterIntent, beforeUpload, amidUploads, afterUpload, beforeCommit, afterCommit, afterAnswer}

// victimCatalog and victimArchive are the world of a process behind a gate. They
// say which point it has come to.
type victimCatalog struct {
	*fakeCatalog
	gate *gate
	at   func(point string)
}

func (c *victimCatalog) TakePartitions(ctx context.Context, group, owner string, parts []modelwatch.Partition) (map[modelwatch.Partition]modelwatch.Cursor, error) {
	return through(c.gate, func() (map[modelwatch.Partition]modelwatch.Cursor, error) {
		return c.fakeCatalog.TakePartitions(ctx, group, owner, parts)
	})
}

func (c *victimCatalog) IntendIngest(ctx context.Context, intent modelwatch.IngestIntent) error {
	c.at(beforeIntent)
	_, err := through(c.gate, func() (struct{}, error) {
		defer c.at(afterIntent)
		return struct{}{}, c.fakeCatalog.IntendIngest(ctx, intent)
	})
	return err
}

func (c *victimCatalog) CommitIngest(ctx context.Context, commit modelwatch.IngestCommit) error {
	c.at(beforeCommit)
	_, err := through(c.gate, func() (struct{}, error) {
		defer c.at(afterCommit)
		return struct{}{}, c.fakeCatalog.CommitIngest(ctx, commit)
	})
	return err
}

func (c *victimCatalog) EnsureVersion(ctx context.Context, model, version string) (modelwatch.Version, error) {
	return through(c.gate, func() (modelwatch.Version, error) { return c.fakeCatalog.EnsureVersion(ctx, model, version) })
}

func (c *victimCatalog) Version(ctx context.Context, model, version string) (modelwatch.Version, error) {
	return through(c.gate, func() (modelwatch.Version, error) { return c.fakeCatalog.Version(ctx, model, version) })
}

func (c *victimCatalog) GrowSchema(ctx context.Context, model, version string, from int64, s modelwatch.Schema) (modelwatch.Version, error) {
	return through(c.gate, func() (modelwatch.Version, error) { return c.fakeCatalog.GrowSchema(ctx, model, version, from, s) })
}

type victimArchive struct {
	*fakeArchive
	gate *gate
	at   func(point string)
}

func (a *victimArchive) WriteDataFile(ctx context.Context, spec modelwatch.FileSpec, rows table.Rows) (modelwatch.DataFile, error) {
	a.at(beforeUpload)
	return through(a.gate, func() (modelwatch.DataFile, error) {
		defer a.at(amidUploads)
		return a.fakeArchive.WriteDataFile(ctx, spec, rows)
	})
}
