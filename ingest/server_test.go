//go:build unix

package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// TestServers runs two consumers on real servers and cuts them off from each in
// turn; then one of them dies. Every prediction has one row in the end.
func TestServers(t *testing.T) {
	t.Parallel()
	kafka, postgres, s3 := testserver.Kafka(t), testserver.Postgres(t), testserver.S3(t)
	toKafka, toPostgres, toS3 := testserver.NewProxy(t, kafka.Brokers[0]), testserver.NewProxy(t, postgres.Addr), testserver.NewHTTPProxy(t, s3.Addr)
	b := &bundle{t: t, topic: kafka.Topic(t, 6), client: []kgo.Opt{kgo.SeedBrokers(toKafka.Addr), kgo.Dialer(toKafka.DialContext)}}
	dsn := strings.Replace(postgres.NewDatabase(t), postgres.Addr, toPostgres.Addr, 1)
	b.open([]kgo.Opt{kgo.SeedBrokers(kafka.Brokers...)}, dsn, archive.BucketConfig{
		URI: "s3://" + s3.Bucket(t) + "/p", Endpoint: "http://" + toS3.Addr, Region: s3.Region, PathStyle: true, AccessKey: s3.AccessKey, SecretKey: s3.SecretKey,
		Retry: archive.Retry{Attempts: 2, MaxBackoff: 50 * time.Millisecond},
	})
	sent := 0
	more := func() {
		var events []string
		for range 300 {
			events = append(events, fmt.Sprintf(`{"kind":"prediction","model":"m","version":"1","id":"p-%d","features":{"n":%d,"c":"x"}}`, sent, sent))
			sent++
		}
		b.send(events...)
	}
	var die atomic.Bool
	died := make(chan struct{})
	stopFirst := b.run("first", ingest.Hooks{At: func(point string) error {
		if point == ingest.PointUploaded && die.CompareAndSwap(true, false) {
			close(died)
			return errors.New("power cut")
		}
		return nil
	}})
	stopSecond := b.run("second", ingest.Hooks{})
	for _, fault := range []func(){
		func() {},
		toKafka.Cut,
		toPostgres.Cut,
		func() { toS3.Unavailable(20) },
		func() { toPostgres.Refuse(); more(); toPostgres.Accept() },
		func() { toKafka.Hang(); more(); toKafka.Resume() },
		func() { toPostgres.Hang(); more(); toPostgres.Resume() },
		func() { die.Store(true) },
	} {
		fault()
		more()
		b.commits.await(t, sent)
	}
	<-died
	if err := stopFirst(); err == nil {
		t.Error("run did not say that it was killed")
	}
	if err := stopSecond(); err != nil {
		t.Error(err)
	}
	if rows := b.rows("m", modelwatch.KindPrediction, "n", "c"); len(rows) != sent {
		t.Errorf("%d of %d predictions have a row", len(rows), sent)
	}
}
