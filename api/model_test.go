package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func TestPutModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path, body = "/v1/models/fraud", `{"task":"binary","positive":"fraud","description":"d","owner":"risk","tags":{"tier":"1"},"feature_groups":{"money":["amount","fee_*"]}}`
	first := b.want(http.StatusCreated, http.MethodPut, path, body, "Content-Type", jsonType)
	again := b.want(http.StatusOK, http.MethodPut, path, body, "Content-Type", jsonType)
	again.wantJSON(t, string(first.body))
	shown := b.want(http.StatusOK, http.MethodGet, path, "")
	shown.wantJSON(t, string(first.body))

	got := decode(t, shown.body).(map[string]any)
	delete(got, "created_at")
	delete(got, "updated_at")
	want := map[string]any{
		"name": "fraud", "task": "binary", "positive": "fraud", "description": "d", "owner": "risk",
		"tags": map[string]any{"tier": "1"}, "registered": true, "feature_groups": map[string]any{"money": []any{"amount", "fee_*"}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("model is %v, want %v", got, want)
	}
}

func TestPutModelRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, tt := range []struct {
		name, body string
		status     int
		locations  []string
		message    string
	}{
		{"no body", ``, 400, nil, "request body is required"},
		{"broken JSON", `{"task":`, 400, []string{"body"}, "unexpected end of JSON input"},
		{"unknown task", `{"task":"clustering"}`, 422, []string{"body.task"}, "binary"},
		{"no task", `{}`, 422, []string{"body"}, "expected required property task to be present"},
		{"misspelt field", `{"task":"binary","positve":"1"}`, 422, []string{"body.positve"}, "unexpected property"},
		{"positive without classes", `{"task":"regression","positive":"1"}`, 422, []string{"body.positive"}, "applies to the task binary only"},
		{"not offered", `{"task":"binary","kpis":[]}`, 422, []string{"body.kpis"}, "not offered by this version yet"},
		{"empty group", `{"task":"binary","feature_groups":{"a":[]}}`, 422, []string{"body.feature_groups.a"}, "must name from 1"},
		{"group of nothing", `{"task":"binary","feature_groups":{"a":["x","*",""]}}`, 422, []string{"body.feature_groups.a[2]"}, "empty"},
		{"wrong type", `{"task":"binary","tags":["a"]}`, 422, []string{"body.tags"}, "expected object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := *b
			b.t = t
			p := b.wantProblem(tt.status, tt.locations, http.MethodPut, "/v1/models/fraud", tt.body, "Content-Type", jsonType)
			if text := fmt.Sprint(p.Detail, p.Errors); !strings.Contains(text, tt.message) {
				t.Errorf("%q is not in %s", tt.message, text)
			}
		})
	}
}

func TestModelNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("x", 200)
	for _, name := range []string{"a%20b", "%C3%BC", "100%25", "a%3Fb", "x:y", long} {
		b.want(http.StatusCreated, http.MethodPut, "/v1/models/"+name, `{"task":"other"}`, "Content-Type", jsonType)
		b.want(http.StatusOK, http.MethodGet, "/v1/models/"+name, "")
	}
	for _, name := range []string{"a%2Fb", "a%00b", "%0A", "%C2%85", "%FF", "..%2F", long + "x", strings.Repeat("%C3%BC", 101)} {
		b.wantProblem(422, []string{"path.model"}, http.MethodPut, "/v1/models/"+name, `{"task":"other"}`, "Content-Type", jsonType)
		b.wantProblem(422, []string{"path.model"}, http.MethodGet, "/v1/models/"+name+"/versions", "")
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(http.StatusOK, http.MethodGet, "/v1/models", "").wantJSON(t, `{"items":[]}`)
	for _, name := range []string{"c", "a", "b"} {
		b.putModel(name, modelwatch.TaskOther)
	}
	if _, err := b.store.EnsureVersion(t.Context(), "d", "1"); err != nil {
		t.Fatal(err)
	}
	var names []string
	pages := 0
	for m, err := range api.All(func(page api.Page) (api.List[api.Model], error) {
		pages++
		page.Limit = 3
		return b.client.Models(t.Context(), page)
	}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(m.Name, m.Registered))
	}
	if got := strings.Join(names, " "); got != "atrue btrue ctrue dfalse" || pages != 2 {
		t.Errorf("listed %s on %d pages, want atrue btrue ctrue dfalse on 2", got, pages)
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wantProblem(422, []string{"query.limit"}, http.MethodGet, "/v1/models?limit=0", "")
	b.wantProblem(422, []string{"query.limit"}, http.MethodGet, "/v1/models?limit=1001", "")
	b.wantProblem(422, []string{"query.limit"}, http.MethodGet, "/v1/models?limit=ten", "")
	b.wantProblem(422, []string{"query.offset"}, http.MethodGet, "/v1/models?offset=3", "")
	b.wantProblem(422, nil, http.MethodGet, "/v1/models?cursor=nonsense", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/nosuch", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/nosuch/versions", "")
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/nosuch/jobs", "")
}
