//go:build unix

package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// The user that a secure broker knows, under PLAIN and both kinds of SCRAM.
const (
	SecureUser     = "lab"
	SecurePassword = "lab-secret"
)

// SecureKafkaServer is a broker with further listeners: SASL over TLS, and TLS
// that asks for a client's certificate. Unsigned tokens do for OAUTHBEARER.
type SecureKafkaServer struct {
	*KafkaServer
	Certificates
	SASL      []string // bootstrap addresses of SASL over TLS
	MutualTLS []string // of TLS with client certificates
}

// NewSecureKafka starts a secure broker for this test alone.
func NewSecureKafka(tb testing.TB) *SecureKafkaServer {
	tb.Helper()
	s := &SecureKafkaServer{}
	s.KafkaServer = own(tb, func() (*KafkaServer, error) {
		return attempt(func() (*KafkaServer, error) { return tryKafka(s.listen) })
	})
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	admin := kadm.NewClient(s.Client(tb))
	for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		done, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: SecureUser, Mechanism: mechanism, Iterations: 4096, Password: SecurePassword}})
		if err = errors.Join(err, done.Error()); err != nil {
			tb.Fatalf("make the user %s: %v", SecureUser, err)
		}
	}
	return s
}

// listen adds the listeners to the settings of a broker whose folder is dir.
func (s *SecureKafkaServer) listen(dir string, settings map[string]string) error {
	sasl, err := freePort()
	if err != nil {
		return err
	}
	mutual, err := freePort()
	if err != nil {
		return err
	}
	s.SASL, s.MutualTLS = []string{address(sasl)}, []string{address(mutual)}
	if s.Certificates, err = makeCertificates(dir); err != nil {
		return err
	}
	store, err := joinFiles(filepath.Join(dir, "keystore.pem"), s.ServerKey, s.ServerCert)
	if err != nil {
		return err
	}
	more := fmt.Sprintf(",SASL_SSL://%s,SSL://%s", address(sasl), address(mutual))
	settings["listeners"] += more
	settings["advertised.listeners"] += more
	settings["listener.security.protocol.map"] += ",SASL_SSL:SASL_SSL,SSL:SSL"
	const module = "org.apache.kafka.common.security."
	for key, value := range map[string]string{
		"ssl.keystore.type":                 "PEM",
		"ssl.keystore.location":             store,
		"ssl.truststore.type":               "PEM",
		"ssl.truststore.location":           s.CA,
		"listener.name.ssl.ssl.client.auth": "required",
		"sasl.enabled.mechanisms":           "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",

		"listener.name.sasl_ssl.plain.sasl.jaas.config":         fmt.Sprintf("%splain.PlainLoginModule required user_%s=%q;", module, SecureUser, SecurePassword),
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": module + "scram.ScramLoginModule required;",
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": module + "scram.ScramLoginModule required;",
		"listener.name.sasl_ssl.oauthbearer.sasl.jaas.config":   module + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
	} {
		settings[key] = value
	}
	return nil
}

// joinFiles writes the files behind each other into one.
func joinFiles(path string, files ...string) (string, error) {
	var all []byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return "", fmt.Errorf("join files: %w", err)
		}
		all = append(all, text...)
	}
	if err := os.WriteFile(path, all, 0o644); err != nil {
		return "", fmt.Errorf("join files: %w", err)
	}
	return path, nil
}
