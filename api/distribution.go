package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// maxDistribution is the longest window that is counted for one drawing.
const maxDistribution = 366 * day

// Distribution is one column of a window beside its baseline, counted on the same bins.
type Distribution struct {
	Model    string                 `json:"model"`
	Version  string                 `json:"version"`
	Name     string                 `json:"name"`
	Type     modelwatch.FeatureType `json:"type"`
	Subject  modelwatch.Subject     `json:"subject"`
	Window   Window                 `json:"window"`
	Bins     []Bin                  `json:"bins" nullable:"false"`
	Baseline Counts                 `json:"baseline"`
	Current  Counts                 `json:"current"`
}

// Counts are the rows of one side of a distribution.
type Counts struct {
	ID      string  `json:"id,omitempty" doc:"Id of the baseline; absent for the window."`
	Rows    int64   `json:"rows" doc:"All rows, missing and invalid ones among them."`
	Missing int64   `json:"missing"`
	Invalid int64   `json:"invalid"`
	Counts  []int64 `json:"counts" nullable:"false" doc:"Rows per bin, in the order of bins."`
}

type distributionOutput struct {
	Body Distribution
}

func (s *Server) registerDistributions() {
	call(s, huma.Operation{
		OperationID: "get-distribution", Method: http.MethodGet, Tags: []string{"results"},
		Path:        "/v1/models/{model}/versions/{version}/columns/{column}/distribution",
		Summary:     "Show a column of a window beside its baseline",
		Description: "Counts on the same frozen bins, for drawing.",
	}, s.getDistribution)
}

func (s *Server) getDistribution(ctx context.Context, in *struct {
	VersionPath
	Column string `path:"column" doc:"Name of the column, as in results."`
	RequiredSpan
}) (*distributionOutput, error) {
	window, err := in.window(maxDistribution)
	if err != nil {
		return nil, err
	}
	d, err := s.opts.Distributions.Distribution(ctx, in.Model, in.Version, in.Column, window)
	if err != nil {
		return nil, fmt.Errorf("count distribution: %w", err)
	}
	return &distributionOutput{Body: *d}, nil
}
