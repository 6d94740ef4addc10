package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// Problem types are URNs: this prefix and a modelwatch code, or the HTTP
// status in words where the fault was found before the domain was asked.
const problemType = "urn:modelwatch:error:"

// requestURN names one occurrence of a problem.
const requestURN = "urn:modelwatch:request:"

const (
	problemMediaType = "application/problem+json"
	// statusClientGone is what the access log shows when nobody waits for the answer.
	statusClientGone = 499
	// maxEchoBytes bounds the offending value that an answer repeats.
	maxEchoBytes = 200
	// retryAfterSeconds is when a caller may try again after a 503.
	retryAfterSeconds = "5"
)

// statusOf is the one map from the domain's codes to HTTP.
func statusOf(code modelwatch.Code) int {
	switch code {
	case modelwatch.CodeInvalid:
		return http.StatusUnprocessableEntity
	case modelwatch.CodeNotFound:
		return http.StatusNotFound
	case modelwatch.CodeConflict, modelwatch.CodeFenced:
		return http.StatusConflict
	case modelwatch.CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// problem turns an error into what the caller sees. It is where errors end: a
// cause that the caller must not see is logged here, once, under the request id.
func (s *Server) problem(ctx context.Context, err error) error {
	var status huma.StatusError
	if errors.As(err, &status) {
		return err
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return &huma.ErrorModel{Status: statusClientGone, Title: "Client Closed Request", Detail: "the client went away"}
	}
	var e *modelwatch.Error
	if !errors.As(err, &e) || statusOf(e.Code) == http.StatusInternalServerError {
		s.log.ErrorContext(ctx, "request failed", slog.String("request_id", requestID(ctx)), slog.Any("error", err))
		return internalProblem()
	}
	if e.Code == modelwatch.CodeUnavailable {
		s.log.WarnContext(ctx, "dependency does not answer", slog.String("request_id", requestID(ctx)), slog.Any("error", err))
	}
	p := &huma.ErrorModel{
		Status: statusOf(e.Code),
		Title:  http.StatusText(statusOf(e.Code)),
		Type:   problemType + string(e.Code),
		Detail: e.Message,
	}
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Location: f.Location, Message: f.Message, Value: f.Value})
	}
	if p.Status == http.StatusServiceUnavailable {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {retryAfterSeconds}})
	}
	return p
}

func internalProblem() *huma.ErrorModel {
	return &huma.ErrorModel{
		Status: http.StatusInternalServerError,
		Title:  http.StatusText(http.StatusInternalServerError),
		Type:   problemType + string(modelwatch.CodeInternal),
		Detail: "something went wrong in the server: its log has the cause under the request id",
	}
}

// finishProblem is the transformer that completes every problem on its way
// out, those that huma makes included: type, instance, and no more of an
// offending value than helps to find it.
func finishProblem(ctx huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*huma.ErrorModel); ok {
		finish(p, requestID(ctx.Context()))
	}
	return v, nil
}

func finish(p *huma.ErrorModel, requestID string) {
	if p.Status == http.StatusInternalServerError && p.Type == "" {
		*p = *internalProblem()
	}
	if p.Type == "" {
		p.Type = problemType + statusSlug(p.Status)
	}
	p.Instance = requestURN + requestID
	for _, d := range p.Errors {
		if text, ok := d.Value.(string); ok && len(text) > maxEchoBytes {
			d.Value = cut(text, maxEchoBytes) + "..."
		}
	}
}

// cut returns at most n bytes of s, without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func statusSlug(status int) string {
	if status == http.StatusUnprocessableEntity {
		return string(modelwatch.CodeInvalid)
	}
	text := http.StatusText(status)
	if text == "" {
		return "unknown"
	}
	return strings.ReplaceAll(strings.ToLower(text), " ", "_")
}

// writeProblem answers outside of huma's operations: no route, no token, a panic.
func writeProblem(w http.ResponseWriter, r *http.Request, p *huma.ErrorModel) {
	finish(p, requestID(r.Context()))
	body, err := json.Marshal(p)
	if err != nil { // an ErrorModel made here holds nothing that cannot be marshalled
		panic(fmt.Errorf("marshal problem: %w", err))
	}
	w.Header().Set("Content-Type", problemMediaType)
	w.WriteHeader(p.Status)
	// A failed write means that the client has gone: there is nobody left to tell.
	_, _ = w.Write(append(body, '\n'))
}

func statusProblem(status int, format string, args ...any) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: fmt.Sprintf(format, args...)}
}

// faults collects what is wrong with an input, so that one answer names all of it.
type faults []modelwatch.FieldError

func (f *faults) add(location string, value any, format string, args ...any) {
	*f = append(*f, modelwatch.FieldError{Location: location, Message: fmt.Sprintf(format, args...), Value: value})
}

// notOffered refuses a field that the contract names and this version lacks.
func (f *faults) notOffered(location string) {
	f.add(location, nil, "not offered by this version yet: leave the field out")
}

// err returns nil if nothing was found.
func (f faults) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	return &modelwatch.Error{Code: modelwatch.CodeInvalid, Message: what + " is not valid", Fields: f}
}
