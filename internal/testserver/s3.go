//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
)

// S3Server is one S3 server, versitygw on a folder.
type S3Server struct {
	server
	Addr      string // host:port, for a proxy in front of it
	Endpoint  string // http://host:port
	AccessKey string
	SecretKey string
	Region    string
}

// S3 returns the server that the tests of this process share.
func S3(tb testing.TB) *S3Server {
	tb.Helper()
	return common.s3.get(tb, startS3)
}

// NewS3 starts a server for this test alone.
func NewS3(tb testing.TB) *S3Server {
	tb.Helper()
	return own(tb, startS3)
}

// Bucket creates a bucket with a name of its own and returns the name.
func (s *S3Server) Bucket(tb testing.TB) string {
	tb.Helper()
	name := "test-" + uuid.NewString()
	if _, err := s.Client().CreateBucket(tb.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		tb.Fatalf("create bucket %s: %v", name, err)
	}
	return name
}

// Client returns a client of the server that keeps no connection open, so that
// leak checks stay quiet about it.
func (s *S3Server) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint:               aws.String(s.Endpoint),
		Region:                     s.Region,
		UsePathStyle:               true,
		Credentials:                credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:                 &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
	})
}

func startS3() (*S3Server, error) { return attempt(tryS3) }

func tryS3() (*S3Server, error) {
	program, err := cached("versitygw-"+VersitygwVersion, "versitygw")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, guard, err := newScratch("s3")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	s := &S3Server{
		Addr: address(port), Endpoint: "http://" + address(port),
		AccessKey: "testkey", SecretKey: "testsecret", Region: "us-east-1",
	}
	s.process = &process{
		name: "S3", dir: dir, guard: guard, graceful: syscall.SIGTERM, quick: syscall.SIGKILL,
		command: func() *exec.Cmd {
			cmd := exec.Command(program, "--port", s.Addr, "--region", s.Region, "posix", data)
			cmd.Env = environment("ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
			return cmd
		},
		ready: func(ctx context.Context) error { return dial(ctx, s.Addr) },
	}
	if err = os.Mkdir(data, 0o755); err == nil {
		err = s.process.start()
	}
	if err != nil {
		return nil, errors.Join(err, guard.close())
	}
	return s, nil
}

func dial(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return conn.Close()
}
