package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// IngestStatus says how far the archive is behind what producers have written,
// and what became of the last hour's events. It comes from the catalog and from
// Kafka, whichever processes read.
type IngestStatus struct {
	Time       time.Time         `json:"time" doc:"When this was found out."`
	Group      IngestGroup       `json:"group"`
	Notices    []string          `json:"notices,omitempty" doc:"What is wrong with the whole: Kafka does not answer, nobody reads."`
	Partitions []IngestPartition `json:"partitions" nullable:"false"`
	Versions   []IngestVersion   `json:"versions" nullable:"false" doc:"Events whose time is in the last hour, those with the most first, at most 1000."`
	Rejected   []IngestRejected  `json:"rejected" nullable:"false" doc:"Dead letters of the last hour that are still kept, the most first, at most 1000."`
	Uploads    IngestUploads     `json:"uploads"`
}

// IngestGroup is the consumer group that reads.
type IngestGroup struct {
	Name    string `json:"name"`
	State   string `json:"state,omitempty" doc:"As the brokers say it, such as Stable or Empty. Absent when they do not answer."`
	Members *int   `json:"members,omitempty" doc:"Consumers that run."`
}

// IngestPartition is one partition of a topic that is, or was, read.
type IngestPartition struct {
	Topic      string     `json:"topic"`
	Partition  int32      `json:"partition"`
	Cursor     *int64     `json:"cursor,omitempty" doc:"The first offset that is not archived. Absent before the first commit."`
	LogStart   *int64     `json:"log_start,omitempty" doc:"The first offset that the brokers have."`
	LogEnd     *int64     `json:"log_end,omitempty" doc:"The offset after the last."`
	LagRecords *int64     `json:"lag_records,omitempty" doc:"Offsets of the log that are not archived."`
	LagSeconds *float64   `json:"lag_seconds,omitempty" doc:"Age of the oldest record that is not archived; 0 if all are. Absent where it could not be read."`
	LastHour   int64      `json:"last_hour_records" doc:"Offsets that the last hour's commits account for."`
	Owner      string     `json:"owner,omitempty" doc:"The process that took it last."`
	OwnerEpoch int64      `json:"owner_epoch" doc:"How often it was taken before."`
	Committed  *time.Time `json:"committed_at,omitempty" doc:"When the last commit was."`
	Deleted    int64      `json:"deleted_unread" doc:"Offsets that were deleted before they were read."`
	Truncated  int64      `json:"cut_back" doc:"Archived offsets that the brokers have lost."`
	Notice     string     `json:"notice,omitempty" doc:"What is wrong with this partition."`
}

// IngestVersion counts events of one version and kind.
type IngestVersion struct {
	Model      string          `json:"model"`
	Version    string          `json:"version,omitempty"`
	Kind       modelwatch.Kind `json:"kind" enum:"prediction,label,attribution,input,output"`
	Seen       int64           `json:"seen" doc:"Events read, kept or not."`
	Kept       int64           `json:"kept" doc:"Rows in the archive."`
	SampledOut int64           `json:"sampled_out"`
	Rejected   int64           `json:"rejected" doc:"Dead letters that could still be attributed."`
}

// IngestRejected counts dead letters of one model and reason.
type IngestRejected struct {
	Model  string                      `json:"model,omitempty" doc:"Absent where it could not be read."`
	Reason modelwatch.DeadLetterReason `json:"reason"`
	Count  int64                       `json:"count"`
}

// IngestUploads counts objects that are announced and not part of the archive.
type IngestUploads struct {
	Pending       int64      `json:"pending" doc:"Being written, or left behind by a process that has died since."`
	OldestPending *time.Time `json:"oldest_pending,omitempty"`
	Condemned     int64      `json:"condemned" doc:"Given up and about to be deleted."`
}

func newIngestVersion(v modelwatch.Volume) IngestVersion {
	return IngestVersion{
		Model: v.Model, Version: v.Version, Kind: v.Kind, Seen: v.Seen, Kept: v.Kept, SampledOut: max(v.Seen-v.Kept, 0), Rejected: v.Rejected,
	}
}

// recent is the span of the counts of a status.
const recent = time.Hour

func (s *Server) registerIngest() {
	call(s, huma.Operation{
		OperationID: "get-ingest", Method: http.MethodGet, Path: ingestPath, Tags: []string{"events"},
		Summary: "Show how far the archive is behind",
		Description: `By partition: the cursor, the end of the log and what is between, in records and seconds; who reads, gaps, the last commit. By model
version: what was kept, sampled away and rejected in the last hour. It comes from the catalog and from Kafka; if Kafka does not answer, a notice says so and the
rest is shown.`,
	}, s.getIngest)
}

func (s *Server) getIngest(ctx context.Context, _ *struct{}) (*struct{ Body IngestStatus }, error) {
	now, events := s.now(), s.eventNow()
	status := IngestStatus{Time: now.UTC(), Partitions: []IngestPartition{}}
	volumes, err := s.opts.Store.VersionVolumes(ctx, modelwatch.Window{Start: events.Add(-recent), End: events})
	if err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	status.Versions = newList(volumes, "", newIngestVersion).Items
	rejected, err := s.opts.Store.Rejected(ctx, now.Add(-recent))
	if err != nil {
		return nil, fmt.Errorf("count rejected records: %w", err)
	}
	status.Rejected = newList(rejected, "", func(r modelwatch.RejectedCount) IngestRejected { return IngestRejected(r) }).Items
	uploads, err := s.opts.Store.Uploads(ctx)
	if err != nil {
		return nil, fmt.Errorf("count uploads: %w", err)
	}
	status.Uploads = IngestUploads{Pending: uploads.Pending, OldestPending: optionalTime(uploads.OldestPending), Condemned: uploads.Condemned}
	if err := s.opts.Ingest.Lag(ctx, now.Add(-recent), &status); err != nil {
		return nil, fmt.Errorf("compare the cursors with kafka: %w", err)
	}
	return &struct{ Body IngestStatus }{status}, nil
}
