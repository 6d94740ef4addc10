package api_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func TestPrivacyOfAVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	want := &api.Privacy{Columns: map[string]string{"country": "hash", "zip": "truncate:2", "amount": "drop", "email": "drop", "_tag_user": "hash", "_attr_amount": "drop"}, AllowList: true}
	body := api.VersionBody{Schema: &api.Schema{
		Features: []api.Feature{{Name: "amount", Type: "number"}, {Name: "country", Type: "category"}, {Name: "zip", Type: "text"}}, Privacy: want,
	}}
	if _, _, err := b.client.PutVersion(t.Context(), "fraud", "1", body); err != nil {
		t.Fatal(err)
	}
	v, err := b.client.Version(t.Context(), "fraud", "1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, v.Schema.Privacy); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	private, err := b.store.PrivateVersions(t.Context())
	if err != nil || len(private) != 1 || private[0].Name != "1" {
		t.Errorf("versions with rules: %+v, %v", private, err)
	}
	b.putVersion("fraud", "2")
	if private, err := b.store.PrivateVersions(t.Context()); err != nil || len(private) != 1 {
		t.Errorf("versions with rules: %+v, %v", private, err)
	}
}

func TestPrivacyThatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	for rules, location := range map[string]string{
		`{"allow_list":true}`:            "body.schema.privacy.allow_list",
		`{"columns":{"x":"encrypt"}}`:    "body.schema.privacy.columns.x",
		`{"columns":{"x":"truncate"}}`:   "body.schema.privacy.columns.x",
		`{"columns":{"x":"truncate:0"}}`: "body.schema.privacy.columns.x",
		`{"columns":{"x":"hash:1"}}`:     "body.schema.privacy.columns.x",
		`{"columns":{"_id":"hash"}}`:     "body.schema.privacy.columns._id",
		`{"columns":{"_time":"drop"}}`:   "body.schema.privacy.columns._time",
		`{"columns":{"_attr_x":"hash"}}`: "body.schema.privacy.columns._attr_x",
		`{"columns":{"":"drop"}}`:        "body.schema.privacy.columns.",
	} {
		b.wantProblem(422, []string{location}, http.MethodPut, "/v1/models/fraud/versions/1", `{"schema":{"privacy":`+rules+`}}`, "Content-Type", jsonType)
	}
	b.wantProblem(422, []string{"body.schema.privacy.columns.n"}, http.MethodPut, "/v1/models/fraud/versions/1",
		`{"schema":{"features":[{"name":"n","type":"number"}],"privacy":{"columns":{"n":"hash"}}}}`, "Content-Type", jsonType)
}

func TestHashWithoutAKey(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.NoPrivacyKey = true })
	b.putModel("fraud", modelwatch.TaskBinary)
	b.wantProblem(422, []string{"body.schema.privacy.columns.x"}, http.MethodPut, "/v1/models/fraud/versions/1", `{"schema":{"privacy":{"columns":{"x":"hash","y":"drop"}}}}`, "Content-Type", jsonType)
}
