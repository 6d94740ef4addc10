package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"

	"github.com/modelwatch/modelwatch"
)

// Config is modelwatch.yaml. Every field has a default but the addresses of
// Kafka, the catalog and the archive. ${NAME} anywhere in the file stands for
// that environment variable, and a value "file:/path" for that file's text, so
// that no secret needs to stand in the file itself.
type Config struct {
	Listen   string         `yaml:"listen"`
	Token    string         `yaml:"token"`
	Catalog  CatalogConfig  `yaml:"catalog"`
	Archive  ArchiveConfig  `yaml:"archive"`
	Kafka    KafkaConfig    `yaml:"kafka"`
	Ingest   IngestConfig   `yaml:"ingest"`
	Work     WorkConfig     `yaml:"work"`
	Sampling SamplingConfig `yaml:"sampling"`
	Sinks    SinksConfig    `yaml:"sinks"`

	Retention   RetentionConfig   `yaml:"retention"`
	DeadLetters DeadLettersConfig `yaml:"dead_letters"`
	Privacy     PrivacyConfig     `yaml:"privacy"`
}

// PrivacyConfig is what of privacy rules is the deployment's. The rules themselves
// stand in the schemas of versions.
type PrivacyConfig struct {
	// Key is the key of pseudonyms; every process must have the same.
	Key string `yaml:"key"`
	// HashIDs names models, with a trailing * for any end, whose ids and groups are
	// pseudonyms in predictions, attributions and labels alike.
	HashIDs []string `yaml:"hash_ids"`
}

// DeadLettersConfig bounds what is kept of records that could not be placed: the
// oldest go first.
type DeadLettersConfig struct {
	MaxAge   Duration `yaml:"max_age"`
	MaxCount int64    `yaml:"max_count"`
	// KeepUnparsed keeps the bytes of records that cannot be read even where there
	// are privacy rules, which then cannot be carried out in them.
	KeepUnparsed bool `yaml:"keep_unparsed"`
}

// RetentionConfig says how long rows of the catalog are kept. How long those of
// the archive are is each version's own.
type RetentionConfig struct {
	Commits      Duration `yaml:"commits"`
	Measurements Duration `yaml:"measurements"`
}

// CatalogConfig says where the SQL database is.
type CatalogConfig struct {
	DSN string `yaml:"dsn"`
}

// ArchiveConfig says where the Parquet objects are.
type ArchiveConfig struct {
	URI       string `yaml:"uri"`
	Endpoint  string `yaml:"endpoint"`
	Region    string `yaml:"region"`
	PathStyle bool   `yaml:"path_style"`
	AccessKey string `yaml:"access_key"`
	SecretKey string `yaml:"secret_key"`
	// RoleARN is assumed with those credentials, or with those of AWS's chain.
	RoleARN    string           `yaml:"role_arn"`
	ExternalID string           `yaml:"external_id"`
	Encryption EncryptionConfig `yaml:"encryption"`
	// Checksums are when_supported or when_required, the latter for stores that do
	// not know the newer headers; Dialect is s3 or gcs.
	Checksums string `yaml:"checksums"`
	Dialect   string `yaml:"dialect"`

	Compaction CompactionConfig `yaml:"compaction"`
	// DeleteAfter is how long objects that were replaced are kept for whoever is
	// still reading them.
	DeleteAfter Duration `yaml:"delete_after"`
}

// EncryptionConfig says how S3 encrypts what is written; left out, as the bucket does.
type EncryptionConfig struct {
	Algorithm string `yaml:"algorithm"` // AES256, aws:kms or aws:kms:dsse
	KMSKey    string `yaml:"kms_key"`
	BucketKey bool   `yaml:"bucket_key"`
}

// CompactionConfig says which data files become one.
type CompactionConfig struct {
	Enabled    bool     `yaml:"enabled"`
	MinAge     Duration `yaml:"min_age"`
	TargetSize Bytes    `yaml:"target_size"`
}

