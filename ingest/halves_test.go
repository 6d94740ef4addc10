package ingest_test

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/ingest"
)

// event is a message of KServe's logger.
func event(id, kind, at, body string) *kgo.Record {
	var headers []kgo.RecordHeader
	for k, v := range map[string]string{
		"ce_specversion": "1.0", "ce_type": "org.kubeflow.serving.inference." + kind, "ce_id": id, "ce_time": at,
		"ce_inferenceservicename": "iris", "ce_endpoint": "default", "content-type": "application/json",
	} {
		headers = append(headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
	}
	return &kgo.Record{Value: []byte(body), Headers: headers}
}

// serve lets a consumer of its own, and a keeper of its own, take the records: a
// process that is started, works and stops.
func (b *bundle) serve(owner string, accounted int, records ...*kgo.Record) {
	b.t.Helper()
	if err := b.producer.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
	c, err := ingest.New(ingest.Options{
		Client: b.client, Sources: []ingest.Source{{Topic: b.topic, Format: cmp.Or(b.format, "kserve")}}, Group: "g", Owner: owner,
		Catalog: b.commits, Archive: b.archive, FileKey: archive.FileKey, FlushAge: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	b.commits.await(b.t, accounted)
	cancel()
	if err := <-done; err != nil {
		b.t.Fatal(err)
	}
	keeper := archive.NewKeeper(archive.KeeperOptions{Archive: b.archive, Ledger: b.catalog, Owner: owner, Lease: time.Millisecond})
	for held := false; !held; {
		if held, err = keeper.Round(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestHalvesOverRestarts: requests and responses of KServe, in either order, an
// hour apart and read by processes that know nothing of each other, become whole
// predictions.
func TestHalvesOverRestarts(t *testing.T) {
	b := setup(t, 2)
	b.serve("a", 3,
		event("r-1", "response", "2026-11-21T10:59:59Z", `{"predictions":[1,2]}`),
		event("r-2", "request", "2026-11-21T10:30:00Z", `{"instances":[{"length":3.5}]}`))
	if n := len(b.rows("iris", modelwatch.KindPrediction)); n != 0 {
		t.Errorf("%d predictions, want none yet", n)
	}
	b.serve("b", 6,
		event("r-2", "response", "2026-11-21T11:30:00Z", `{"outputs":[{"name":"output-0","shape":[1],"datatype":"FP64","data":[7]}]}`),
		event("r-1", "request", "2026-11-21T10:00:00Z", `{"instances":[{"length":1.5},{"length":2.5}]}`))
	got := b.rows("iris", modelwatch.KindPrediction, "length", "_predicted", "_tag_endpoint", "_time")
	want := map[string][]string{
		"r-1/0": {"1.5", "1", "default", "1795255200000000"},
		"r-1/1": {"2.5", "2", "default", "1795255200000000"},
		"r-2":   {"3.5", "7", "default", "1795257000000000"},
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, kind := range []modelwatch.Kind{modelwatch.KindInput, modelwatch.KindOutput} {
		if left := b.rows("iris", kind); len(left) > 0 {
			t.Errorf("halves are left: %s", strings.Join(slices.Sorted(maps.Keys(left)), ", "))
		}
	}
}

// TestOpaqueInputs: requests that are bytes have rows all the same, with what came
// out and a word about the bytes.
func TestOpaqueInputs(t *testing.T) {
	b := setup(t, 1)
	b.format = "seldon"
	message := func(id, kind, body string) *kgo.Record {
		r := &kgo.Record{Value: []byte(body)}
		for k, v := range map[string]string{"type": "io.seldon.serving.inference." + kind, "requestid": id, "inferenceservicename": "cats"} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
		}
		return r
	}
	b.serve("a", 4,
		message("r-1", "request", `{"binData":"iVBORw0KGgr/AA=="}`),
		message("r-1", "response", `{"data":{"names":["t:0","t:1"],"ndarray":[[0.86,0.14]]}}`),
		message("r-2", "response", `{"binData":"AAAA"}`),
		message("r-2", "request", `{"binData":""}`))
	got := b.rows("cats", modelwatch.KindPrediction, "_score_0", "_score_1", "_extra")
	want := map[string][]string{
		"r-1": {"0.86", "0.14", `{"bin_data":{"bytes":10,"sha256":"fa79bc31c670207f435f3e12a6203fb893c557c3a16add089db84552c93e5990"}}`},
		"r-2": {"-", "-", `{"bin_data":{"bytes":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},` +
			`"prediction":{"bin_data":{"bytes":3,"sha256":"709e80c88487a2411e1ee4dfb9f22a861492d20c4765150c0c794abd70f8147c"}}}`},
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	letters, _, err := b.catalog.DeadLetters(t.Context(), modelwatch.DeadLetterFilter{})
	if err != nil || len(letters) > 0 {
		t.Errorf("dead letters: %+v, %v", letters, err)
	}
}
