// Package datadog delivers points to Datadog's metrics intake. It is the only
// package that knows Datadog's client: compiling that takes minutes.
package datadog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	"github.com/modelwatch/modelwatch"
)

// DefaultSite is Datadog's first site, US1.
const DefaultSite = "datadoghq.com"

// DefaultTimeout is how long one request may take.
const DefaultTimeout = 15 * time.Second

// Config says which organisation's intake to talk to.
type Config struct {
	APIKey string // DD_API_KEY
	Site   string // DD_SITE, such as "datadoghq.eu"; "" is DefaultSite
	// URL replaces https://api.<site>, for a proxy or an intake that speaks the
	// same protocol; "" for Datadog itself.
	URL string
	// Timeout ends one request; it must be below the lease of the deliverer.
	Timeout time.Duration
	// HTTPClient replaces the package's own; its proxy and TLS settings then apply.
	HTTPClient *http.Client
	// Now is the clock by which a Retry-After date is read; nil is time.Now.
	Now func() time.Time
}

// Client is a sink.Sink.
type Client struct {
	api  *datadogV2.MetricsApi
	http *http.Client
	base string
	site string
	key  string
	now  func() time.Time
}

// New checks the configuration. It sends nothing.
func New(cfg Config) (*Client, error) {
	if strings.TrimSpace(cfg.APIKey) == "" {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the Datadog sink has no API key: set DD_API_KEY")
	}
	if cfg.Site == "" {
		cfg.Site = DefaultSite
	}
	base, err := baseURL(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := cfg.HTTPClient
	if client == nil {
		client = &http.Client{Transport: newTransport()}
	}
	own := *client // the caller's client keeps its timeout
	own.Timeout = cfg.Timeout
	// Following a redirect would turn the POST into a GET.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	api := datadog.NewConfiguration()
	api.HTTPClient = &own
	api.Servers = datadog.ServerConfigurations{{URL: base}}
	api.UserAgent = "modelwatch " + api.UserAgent
	// Retrying is the outbox's: it survives restarts and also knows connection errors.
	api.RetryConfiguration.EnableRetry = false
	return &Client{
		api: datadogV2.NewMetricsApi(datadog.NewAPIClient(api)), http: &own,
		base: base, site: cfg.Site, key: strings.TrimSpace(cfg.APIKey), now: cfg.Now,
	}, nil
}

// baseURL is where requests go, without a slash at the end.
func baseURL(cfg Config) (string, error) {
	if cfg.URL != "" {
		u, err := url.Parse(cfg.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", modelwatch.Errorf(modelwatch.CodeInvalid, "the Datadog URL is %q: it must be like https://api.datadoghq.com", cfg.URL)
		}
		return strings.TrimRight(cfg.URL, "/"), nil
	}
	site := strings.ToLower(strings.TrimSpace(cfg.Site))
	for _, head := range []string{"https://", "http://", "app.", "api."} {
		if rest, found := strings.CutPrefix(site, head); found {
			return "", modelwatch.Errorf(modelwatch.CodeInvalid, "DD_SITE is %q: leave out %q, it must be like %s or datadoghq.eu", cfg.Site, site[:len(site)-len(rest)], DefaultSite)
		}
	}
	if strings.ContainsAny(site, "/: ?#@") || !strings.Contains(site, ".") {
		return "", modelwatch.Errorf(modelwatch.CodeInvalid, "DD_SITE is %q: it must be like %s or datadoghq.eu", cfg.Site, DefaultSite)
	}
	return "https://api." + site, nil
}

// newTransport is like Go's default one, with shorter limits for getting a
// connection, which is worth trying again sooner than a request.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        4,
		IdleConnTimeout:     90 * time.Second,
	}
}

// Name implements sink.Sink.
func (c *Client) Name() string { return "datadog" }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// context carries the key to the client's calls.
func (c *Client) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, datadog.ContextAPIKeys, map[string]datadog.APIKey{"apiKeyAuth": {Key: c.key}})
}

// Check asks Datadog whether it knows the key. It costs nothing and sends no data.
func (c *Client) Check(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1/validate", nil)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("DD-API-KEY", c.key)
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeUnavailable, c.unanswered(err), "check the Datadog key")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeUnavailable, c.unanswered(err), "check the Datadog key")
	}
	if resp.StatusCode != http.StatusOK {
		f := c.refused(resp, errorTexts(body))
		code := modelwatch.CodeUnavailable
		if f.Slow {
			code = modelwatch.CodeInvalid
		}
		return modelwatch.Wrap(code, f, "check the Datadog key")
	}
	var answer struct {
		Valid bool `json:"valid"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || !answer.Valid {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "check the Datadog key: %s does not confirm it: check DD_API_KEY and DD_SITE (%s)", c.base, c.site)
	}
	return nil
}
