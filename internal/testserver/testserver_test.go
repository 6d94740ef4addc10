//go:build unix

package testserver_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests: only a broken server uses it up.
const patience = time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func produce(t *testing.T, client *kgo.Client, topic, value string) {
	t.Helper()
	if err := client.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

// consume returns the values of a topic, once there are n.
func consume(t *testing.T, client *kgo.Client, n int) []string {
	t.Helper()
	var values []string
	for len(values) < n {
		fetches := client.PollFetches(within(t))
		if err := fetches.Err(); err != nil {
			t.Fatalf("consume: %v", err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func TestKafka(t *testing.T) {
	t.Parallel()
	k := testserver.Kafka(t)
	topic := k.Topic(t, 1)
	produce(t, k.Client(t), topic, "one")
	got := consume(t, k.Client(t, kgo.ConsumeTopics(topic)), 1)
	if got[0] != "one" {
		t.Errorf("consumed %q, want %q", got, "one")
	}
}

func TestKafkaKeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testserver.KafkaServer){
		"stopped": func(k *testserver.KafkaServer) { k.Stop() },
		"killed":  func(k *testserver.KafkaServer) { k.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := testserver.NewKafka(t)
			topic := k.Topic(t, 1)
			produce(t, k.Client(t), topic, "before")
			end(k)
			if err := k.Client(t, kgo.DialTimeout(time.Second)).Ping(short(t)); err == nil {
				t.Error("the broker answers while it is down")
			}
			k.Start()
			produce(t, k.Client(t), topic, "after")
			got := consume(t, k.Client(t, kgo.ConsumeTopics(topic)), 2)
			if got[0] != "before" || got[1] != "after" {
				t.Errorf("consumed %q, want before and after", got)
			}
		})
	}
}

// short is a context for calls that are expected not to be answered.
func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestKafkaPause(t *testing.T) {
	t.Parallel()
	k := testserver.NewKafka(t)
	k.Pause()
	if err := k.Client(t).Ping(short(t)); err == nil {
		t.Error("the broker answers while it is paused")
	}
	k.Resume()
	if err := k.Client(t).Ping(within(t)); err != nil {
		t.Errorf("the broker does not answer after a pause: %v", err)
	}
}

func query(ctx context.Context, dsn, sql string) (int, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	var n int
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, errors.Join(err, conn.Close(ctx))
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	p := testserver.Postgres(t)
	one, two := p.NewDatabase(t), p.NewDatabase(t)
	if one == two {
		t.Errorf("two databases have the same address %s", one)
	}
	if n, err := query(within(t), one, "SELECT 1"); n != 1 || err != nil {
		t.Errorf("SELECT 1 is %d, %v", n, err)
	}
}

func TestPostgresKeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	p := testserver.NewPostgres(t)
	dsn := p.NewDatabase(t)
	if _, err := query(within(t), dsn, "SELECT 7 AS n INTO t"); !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("create table: %v", err)
	}
	for _, end := range []func(){p.Stop, p.Kill} {
		end()
		if _, err := query(within(t), dsn, "SELECT n FROM t"); err == nil {
			t.Error("the server answers while it is down")
		}
		p.Start()
		if n, err := query(within(t), dsn, "SELECT n FROM t"); n != 7 || err != nil {
			t.Errorf("after the restart n is %d, %v; want 7", n, err)
		}
	}
}

func put(ctx context.Context, client *s3.Client, bucket, key, body string) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body), IfNoneMatch: aws.String("*"),
	})
	return err
}

func get(t *testing.T, client *s3.Client, bucket, key string) string {
	t.Helper()
	out, err := client.GetObject(within(t), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(body)
}

func TestS3(t *testing.T) {
	t.Parallel()
	s := testserver.S3(t)
	bucket, client := s.Bucket(t), s.Client()
	if err := put(within(t), client, bucket, "a/b", "first"); err != nil {
		t.Fatalf("put: %v", err)
	}
	err := put(within(t), client, bucket, "a/b", "second")
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "PreconditionFailed" {
		t.Errorf("a second put of the same key is %v, want PreconditionFailed", err)
	}
	if got := get(t, client, bucket, "a/b"); got != "first" {
		t.Errorf("the object is %q, want first", got)
	}
}

func TestS3KeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := testserver.NewS3(t)
	bucket, client := s.Bucket(t), s.Client()
	if err := put(within(t), client, bucket, "k", "v"); err != nil {
		t.Fatalf("put: %v", err)
	}
	for _, end := range []func(){s.Stop, s.Kill} {
		end()
		if err := put(short(t), client, bucket, "other", "v"); err == nil {
			t.Error("the server answers while it is down")
		}
		s.Start()
		if got := get(t, client, bucket, "k"); got != "v" {
			t.Errorf("after the restart the object is %q, want v", got)
		}
	}
}
