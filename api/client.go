package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// Client calls a server's REST interface. Its methods are safe for concurrent
// use. Errors that the server answered with are *modelwatch.Error, with the
// places that it named; those of the network are CodeUnavailable.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient makes a client of the server at a URL such as http://127.0.0.1:8080.
// An empty token sends none; a nil client is http.DefaultClient.
func NewClient(server, token string, client *http.Client) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the server %q is not a URL: write for example http://127.0.0.1:8080", server)
	}
	if client == nil {
		client = http.DefaultClient
	}
	return &Client{base: strings.TrimSuffix(server, "/"), token: token, http: client}, nil
}

// All goes through the pages of a list.
func All[T any](list func(page Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		page := Page{Limit: 1000}
		for {
			l, err := list(page)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range l.Items {
				if !yield(item, nil) {
					return
				}
			}
			if l.NextCursor == "" {
				return
			}
			page.Cursor = l.NextCursor
		}
	}
}

// Models lists models.
func (c *Client) Models(ctx context.Context, page Page) (List[Model], error) {
	return get[List[Model]](ctx, c, "/v1/models", pageValues(page))
}

// Model shows a model.
func (c *Client) Model(ctx context.Context, model string) (Model, error) {
	return get[Model](ctx, c, resourcePath("models", model), nil)
}

// PutModel creates or changes a model, and reports whether it is new.
func (c *Client) PutModel(ctx context.Context, model string, body ModelBody) (stored Model, created bool, err error) {
	return put[Model](ctx, c, resourcePath("models", model), body)
}

// Versions lists the versions of a model.
func (c *Client) Versions(ctx context.Context, model string, page Page) (List[Version], error) {
	return get[List[Version]](ctx, c, resourcePath("models", model, "versions"), pageValues(page))
}

// Version shows a version.
func (c *Client) Version(ctx context.Context, model, version string) (Version, error) {
	return get[Version](ctx, c, resourcePath("models", model, "versions", version), nil)
}

// PutVersion creates or changes a version, and reports whether it is new.
func (c *Client) PutVersion(ctx context.Context, model, version string, body VersionBody) (stored Version, created bool, err error) {
	return put[Version](ctx, c, resourcePath("models", model, "versions", version), body)
}

// Baselines lists the baselines of a version.
func (c *Client) Baselines(ctx context.Context, model, version string, page Page) (List[Baseline], error) {
	return get[List[Baseline]](ctx, c, resourcePath("models", model, "versions", version, "baselines"), pageValues(page))
}

// Baseline shows a baseline with its frozen bins.
func (c *Client) Baseline(ctx context.Context, model, version, id string) (Baseline, error) {
	return get[Baseline](ctx, c, resourcePath("models", model, "versions", version, "baselines", id), nil)
}

// RegisterBaseline uploads a training set or statistics, or names a URI or a window. The body is
// sent as it is read. The baseline may still be profiling: ask for it again.
func (c *Client) RegisterBaseline(ctx context.Context, r RegisterRequest) (Baseline, error) {
	path := resourcePath("models", r.Model, "versions", r.Version, "baselines")
	query := url.Values{}
	for _, p := range newColumnMapping(r.Mapping).parts() {
		if p[1] != "" {
			query.Set(p[0], p[1])
		}
	}
	header := http.Header{}
	body := r.Body
	if r.Body == nil {
		text, err := r.json()
		if err != nil {
			return Baseline{}, fmt.Errorf("marshal source: %w", err)
		}
		body = bytes.NewReader(text)
		header.Set("Content-Type", jsonMediaType)
	} else {
		header.Set("Content-Type", r.ContentType)
		// Lets the server refuse before the table has gone over the wire.
		header.Set("Expect", "100-continue")
		if r.ContentEncoding != "" {
			header.Set("Content-Encoding", r.ContentEncoding)
		}
	}
	var b Baseline
	_, err := c.do(ctx, http.MethodPost, path, query, header, body, &b)
	return b, err
}

// json is the body of a registration that is no table.
func (r *RegisterRequest) json() ([]byte, error) {
	if len(r.Statistics) > 0 {
		return r.Statistics, nil
	}
	source := BaselineSource{URI: r.URI}
	if r.Window != nil {
		source.Window = &BaselineWindow{Start: r.Window.Start, End: r.Window.End}
	}
	return json.Marshal(source)
}

// Jobs lists the jobs of a model.
func (c *Client) Jobs(ctx context.Context, model string, page Page) (List[Job], error) {
	return get[List[Job]](ctx, c, resourcePath("models", model, "jobs"), pageValues(page))
}

// Job shows a job.
func (c *Client) Job(ctx context.Context, model, job string) (Job, error) {
	return get[Job](ctx, c, resourcePath("models", model, "jobs", job), nil)
}

