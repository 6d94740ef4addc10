package archive

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// headerSigner signs a request's headers with a key that is derived from the
// secret, the date, the region and the service: AWS's signature version 4, and
// Google's, which differs in its names only.
type headerSigner struct {
	algorithm, prefix, terminator string
	header                        string // what its own headers begin with
	region, service               string // "": those of the request
}

// googleSigner speaks the XML API of Google Cloud Storage. The store refuses
// requests that mix Amazon's headers with its own, ignores If-None-Match where
// something is written, and changes Accept-Encoding on the way: so headers are
// renamed, the condition is put as the store knows it, and that header is not
// signed.
func googleSigner() headerSigner {
	return headerSigner{
		algorithm: "GOOG4-HMAC-SHA256", prefix: "GOOG4", terminator: "goog4_request", header: "X-Goog-", region: "auto", service: "storage",
	}
}

// amazonHeader is what the headers of the SDK begin with.
const amazonHeader = "X-Amz-"

// SignHTTP implements the SDK's interface of signers.
func (s headerSigner) SignHTTP(_ context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, _ ...func(*v4.SignerOptions)) error {
	s.region, s.service = cmp.Or(s.region, region), cmp.Or(s.service, service)
	s.translate(r)
	stamp := at.UTC().Format("20060102T150405Z")
	r.Header.Set(s.header+"Date", stamp)
	if c.SessionToken != "" {
		r.Header.Set(s.header+"Security-Token", c.SessionToken)
	}
	names, headers := canonicalHeaders(r)
	request := strings.Join([]string{r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), headers, names, payloadHash}, "\n")
	scope := strings.Join([]string{stamp[:8], s.region, s.service, s.terminator}, "/")
	text := strings.Join([]string{s.algorithm, stamp, scope, digest([]byte(request))}, "\n")
	key := []byte(s.prefix + c.SecretAccessKey)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", s.algorithm+" Credential="+c.AccessKeyID+"/"+scope+", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac(key, text)))
	return nil
}

// translate renames the headers of the SDK to those of the store.
func (s headerSigner) translate(r *http.Request) {
	if s.header == amazonHeader {
		return
	}
	for name, values := range r.Header {
		if rest, ok := strings.CutPrefix(name, amazonHeader); ok {
			delete(r.Header, name)
			r.Header[http.CanonicalHeaderKey(s.header+rest)] = values
		}
	}
	if r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*" {
		r.Header.Del("If-None-Match")
		r.Header.Set("X-Goog-If-Generation-Match", "0")
	}
	query := r.URL.Query()
	if query.Has("x-id") { // the SDK's note of the operation's name
		query.Del("x-id")
		r.URL.RawQuery = query.Encode()
	}
}

func canonicalHeaders(r *http.Request) (names, lines string) {
	values := map[string]string{"host": r.Host}
	if values["host"] == "" {
		values["host"] = r.URL.Host
	}
	for name, v := range r.Header {
		switch name {
		case "Authorization", "User-Agent", "Accept-Encoding", "X-Amzn-Trace-Id", "Expect", "Transfer-Encoding":
			continue // changed on the way by proxies, or by the store's own front
		}
		trimmed := make([]string, len(v))
		for i := range v {
			trimmed[i] = strings.Join(strings.Fields(v[i]), " ")
		}
		values[strings.ToLower(name)] = strings.Join(trimmed, ",")
	}
	if r.ContentLength > 0 {
		values["content-length"] = strconv.FormatInt(r.ContentLength, 10)
	}
	sorted := make([]string, 0, len(values))
	for name := range values {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var b strings.Builder
	for _, name := range sorted {
		b.WriteString(name + ":" + values[name] + "\n")
	}
	return strings.Join(sorted, ";"), b.String()
}

// canonicalPath is the path as it is sent.
func canonicalPath(u *url.URL) string { return cmp.Or(u.EscapedPath(), "/") }

func canonicalQuery(u *url.URL) string { return strings.ReplaceAll(u.Query().Encode(), "+", "%20") }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
