package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch/sink"
)

// unanswered is the failure of a request that got no answer. What was sent may
// have arrived all the same.
func (c *Client) unanswered(err error) *sink.Failure {
	f := &sink.Failure{Reason: sink.ReasonUnreachable, Err: err, Message: c.base + " cannot be reached"}
	var (
		timeout net.Error
		inner   *url.Error
		dns     *net.DNSError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		f.Reason, f.Message = sink.ReasonTimeout, c.base+" does not answer in time"
	case errors.As(err, &dns) && dns.IsNotFound:
		f.Message = c.base + " does not exist: check DD_SITE (" + c.site + ")"
	}
	if errors.As(err, &inner) {
		f.Err = inner.Err // without the method and address, which the message has
	}
	return f
}

// refused is the failure of a request that was answered, but not with what was
// hoped for. Nothing of it is lost: the cause lies outside of the points.
func (c *Client) refused(resp *http.Response, texts string) *sink.Failure {
	f := &sink.Failure{Reason: sink.ReasonServerError, RetryAfter: c.retryAfter(resp.Header)}
	said := fmt.Sprintf("%s answered %d: %s", c.base, resp.StatusCode, texts)
	switch status := resp.StatusCode; {
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		f.Reason, f.Slow = sink.ReasonForbidden, true
		f.Message = said + ": check DD_API_KEY, and that it belongs to DD_SITE (" + c.site + ")"
	case status == http.StatusTooManyRequests:
		f.Reason, f.Message = sink.ReasonThrottled, said
	case status == http.StatusRequestTimeout:
		f.Reason, f.Message = sink.ReasonTimeout, said
	case status >= 500:
		f.Message = said
	default:
		f.Reason, f.Slow = sink.ReasonMisdirected, true
		f.Message = said + ": this is not Datadog's intake, check DD_SITE (" + c.site + ") and proxies"
	}
	return f
}

// retryAfter is how long the server asks to be left alone: X-RateLimit-Reset
// counts seconds, Retry-After seconds or until a date.
func (c *Client) retryAfter(h http.Header) time.Duration {
	for _, text := range []string{h.Get("X-RateLimit-Reset"), h.Get("Retry-After")} {
		if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 {
			return time.Duration(min(seconds, 24*60*60) * float64(time.Second))
		}
		if date, err := http.ParseTime(text); err == nil {
			return max(0, date.Sub(c.now()))
		}
	}
	return 0
}

// maxText bounds what of a foreign body gets into a message.
const maxText = 300

// errorTexts reads Datadog's error body, {"errors":["..."]}, or quotes the
// beginning of any other.
func errorTexts(body []byte) string {
	var answer struct {
		Errors []string `json:"errors"`
	}
	text := strings.TrimSpace(string(body))
	if err := json.Unmarshal(body, &answer); err == nil && len(answer.Errors) > 0 {
		text = strings.Join(answer.Errors, "; ")
	}
	if text == "" {
		return "(no text)"
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}