// KafkaConfig says where events come from.
type KafkaConfig struct {
	Brokers []string       `yaml:"brokers"`
	Group   string         `yaml:"group"`
	Sources []SourceConfig `yaml:"sources"`
	// Registry is the schema registry of the formats avro, protobuf and jsonschema.
	Registry *RegistryConfig `yaml:"registry"`
	TLS      *TLSConfig      `yaml:"tls"`
	SASL     *SASLConfig     `yaml:"sasl"`
	// Rack is where this process runs, in the words of the brokers' broker.rack: it
	// then reads from a replica there, if the brokers select replicas by rack.
	Rack string `yaml:"rack"`
	// InstanceID makes this process a static member of the group: restarted within
	// the session time-out it has its partitions back, and no others have moved. No
	// two processes may have the same.
	InstanceID string `yaml:"instance_id"`
	// GroupProtocol is Kafka's group.protocol: classic (the default), or consumer, in
	// which the brokers of Kafka 4.0 and later assign the partitions (KIP-848).
	GroupProtocol string `yaml:"group_protocol"`
	// DeadLetterTopic, if it is set, gets a copy of each record that cannot be placed.
	DeadLetterTopic string `yaml:"dead_letter_topic"`
	// SessionTimeout is how long the group waits for a member that is no longer
	// heard of before its partitions go to others. With the protocol consumer the
	// brokers' own setting holds.
	SessionTimeout Duration `yaml:"session_timeout"`
}

// SourceConfig is one topic and the format of its records: docs/formats.md.
type SourceConfig struct {
	Topic  string `yaml:"topic"`
	Format string `yaml:"format"`
	// Model and Version are those of records that name none; Kind is what each
	// record is, where the format cannot tell.
	Model   string `yaml:"model"`
	Version string `yaml:"version"`
	Kind    string `yaml:"kind"`
	// Inputs and Outputs name values that come by position.
	Inputs  []string `yaml:"inputs"`
	Outputs []string `yaml:"outputs"`
	// Columns says which named value is the id, the time, the score and so on.
	Columns map[string]string `yaml:"columns"`
	// Paths are JSONPath expressions by what they select.
	Paths map[string]string `yaml:"paths"`
	// Timezone is that of times that are written without one.
	Timezone string `yaml:"timezone"`
}

// RegistryConfig is how a schema registry that speaks Confluent's API is reached.
type RegistryConfig struct {
	URL      string     `yaml:"url"` // several with commas between
	Username string     `yaml:"username"`
	Password string     `yaml:"password"`
	Token    string     `yaml:"token"`
	TLS      *TLSConfig `yaml:"tls"`
}

// IngestConfig bounds one ingest process.
type IngestConfig struct {
	FlushBytes Bytes    `yaml:"flush_bytes"`
	FlushAge   Duration `yaml:"flush_age"`
	Memory     Bytes    `yaml:"memory"`
}

// WorkConfig is how runs are executed.
type WorkConfig struct {
	Concurrency int      `yaml:"concurrency"`
	Lease       Duration `yaml:"lease"`
	Poll        Duration `yaml:"poll"`
	ReviseAfter Duration `yaml:"revise_after"`
}

// SamplingConfig is the rate for versions that state none, and the salt behind
// every sampling decision (made once and kept in the catalog if not given).
type SamplingConfig struct {
	Rate float64 `yaml:"rate"`
	Salt string  `yaml:"salt"`
}

// SinksConfig says which sinks jobs may name.
type SinksConfig struct {
	Datadog DatadogConfig `yaml:"datadog"`
	Stdout  StdoutConfig  `yaml:"stdout"`
	// MaxBackoff is the longest wait before a sink that does not take points, for
	// example because of a wrong key, is tried again.
	MaxBackoff Duration `yaml:"max_backoff"`
}

// DatadogConfig is the Datadog sink. Key and site come from DD_API_KEY and DD_SITE.
type DatadogConfig struct {
	Enabled    string `yaml:"enabled"`    // auto (when DD_API_KEY is set), true, false
	Timestamps string `yaml:"timestamps"` // now, window
	URL        string `yaml:"url"`
}

