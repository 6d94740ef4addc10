package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/archive/archivetest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

// recorder answers as S3 does and keeps what it was asked.
type recorder struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body) // a body that breaks off shows in the client
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Clone(req.Context()))
	switch {
	case req.Method == http.MethodPost && req.URL.Query().Has("uploads"):
		fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
	case req.Method == http.MethodPost:
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	default:
		w.Header().Set("ETag", `"e"`)
	}
}

// last are the requests since the last call.
func (r *recorder) last() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

func (r *recorder) open(t *testing.T, cfg archive.BucketConfig) archive.Bucket {
	t.Helper()
	cfg.URI, cfg.Endpoint, cfg.Region, cfg.PathStyle, cfg.Retry = "s3://bucket/p", r.URL, "eu-central-1", true, quick
	if cfg.RoleARN == "" {
		cfg.AccessKey, cfg.SecretKey = "key", "secret"
	}
	b, err := archive.OpenBucket(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantHeaders checks headers of a request; "" stands for one that must be absent.
func wantHeaders(t *testing.T, r *http.Request, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s %s: %s is %q, want %q", r.Method, r.URL, name, got, value)
		}
	}
}

const sse, kmsKey, bucketKey = "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"

func TestWritesSayEncryptionAndChecksum(t *testing.T) {
	t.Parallel()
	const crc, md5 = "X-Amz-Checksum-Crc32c", "Content-Md5"
	for name, tt := range map[string]struct {
		cfg  archive.BucketConfig
		want map[string]string
	}{
		"default": {archive.BucketConfig{}, map[string]string{sse: "", crc: "yZRlqg==", md5: ""}},
		"sse-s3":  {archive.BucketConfig{Encryption: archive.Encryption{Algorithm: "AES256"}}, map[string]string{sse: "AES256", kmsKey: "", bucketKey: ""}},
		"sse-kms": {
			archive.BucketConfig{Encryption: archive.Encryption{Algorithm: "aws:kms", KMSKey: "arn:aws:kms:eu-central-1:1:key/k", BucketKey: true}},
			map[string]string{sse: "aws:kms", kmsKey: "arn:aws:kms:eu-central-1:1:key/k", bucketKey: "true"},
		},
		"sse-kms, account's key": {archive.BucketConfig{Encryption: archive.Encryption{Algorithm: "aws:kms:dsse"}}, map[string]string{sse: "aws:kms:dsse", kmsKey: "", bucketKey: ""}},
		"older checksums": {
			archive.BucketConfig{Checksums: archive.ChecksumRequired},
			map[string]string{crc: "", md5: "XrY7u+Ae7tCTyyK7j1rNww==", "X-Amz-Sdk-Checksum-Algorithm": "", "Content-Encoding": "", "X-Amz-Trailer": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			b := r.open(t, tt.cfg)
			body := []byte("hello world")
			if err := b.PutIfAbsent(t.Context(), "k", body, ""); err != nil {
				t.Fatal(err)
			}
			if err := b.Put(t.Context(), "k", bytes.NewReader(body), int64(len(body))); err != nil {
				t.Fatal(err)
			}
			requests := r.last()
			if len(requests) != 2 {
				t.Fatalf("%d requests", len(requests))
			}
			for i, condition := range []string{"*", ""} {
				wantHeaders(t, requests[i], tt.want)
				wantHeaders(t, requests[i], map[string]string{"If-None-Match": condition})
			}
			wantParts(t, r, b, tt.want)
		})
	}
}

// TestKnownChecksumIsSigned: what the caller has computed is not computed again.
func TestKnownChecksumIsSigned(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	b := r.open(t, archive.BucketConfig{})
	body := []byte("hello world")
	known := hexSum([]byte("not the body, as nobody looks at it"))
	for sum, want := range map[string]string{known: known, "": hexSum(body)} {
		if err := b.PutIfAbsent(t.Context(), "k", body, sum); err != nil {
			t.Fatal(err)
		}
		wantHeaders(t, r.last()[0], map[string]string{"X-Amz-Content-Sha256": want})
	}
}

