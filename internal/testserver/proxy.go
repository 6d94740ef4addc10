//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy passes connections on to a server and makes faults on demand. Its
// methods are safe for concurrent use.
type Proxy struct {
	Addr string // host:port to connect to in place of the server's

	tb     testing.TB
	target string
	delay  atomic.Int64 // nanoseconds
	refuse atomic.Int64 // HTTP requests still to be answered 503

	mu       sync.Mutex
	listener net.Listener          // nil while refusing
	conns    map[net.Conn]struct{} // both sides of every connection
	resume   chan struct{}         // nil while not hanging; closed to resume
	closed   bool
	tasks    sync.WaitGroup
}

// NewProxy starts a proxy for any protocol in front of target, a host:port.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p := &Proxy{tb: tb, target: target, conns: map[net.Conn]struct{}{}}
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	p.Addr = address(port)
	p.Accept()
	tb.Cleanup(p.close)
	return p
}

// NewHTTPProxy starts a proxy that reads requests, for Unavailable. The Host
// header passes unchanged, so that signatures over it hold.
func NewHTTPProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	forward := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // the client sees what the server did: a cut connection
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen for http proxy: %v", err)
	}
	var p *Proxy
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.takeRefusal() {
			w.Header().Set("Connection", "close") // the body may still be on its way
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		forward.ServeHTTP(w, r)
	})}
	p = NewProxy(tb, l.Addr().String())
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	tb.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("serve http proxy: %v", err)
		}
	})
	return p
}

// Unavailable answers the next n requests with 503. Only for NewHTTPProxy.
func (p *Proxy) Unavailable(n int) { p.refuse.Store(int64(n)) }

// Refused returns how many requests of Unavailable are still to come.
func (p *Proxy) Refused() int { return int(p.refuse.Load()) }

func (p *Proxy) takeRefusal() bool {
	for {
		n := p.refuse.Load()
		if n <= 0 {
			return false
		}
		if p.refuse.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// Delay holds back each piece of data, in both directions, by d.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Cut breaks every connection there is; new ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // a reset, as from a machine that died
		}
		_ = c.Close()
	}
	clear(p.conns)
}

// Refuse breaks every connection and refuses new ones until Accept.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.cut()
}

// Accept ends Refuse.
func (p *Proxy) Accept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return
	}
	l, err := net.Listen("tcp", p.Addr)
	if err != nil {
		p.tb.Errorf("listen for proxy: %v", err)
		return
	}
	p.listener = l
	p.tasks.Go(func() { p.serve(l) })
}

// Hang stops passing data on, while connections stay open, until Resume.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resume == nil && !p.closed {
		p.resume = make(chan struct{})
	}
}

// Resume ends Hang.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resume != nil {
		close(p.resume)
		p.resume = nil
	}
}

// DialContext connects to the proxy whatever the address: for a client that
// learns addresses from the server, as Kafka's do.
func (p *Proxy) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, p.Addr)
	if err != nil {
		return nil, fmt.Errorf("dial proxy of %s: %w", p.target, err)
	}
	return conn, nil
}

func (p *Proxy) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // closed by Refuse or at the end
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.add(l, client, server) {
			_ = client.Close()
			_ = server.Close()
			continue
		}
		p.tasks.Go(func() { p.pass(server, client) })
		p.tasks.Go(func() { p.pass(client, server) })
	}
}

// add remembers a connection, unless Refuse came between.
func (p *Proxy) add(l net.Listener, client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != l {
		return false
	}
	p.conns[client] = struct{}{}
	p.conns[server] = struct{}{}
	return true
}

// pass copies one direction until either side ends, then ends both.
func (p *Proxy) pass(to, from net.Conn) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range []net.Conn{to, from} {
			_ = c.Close()
			delete(p.conns, c)
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.hold()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				p.hold()
			}
			return
		}
	}
}

// hold waits as long as Delay and Hang ask for.
func (p *Proxy) hold() {
	p.mu.Lock()
	resume := p.resume
	p.mu.Unlock()
	if resume != nil {
		<-resume
	}
	if d := time.Duration(p.delay.Load()); d > 0 {
		time.Sleep(d)
	}
}

func (p *Proxy) close() {
	p.Delay(0)
	p.Refuse()
	p.Resume()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.tasks.Wait()
}
