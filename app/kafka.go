package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/modelwatch/modelwatch"
)

// kafkaOptions are what every client of ours needs to reach the brokers.
func kafkaOptions(cfg KafkaConfig) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(cfg.Brokers...), kgo.ClientID("modelwatch")}
	if cfg.TLS != nil {
		tlsConfig, err := cfg.TLS.load()
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka.tls")
		}
		dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: tlsConfig}
		options = append(options, kgo.Dialer(dialer.DialContext))
	}
	if cfg.SASL != nil {
		mechanism, err := cfg.SASL.mechanism()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

func (c TLSConfig) load() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no PEM certificate", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read cert_file and key_file: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

func (c SASLConfig) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(c.Mechanism) {
	case "PLAIN":
		return plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: c.Username, Pass: c.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: c.Username, Pass: c.Password}.AsSha512Mechanism(), nil
	}
	return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "kafka.sasl.mechanism is %q: it must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.Mechanism)
}

// eventProducer publishes what arrives over REST, so that there is one path in.
type eventProducer struct {
	client *kgo.Client
	topic  string
}

// Produce publishes the events and returns once the brokers hold all of them.
func (p eventProducer) Produce(ctx context.Context, events [][]byte) error {
	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		records[i] = &kgo.Record{Topic: p.topic, Value: e}
	}
	if err := p.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "publish %d events to topic %s", len(events), p.topic)
	}
	return nil
}

// topics are what ingest reads.
func (c KafkaConfig) topics() []string {
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Topic
	}
	return names
}
