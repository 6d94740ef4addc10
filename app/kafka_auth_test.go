package app

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// unsignedToken is a token that a broker takes which does not check signatures.
func unsignedToken(t *testing.T, subject string) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	return part(map[string]string{"alg": "none"}) + "." + part(map[string]any{"sub": subject, "iat": now, "exp": now + 600}) + "."
}

// TestSecureKafka authenticates to a real broker in each way that it offers.
func TestSecureKafka(t *testing.T) {
	t.Parallel()
	server := testserver.NewSecureKafka(t)
	topic := server.Topic(t, 1)
	token := unsignedToken(t, "lab")
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":600}`, token)
	}))
	t.Cleanup(issuer.Close)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	trust := &TLSConfig{CAFile: server.CA}
	password := func(mechanism, password string) *SASLConfig {
		return &SASLConfig{Mechanism: mechanism, Username: testserver.SecureUser, Password: password}
	}
	for name, tt := range map[string]struct {
		brokers []string
		tls     *TLSConfig
		sasl    *SASLConfig
		remedy  string // "": it works
	}{
		"plain":          {server.SASL, trust, password("PLAIN", testserver.SecurePassword), ""},
		"scram 256":      {server.SASL, trust, password("SCRAM-SHA-256", testserver.SecurePassword), ""},
		"scram 512":      {server.SASL, trust, password("scram-sha-512", testserver.SecurePassword), ""},
		"token":          {server.SASL, trust, &SASLConfig{Mechanism: "OAUTHBEARER", Token: token}, ""},
		"token file":     {server.SASL, trust, &SASLConfig{Mechanism: "OAUTHBEARER", TokenFile: tokenFile}, ""},
		"oidc":           {server.SASL, trust, &SASLConfig{Mechanism: "OAUTHBEARER", OIDC: &OIDCConfig{TokenURL: issuer.URL, ClientID: "c", ClientSecret: "s"}}, ""},
		"mutual tls":     {server.MutualTLS, &TLSConfig{CAFile: server.CA, CertFile: server.ClientCert, KeyFile: server.ClientKey}, nil, ""},
		"wrong password": {server.SASL, trust, password("SCRAM-SHA-512", "wrong"), "refuse the credentials"},
		"no token":       {server.SASL, trust, &SASLConfig{Mechanism: "OAUTHBEARER", Token: "x.y.z"}, "refuse the credentials"},
		"no certificate": {server.MutualTLS, trust, nil, "client certificate"},
		"no authority":   {server.SASL, &TLSConfig{}, password("PLAIN", testserver.SecurePassword), "kafka.tls.ca_file"},
		"other name":     {server.SASL, &TLSConfig{CAFile: server.CA, ServerName: "kafka.example.com"}, password("PLAIN", testserver.SecurePassword), "kafka.tls.server_name"},
		"no tls":         {server.SASL, nil, nil, "may expect TLS"},
		"tls on plain":   {server.Brokers, trust, nil, "may not speak TLS"},
		"nobody there":   {[]string{"127.0.0.1:1"}, nil, nil, "nothing listens there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cfg := KafkaConfig{Brokers: tt.brokers, Group: "g", TLS: tt.tls, SASL: tt.sasl, Sources: []SourceConfig{{Topic: topic}}}
			note, err := checkKafka(ctx, Config{Kafka: cfg})
			var advice *advised
			switch {
			case tt.remedy == "" && (err != nil || !strings.Contains(note, topic+" (1 partitions)")):
				t.Errorf("got %q, %v", note, err)
			case tt.remedy != "" && (!errors.As(err, &advice) || !strings.Contains(advice.remedy, tt.remedy)):
				t.Errorf("got %v with the remedy %v, want a mention of %q", err, advice, tt.remedy)
			}
		})
	}
}

// TestIngestFromSecureKafka consumes over TLS and SCRAM as a static member in a rack.
func TestIngestFromSecureKafka(t *testing.T) {
	t.Parallel()
	server := testserver.NewSecureKafka(t)
	topic := server.Topic(t, 2)
	secure := func(cfg *KafkaConfig) {
		cfg.Brokers, cfg.TLS = server.SASL, &TLSConfig{CAFile: server.CA}
		cfg.SASL = &SASLConfig{Mechanism: "SCRAM-SHA-512", Username: testserver.SecureUser, Password: testserver.SecurePassword}
		cfg.Sources = []SourceConfig{{Topic: topic}}
	}
	b := setupWith(t, []string{roleAPI, roleIngest}, func(cfg *Config) {
		secure(&cfg.Kafka)
		cfg.Kafka.Rack, cfg.Kafka.InstanceID = "eu-central-1a", "ingest-0"
		cfg.Ingest.FlushAge = Duration(100 * time.Millisecond)
	})
	producer := eventProducer{server.Client(t), topic}
	if err := producer.Produce(t.Context(), [][]byte{[]byte(`{"kind":"prediction","model":"credit","version":"1","id":"p-1"}`)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event is archived", func() bool {
		volumes, err := b.service.catalog.Volumes(t.Context(), "credit", modelwatch.Window{})
		if err != nil {
			t.Fatal(err)
		}
		return len(volumes) == 1 && volumes[0].Kept == 1
	})
	groups, err := kadm.NewClient(server.Client(t)).DescribeGroups(t.Context(), DefaultConfig().Kafka.Group)
	if err != nil {
		t.Fatal(err)
	}
	members := groups[DefaultConfig().Kafka.Group].Members
	if len(members) != 1 || members[0].InstanceID == nil || *members[0].InstanceID != "ingest-0" {
		t.Errorf("members %+v", members)
	}
}