// PutJob schedules a job, and reports whether it is new.
func (c *Client) PutJob(ctx context.Context, model, job string, body JobBody) (stored Job, created bool, err error) {
	return put[Job](ctx, c, resourcePath("models", model, "jobs", job), body)
}

// DeleteJob deletes a job.
func (c *Client) DeleteJob(ctx context.Context, model, job string) error {
	_, err := c.do(ctx, http.MethodDelete, resourcePath("models", model, "jobs", job), nil, nil, nil, nil)
	return err
}

// StartRuns runs a job for a window, for the windows of a longer span, or, for
// the zero span, for the window that ends now. The key may be "".
func (c *Client) StartRuns(ctx context.Context, model, job string, span modelwatch.Window, idempotencyKey string) (List[Run], error) {
	var l List[Run]
	body, err := json.Marshal(RunRequest{Start: optionalTime(span.Start), End: optionalTime(span.End)})
	if err != nil {
		return l, fmt.Errorf("marshal span: %w", err)
	}
	header := http.Header{"Content-Type": {jsonMediaType}}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	_, err = c.do(ctx, http.MethodPost, resourcePath("models", model, "jobs", job, "runs"), nil, header, bytes.NewReader(body), &l)
	return l, err
}

// Runs lists runs.
func (c *Client) Runs(ctx context.Context, f RunFilter) (List[Run], error) {
	q := pageValues(f.Page)
	set(q, "model", f.Model)
	set(q, "job", f.Job)
	set(q, "state", string(f.State))
	setSpan(q, f.From, f.To)
	return get[List[Run]](ctx, c, "/v1/runs", q)
}

// Run shows a run.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return get[Run](ctx, c, resourcePath("runs", id), nil)
}

// Measurements lists measurements.
func (c *Client) Measurements(ctx context.Context, f MeasurementFilter) (List[Measurement], error) {
	q := pageValues(f.Page)
	for _, p := range [...][2]string{
		{"model", f.Model}, {"version", f.Version}, {"job", f.Job}, {"run", f.Run},
		{"metric", f.Metric}, {"subject", string(f.Subject)}, {"name", f.Name},
	} {
		set(q, p[0], p[1])
	}
	for key, value := range f.Segment {
		q.Add("segment", key+":"+value)
	}
	setSpan(q, f.From, f.To)
	if f.Latest {
		q.Set("latest", "true")
	}
	return get[List[Measurement]](ctx, c, "/v1/measurements", q)
}

// DeadLetters lists records that could not be placed, the newest first.
func (c *Client) DeadLetters(ctx context.Context, f DeadLetterFilter) (List[DeadLetter], error) {
	return get[List[DeadLetter]](ctx, c, deadLettersPath, deadLetterValues(f))
}

// CountDeadLetters counts records that could not be placed, by reason and state.
func (c *Client) CountDeadLetters(ctx context.Context, f DeadLetterFilter) (DeadLetterSummary, error) {
	f.Page = Page{}
	return get[DeadLetterSummary](ctx, c, deadLettersPath+"/summary", deadLetterValues(f))
}

// DeadLetter shows a record that could not be placed.
func (c *Client) DeadLetter(ctx context.Context, id int64) (DeadLetter, error) {
	return get[DeadLetter](ctx, c, deadLettersPath+"/"+strconv.FormatInt(id, 10), nil)
}

// DeadLetterValue downloads the bytes that are kept of a record.
func (c *Client) DeadLetterValue(ctx context.Context, id int64) ([]byte, error) {
	var value []byte
	_, err := c.do(ctx, http.MethodGet, deadLettersPath+"/"+strconv.FormatInt(id, 10)+"/value", nil, nil, nil, &value)
	return value, err
}

// ReplayDeadLetters publishes a page of records again, or counts what it would do.
func (c *Client) ReplayDeadLetters(ctx context.Context, r ReplayRequest) (ReplayResult, error) {
	var out ReplayResult
	body, err := json.Marshal(r)
	if err != nil {
		return out, fmt.Errorf("marshal replay: %w", err)
	}
	_, err = c.do(ctx, http.MethodPost, deadLettersPath+"/replay", nil, http.Header{"Content-Type": {jsonMediaType}}, bytes.NewReader(body), &out)
	return out, err
}

const deadLettersPath = "/v1/dead-letters"

const ingestPath = "/v1/ingest"

// Ingest shows how far the archive is behind what producers have written.
func (c *Client) Ingest(ctx context.Context) (IngestStatus, error) {
	return get[IngestStatus](ctx, c, ingestPath, nil)
}

