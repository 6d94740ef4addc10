package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/modelwatch/modelwatch"
)

// tableTypes are the media types of tables that are nothing but that: JSON lines
// may be events, too.
var tableTypes = []string{"application/vnd.apache.parquet", binaryMediaType, "text/csv"} //nolint:gochecknoglobals // a constant

// UploadTypes are the media types of tables that can be uploaded.
var UploadTypes = append(slices.Clip(tableTypes), linesMediaType, "application/jsonl")

const registerDescription = `The body is the table itself, of any size: it is profiled as it arrives. Content-Type tells Parquet, CSV or JSON lines
(application/octet-stream: by its first bytes), Content-Encoding may be gzip or zstd. Or the body is JSON: a uri to read from, a
window of archived traffic of the version, or the statistics.json that a baseline job of SageMaker Model Monitor wrote. Of the
latter the buckets become the drift bins; there are no rows, so that nothing is learnt from it and it has no segments.

201 with the frozen bins; or 202 and a Location to poll while status is profiling. The id is derived from the content: the
same content again answers 201 with the same baseline. The schema is inferred if the version has none.`

// Upload is a request's body that is read as it arrives, never held. It is
// exported because huma fills fields of exported types only.
type Upload struct {
	ctx huma.Context
	err error // of the network, once reading failed
}

// Resolve keeps the request, whose body huma has not touched.
func (u *Upload) Resolve(ctx huma.Context) []error {
	u.ctx = ctx
	return nil
}

// unhurried lifts the write deadline of ordinary requests: the answer may come
// as late as it takes to read the body and to work on it.
func (u *Upload) unhurried() {
	_, w := humachi.Unwrap(u.ctx)
	// A writer that knows no deadlines has none to be lifted.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
}

// Read reads on; the body may take as long as it keeps moving. Deadlines are of
// the network's own clock, not of an injected one.
//
// The deadline must not outlive the body: past its end the server listens for a
// client that goes away, and takes a deadline that passes there for one.
func (u *Upload) Read(p []byte) (int, error) {
	_ = u.ctx.SetReadDeadline(time.Now().Add(streamIdle)) // see unhurried
	n, err := u.ctx.BodyReader().Read(p)
	if err != nil {
		_ = u.ctx.SetReadDeadline(time.Time{})
	}
	if err != nil && err != io.EOF {
		u.err = err
	}
	return n, err
}

// fault explains an error that has its origin in the network rather than in
// what was read; nil if it has not.
func (u *Upload) fault() error {
	var timeout net.Error
	switch {
	case u.err == nil:
		return nil
	case errors.As(u.err, &timeout) && timeout.Timeout():
		return statusProblem(http.StatusRequestTimeout, "the body stood still for more than %s", modelwatch.FormatDuration(streamIdle))
	}
	return statusProblem(http.StatusBadRequest, "the body ended before its announced end: %v", u.err)
}

// mediaType is the body's type without parameters.
func (u *Upload) mediaType() (string, error) {
	header := u.ctx.Header("Content-Type")
	if header == "" {
		return "", nil
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		return "", headerProblem(http.StatusUnsupportedMediaType, "Content-Type", header, "is not a media type")
	}
	return t, nil
}

func headerProblem(status int, header, value, format string, args ...any) error {
	p := statusProblem(status, "the header %s is not acceptable", header)
	p.Errors = []*huma.ErrorDetail{{Location: "header." + header, Message: fmt.Sprintf(format, args...), Value: value}}
	return p
}

// MappingQuery says which of an upload's columns plays which part.
type MappingQuery struct {
	ID        string `query:"id" maxLength:"200" doc:"Column with the request id."`
	Time      string `query:"time" maxLength:"200" doc:"Column with the time of the prediction."`
	Score     string `query:"score" maxLength:"200" doc:"Column with the score." example:"y_pred_proba"`
	Predicted string `query:"predicted" maxLength:"200" doc:"Column with the predicted label or value."`
	Label     string `query:"label" maxLength:"200" doc:"Column with the ground truth."`
	Group     string `query:"group" maxLength:"200" doc:"Column with the query or list, for ranking."`
	Weight    string `query:"weight" maxLength:"200" doc:"Column with the inverse sampling probability."`
}

type registerOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     Baseline
}

func (s *Server) registerBaseline(ctx context.Context, in *struct {
	VersionPath
	MappingQuery
	Upload Upload
}) (*registerOutput, error) {
	req := RegisterRequest{Model: in.Model, Version: in.Version, Mapping: ColumnMapping(in.MappingQuery).domain()}
	if err := in.Upload.fill(&req); err != nil {
		return nil, err
	}
	b, detail, err := s.opts.Baselines.Register(ctx, req)
	if fault := in.Upload.fault(); err != nil && fault != nil {
		return nil, fault
	}
	if err != nil {
		return nil, fmt.Errorf("register baseline: %w", err)
	}
	out := &registerOutput{
		Status:   http.StatusCreated,
		Location: resourcePath("models", b.Model, "versions", b.Version, "baselines", b.ID),
		Body:     newBaseline(b),
	}
	out.Body.BaselineDetail = detail
	if b.Status == modelwatch.BaselineProfiling {
		out.Status = http.StatusAccepted
	}
	return out, nil
}

// fill takes the body either as the table or as JSON that says where it is.
func (u *Upload) fill(req *RegisterRequest) error {
	var err error
	if req.ContentType, err = u.mediaType(); err != nil {
		return err
	}
	u.unhurried()
	if req.ContentEncoding, err = u.encoding(); err != nil {
		return err
	}
	if req.ContentType == jsonMediaType {
		req.ContentType = ""
		return u.source(req)
	}
	if !slices.Contains(UploadTypes, req.ContentType) {
		return headerProblem(http.StatusUnsupportedMediaType, "Content-Type", req.ContentType,
			"must be one of %s, or %s with a uri, a window or a statistics file", strings.Join(UploadTypes, ", "), jsonMediaType)
	}
	req.Body = u
	return nil
}

// encoding is how the body is packed: "", "gzip" or "zstd".
func (u *Upload) encoding() (string, error) {
	switch encoding := strings.ToLower(u.ctx.Header("Content-Encoding")); encoding {
	case "gzip", "zstd", "":
		return encoding, nil
	case "identity":
		return "", nil
	default:
		return "", headerProblem(http.StatusUnsupportedMediaType, "Content-Encoding", encoding, "must be gzip, zstd or absent")
	}
}
