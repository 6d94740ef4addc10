package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// Baseline is a registered training set as the API shows it.
type Baseline struct {
	ID            string                    `json:"id" doc:"Derived from model, version and content: the same file is the same baseline."`
	Model         string                    `json:"model"`
	Version       string                    `json:"version"`
	Status        modelwatch.BaselineStatus `json:"status" enum:"profiling,ready,failed"`
	Error         string                    `json:"error,omitempty" doc:"Why the status is failed."`
	URI           string                    `json:"uri,omitempty" doc:"Where it came from; absent for an upload."`
	ContentSHA256 string                    `json:"content_sha256,omitempty"`
	Rows          int64                     `json:"rows"`
	CreatedAt     time.Time                 `json:"created_at"`
	*BaselineDetail
}

// BaselineDetail is what was frozen from a training set. Lists leave it out.
type BaselineDetail struct {
	Columns []BaselineColumn `json:"columns,omitempty" nullable:"false"`
	// Measurements are the baseline's own metric values.
	Measurements []Measurement `json:"measurements,omitempty" nullable:"false" doc:"The baseline's own metric values."`
}

// BaselineColumn is one column of a baseline: its bins and what fell into them.
type BaselineColumn struct {
	Name      string                 `json:"name"`
	Type      modelwatch.FeatureType `json:"type"`
	Subject   modelwatch.Subject     `json:"subject"`
	Bins      []Bin                  `json:"bins,omitempty" nullable:"false" doc:"Frozen: every binned metric of the column uses them."`
	Counts    []int64                `json:"counts,omitempty" nullable:"false" doc:"Rows per bin, in the order of bins."`
	Quantiles []Quantile             `json:"quantiles,omitempty" nullable:"false" doc:"Of numbers."`
	Mean      *float64               `json:"mean,omitempty"`
	Minimum   *float64               `json:"minimum,omitempty"`
	Maximum   *float64               `json:"maximum,omitempty"`
	Missing   int64                  `json:"missing"`
	Invalid   int64                  `json:"invalid"`
}

// Quantile is the value under which the share Q of the rows lies.
type Quantile struct {
	Q     float64 `json:"q"`
	Value float64 `json:"value"`
}

func newBaseline(b modelwatch.Baseline) Baseline {
	return Baseline{
		ID: b.ID, Model: b.Model, Version: b.Version, Status: b.Status, Error: b.Error,
		URI: b.URI, ContentSHA256: b.ContentSHA256, Rows: b.Rows, CreatedAt: b.CreatedAt.UTC(),
	}
}

type baselineOutput struct {
	Body Baseline
}

func (s *Server) registerBaselines() {
	const path = "/v1/models/{model}/versions/{version}/baselines"
	stream(s, huma.Operation{
		OperationID: "register-baseline", Method: http.MethodPost, Path: path, Tags: []string{"models"},
		Summary:       "Register a training set as a baseline",
		Description:   registerDescription,
		DefaultStatus: http.StatusCreated,
	}, s.registerBaseline)
	s.describeUpload(path)
	s.alsoAnswers(path, http.MethodPost, http.StatusAccepted)
	call(s, huma.Operation{
		OperationID: "list-baselines", Method: http.MethodGet, Path: path, Tags: []string{"models"},
		Summary: "List the baselines of a version",
	}, s.listBaselines)
	call(s, huma.Operation{
		OperationID: "get-baseline", Method: http.MethodGet, Path: path + "/{id}", Tags: []string{"models"},
		Summary: "Show a baseline with its frozen bins",
	}, s.getBaseline)
}

func (s *Server) listBaselines(ctx context.Context, in *struct {
	VersionPath
	PageQuery
}) (*listOutput[Baseline], error) {
	if _, err := s.opts.Store.Version(ctx, in.Model, in.Version); err != nil {
		return nil, fmt.Errorf("read version: %w", err)
	}
	baselines, next, err := s.opts.Store.Baselines(ctx, in.Model, in.Version, in.page())
	if err != nil {
		return nil, fmt.Errorf("list baselines: %w", err)
	}
	return &listOutput[Baseline]{Body: newList(baselines, next, newBaseline)}, nil
}

func (s *Server) getBaseline(ctx context.Context, in *struct {
	VersionPath
	ID string `path:"id"`
}) (*baselineOutput, error) {
	b, err := s.opts.Store.Baseline(ctx, in.Model, in.Version, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", err)
	}
	out := &baselineOutput{Body: newBaseline(b)}
	if b.Status != modelwatch.BaselineReady {
		return out, nil
	}
	if out.Body.BaselineDetail, err = s.opts.Baselines.Detail(ctx, b); err != nil {
		return nil, fmt.Errorf("read baseline's bins: %w", err)
	}
	return out, nil
}
