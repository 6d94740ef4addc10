package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
)

// advised is an error with what to do about it.
type advised struct {
	error
	remedy string
}

func (a *advised) Unwrap() error { return a.error }

// adviseKafka says what a failure to reach the brokers usually means.
func adviseKafka(cfg KafkaConfig, err error) error {
	if err == nil {
		return nil
	}
	if remedy := kafkaRemedy(cfg, err); remedy != "" {
		return &advised{err, remedy}
	}
	return err
}

func kafkaRemedy(cfg KafkaConfig, err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var expired x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &authority):
		return "the brokers' certificate is signed by an authority that is not known here: name its certificate in kafka.tls.ca_file"
	case errors.As(err, &host):
		return "the brokers' certificate is for another name: use that name in kafka.brokers and advertised.listeners, or set kafka.tls.server_name"
	case errors.As(err, &expired):
		return "the brokers' certificate is not valid: it may have expired, or this machine's clock is wrong"
	case errors.As(err, &record):
		return "the port does not speak TLS: leave kafka.tls out, or use the brokers' TLS port"
	case strings.Contains(err.Error(), "remote error: tls:"): // crypto/tls gives the alert no type of its own
		return "the brokers refuse the TLS handshake: they may want a client certificate that they know; see kafka.tls.cert_file and key_file"
	case errors.As(err, &dns):
		return "the name in kafka.brokers, or in the brokers' advertised.listeners, cannot be resolved from here"
	case errors.Is(err, kerr.SaslAuthenticationFailed), strings.Contains(err.Error(), "unexpected data in oauth response"):
		return "the brokers refuse the credentials of kafka.sasl"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the brokers do not offer " + mechanismOf(cfg) + " on this port: see sasl.enabled.mechanisms of the brokers, and kafka.sasl.mechanism"
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "the user may not read the topics or the group: grant read and describe on the topics of kafka.sources, and read on the group of kafka.group"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port of kafka.brokers"
	case strings.Contains(err.Error(), "plaintext connection speaking to a tls endpoint"), closed(err) && cfg.TLS == nil:
		return "the brokers close the connection at once: the port may expect TLS (write tls: {} under kafka) or SASL (kafka.sasl)"
	case closed(err) && cfg.SASL == nil:
		return "the brokers close the connection at once: the port may not speak TLS (kafka.tls), or expect SASL (kafka.sasl) or a client certificate (kafka.tls.cert_file)"
	case closed(err):
		return "the brokers close the connection: they may refuse the credentials of kafka.sasl"
	}
	return ""
}

func mechanismOf(cfg KafkaConfig) string {
	if cfg.SASL == nil {
		return "connections without SASL"
	}
	return cfg.SASL.name()
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		strings.Contains(err.Error(), "broker closed the connection")
}
