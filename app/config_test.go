package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

const minimalConfig = `
catalog: {dsn: "sqlite:catalog.db"}
archive: {uri: ./archive}
kafka: {brokers: ["127.0.0.1:9092"]}
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "modelwatch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConfigFillsInDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := LoadConfig(writeConfig(t, minimalConfig))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:8080" || cfg.Kafka.Group != "modelwatch" || cfg.Sampling.Rate != 1 || cfg.Ingest.FlushAge != Duration(30*time.Second) || cfg.Sinks.MaxBackoff != Duration(5*time.Minute) {
		t.Errorf("got %+v", cfg)
	}
}

func TestLoadConfigReadsUnitsVariablesAndSecretFiles(t *testing.T) {
	t.Setenv("MODELWATCH_TEST_KEY", "from-env")
	path := writeConfig(t, minimalConfig+`
token: file:token.txt
ingest: {flush_bytes: 8MiB, flush_age: 1500ms, memory: 64MiB}
sampling: {rate: 0.5, salt: "${MODELWATCH_TEST_KEY}"}
# a comment may mention ${UNSET_VARIABLE}
sinks: {datadog: {enabled: true, url: "${MODELWATCH_TEST_URL:-http://127.0.0.1:1}"}}
`)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "token.txt"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Ingest.FlushBytes != 8<<20 || cfg.Ingest.FlushAge != Duration(1500*time.Millisecond) {
		t.Errorf("units: got %+v", cfg.Ingest)
	}
	if cfg.Token != "secret" || cfg.Sampling.Salt != "from-env" || cfg.Sinks.Datadog.URL != "http://127.0.0.1:1" || cfg.Sinks.Datadog.Enabled != "true" {
		t.Errorf("got %+v", cfg)
	}
}

func TestLoadConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"unknown field", minimalConfig + "lisen: x\n", "lisen"},
		{"unset variable", minimalConfig + "token: ${MODELWATCH_NOT_SET}\n", "line 5: environment variable MODELWATCH_NOT_SET"},
		{"no brokers", "catalog: {dsn: x}\narchive: {uri: y}\n", "kafka.brokers is missing"},
		{"rate", minimalConfig + "sampling: {rate: 0}\n", "sampling.rate is 0"},
		{"size", minimalConfig + "ingest: {flush_bytes: many}\n", "not a size"},
		{"duration", minimalConfig + "ingest: {flush_age: 30}\n", "not a positive duration"},
		{"missing secret file", minimalConfig + "token: file:absent\n", "read secret"},
		{"timestamps", minimalConfig + "sinks: {datadog: {timestamps: later}}\n", "sinks.datadog.timestamps"},
		{"mechanism", strings.TrimSuffix(minimalConfig, "}\n") + ", sasl: {mechanism: GSSAPI}}\n", "must be PLAIN, SCRAM-SHA-256"},
		{"group protocol", strings.TrimSuffix(minimalConfig, "}\n") + ", group_protocol: next}\n", "kafka.group_protocol is \"next\": it must be classic or consumer"},
		{"password", strings.TrimSuffix(minimalConfig, "}\n") + ", sasl: {mechanism: PLAIN, username: u}}\n", "kafka.sasl.password is missing"},
		{"key without certificate", strings.TrimSuffix(minimalConfig, "}\n") + ", tls: {key_file: k}}\n", "cert_file and key_file"},
		{"two sources of tokens", strings.TrimSuffix(minimalConfig, "}\n") + ", sasl: {mechanism: OAUTHBEARER, token: t, token_file: f}}\n", "one of token, token_file and oidc"},
		{"no source of tokens", strings.TrimSuffix(minimalConfig, "}\n") + ", sasl: {mechanism: OAUTHBEARER}}\n", "one of token, token_file and oidc"},
		{"token endpoint", strings.TrimSuffix(minimalConfig, "}\n") + ", sasl: {mechanism: OAUTHBEARER, oidc: {token_url: x, client_id: c, client_secret: s}}}\n", "kafka.sasl.oidc.token_url"},
		{"msk without tls", strings.TrimSuffix(minimalConfig, "}\n") + ", sasl: {mechanism: AWS_MSK_IAM}}\n", "kafka.tls is missing"},
		{"of no use", strings.TrimSuffix(minimalConfig, "}\n") + ", tls: {}, sasl: {mechanism: AWS_MSK_IAM, username: u}}\n", "have no use with AWS_MSK_IAM"},
		{"dead letters", minimalConfig + "dead_letters: {max_count: 0}\n", "dead_letters.max_count"},
		{"memory", minimalConfig + "ingest: {memory: 1MiB}\n", "at least twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := LoadConfig(writeConfig(t, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a mention of %q", err, tt.want)
			}
			if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
				t.Errorf("got code %q, want invalid", modelwatch.ErrorCode(err))
			}
		})
	}
}