// wantParts checks an upload in parts: what is said of encryption goes with the
// beginning, what is said of checksums with each part.
func wantParts(t *testing.T, r *recorder, b archive.Bucket, want map[string]string) {
	t.Helper()
	archive.SetPartSize(b, 4)
	body := []byte("hello world")
	if err := b.Put(t.Context(), "k", bytes.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	requests := r.last()
	if len(requests) != 13 {
		t.Fatalf("%d requests, want a beginning, 11 parts and an end", len(requests))
	}
	for _, name := range []string{sse, kmsKey, bucketKey} {
		if value, ok := want[name]; ok {
			wantHeaders(t, requests[0], map[string]string{name: value})
		}
	}
	algorithm := "CRC32C"
	for _, part := range requests[1:12] {
		if want["Content-Md5"] != "" {
			algorithm = ""
			if part.Header.Get("Content-Md5") == "" || part.Header.Get("X-Amz-Checksum-Crc32c") != "" {
				t.Errorf("a part has the headers %v", part.Header)
			}
		} else if part.Header.Get("X-Amz-Checksum-Crc32c") == "" {
			t.Errorf("a part has the headers %v", part.Header)
		}
		wantHeaders(t, part, map[string]string{sse: ""})
	}
	wantHeaders(t, requests[0], map[string]string{"X-Amz-Checksum-Algorithm": algorithm})
}

func TestOlderChecksumsOnAServer(t *testing.T) {
	t.Parallel()
	server := testserver.S3(t)
	archivetest.TestBucket(t, func(t *testing.T) archive.Bucket {
		b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{
			URI: "s3://" + server.Bucket(t) + "/p", Endpoint: server.Endpoint, Region: server.Region, PathStyle: true,
			AccessKey: server.AccessKey, SecretKey: server.SecretKey, Checksums: archive.ChecksumRequired,
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestAssumedRole(t *testing.T) {
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	var asked url.Values
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked = r.PostForm
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=base/") {
			t.Errorf("the role is asked for with %q", r.Header.Get("Authorization"))
		}
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>temporary</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, expires)
	}))
	defer role.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_STS": role.URL, "AWS_ACCESS_KEY_ID": "base", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	r := newRecorder(t)
	b := r.open(t, archive.BucketConfig{RoleARN: "arn:aws:iam::1:role/archive", ExternalID: "x-1"})
	for range 2 {
		if err := b.PutIfAbsent(t.Context(), "k", []byte("hello"), ""); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Get("RoleArn") != "arn:aws:iam::1:role/archive" || asked.Get("ExternalId") != "x-1" || asked.Get("RoleSessionName") != "modelwatch" {
		t.Errorf("asked for %v", asked)
	}
	for _, request := range r.last() {
		wantHeaders(t, request, map[string]string{"X-Amz-Security-Token": "token"})
		if !strings.Contains(request.Header.Get("Authorization"), "Credential=temporary/") {
			t.Errorf("signed with %q", request.Header.Get("Authorization"))
		}
	}
}

func TestGoogleDialect(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	b := r.open(t, archive.BucketConfig{Dialect: archive.DialectGCS})
	if err := b.PutIfAbsent(t.Context(), "kind=prediction/model=a%2Fb/k v.parquet", []byte("hello"), ""); err != nil {
		t.Fatal(err)
	}
	for object, err := range b.List(t.Context(), "kind=") {
		t.Errorf("an empty bucket lists %v, %v", object, err)
	}
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	requests := r.last()
	if len(requests) != 3 {
		t.Fatalf("%d requests", len(requests))
	}
	wantHeaders(t, requests[0], map[string]string{"X-Goog-If-Generation-Match": "0", "If-None-Match": "", "Content-Md5": "XUFAKrxLKna5cZ2REBfFkg=="})
	for _, request := range requests {
		for name := range request.Header {
			if strings.HasPrefix(name, "X-Amz-") {
				t.Errorf("%s %s has the header %s, which the store refuses beside its own", request.Method, request.URL, name)
			}
		}
		auth := request.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "GOOG4-HMAC-SHA256 Credential=key/") || !strings.Contains(auth, "/auto/storage/goog4_request, ") || strings.Contains(auth, "accept-encoding") {
			t.Errorf("%s %s is signed with %q", request.Method, request.URL, auth)
		}
		if got := archive.SignAgain(request, "secret"); got != auth {
			t.Errorf("%s %s: what arrived was not what was signed: %q, %q", request.Method, request.URL, got, auth)
		}
		wantHeaders(t, request, map[string]string{"X-Goog-Date": request.Header.Get("X-Goog-Date")})
	}
}

// TestHeaderSigner compares with the SDK's own signer, which differs from
// Google's in names only.
func TestHeaderSigner(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, target := range []string{
		"https://host/", "https://host:9000/bucket/a%20b/c%2Fd=e.parquet", "https://host/b?list-type=2&prefix=a%2Fb%20c&x&delimiter=%2B", "https://host/b/%C3%BC?uploads",
	} {
		for _, token := range []string{"", "session"} {
			request := func() *http.Request {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, target, strings.NewReader("body"))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Amz-Content-Sha256", "hash")
				r.Header.Set("X-Amz-Meta-A", "  two   spaces ")
				r.Header.Add("Content-Md5", "x")
				r.Header.Set("User-Agent", "not signed")
				return r
			}
			credentials := aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK", SessionToken: token}
			want, got := request(), request()
			sdk := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
			if err := sdk.SignHTTP(t.Context(), credentials, want, "hash", "s3", "eu-west-1", at); err != nil {
				t.Fatal(err)
			}
			if err := archive.AmazonSigner().SignHTTP(t.Context(), credentials, got, "hash", "s3", "eu-west-1", at); err != nil {
				t.Fatal(err)
			}
			if g, w := got.Header.Get("Authorization"), want.Header.Get("Authorization"); g != w {
				t.Errorf("%s:\n got %s\nwant %s", target, g, w)
			}
		}
	}
}

func TestDialectOfEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"": "s3", "https://storage.googleapis.com": "gcs", "https://b.storage.googleapis.com": "gcs", "https://storage.me-central2.rep.googleapis.com": "gcs",
		"https://storage.googleapis.com.example.com": "s3", "http://127.0.0.1:9000": "s3", "https://bigquery.googleapis.com": "s3",
	} {
		if got := archive.DialectOf(endpoint); got != want {
			t.Errorf("%q speaks %s, want %s", endpoint, got, want)
		}
	}
}

func TestBucketSettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]archive.BucketConfig{
		"encryption":              {Encryption: archive.Encryption{Algorithm: "aes"}},
		"aws:kms only":            {Encryption: archive.Encryption{Algorithm: "AES256", KMSKey: "k"}},
		"checksums":               {Checksums: "never"},
		"dialect":                 {Dialect: "azure"},
		"its secret key":          {AccessKey: "k"},
		"with a role only":        {ExternalID: "x"},
		"neither AWS roles":       {Dialect: "gcs", RoleARN: "r"},
		"needs an HMAC key":       {Endpoint: "https://storage.googleapis.com"},
		"a setting of the bucket": {Dialect: "gcs", Encryption: archive.Encryption{Algorithm: "AES256"}},
	} {
		cfg.URI = "s3://bucket"
		_, err := archive.OpenBucket(t.Context(), cfg)
		if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want a mention of %q", cfg, err, want)
		}
	}
}
