package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// maxStatisticsBytes bounds a JSON body of a registration: a statistics file has
// about 20 kB a feature.
const maxStatisticsBytes = 32 << 20

// BaselineSource is the JSON body of a registration: where the rows are. A
// SageMaker statistics file, with its features, may stand in its place.
type BaselineSource struct {
	URI    string          `json:"uri,omitempty" maxLength:"2000" doc:"A table, or a SageMaker statistics file." example:"s3://bucket/train.parquet"`
	Window *BaselineWindow `json:"window,omitempty" doc:"Archived traffic of the version."`
}

// BaselineWindow is a span of archived traffic.
type BaselineWindow struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// source reads the JSON form of a registration.
func (u *Upload) source(req *RegisterRequest) error {
	text, err := io.ReadAll(io.LimitReader(u, maxStatisticsBytes+1))
	if err != nil {
		return u.fault()
	}
	if len(text) > maxStatisticsBytes {
		return statusProblem(http.StatusRequestEntityTooLarge, "a JSON body has at most %d bytes: upload the table itself as Parquet, CSV or JSON lines", maxStatisticsBytes)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		p := statusProblem(http.StatusBadRequest, "the body is not a JSON object")
		p.Errors = []*huma.ErrorDetail{{Location: "body", Message: err.Error(), Value: cut(string(text), maxEchoBytes)}}
		return p
	}
	if _, ok := fields["features"]; ok {
		req.Statistics = text
		return nil
	}
	if len(text) > maxBodyBytes {
		return statusProblem(http.StatusRequestEntityTooLarge, "a JSON body without features has at most %d bytes: upload the table itself as Parquet, CSV or JSON lines", maxBodyBytes)
	}
	return whereRowsAre(fields, req)
}

// whereRowsAre reads a uri or a window.
func whereRowsAre(fields map[string]json.RawMessage, req *RegisterRequest) error {
	var f faults
	for name := range fields {
		if name != "uri" && name != "window" {
			f.add("body."+name, nil, "unexpected property: the body has a uri or a window and nothing else, or is a SageMaker statistics file with features")
		}
	}
	slices.SortFunc(f, func(a, b modelwatch.FieldError) int { return strings.Compare(a.Location, b.Location) })
	raw, ok := fields["uri"]
	window, isWindow := fields["window"]
	switch {
	case ok && isWindow:
		f.add("body.window", nil, "does not go with uri: a baseline is of one or the other")
	case isWindow:
		req.Window = f.window(window)
	case !ok:
		f.add("body.uri", nil, "is missing: say where the table is, for example s3://bucket/train.parquet, or name a window of archived traffic")
	default:
		req.URI = f.uri(raw)
	}
	return f.err("the baseline")
}

// uri reads the address of a table.
func (f *faults) uri(raw json.RawMessage) (uri string) {
	if json.Unmarshal(raw, &uri) != nil {
		f.add("body.uri", string(bytes.TrimSpace(raw)), "must be a string")
	} else if !strings.HasPrefix(uri, "s3://") || len(uri) == len("s3://") {
		f.add("body.uri", uri, "must begin with s3:// and name a bucket: other tables are uploaded as the body")
	}
	return uri
}

func (f *faults) window(raw json.RawMessage) *modelwatch.Window {
	var w struct{ Start, End *time.Time }
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	switch err := d.Decode(&w); {
	case err != nil:
		f.add("body.window", string(bytes.TrimSpace(raw)), "must be an object with start and end, times as in 2026-11-21T00:00:00Z: %v", err)
	case w.Start == nil:
		f.add("body.window.start", nil, "is missing")
	case w.End == nil:
		f.add("body.window.end", nil, "is missing")
	case !w.Start.Before(*w.End):
		f.add("body.window.end", w.End, "must be after start")
	case w.End.Sub(*w.Start) > maxBaselineLength:
		f.add("body.window.end", w.End, "must be at most %s after start", modelwatch.FormatDuration(maxBaselineLength))
	default:
		return &modelwatch.Window{Start: w.Start.UTC(), End: w.End.UTC()}
	}
	return nil
}
