package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func TestPutVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	const path = "/v1/models/fraud/versions/3.1.0"
	const body = `{"schema":{"features":[{"name":"country","type":"category"},{"name":"amount","type":"number","unit":"EUR","minimum":0,"maximum":1e6,"importance":0.4}],
"score":"number","predicted":"category","label":"category","classes":["b","a"],"columns":{"score":"y_pred_proba"}},"sampling_rate":0.25,"retention":"90d"}`
	first := b.want(http.StatusCreated, http.MethodPut, path, body, "Content-Type", jsonType)
	b.want(http.StatusOK, http.MethodPut, path, body, "Content-Type", jsonType).wantJSON(t, string(first.body))
	shown := b.want(http.StatusOK, http.MethodGet, path, "")
	got := decode(t, shown.body).(map[string]any)
	if got["sampling_rate"] != 0.25 || got["retention"] != "90d" || got["schema_revision"] != 1.0 {
		t.Errorf("version is %v", got)
	}
	const schema = `map[classes:[a b] columns:map[score:y_pred_proba] features:[map[importance:0.4 maximum:1e+06 minimum:0 name:amount type:number unit:EUR] map[name:country type:category]] label:category predicted:category score:number]`
	if text := fmt.Sprint(got["schema"]); text != schema {
		t.Errorf("schema is\n%s, want\n%s", text, schema)
	}

	// Without a schema, the known one stays; what else is not said takes its default.
	b.want(http.StatusOK, http.MethodPut, path, `{}`, "Content-Type", jsonType)
	got = decode(t, b.want(http.StatusOK, http.MethodGet, path, "").body).(map[string]any)
	if got["sampling_rate"] != 1.0 || got["retention"] != nil || fmt.Sprint(got["schema"]) != schema {
		t.Errorf("version is %v", got)
	}
	list := decode(t, b.want(http.StatusOK, http.MethodGet, "/v1/models/fraud/versions", "").body).(map[string]any)
	if items := list["items"].([]any); len(items) != 1 {
		t.Errorf("listed %v", items)
	}
}

func TestPutVersionRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	for _, tt := range []struct {
		name, body string
		locations  []string
		message    string
	}{
		{"rate of zero", `{"sampling_rate":0}`, []string{"body.sampling_rate"}, "> 0"},
		{"rate over one", `{"sampling_rate":1.5}`, []string{"body.sampling_rate"}, "<= 1"},
		{"part of a day", `{"retention":"36h"}`, []string{"body.retention"}, "whole days"},
		{"no duration", `{"retention":"forever"}`, []string{"body.retention"}, "is not a duration"},
		{"type", `{"schema":{"features":[{"name":"a","type":"float"}]}}`, []string{"body.schema.features[0].type"}, "number, category"},
		{"reserved name", `{"schema":{"features":[{"name":"_id","type":"text"}]}}`, []string{"body.schema.features[0].name"}, "underscore"},
		{"empty name", `{"schema":{"features":[{"name":"","type":"text"}]}}`, []string{"body.schema.features[0].name"}, "empty"},
		{"twice", `{"schema":{"features":[{"name":"a","type":"text"},{"name":"a","type":"number"}]}}`, []string{"body.schema.features[1].name"}, "features[0]"},
		{"empty range", `{"schema":{"features":[{"name":"a","type":"number","minimum":2,"maximum":1}]}}`, []string{"body.schema.features[0].minimum"}, "above maximum"},
		{"range of text", `{"schema":{"features":[{"name":"a","type":"text","minimum":2}]}}`, []string{"body.schema.features[0].type"}, "number only"},
		{"negative importance", `{"schema":{"features":[{"name":"a","type":"text","importance":-1}]}}`, []string{"body.schema.features[0].importance"}, ">= 0"},
		{"two parts", `{"schema":{"features":[{"name":"a","type":"number"}],"columns":{"score":"a","label":"y","id":"y"}}}`, []string{"body.schema.columns.score", "body.schema.columns.label"}, "one part"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := *b
			b.t = t
			p := b.wantProblem(422, tt.locations, http.MethodPut, "/v1/models/fraud/versions/1", tt.body, "Content-Type", jsonType)
			var text strings.Builder
			for _, d := range p.Errors {
				text.WriteString(d.Message)
			}
			if !strings.Contains(text.String(), tt.message) {
				t.Errorf("%q is not in %s", tt.message, text.String())
			}
		})
	}
	b.wantProblem(404, nil, http.MethodPut, "/v1/models/nosuch/versions/1", `{}`, "Content-Type", jsonType)
	b.wantProblem(404, nil, http.MethodGet, "/v1/models/fraud/versions/nosuch", "")
}