func deadLetterValues(f DeadLetterFilter) url.Values {
	q := pageValues(f.Page)
	for _, p := range [...][2]string{{"model", f.Model}, {"reason", string(f.Reason)}, {"topic", f.Topic}, {"state", string(f.State)}} {
		set(q, p[0], p[1])
	}
	setSpan(q, f.From, f.To)
	return q
}

// OrderErasure orders the erasure of the rows of request ids, or has them counted.
func (c *Client) OrderErasure(ctx context.Context, model string, body ErasureBody) (Erasure, error) {
	var e Erasure
	text, err := json.Marshal(body)
	if err != nil {
		return e, fmt.Errorf("marshal ids: %w", err)
	}
	_, err = c.do(ctx, http.MethodPost, resourcePath("models", model, "erasures"), nil, http.Header{"Content-Type": {jsonMediaType}}, bytes.NewReader(text), &e)
	return e, err
}

// Erasure shows how far an erasure has come.
func (c *Client) Erasure(ctx context.Context, model string, id int64) (Erasure, error) {
	return get[Erasure](ctx, c, resourcePath("models", model, "erasures", strconv.FormatInt(id, 10)), nil)
}

// Erasures lists the erasures of a model.
func (c *Client) Erasures(ctx context.Context, model string, page Page) (List[Erasure], error) {
	return get[List[Erasure]](ctx, c, resourcePath("models", model, "erasures"), pageValues(page))
}

func pageValues(p Page) url.Values {
	q := url.Values{}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	set(q, "cursor", p.Cursor)
	return q
}

func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}

func setSpan(q url.Values, from, to time.Time) {
	if !from.IsZero() {
		q.Set("from", from.UTC().Format(time.RFC3339Nano))
	}
	if !to.IsZero() {
		q.Set("to", to.UTC().Format(time.RFC3339Nano))
	}
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	_, err := c.do(ctx, http.MethodGet, path, query, nil, nil, &out)
	return out, err
}

func put[T any](ctx context.Context, c *Client, path string, body any) (stored T, created bool, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return stored, false, fmt.Errorf("marshal body: %w", err)
	}
	status, err := c.do(ctx, http.MethodPut, path, nil, http.Header{"Content-Type": {jsonMediaType}}, bytes.NewReader(text), &stored)
	return stored, status == http.StatusCreated, err
}

// do sends one request and reads its answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader, out any) (status int, err error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", jsonMediaType)
	raw, isRaw := out.(*[]byte)
	if isRaw {
		req.Header.Set("Accept", "*/*")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, modelwatch.Wrap(modelwatch.CodeUnavailable, err, "the server at %s does not answer", c.base)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end or given up: nothing is lost
	if resp.StatusCode >= 300 {
		return resp.StatusCode, c.problem(resp)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return resp.StatusCode, nil
	}
	if isRaw {
		*raw, err = io.ReadAll(resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		return resp.StatusCode, modelwatch.Wrap(modelwatch.CodeUnavailable, err, "the answer of %s to %s %s cannot be read: is it a modelwatch server?", c.base, method, path)
	}
	return resp.StatusCode, nil
}

// problem reads an error's answer back into the domain's error.
func (c *Client) problem(resp *http.Response) error {
	var p huma.ErrorModel
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes)) // whatever came is shown
	if err := json.Unmarshal(text, &p); err != nil || p.Detail == "" {
		return modelwatch.Errorf(codeOf(resp.StatusCode, ""), "%s answered %s: is it a modelwatch server with the role api?", c.base, resp.Status)
	}
	e := modelwatch.Errorf(codeOf(resp.StatusCode, p.Type), "%s", p.Detail)
	if id, ok := strings.CutPrefix(p.Instance, requestURN); ok && resp.StatusCode == http.StatusInternalServerError {
		e.Message += " " + id
	}
	for _, d := range p.Errors {
		e.Fields = append(e.Fields, modelwatch.FieldError{Location: d.Location, Message: d.Message, Value: d.Value})
	}
	return e
}

// codeOf is the other direction of statusOf, for statuses of other servers too.
func codeOf(status int, problem string) modelwatch.Code {
	code := modelwatch.Code(strings.TrimPrefix(problem, problemType))
	switch code {
	case modelwatch.CodeInternal, modelwatch.CodeInvalid, modelwatch.CodeNotFound, modelwatch.CodeConflict,
		modelwatch.CodeFenced, modelwatch.CodeUnavailable:
		return code
	}
	switch {
	case status == http.StatusNotFound:
		return modelwatch.CodeNotFound
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout,
		status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return modelwatch.CodeUnavailable
	case status >= 500:
		return modelwatch.CodeInternal
	}
	return modelwatch.CodeInvalid
}