// StdoutConfig is the sink that prints points as JSON lines.
type StdoutConfig struct {
	Enabled bool `yaml:"enabled"`
}

// Bytes is a size such as 64MiB.
type Bytes int64

// UnmarshalYAML reads a size with a unit.
func (b *Bytes) UnmarshalYAML(text []byte) error {
	n, err := humanize.ParseBytes(unquote(text))
	if err != nil {
		return fmt.Errorf("%s is not a size: write a number with a unit, for example 64MiB", text)
	}
	*b = Bytes(n)
	return nil
}

// Duration is a duration such as 30s.
type Duration time.Duration

// UnmarshalYAML reads a duration with a unit.
func (d *Duration) UnmarshalYAML(text []byte) error {
	v, err := time.ParseDuration(unquote(text))
	if err != nil {
		v, err = modelwatch.ParseDuration(unquote(text)) // which knows days
	}
	if err != nil || v <= 0 {
		return fmt.Errorf("%s is not a positive duration: write a number with a unit, for example 30s", text)
	}
	*d = Duration(v)
	return nil
}

func unquote(text []byte) string { return strings.Trim(strings.TrimSpace(string(text)), `"'`) }

// DefaultConfig is the configuration of a file that says nothing.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:8080",
		Kafka: KafkaConfig{
			Group:          "modelwatch",
			Sources:        []SourceConfig{{Topic: "modelwatch.events", Format: "modelwatch"}},
			SessionTimeout: Duration(45 * time.Second),
		},
		Archive: ArchiveConfig{
			Compaction:  CompactionConfig{Enabled: true, MinAge: Duration(30 * time.Minute), TargetSize: 64 << 20},
			DeleteAfter: Duration(time.Hour),
		},
		Ingest:   IngestConfig{FlushBytes: 64 << 20, FlushAge: Duration(30 * time.Second), Memory: 384 << 20},
		Work:     WorkConfig{Concurrency: 2, Lease: Duration(time.Minute), Poll: Duration(time.Second), ReviseAfter: Duration(time.Minute)},
		Sampling: SamplingConfig{Rate: 1},
		Sinks:    SinksConfig{Datadog: DatadogConfig{Enabled: "auto", Timestamps: "now"}, MaxBackoff: Duration(5 * time.Minute)},

		Retention:   RetentionConfig{Commits: Duration(30 * 24 * time.Hour), Measurements: Duration(730 * 24 * time.Hour)},
		DeadLetters: DeadLettersConfig{MaxAge: Duration(30 * 24 * time.Hour), MaxCount: 100_000},
	}
}

// LoadConfig reads a configuration file over the defaults. Unknown fields, and
// variables that are not set, are errors that name the line.
func LoadConfig(path string) (Config, error) {
	cfg := DefaultConfig()
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read configuration")
	}
	expanded, err := expandEnv(string(text))
	if err != nil {
		return cfg, modelwatch.Wrap(modelwatch.CodeInvalid, err, "configuration %s", path)
	}
	if err := readYAML([]byte(expanded), &cfg); err != nil {
		return cfg, modelwatch.Errorf(modelwatch.CodeInvalid, "configuration %s:\n%s", path, yaml.FormatError(err, false, true))
	}
	if err := cfg.readSecretFiles(filepath.Dir(path)); err != nil {
		return cfg, modelwatch.Wrap(modelwatch.CodeInvalid, err, "configuration %s", path)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, modelwatch.Wrap(modelwatch.CodeInvalid, err, "configuration %s", path)
	}
	return cfg, nil
}

