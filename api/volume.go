package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// maxVolumeSpan bounds the answer, which comes in one page.
const maxVolumeSpan = 31 * day

// Volume counts what arrived for one version and kind in five minutes of event time.
type Volume struct {
	Version  string          `json:"version,omitempty"`
	Kind     modelwatch.Kind `json:"kind" enum:"prediction,label,attribution"`
	Start    time.Time       `json:"start" doc:"Start of the five minutes."`
	Seen     int64           `json:"seen" doc:"Events read, kept or not."`
	Kept     int64           `json:"kept" doc:"Rows in the archive."`
	Rejected int64           `json:"rejected" doc:"Dead letters that could still be attributed."`
}

func newVolume(v modelwatch.Volume) Volume {
	return Volume{Version: v.Version, Kind: v.Kind, Start: v.BucketStart.UTC(), Seen: v.Seen, Kept: v.Kept, Rejected: v.Rejected}
}

func (s *Server) registerVolumes() {
	call(s, huma.Operation{
		OperationID: "list-volume", Method: http.MethodGet, Path: "/v1/models/{model}/volume", Tags: []string{"results"},
		Summary:     "Count what arrived",
		Description: "Exact, never from the sample. A span of at most 31 days, in one page.",
	}, s.listVolume)
}

func (s *Server) listVolume(ctx context.Context, in *struct {
	ModelPath
	RequiredSpan
}) (*listOutput[Volume], error) {
	window, err := in.window(maxVolumeSpan)
	if err != nil {
		return nil, err
	}
	if _, err := s.requireModel(ctx, in.Model); err != nil {
		return nil, err
	}
	volumes, err := s.opts.Store.Volumes(ctx, in.Model, window)
	if err != nil {
		return nil, fmt.Errorf("count volume: %w", err)
	}
	return &listOutput[Volume]{Body: newList(volumes, "", newVolume)}, nil
}
