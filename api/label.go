package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

const labelsDescription = `One JSON object, or JSON lines with an object each; at most 8 MiB, and 1 MiB for each. They are written to Kafka and
take the same way as all others. If one line is no JSON object, nothing is written and the answer names the lines.

Or the body is a table of any size, as Parquet or CSV (application/octet-stream: by its first bytes), also packed with gzip or
zstd; or {"uri":"s3://bucket/key"}, which says where one is, in JSON lines too. The query then names the model and the columns,
and each row becomes a label that is written to Kafka: one without an id or a label is a dead letter there, one without a time
has that of its arrival.

Sending the same labels again is safe: the first of each id counts. So is doing it after an error, before which some rows of a
table may have been written.`

// LabelQuery says of the rows of a table what labels in JSON say themselves.
type LabelQuery struct {
	Model   string `query:"model" maxLength:"200" doc:"Model that a table's labels are of; labels in JSON say it themselves." example:"fraud"`
	Version string `query:"version" maxLength:"200" doc:"Its version, if the labels are of one alone. Its schema says which type a label has."`
	ID      string `query:"id" maxLength:"200" doc:"Column of a table with the request id; _id if absent."`
	Time    string `query:"time" maxLength:"200" doc:"Column with the time of the label; _time if absent, which need not be there."`
	Label   string `query:"label" maxLength:"200" doc:"Column with the ground truth; _label if absent." example:"repaid"`
}

// LabelRequest is a table of labels: either Body or URI.
type LabelRequest struct {
	Model, Version string // Version may be ""
	// ContentType is the body's media type without parameters; it is one of
	// UploadTypes. application/octet-stream leaves it to the bytes.
	ContentType string
	// Body is read as it arrives from the network; it may be packed.
	Body io.Reader
	URI  string
	// Mapping names the columns of id, time and label; empty fields were not given.
	Mapping modelwatch.ColumnMapping
}

// Labels sends tables of labels.
type Labels interface {
	// SendLabels writes an event to Kafka for each row and returns their number. A
	// table that cannot be read, or that has no column of ids or labels, is
	// CodeInvalid. After an error some may have been written: sending the table
	// again is safe, because the archive keeps the first of each id.
	SendLabels(ctx context.Context, r LabelRequest) (int, error)
}

// labelSource is the JSON body that says where a table of labels is.
type labelSource struct {
	URI string `json:"uri" maxLength:"2000" doc:"A table." example:"s3://bucket/labels.parquet"`
}

func (s *Server) registerLabels() {
	const path = "/v1/labels"
	call(s, huma.Operation{
		OperationID: "send-labels", Method: http.MethodPost, Path: path, Tags: []string{"events"},
		Summary: "Send labels without a Kafka client", Description: labelsDescription,
		DefaultStatus: http.StatusAccepted,
	}, s.sendLabels)
	content := eventContent(map[string]any{"model": "fraud", "id": "req-1", "time": "2026-11-23T10:00:00Z", "label": "fraud"})
	content[jsonMediaType].Schema = &huma.Schema{AnyOf: []*huma.Schema{content[jsonMediaType].Schema, s.schemaOf(labelSource{}, "LabelSource")}}
	for _, t := range tableTypes {
		content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	s.describeBody(path, "", content)
}

func (s *Server) sendLabels(ctx context.Context, in *struct {
	LabelQuery
	Upload Upload
}) (*acceptedOutput, error) {
	r := LabelRequest{Model: in.Model, Version: in.Version, Mapping: modelwatch.ColumnMapping{ID: in.ID, Time: in.Time, Label: in.Label}}
	mediaType, err := in.Upload.mediaType()
	if err != nil {
		return nil, err
	}
	if slices.Contains(tableTypes, mediaType) {
		if _, err := in.Upload.encoding(); err != nil {
			return nil, err
		}
		r.ContentType, r.Body = mediaType, &in.Upload
		return s.sendLabelTable(ctx, &in.Upload, r)
	}
	lines, body, err := in.Upload.eventText(tableTypes...)
	if err != nil {
		return nil, err
	}
	if !lines {
		uri, err := labelURI(body)
		if err != nil {
			return nil, err
		}
		if r.URI = uri; uri != "" {
			return s.sendLabelTable(ctx, &in.Upload, r)
		}
	}
	if in.LabelQuery != (LabelQuery{}) {
		var f faults
		f.add("query", nil, "model, version, id, time and label are for tables: labels in JSON say them themselves")
		return nil, f.err("the call, by which nothing was written,")
	}
	return s.sendEvents(ctx, body, lines, string(modelwatch.KindLabel))
}

// labelURI is the uri of a body that has one and is no label; "" if it has none.
func labelURI(body []byte) (string, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return "", nil // what is wrong is said of the label that it then is
	}
	raw, ok := fields["uri"]
	if !ok || fields["id"] != nil {
		return "", nil
	}
	var f faults
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "uri" {
			f.add("body."+name, nil, "unexpected property: beside uri the query says what a table is")
		}
	}
	uri := f.uri(raw)
	return uri, f.err("the body, of which nothing was written,")
}

func (s *Server) sendLabelTable(ctx context.Context, u *Upload, r LabelRequest) (*acceptedOutput, error) {
	if fault := nameFault(r.Model); fault != "" {
		var f faults
		f.add("query.model", r.Model, "%s: say which model the labels are of", fault)
		return nil, f.err("the call, by which nothing was written,")
	}
	u.unhurried()
	n, err := s.opts.Labels.SendLabels(ctx, r)
	if fault := u.fault(); err != nil && fault != nil {
		return nil, fault
	}
	if err != nil {
		return nil, fmt.Errorf("send labels: %w", err)
	}
	return &acceptedOutput{Body: Accepted{Accepted: n}}, nil
}