var envReference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expandEnv replaces ${NAME} and ${NAME:-default}. Comment lines are left alone.
func expandEnv(text string) (string, error) {
	var missing error
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		lines[i] = envReference.ReplaceAllStringFunc(line, func(ref string) string {
			m := envReference.FindStringSubmatch(ref)
			value, ok := os.LookupEnv(m[1])
			switch {
			case ok && (value != "" || m[2] == ""):
				return value
			case m[2] != "":
				return m[3]
			}
			missing = errors.Join(missing, fmt.Errorf("line %d: environment variable %s is not set", i+1, m[1]))
			return ""
		})
	}
	return strings.Join(lines, ""), missing
}

func (c *Config) readSecretFiles(dir string) error {
	secrets := []*string{&c.Token, &c.Catalog.DSN, &c.Archive.AccessKey, &c.Archive.SecretKey, &c.Sampling.Salt, &c.Privacy.Key}
	if c.Kafka.SASL != nil {
		secrets = append(secrets, c.Kafka.SASL.secrets()...)
	}
	if r := c.Kafka.Registry; r != nil {
		secrets = append(secrets, &r.Username, &r.Password, &r.Token)
	}
	for _, s := range secrets {
		path, ok := strings.CutPrefix(*s, "file:")
		if !ok || (s == &c.Catalog.DSN && strings.HasSuffix(path, ".db")) {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read secret: %w", err)
		}
		*s = strings.TrimSpace(string(text))
	}
	return nil
}

// minPrivacyKey is the length below which keys can be guessed.
const minPrivacyKey = 16

// Validate reports every field that cannot work, each with its path.
func (c *Config) Validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.Catalog.DSN != "", `catalog.dsn is missing: "postgres://user@host/database" or "sqlite:path/to/catalog.db"`)
	require(c.Archive.URI != "", `archive.uri is missing: "s3://bucket/prefix" or a folder`)
	require(len(c.Kafka.Brokers) > 0, `kafka.brokers is missing: a list of host:port`)
	require(len(c.Kafka.Sources) > 0, "kafka.sources is empty: name at least one topic")
	for i, s := range c.Kafka.Sources {
		require(s.Topic != "", "kafka.sources[%d].topic is missing", i)
	}
	for _, fault := range c.Kafka.faults() {
		errs = append(errs, errors.New(fault))
	}
	require(c.Archive.Compaction.TargetSize >= 1<<20 && c.Archive.Compaction.TargetSize <= 1<<30, "archive.compaction.target_size is %s: it must be 1 MiB to 1 GiB",
		humanize.IBytes(uint64(c.Archive.Compaction.TargetSize)))
	require(c.Sampling.Rate > 0 && c.Sampling.Rate <= 1, "sampling.rate is %v: it must be over 0 and at most 1", c.Sampling.Rate)
	require(c.Work.Concurrency > 0 && c.Work.Concurrency <= 64, "work.concurrency is %d: it must be 1 to 64", c.Work.Concurrency)
	require(c.Ingest.Memory >= 2*c.Ingest.FlushBytes, "ingest.memory (%s) must be at least twice ingest.flush_bytes (%s)",
		humanize.IBytes(uint64(c.Ingest.Memory)), humanize.IBytes(uint64(c.Ingest.FlushBytes)))
	require(c.DeadLetters.MaxCount > 0, "dead_letters.max_count is %d: it must be over 0", c.DeadLetters.MaxCount)
	require(c.Privacy.Key == "" || len(c.Privacy.Key) >= minPrivacyKey, "privacy.key has %d bytes: it must have at least %d; openssl rand -hex 32 makes one", len(c.Privacy.Key), minPrivacyKey)
	require(c.Privacy.Key != "" || len(c.Privacy.HashIDs) == 0, "privacy.hash_ids needs privacy.key")
	d := c.Sinks.Datadog
	require(d.Enabled == "auto" || d.Enabled == "true" || d.Enabled == "false", "sinks.datadog.enabled is %q: it must be auto, true or false", d.Enabled)
	require(d.Timestamps == "now" || d.Timestamps == "window", "sinks.datadog.timestamps is %q: it must be now or window", d.Timestamps)
	return errors.Join(errs...)
}
