//go:build unix

package testserver_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

// echo starts a server that sends back each line.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// line is a connection to an echo server.
type line struct {
	net.Conn
	r *bufio.Reader
}

func connect(t *testing.T, addr string) line {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return line{conn, bufio.NewReader(conn)}
}

// say sends a line and returns what came back within d.
func (l line) say(text string, d time.Duration) (string, error) {
	if err := l.SetDeadline(time.Now().Add(d)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(l, text+"\n"); err != nil {
		return "", err
	}
	return l.r.ReadString('\n')
}

func TestProxyPasses(t *testing.T) {
	t.Parallel()
	l := connect(t, testserver.NewProxy(t, echo(t)).Addr)
	for _, text := range []string{"one", "two"} {
		if got, err := l.say(text, patience); got != text+"\n" || err != nil {
			t.Errorf("said %q, got %q, %v", text, got, err)
		}
	}
}

func TestProxyCut(t *testing.T) {
	t.Parallel()
	p := testserver.NewProxy(t, echo(t))
	l := connect(t, p.Addr)
	if _, err := l.say("one", patience); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if got, err := l.say("two", patience); err == nil {
		t.Errorf("got %q through a connection that was cut", got)
	}
	if _, err := connect(t, p.Addr).say("three", patience); err != nil {
		t.Errorf("a new connection after the cut: %v", err)
	}
}

func TestProxyRefuse(t *testing.T) {
	t.Parallel()
	p := testserver.NewProxy(t, echo(t))
	p.Refuse()
	if conn, err := net.DialTimeout("tcp", p.Addr, patience); err == nil {
		conn.Close()
		t.Error("a proxy that refuses was connected to")
	}
	p.Accept()
	if _, err := connect(t, p.Addr).say("one", patience); err != nil {
		t.Errorf("after Accept: %v", err)
	}
}

func TestProxyHang(t *testing.T) {
	t.Parallel()
	p := testserver.NewProxy(t, echo(t))
	l := connect(t, p.Addr)
	p.Hang()
	if got, err := l.say("one", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v through a proxy that hangs", got, err)
	}
	p.Resume()
	if got, err := l.say("two", patience); got != "one\n" || err != nil {
		t.Errorf("after Resume got %q, %v; want what was held back", got, err)
	}
}

func TestProxyDelay(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	p := testserver.NewProxy(t, echo(t))
	l := connect(t, p.Addr)
	p.Delay(delay)
	begin := time.Now()
	if _, err := l.say("one", patience); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("there and back took %s, want at least %s", took, 2*delay)
	}
}

func TestProxyUnavailable(t *testing.T) {
	t.Parallel()
	server := testserver.S3(t)
	bucket := server.Bucket(t)
	p := testserver.NewHTTPProxy(t, server.Addr)
	client := s3.New(server.Client().Options(), func(o *s3.Options) {
		o.BaseEndpoint = new("http://" + p.Addr)
		o.RetryMaxAttempts = 1
	})
	p.Unavailable(2)
	for range 2 {
		err := put(within(t), client, bucket, "k", "v")
		var response *smithyhttp.ResponseError
		if !errors.As(err, &response) || response.HTTPStatusCode() != http.StatusServiceUnavailable {
			t.Errorf("put is %v, want status 503", err)
		}
	}
	if err := put(within(t), client, bucket, "k", "v"); err != nil {
		t.Errorf("the third put: %v", err)
	}
	if got := get(t, client, bucket, "k"); got != "v" {
		t.Errorf("the object is %q, want v", got)
	}
	p.Refuse()
	var api smithy.APIError
	if err := put(within(t), client, bucket, "other", "v"); err == nil || errors.As(err, &api) {
		t.Errorf("put through a proxy that refuses is %v, want an error of the connection", err)
	}
}

func TestProxyInFrontOfPostgres(t *testing.T) {
	t.Parallel()
	server := testserver.Postgres(t)
	p := testserver.NewProxy(t, server.Addr)
	dsn := testserver.PostgresDSN(p.Addr, "postgres")
	if n, err := query(within(t), dsn, "SELECT 1"); n != 1 || err != nil {
		t.Errorf("SELECT 1 through the proxy is %d, %v", n, err)
	}
	p.Refuse()
	if _, err := query(within(t), dsn, "SELECT 1"); err == nil {
		t.Error("a query went through a proxy that refuses")
	}
}
