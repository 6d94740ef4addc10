package datadogtest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// How far a point may be from now.
const (
	maxAge   = time.Hour
	maxAhead = 10 * time.Minute
	maxName  = 200
)

type payload struct {
	Series []payloadSeries `json:"series"`
}

type payloadSeries struct {
	Metric         string            `json:"metric"`
	Type           *int              `json:"type"`
	Points         []payloadPoint    `json:"points"`
	Tags           []string          `json:"tags"`
	Interval       int64             `json:"interval"`
	Unit           string            `json:"unit"`
	SourceTypeName string            `json:"source_type_name"`
	Resources      []payloadResource `json:"resources"`
	Metadata       *payloadMetadata  `json:"metadata"`
}

type payloadPoint struct {
	Timestamp *int64   `json:"timestamp"`
	Value     *float64 `json:"value"`
}

type payloadResource struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type payloadMetadata struct {
	Origin *payloadOrigin `json:"origin"`
}

type payloadOrigin struct {
	MetricType int `json:"metric_type"`
	Product    int `json:"product"`
	Service    int `json:"service"`
}

// refusal is why a request is not taken.
type refusal struct {
	status  int
	metric  string
	tags    []string
	message string
}

func bad(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) *refusal {
	return &refusal{status: http.StatusRequestEntityTooLarge, message: "Payload too big: " + fmt.Sprintf(format, args...)}
}

// readBody reads and decompresses a body, one byte past the limits at most.
func readBody(r *http.Request) (body []byte, wire int, refused *refusal) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, MaxWireBytes+1))
	if err != nil {
		return nil, len(raw), bad("body cannot be read: %v", err)
	}
	if len(raw) > MaxWireBytes {
		n, _ := io.Copy(io.Discard, r.Body)
		wire := len(raw) + int(n)
		return nil, wire, tooLarge("%d bytes, the limit is %d", wire, MaxWireBytes)
	}
	var plain io.Reader
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		plain = bytes.NewReader(raw)
	case "gzip":
		plain, err = gzip.NewReader(bytes.NewReader(raw))
	case "deflate":
		plain, err = zlib.NewReader(bytes.NewReader(raw))
	default:
		return nil, len(raw), bad("Content-Encoding %q is not supported", encoding)
	}
	if err != nil {
		return nil, len(raw), bad("body is not what its Content-Encoding says: %v", err)
	}
	body, err = io.ReadAll(io.LimitReader(plain, MaxDecompressedBytes+1))
	switch {
	case err != nil:
		return nil, len(raw), bad("body is not what its Content-Encoding says: %v", err)
	case len(body) > MaxDecompressedBytes:
		return nil, len(raw), tooLarge("over %d bytes decompressed", MaxDecompressedBytes)
	}
	return body, len(raw), nil
}

// check decodes a payload and applies every rule to it.
func (in *Intake) check(r *http.Request, body []byte, readErr *refusal) (*payload, *refusal) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, bad("Content-Type is %q, it must be application/json", r.Header.Get("Content-Type"))
	}
	if readErr != nil {
		return nil, readErr
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	p := &payload{}
	if err := dec.Decode(p); err != nil {
		return nil, bad("Payload is not in the expected format: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("Payload is not in the expected format: text after the object")
	}
	if len(p.Series) == 0 {
		return nil, bad("series is missing or empty")
	}
	points := 0
	now := in.opts.Now()
	for i := range p.Series {
		s := &p.Series[i]
		if refused := s.check(now, in.opts.Historical); refused != nil {
			refused.metric, refused.tags = s.Metric, s.Tags
			return nil, refused
		}
		points += len(s.Points)
	}
	if points > MaxPoints {
		return nil, tooLarge("%d points, the limit is %d", points, MaxPoints)
	}
	return p, nil
}

func (s *payloadSeries) check(now time.Time, historical bool) *refusal {
	if complaint := metricComplaint(s.Metric); complaint != "" {
		return bad("metric %q %s", s.Metric, complaint)
	}
	if s.Type == nil || *s.Type < 0 || *s.Type > 3 {
		return bad("series %s: type must be 0, 1, 2 or 3", s.Metric)
	}
	if s.Interval < 0 {
		return bad("series %s: interval %d is negative", s.Metric, s.Interval)
	}
	if len(s.Points) == 0 {
		return bad("series %s: points is missing or empty", s.Metric)
	}
	for _, p := range s.Points {
		if p.Timestamp == nil || p.Value == nil {
			return bad("series %s: a point needs a timestamp and a value", s.Metric)
		}
		switch age := now.Sub(time.Unix(*p.Timestamp, 0)); {
		case age > maxAge && !historical:
			return bad("series %s: point is %s old, the limit is %s", s.Metric, age, maxAge)
		case age < -maxAhead:
			return bad("series %s: point is %s ahead, the limit is %s", s.Metric, -age, maxAhead)
		}
	}
	for i, t := range s.Tags {
		if complaint := tagComplaint(t); complaint != "" {
			return bad("series %s: tag %q %s", s.Metric, t, complaint)
		}
		if slices.Contains(s.Tags[:i], t) {
			return bad("series %s: tag %q stands twice", s.Metric, t)
		}
	}
	return nil
}

// metricComplaint says what Datadog would change about a metric name.
func metricComplaint(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return "is longer than 200 characters"
	case !asciiLetter(name[0]):
		return "does not begin with a letter"
	case strings.Contains(name, "__"), strings.Contains(name, "_."), strings.Contains(name, "._"), strings.HasSuffix(name, "_"):
		return "has underscores that would be dropped"
	case strings.Contains(name, ".."), strings.HasSuffix(name, "."):
		return "has an empty part"
	}
	for i := range len(name) {
		if c := name[i]; !asciiLetter(c) && (c < '0' || c > '9') && c != '_' && c != '.' {
			return fmt.Sprintf("has the character %q", c)
		}
	}
	return ""
}

func asciiLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// tagComplaint says what Datadog would change about a tag.
func tagComplaint(tag string) string {
	first, _ := utf8.DecodeRuneInString(tag)
	switch {
	case tag == "":
		return "is empty"
	case len(tag) > maxName:
		return "is longer than 200 bytes"
	case !utf8.ValidString(tag):
		return "is not UTF-8"
	case !unicode.IsLetter(first):
		return "does not begin with a letter"
	case strings.Contains(tag, "__"), strings.HasSuffix(tag, "_"):
		return "has underscores that would be dropped"
	case strings.HasSuffix(tag, ":"):
		return "has no value"
	}
	for _, r := range tag {
		switch {
		case unicode.ToLower(r) != r:
			return "is not lower case"
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-:./", r):
			return fmt.Sprintf("has the character %q", r)
		}
	}
	return ""
}
