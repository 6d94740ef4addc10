package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLSConfig turns on TLS to the brokers; empty, it trusts the system's authorities.
type TLSConfig struct {
	CAFile string `yaml:"ca_file"` // authorities to trust instead of the system's
	// CertFile and KeyFile are the client's own, for brokers that ask for one. They
	// are read with each connection, so that they may be renewed.
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"` // that the brokers' certificates name, if not their addresses
}

func (c TLSConfig) faults() (faults []string) {
	if (c.CertFile == "") != (c.KeyFile == "") {
		faults = append(faults, "kafka.tls needs cert_file and key_file, or neither")
	}
	return faults
}

func (c TLSConfig) load() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
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
	if c.CertFile == "" {
		return out, nil
	}
	read := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read cert_file and key_file: %w", err)
		}
		return &pair, nil
	}
	if _, err := read(); err != nil { // so that a wrong path is known at the start
		return nil, err
	}
	out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return read() }
	return out, nil
}
