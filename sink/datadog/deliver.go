package datadog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	"github.com/modelwatch/modelwatch/sink"
)

// The limits of POST /api/v2/series. Beyond them Datadog answers 413, or drops
// the payload without a word.
const (
	maxWireBytes  = 512_000
	maxPlainBytes = 5_242_880
	maxPoints     = 10_000
)

// maxSearch bounds the requests that one delivery spends on finding the points
// that Datadog refuses: enough for a few bad ones among ten thousand, and few
// enough to end within a lease. What is then still unclear is rejected with the rest.
const maxSearch = 200

// Deliver implements sink.Sink: it sends the points in as few requests as the
// limits allow, in order. A request that Datadog calls too large is halved; one
// that it refuses is halved until the refused points stand alone.
func (c *Client) Deliver(ctx context.Context, points []sink.Point) (retry bool, err error) {
	d := &delivery{client: c, points: points, search: maxSearch}
	if err := d.encodeAll(); err != nil {
		return false, err
	}
	for _, p := range d.plan() {
		if err := d.send(ctx, p); err != nil {
			return true, err
		}
	}
	if len(d.rejected) > 0 {
		slices.SortFunc(d.rejected, func(a, b sink.RejectedPoint) int { return cmp.Compare(a.Index, b.Index) })
		return false, &sink.Rejection{Points: d.rejected}
	}
	return false, nil
}

// delivery is the state of one Deliver.
type delivery struct {
	client   *Client
	points   []sink.Point
	encoded  []encodedPoint // in the order of sending
	rejected []sink.RejectedPoint
	search   int
}

// send delivers a part. It returns nil when each point has arrived or is
// rejected, else the failure that ends the delivery.
func (d *delivery) send(ctx context.Context, p part) error {
	status, err := d.client.submit(ctx, d.payload(p))
	var refusal *refusedError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refusal):
		return err
	case p.to-p.from == 1, status != http.StatusRequestEntityTooLarge && d.search <= 0:
		d.reject(p, refusal.message)
		return nil
	}
	if status != http.StatusRequestEntityTooLarge {
		d.search -= 2
	}
	first, second := p.halves()
	if err := d.send(ctx, first); err != nil {
		return err
	}
	return d.send(ctx, second)
}

func (d *delivery) reject(p part, message string) {
	for _, e := range d.encoded[p.from:p.to] {
		for _, i := range e.indices {
			d.rejected = append(d.rejected, sink.RejectedPoint{Index: i, Message: d.points[i].Metric + ": " + message})
		}
	}
}

// refusedError is an answer that says: never these points.
type refusedError struct{ message string }

func (e *refusedError) Error() string { return e.message }

// submit sends one payload. The error is a *refusedError when Datadog will not
// take this payload, a *sink.Failure when it may take it later.
func (c *Client) submit(ctx context.Context, payload datadogV2.MetricPayload) (status int, err error) {
	encoding := datadogV2.METRICCONTENTENCODING_GZIP
	accepted, resp, err := c.api.SubmitMetrics(c.context(ctx), payload, datadogV2.SubmitMetricsOptionalParameters{ContentEncoding: &encoding})
	if resp == nil {
		if err == nil {
			err = errors.New("no response")
		}
		return 0, c.unanswered(err)
	}
	defer resp.Body.Close() // the client has read it
	switch status := resp.StatusCode; {
	case status < 300:
		// Points are taken by the status. A body that cannot be read, as a proxy
		// may send, changes nothing about that, but one with errors does.
		if len(accepted.Errors) > 0 {
			return status, &refusedError{strings.Join(accepted.Errors, "; ")}
		}
		return status, nil
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return status, &refusedError{fmt.Sprintf("refused with %d: %s", status, messages(err))}
	default:
		return status, c.refused(resp, messages(err))
	}
}

// messages are the texts of an answer's body.
func messages(err error) string {
	var api datadog.GenericOpenAPIError
	if errors.As(err, &api) {
		return errorTexts(api.Body())
	}
	return err.Error()
}
