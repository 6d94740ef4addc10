package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest"
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

// The names of Kafka's group.protocol.
const (
	groupProtocolClassic  = "classic"
	groupProtocolConsumer = "consumer"
)

// faults says what cannot work, each with its path.
func (c KafkaConfig) faults() (faults []string) {
	if p := c.GroupProtocol; p != "" && p != groupProtocolClassic && p != groupProtocolConsumer {
		faults = append(faults, fmt.Sprintf("kafka.group_protocol is %q: it must be %s or %s", p, groupProtocolClassic, groupProtocolConsumer))
	}
	if c.TLS != nil {
		faults = append(faults, c.TLS.faults()...)
	}
	if c.SASL != nil {
		faults = append(faults, c.SASL.faults(c.TLS != nil)...)
	}
	return faults
}

// consumerOptions are what ingest's client needs on top.
func consumerOptions(cfg KafkaConfig) []kgo.Opt {
	options := []kgo.Opt{kgo.SessionTimeout(time.Duration(cfg.SessionTimeout))}
	if cfg.Rack != "" {
		options = append(options, kgo.Rack(cfg.Rack))
	}
	if cfg.InstanceID != "" {
		options = append(options, kgo.InstanceID(cfg.InstanceID))
	}
	if cfg.GroupProtocol == groupProtocolConsumer {
		options = append(options, kgo.ServerSideBalancer())
	}
	return options
}

// eventProducer publishes what arrives over REST, so that there is one path in.
type eventProducer struct {
	client *kgo.Client
	topic  string // "" if no source takes events of ours
}

// Produce publishes the events and returns once the brokers hold all of them.
func (p eventProducer) Produce(ctx context.Context, events [][]byte) error {
	if p.topic == "" {
		return modelwatch.Errorf(modelwatch.CodeConflict, "this server reads no topic that takes events and labels in modelwatch's own format: kafka.sources of its configuration needs one with format: %s", ingest.FormatModelwatch)
	}
	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		records[i] = &kgo.Record{Topic: p.topic, Value: e}
	}
	if err := p.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "publish %d events to topic %s", len(events), p.topic)
	}
	return nil
}

// eventTopic is the first topic whose records are in our own format; "" if there is none.
func (c KafkaConfig) eventTopic() string {
	for _, s := range c.Sources {
		if s.Format == "" || s.Format == ingest.FormatModelwatch {
			return s.Topic
		}
	}
	return ""
}

// topics are what ingest reads.
func (c KafkaConfig) topics() []string {
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Topic
	}
	return names
}
