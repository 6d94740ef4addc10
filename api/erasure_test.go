package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func TestErasures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/v1/models/fraud/erasures"
	b.wantProblem(404, nil, http.MethodPost, path, `{"ids":["a"]}`, "Content-Type", jsonType)
	if _, err := b.store.EnsureVersion(t.Context(), "fraud", "1"); err != nil {
		t.Fatal(err)
	}
	answer := b.want(http.StatusAccepted, http.MethodPost, path, `{"ids":["a","b"]}`, "Content-Type", jsonType)
	location := answer.Header.Get("Location")
	if !strings.HasPrefix(location, path+"/") {
		t.Fatalf("location %q", location)
	}
	b.want(http.StatusOK, http.MethodGet, location, "")
	dry, err := b.client.OrderErasure(t.Context(), "fraud", api.ErasureBody{IDs: []string{"c"}, DryRun: true})
	if err != nil || dry.State != modelwatch.ErasureQueued || !dry.DryRun || dry.IDs != 1 {
		t.Errorf("dry run %+v, %v", dry, err)
	}
	list, err := b.client.Erasures(t.Context(), "fraud", api.Page{})
	if err != nil || len(list.Items) != 2 || list.Items[0] != dry || list.Items[1].IDs != 2 {
		t.Errorf("erasures %+v, %v", list, err)
	}
	shown, err := b.client.Erasure(t.Context(), "fraud", dry.ID)
	if err != nil || shown != dry {
		t.Errorf("erasure %+v, %v; want %+v", shown, err, dry)
	}
	stones, err := b.store.Tombstones(t.Context(), false)
	if err != nil || len(stones) != 4 || stones[0].Digest == "a" {
		t.Errorf("tombstones %+v, %v", stones, err)
	}
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/churn/erasures/1", "")
	b.wantProblem(422, []string{"body.ids"}, http.MethodPost, path, `{"ids":[]}`, "Content-Type", jsonType)
	b.wantProblem(422, []string{"body.ids[1]"}, http.MethodPost, path, `{"ids":["a",""]}`, "Content-Type", jsonType)
}