// TestFakeSecureKafka: what kfake speaks, for a quick look without a server.
func TestFakeSecureKafka(t *testing.T) {
	t.Parallel()
	certificates := testserver.NewCertificates(t)
	pair, err := tls.LoadX509KeyPair(certificates.ServerCert, certificates.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, devTopic), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-256", "lab", "secret"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	options, err := kafkaOptions(KafkaConfig{
		Brokers: cluster.ListenAddrs(), TLS: &TLSConfig{CAFile: certificates.CA}, SASL: &SASLConfig{Mechanism: "SCRAM-SHA-256", Username: "lab", Password: "secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// authenticate returns the first message of a mechanism.
func authenticate(t *testing.T, m sasl.Mechanism, host string) string {
	t.Helper()
	_, message, err := m.Authenticate(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	return string(message)
}

func TestTokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	m, err := SASLConfig{Mechanism: "OAUTHBEARER", TokenFile: path, Extensions: map[string]string{"logicalCluster": "lkc-1"}}.mechanism()
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, want := authenticate(t, m, "h:1"), "n,,\x01auth=Bearer "+token+"\x01logicalCluster=lkc-1\x01\x01"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, broken := range []func() error{func() error { return os.WriteFile(path, []byte("\n"), 0o600) }, func() error { return os.Remove(path) }} {
		if err := broken(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Authenticate(t.Context(), "h:1"); err == nil || !strings.Contains(err.Error(), "kafka.sasl") {
			t.Errorf("got %v, want an error that names the setting", err)
		}
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	var requests []url.Values
	expires := 1 // second: too short to be kept
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if id, secret, _ := r.BasicAuth(); id != "client" || secret != "secret" {
			t.Errorf("client %q, secret %q", id, secret)
		}
		requests = append(requests, r.PostForm)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":%d}`, len(requests), expires)
	}))
	defer issuer.Close()
	m, err := SASLConfig{Mechanism: "OAUTHBEARER", OIDC: &OIDCConfig{
		TokenURL: issuer.URL, ClientID: "client", ClientSecret: "secret", Scopes: []string{"kafka", "read"}, Parameters: map[string]string{"audience": "brokers"},
	}}.mechanism()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"token-1", "token-2", "token-2"} { // the second one is kept
		if i == 1 {
			expires = 3600
		}
		if got := authenticate(t, m, "h:1"); !strings.Contains(got, "Bearer "+want+"\x01") {
			t.Errorf("request %d: got %q, want %s", i, got, want)
		}
	}
	want := url.Values{"grant_type": {"client_credentials"}, "scope": {"kafka read"}, "audience": {"brokers"}}
	for _, got := range requests {
		if got.Encode() != want.Encode() {
			t.Errorf("asked with %v, want %v", got, want)
		}
	}
}

// TestManagedStreamingCredentials: the chain's credentials, and those of a role.
func TestManagedStreamingCredentials(t *testing.T) {
	roles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("ExternalId") != "x-1" {
			t.Errorf("asked with %v, %v", r.PostForm, err)
		}
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>temporary</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>session</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer roles.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_STS": roles.URL, "AWS_ACCESS_KEY_ID": "base", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	for _, tt := range []struct {
		cfg          SASLConfig
		key, session string
	}{
		{SASLConfig{Mechanism: "AWS_MSK_IAM"}, "base", ""},
		{SASLConfig{Mechanism: "aws_msk_iam", RoleARN: "arn:aws:iam::1:role/r", ExternalID: "x-1"}, "temporary", "session"},
	} {
		m, err := tt.cfg.mechanism()
		if err != nil {
			t.Fatal(err)
		}
		var message map[string]string
		if err := json.Unmarshal([]byte(authenticate(t, m, "b-1.c.x.c2.kafka.eu-central-1.amazonaws.com:9098")), &message); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(message["x-amz-credential"], tt.key+"/") || !strings.Contains(message["x-amz-credential"], "/eu-central-1/kafka-cluster/") ||
			message["x-amz-security-token"] != tt.session || message["x-amz-signature"] == "" {
			t.Errorf("%+v: message %v", tt.cfg, message)
		}
	}
}
