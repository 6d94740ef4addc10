package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	saslaws "github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// SASLConfig is how modelwatch authenticates to the brokers.
type SASLConfig struct {
	// Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM.
	Mechanism string `yaml:"mechanism"`
	Username  string `yaml:"username"` // PLAIN and SCRAM
	Password  string `yaml:"password"`
	// Token, TokenFile and OIDC are three sources of OAUTHBEARER's token. The file
	// is read whenever a token is needed, so that somebody else may renew it.
	Token     string      `yaml:"token"`
	TokenFile string      `yaml:"token_file"`
	OIDC      *OIDCConfig `yaml:"oidc"`
	// Extensions go along with the token: Confluent Cloud wants logicalCluster.
	Extensions map[string]string `yaml:"extensions"`
	// RoleARN is assumed for AWS_MSK_IAM; without it AWS's own chain decides alone.
	RoleARN    string `yaml:"role_arn"`
	ExternalID string `yaml:"external_id"`
}

// OIDCConfig fetches tokens by the client-credentials grant, and new ones before
// they expire.
type OIDCConfig struct {
	TokenURL     string   `yaml:"token_url"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret string   `yaml:"client_secret"`
	Scopes       []string `yaml:"scopes"`
	// Parameters are added to the request, such as audience.
	Parameters map[string]string `yaml:"parameters"`
}

const (
	mechanismPlain     = "PLAIN"
	mechanismScram256  = "SCRAM-SHA-256"
	mechanismScram512  = "SCRAM-SHA-512"
	mechanismOAuth     = "OAUTHBEARER"
	mechanismAWS       = "AWS_MSK_IAM"
	saslMechanismNames = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM"
)

func (c SASLConfig) name() string { return strings.ToUpper(strings.TrimSpace(c.Mechanism)) }

// secrets are the values that a file may hold.
func (c *SASLConfig) secrets() []*string {
	all := []*string{&c.Username, &c.Password, &c.Token}
	if c.OIDC != nil {
		all = append(all, &c.OIDC.ClientID, &c.OIDC.ClientSecret)
	}
	return all
}

// faults says what cannot work, each with its path.
func (c SASLConfig) faults(tls bool) (faults []string) {
	add := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	user, token := false, false
	switch c.name() {
	case mechanismPlain, mechanismScram256, mechanismScram512:
		user = true
		add(c.Username == "", "kafka.sasl.username is missing: %s needs it", c.name())
		add(c.Password == "", "kafka.sasl.password is missing: write ${NAME} for an environment variable, or file:/path")
	case mechanismOAuth:
		token = true
		faults = append(faults, c.tokenFaults()...)
	case mechanismAWS:
		add(!tls, "kafka.tls is missing: brokers of MSK take AWS_MSK_IAM over TLS only; write tls: {}")
		add(c.ExternalID != "" && c.RoleARN == "", "kafka.sasl.external_id is of use with role_arn only")
	default:
		return []string{fmt.Sprintf("kafka.sasl.mechanism is %q: it must be %s", c.Mechanism, saslMechanismNames)}
	}
	add(!user && (c.Username != "" || c.Password != ""), "kafka.sasl.username and password have no use with %s", c.name())
	add(!token && (c.Token != "" || c.TokenFile != "" || c.OIDC != nil || len(c.Extensions) > 0),
		"kafka.sasl.token, token_file, oidc and extensions have no use with %s", c.name())
	add(c.name() != mechanismAWS && c.RoleARN != "", "kafka.sasl.role_arn has no use with %s", c.name())
	return faults
}

func (c SASLConfig) tokenFaults() (faults []string) {
	sources := 0
	for _, given := range []bool{c.Token != "", c.TokenFile != "", c.OIDC != nil} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		return []string{"kafka.sasl needs one of token, token_file and oidc with OAUTHBEARER"}
	}
	if c.OIDC == nil {
		return nil
	}
	if u, err := url.Parse(c.OIDC.TokenURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		faults = append(faults, fmt.Sprintf("kafka.sasl.oidc.token_url is %q: it must be the URL of the token endpoint, such as https://login.example.com/oauth2/token", c.OIDC.TokenURL))
	}
	if c.OIDC.ClientID == "" {
		faults = append(faults, "kafka.sasl.oidc.client_id is missing")
	}
	if c.OIDC.ClientSecret == "" {
		faults = append(faults, "kafka.sasl.oidc.client_secret is missing: write ${NAME} for an environment variable, or file:/path")
	}
	return faults
}

func (c SASLConfig) mechanism() (sasl.Mechanism, error) {
	switch c.name() {
	case mechanismPlain:
		return plain.Auth{User: c.Username, Pass: c.Password}.AsMechanism(), nil
	case mechanismScram256:
		return scram.Auth{User: c.Username, Pass: c.Password}.AsSha256Mechanism(), nil
	case mechanismScram512:
		return scram.Auth{User: c.Username, Pass: c.Password}.AsSha512Mechanism(), nil
	case mechanismOAuth:
		return c.bearer(), nil
	case mechanismAWS:
		return c.managedStreaming()
	}
	return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "kafka.sasl.mechanism is %q: it must be %s", c.Mechanism, saslMechanismNames)
}

// tokenTimeout bounds one request for a token.
const tokenTimeout = 10 * time.Second

// bearer authenticates each connection, and each again before its session ends,
// with a token that is current then.
func (c SASLConfig) bearer() sasl.Mechanism {
	fetch := func() (string, error) { return c.Token, nil }
	switch {
	case c.TokenFile != "":
		fetch = func() (string, error) {
			text, err := os.ReadFile(c.TokenFile)
			if err != nil {
				return "", fmt.Errorf("read kafka.sasl.token_file: %w", err)
			}
			return strings.TrimSpace(string(text)), nil
		}
	case c.OIDC != nil:
		source := c.OIDC.source()
		fetch = func() (string, error) {
			token, err := source.Token()
			if err != nil {
				return "", fmt.Errorf("fetch a token from kafka.sasl.oidc.token_url: %w", err)
			}
			return token.AccessToken, nil
		}
	}
	return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
		token, err := fetch()
		if err == nil && token == "" {
			err = errors.New("the token of kafka.sasl is empty")
		}
		return oauth.Auth{Token: token, Extensions: c.Extensions}, err
	})
}

// source keeps a token until shortly before it expires.
func (c *OIDCConfig) source() oauth2.TokenSource {
	grant := clientcredentials.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, TokenURL: c.TokenURL, Scopes: c.Scopes, EndpointParams: url.Values{},
	}
	for name, value := range c.Parameters {
		grant.EndpointParams.Set(name, value)
	}
	// Not the caller's context: the source outlives the connection that it is first asked for.
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
	return grant.TokenSource(ctx)
}

// managedStreaming takes credentials from AWS's chain: environment, shared files,
// web identity, the instance's or pod's role; temporary ones are renewed.
func (c SASLConfig) managedStreaming() (sasl.Mechanism, error) {
	sdk, err := config.LoadDefaultConfig(context.Background(), config.WithDefaultRegion(archive.DefaultRegion))
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "kafka.sasl: load the AWS configuration")
	}
	if c.RoleARN != "" {
		sdk.Credentials = archive.AssumeRole(sdk, c.RoleARN, c.ExternalID)
	}
	return saslaws.ManagedStreamingIAM(func(ctx context.Context) (saslaws.Auth, error) {
		credentials, err := sdk.Credentials.Retrieve(ctx)
		if err != nil {
			return saslaws.Auth{}, fmt.Errorf("find AWS credentials for kafka: %w", err)
		}
		return saslaws.Auth{
			AccessKey: credentials.AccessKeyID, SecretKey: credentials.SecretAccessKey, SessionToken: credentials.SessionToken,
			UserAgent: "modelwatch",
		}, nil
	}), nil
}
