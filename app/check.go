package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
)

// checkTimeout bounds one line of check.
const checkTimeout = 20 * time.Second

// check is one dependency.
type check struct {
	name, target, remedy string
	run                  func(context.Context, Config) (string, error)
}

// Check reaches every dependency and prints a line each: ok, or what is wrong
// and what to do. It fails if one of them failed.
func Check(ctx context.Context, cfg Config, streams Streams) error {
	checks := []check{
		{"catalog", redactDSN(cfg.Catalog.DSN), "check catalog.dsn, and that the database exists and takes connections from here", checkCatalog},
		{"archive", cfg.Archive.URI, "check archive.uri, the region and the credentials: they must allow to write, read, list and delete", checkArchive},
		{"kafka", strings.Join(cfg.Kafka.Brokers, ","), "check kafka.brokers, kafka.tls and kafka.sasl, and that the topics of kafka.sources exist", checkKafka},
		{"datadog", "api.datadoghq.com or DD_SITE", "check DD_API_KEY and DD_SITE: a key belongs to one site", checkDatadog},
	}
	if r := cfg.Kafka.Registry; r != nil {
		checks = append(checks, check{"registry", r.URL, "check kafka.registry: its url, username, password or token, and tls", checkRegistry})
	}
	failed := 0
	for _, c := range checks {
		lineCtx, cancel := context.WithTimeout(ctx, checkTimeout)
		note, err := c.run(lineCtx, cfg)
		cancel()
		if err != nil {
			failed++
			if a := (*advised)(nil); errors.As(err, &a) {
				c.remedy = a.remedy
			}
			fmt.Fprintf(streams.Out, "FAIL  %-8s %s: %s\n      %s\n", c.name, c.target, oneLine(err), c.remedy)
			continue
		}
		fmt.Fprintf(streams.Out, "ok    %-8s %s\n", c.name, note)
	}
	if failed > 0 {
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "%d of %d dependencies are not usable", failed, len(checks))
	}
	return nil
}

// oneLine is an error's text on one line: a client that tried several ways
// writes a line for each, and often the same one.
func oneLine(err error) string {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if line != "" && !slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(p, line) }) {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}

func checkCatalog(ctx context.Context, cfg Config) (string, error) {
	c, err := catalog.Open(ctx, cfg.Catalog.DSN, discardLog())
	if err != nil {
		return "", err
	}
	defer closeCatalog(c)
	if err := c.Check(ctx); err != nil {
		return "", err
	}
	return redactDSN(cfg.Catalog.DSN), nil
}

func checkArchive(ctx context.Context, cfg Config) (string, error) {
	bucket, err := archive.OpenBucket(ctx, cfg.Archive.bucket())
	if err != nil {
		return "", err
	}
	return bucket.URI() + " (written, read, deleted)", bucket.Check(ctx)
}

func checkKafka(ctx context.Context, cfg Config) (string, error) {
	options, err := kafkaOptions(cfg.Kafka)
	if err != nil {
		return "", err
	}
	// Not until the time is up: what is wrong shows in the first seconds.
	client, err := kgo.NewClient(append(options, kgo.RetryTimeout(5*time.Second))...)
	if err != nil {
		return "", err
	}
	defer client.Close()
	note, err := checkTopics(ctx, kadm.NewClient(client), cfg.Kafka)
	return note, adviseKafka(cfg.Kafka, err)
}

// checkTopics looks at what ingest is going to use: the topics and the group.
func checkTopics(ctx context.Context, admin *kadm.Client, cfg KafkaConfig) (string, error) {
	names := cfg.topics()
	if cfg.DeadLetterTopic != "" {
		names = append(names, cfg.DeadLetterTopic)
	}
	topics, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return "", err
	}
	groups, err := admin.DescribeGroups(ctx, cfg.Group)
	if err == nil {
		err = groups[cfg.Group].Err
	}
	// Before the first member of any group joins, there is neither group nor coordinator.
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) && !errors.Is(err, kerr.CoordinatorNotAvailable) {
		return "", fmt.Errorf("group %s: %w", cfg.Group, err)
	}
	notes := make([]string, 0, len(names))
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			return "", fmt.Errorf("topic %s: %w", t.Topic, t.Err)
		}
		notes = append(notes, fmt.Sprintf("%s (%d partitions)", t.Topic, len(t.Partitions)))
	}
	slices.Sort(notes)
	return strings.Join(notes, ", "), nil
}

func checkDatadog(ctx context.Context, cfg Config) (string, error) {
	s, err := cfg.Sinks.Datadog.open()
	if err != nil {
		return "", err
	}
	if s == nil {
		return "off: DD_API_KEY is not set, or sinks.datadog.enabled is false", nil
	}
	return "the key is accepted", s.Check(ctx)
}

// Migrate applies the database migrations and says which.
func Migrate(ctx context.Context, cfg Config, streams Streams) error {
	c, err := catalog.Open(ctx, cfg.Catalog.DSN, discardLog())
	if err != nil {
		return err
	}
	defer closeCatalog(c)
	applied, err := c.Migrate(ctx)
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		fmt.Fprintln(streams.Out, "the catalog is up to date")
	}
	for _, name := range applied {
		fmt.Fprintln(streams.Out, "applied", name)
	}
	return nil
}

// closeCatalog closes a catalog that was only looked at.
func closeCatalog(c *catalog.Catalog) {
	_ = c.Close() // nothing was written that could be lost
}

func checkRegistry(ctx context.Context, cfg Config) (string, error) {
	registry, err := cfg.Kafka.Registry.load()
	if err != nil {
		return "", err
	}
	subjects, err := registry.Check(ctx)
	return fmt.Sprintf("%s (%d subjects)", cfg.Kafka.Registry.URL, subjects), err
}
