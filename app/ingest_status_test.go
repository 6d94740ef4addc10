package app

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// lagBundle is an API beside a broker in memory, with no process that reads:
// where reading stands is what the test commits.
type lagBundle struct {
	*testBundle
	cluster *kfake.Cluster
	client  *kgo.Client
	parts   []modelwatch.Partition
	now     time.Time
}

func setupLag(t *testing.T, partitions int32) *lagBundle {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(partitions, devTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &lagBundle{cluster: cluster, now: time.Now().Truncate(time.Millisecond)}
	b.testBundle = setupWith(t, []string{roleAPI}, func(cfg *Config) {
		cfg.Kafka.Brokers = cluster.ListenAddrs()
		cfg.Kafka.Sources = append(cfg.Kafka.Sources, SourceConfig{Topic: "absent"})
	})
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	topics, err := kadm.NewClient(b.client).ListTopics(t.Context(), devTopic)
	if err != nil {
		t.Fatal(err)
	}
	for i := range partitions {
		b.parts = append(b.parts, modelwatch.Partition{Topic: devTopic, TopicID: topics[devTopic].ID, Partition: i})
	}
	return b
}

// write produces n records, the oldest so long ago, a second between them.
func (b *lagBundle) write(t *testing.T, partition int32, n int, oldest time.Duration) {
	t.Helper()
	for i := range n {
		r := &kgo.Record{Topic: devTopic, Partition: partition, Value: []byte("{}"), Timestamp: b.now.Add(time.Duration(i)*time.Second - oldest)}
		if err := b.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// read takes a partition and commits a range of it.
func (b *lagBundle) read(t *testing.T, p modelwatch.Partition, to int64) {
	t.Helper()
	group := b.service.cfg.Kafka.Group
	cursors, err := b.service.catalog.TakePartitions(t.Context(), group, "owner-1", []modelwatch.Partition{p})
	if err != nil {
		t.Fatal(err)
	}
	if to < 0 {
		return
	}
	commit := modelwatch.IngestCommit{ID: p.Topic + string(p.TopicID[:1]) + string(rune('0'+p.Partition)), Group: group, Owner: "owner-1",
		Ranges: []modelwatch.Range{{Partition: p, From: cursors[p].Next, To: to, Epoch: cursors[p].Epoch}}}
	if err := b.service.catalog.CommitIngest(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

func (b *lagBundle) print(t *testing.T, format string) string {
	t.Helper()
	var out bytes.Buffer
	if err := PrintIngestStatus(t.Context(), IngestStatusOptions{Server: b.url, Format: format, Streams: Streams{Out: &out}}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestIngestStatus: a partition that is behind, one that is not, one with lost
// records, one that nobody has read, and cursors of a topic that is no more.
func TestIngestStatus(t *testing.T) {
	t.Parallel()
	b := setupLag(t, 4)
	b.write(t, 0, 100, time.Hour)
	b.write(t, 1, 10, time.Minute)
	b.write(t, 2, 20, time.Hour)
	b.write(t, 3, 5, 10*time.Minute)
	b.read(t, b.parts[0], 90)
	b.read(t, b.parts[1], 10)
	b.read(t, b.parts[2], 5)
	old := b.parts[0]
	old.TopicID = [16]byte{9}
	b.read(t, old, 7)
	deleted := kadm.Offsets{}
	deleted.AddOffset(devTopic, 2, 8, -1)
	if _, err := kadm.NewClient(b.client).DeleteRecords(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}

	got, err := b.testBundle.client.Ingest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Partitions) != 4 || got.Group.Name != "modelwatch" || got.Group.Members == nil || *got.Group.Members != 0 {
		t.Fatalf("%d partitions, group %+v", len(got.Partitions), got.Group)
	}
	notices := strings.Join(got.Notices, "\n")
	if !strings.Contains(notices, "topic absent: UNKNOWN_TOPIC") || !strings.Contains(notices, "nothing is read") {
		t.Errorf("notices: %s", notices)
	}
	passed := time.Since(b.now).Seconds()
	for i, want := range []struct {
		lag    int64
		age    float64
		notice string
	}{
		{10, 3600 - 90, ""},
		{0, 0, ""},
		{12, 3600 - 8, "3 records were deleted before they were read"},
		{5, 600, "no consumer has taken it yet"},
	} {
		p := got.Partitions[i]
		if p.LagRecords == nil || *p.LagRecords != want.lag || p.Notice != want.notice {
			t.Errorf("partition %d: lag %v, notice %q", i, p.LagRecords, p.Notice)
		}
		if p.LagSeconds == nil || *p.LagSeconds < want.age || *p.LagSeconds > want.age+passed+1 {
			t.Errorf("partition %d: its oldest record is %v s old, want %v", i, p.LagSeconds, want.age)
		}
	}
	if p := got.Partitions[0]; p.Owner != "owner-1" || *p.Cursor != 90 || *p.LogEnd != 100 || p.LastHour != 90 || p.Committed == nil {
		t.Errorf("partition 0: %+v", p)
	}

	text := b.print(t, "table")
	for _, want := range []string{
		`group modelwatch: \S+, 0 consumers`, `(?m)^! nothing is read`, `(?m)^modelwatch\.events +0 +90 +100 +10 +58m3\ds +90 +\S+ ago +0 +0 +owner-1$`,
		`(?m)^modelwatch\.events +3 +- +5 +5 +10m\ds +0 +- +0 +0 +-$`, `(?m)^! modelwatch\.events/2: 3 records were deleted`, `Uploads: 0 under way`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the table does not say %s:\n%s", want, text)
		}
	}
	for _, format := range []string{"json", "ndjson"} {
		var same api.IngestStatus
		if text := b.print(t, format); json.Unmarshal([]byte(text), &same) != nil || len(same.Partitions) != 4 || strings.Count(text, "\n") > 1 != (format == "json") {
			t.Errorf("%s:\n%s", format, text)
		}
	}
}

// TestIngestStatusWithoutKafka: what the catalog knows is shown all the same, of a
// topic that was made again once.
func TestIngestStatusWithoutKafka(t *testing.T) {
	t.Parallel()
	b := setupLag(t, 1)
	old := b.parts[0]
	old.TopicID = [16]byte{9}
	b.read(t, old, 7)
	b.read(t, b.parts[0], 5)
	b.client.Close()
	b.cluster.Close()
	text := b.print(t, "table")
	if !strings.Contains(text, "! kafka does not answer, so the lag is not known") || strings.Count(text, "modelwatch.events") != 1 ||
		!regexp.MustCompile(`(?m)^modelwatch\.events +0 +5 +- +- +- +5 `).MatchString(text) {
		t.Errorf("without kafka:\n%s", text)
	}
}
