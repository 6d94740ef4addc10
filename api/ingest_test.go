package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// fakeIngest has two partitions, of which one was never committed to.
type fakeIngest struct{ err error }

func (f fakeIngest) Lag(_ context.Context, since time.Time, status *api.IngestStatus) error {
	status.Group = api.IngestGroup{Name: "modelwatch", State: "Stable", Members: new(int)}
	status.Notices = []string{"since " + since.UTC().Format(time.RFC3339)}
	status.Partitions = append(status.Partitions, api.IngestPartition{Topic: "events", Cursor: new(int64)}, api.IngestPartition{Topic: "events", Partition: 1})
	return f.err
}

func TestIngestStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	empty := b.want(http.StatusOK, http.MethodGet, "/v1/ingest", "")
	if want := `{"time":"2026-11-21T10:07:00Z","group":{"name":"modelwatch","state":"Stable","members":0},"notices":["since 2026-11-21T09:07:00Z"],` +
		`"partitions":[{"topic":"events","partition":0,"cursor":0,"last_hour_records":0,"owner_epoch":0,"deleted_unread":0,"cut_back":0},` +
		`{"topic":"events","partition":1,"last_hour_records":0,"owner_epoch":0,"deleted_unread":0,"cut_back":0}],` +
		`"versions":[],"rejected":[],"uploads":{"pending":0,"condemned":0}}` + "\n"; string(empty.body) != want {
		t.Errorf("%s", cmp.Diff(want, string(empty.body)))
	}

	if _, err := b.store.EnsureVersion(t.Context(), "fraud", "1"); err != nil {
		t.Fatal(err)
	}
	commit := modelwatch.IngestCommit{ID: "c", Group: "g", DeadLetters: []modelwatch.DeadLetter{
		{Topic: "events", TopicID: [16]byte{1}, Reason: modelwatch.DeadNoID, Model: "fraud", CreatedAt: now.Add(-time.Minute)},
		{Topic: "events", TopicID: [16]byte{1}, Offset: 1, Reason: modelwatch.DeadNoID, Model: "fraud", CreatedAt: now.Add(-2 * time.Hour)},
	}}
	for _, at := range []time.Duration{-3 * time.Hour, -time.Minute} {
		commit.Volumes = append(commit.Volumes, modelwatch.Volume{
			Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, BucketStart: modelwatch.Bucket(now.Add(at)), Seen: 30, Kept: 10, Rejected: 2,
		})
	}
	if err := b.store.CommitIngest(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	got, err := b.client.Ingest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	versions := []api.IngestVersion{{Model: "fraud", Version: "1", Kind: modelwatch.KindPrediction, Seen: 30, Kept: 10, SampledOut: 20, Rejected: 2}}
	if diff := cmp.Diff(versions, got.Versions); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]api.IngestRejected{{Model: "fraud", Reason: modelwatch.DeadNoID, Count: 1}}, got.Rejected); diff != "" {
		t.Error(diff)
	}
}

func TestIngestStatusWithoutCatalog(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Ingest = fakeIngest{errors.New("the catalog is away")} })
	b.wantProblem(http.StatusInternalServerError, nil, http.MethodGet, "/v1/ingest", "")
}
