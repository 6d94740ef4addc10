package app

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch/archive"
)

// yamlBlock is an example in a page.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestExamplesOfThePages loads each configuration that the pages show, and opens
// what can be opened without a network.
func TestExamplesOfThePages(t *testing.T) {
	for name, value := range map[string]string{
		"KAFKA_PASSWORD": "p", "KAFKA_CLIENT_SECRET": "s", "EVENTHUBS_CONNECTION_STRING": "Endpoint=sb://n.servicebus.windows.net/;SharedAccessKey=k=",
		"REDPANDA_PASSWORD": "p", "MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "s", "GCS_HMAC_ACCESS_ID": "a", "GCS_HMAC_SECRET": "s",
		"MODELWATCH_PRIVACY_KEY": "0123456789abcdef", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	for page, examples := range map[string]int{"kafka.md": 9, "object-storage.md": 3, "privacy.md": 1} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) != examples {
			t.Errorf("%s has %d examples, want %d", page, len(blocks), examples)
		}
		for _, block := range blocks {
			cfg, err := LoadConfig(writeConfig(t, complete(block[1])))
			if err != nil {
				t.Errorf("%s: %v\n%s", page, err, block[1])
				continue
			}
			if cfg.Kafka.TLS != nil {
				cfg.Kafka.TLS.CAFile, cfg.Kafka.TLS.CertFile, cfg.Kafka.TLS.KeyFile = "", "", "" // not on this machine
			}
			if _, err := kafkaOptions(cfg.Kafka); err != nil {
				t.Errorf("%s: %v\n%s", page, err, block[1])
			}
			if _, err := archive.OpenBucket(t.Context(), cfg.Archive.bucket()); err != nil {
				t.Errorf("%s: %v\n%s", page, err, block[1])
			}
		}
	}
}

// complete adds the sections that an example leaves out.
func complete(example string) string {
	for section, line := range map[string]string{
		"catalog:": `catalog: {dsn: "sqlite:catalog.db"}`, "archive:": "archive: {uri: s3://bucket}", "kafka:": `kafka: {brokers: ["127.0.0.1:9092"]}`,
	} {
		if !strings.HasPrefix(example, section) {
			example += line + "\n"
		}
	}
	return example
}
