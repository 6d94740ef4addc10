package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func jobBody(metrics ...string) api.JobBody {
	return api.JobBody{Kind: modelwatch.JobDrift, Cron: "0 * * * *", Window: "1h", Metrics: metrics}
}

const driftJob = `{"kind":"drift","versions":["*"],"cron":"*/15 * * * *","timezone":"UTC","window":"1h","delay":"5m",
"metrics":["psi","js_distance","ks"],"columns":["*"],"baseline":{"kind":"training"},"minimum_rows":100,
"thresholds":[{"metric":"psi","upper":0.2,"for":"2 of 3"},{"metric":"psi","change":"+50%","against":"7d"},{"metric":"ks","learn":{"sd":3}},
{"metric":"ks","over":"null"},{"metric":"psi_max","upper":0.5},{"metric":"psi","name":"amount","difference":-0.05,"against":"version:3.0.0"}],"sinks":["datadog"]}`

func TestPutJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	const path = "/v1/models/fraud/jobs/hourly"
	first := b.want(http.StatusCreated, http.MethodPut, path, driftJob, "Content-Type", jsonType)
	b.want(http.StatusOK, http.MethodPut, path, driftJob, "Content-Type", jsonType).wantJSON(t, string(first.body))

	got := decode(t, b.want(http.StatusOK, http.MethodGet, path, "").body).(map[string]any)
	for name, want := range decode(t, []byte(driftJob)).(map[string]any) {
		if fmt.Sprint(got[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v as it was put", name, got[name], want)
		}
	}
	if got["revision"] != 1.0 || got["planned_until"] != "2026-11-21T10:07:00Z" || got["maturity"] != "1d" {
		t.Errorf("job is %v", got)
	}

	// Another body is another revision, and what is shown can be put back.
	changed := b.want(http.StatusOK, http.MethodPut, path, strings.Replace(driftJob, `"1h"`, `"2h"`, 1), "Content-Type", jsonType)
	if got := decode(t, changed.body).(map[string]any); got["revision"] != 2.0 || got["window"] != "2h" {
		t.Errorf("changed job is %v", got)
	}
	b.want(http.StatusOK, http.MethodGet, "/v1/models/fraud/jobs", "")
	b.want(http.StatusNoContent, http.MethodDelete, path, "")
	b.wantProblem(404, nil, http.MethodDelete, path, "")
	b.wantProblem(404, nil, http.MethodGet, path, "")
	b.wantProblem(404, nil, http.MethodPut, "/v1/models/nosuch/jobs/hourly", driftJob, "Content-Type", jsonType)
}

func TestPutJobShownIsPutBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	for name, body := range map[string]string{
		"least":    `{"kind":"drift","cron":"0 6 * * *","window":"1d"}`,
		"backtest": `{"kind":"backtest","cron":"0 6 * * *","window":"15d","label_delay":"3d","maturity":"14d","metrics":["precision"],"segments":[["country"],["country","device"]],"thresholds":[{"metric":"precision","learn":{"sd":3}}]}`,
		"fixed":    `{"kind":"drift","cron":"0 6 * * *","window":"1d","baseline":{"kind":"window","start":"2026-01-01T00:00:00Z","end":"2026-02-01T00:00:00+01:00"}}`,
		"rolling":  `{"kind":"drift","cron":"0 6 * * *","window":"90m","baseline":{"kind":"rolling","offset":"7d","length":"36h"}}`,
		"segments": `{"kind":"quality","cron":"0 6 * * *","window":"1d","segments":[["country"],["country","device"]]}`,
		"compat":   `{"kind":"drift","cron":"0 6 * * *","window":"1d","compat":"nannyml"}`,
		"exact":    `{"kind":"drift","cron":"0 6 * * *","window":"1d","exact":true}`,
		"weekday":  `{"kind":"drift","cron":"0 6 * * *","window":"1d","baseline":{"kind":"same_weekday","weeks":6,"exclude":[{"start":"2026-12-24T00:00:00+01:00","end":"2026-12-27T00:00:00+01:00"}]}}`,
		"version":  `{"kind":"drift","cron":"0 6 * * *","window":"1d","baseline":{"kind":"version","version":"3.0.0"}}`,
		"zero":     `{"kind":"drift","cron":"0 6 * * *","window":"1d","delay":"0s","maturity":"0s","baseline":{"kind":"previous"}}`,
	} {
		if _, err := b.client.Job(t.Context(), "fraud", name); asDomain(t, err).Code != modelwatch.CodeNotFound {
			t.Fatal(err)
		}
		b.want(http.StatusCreated, http.MethodPut, "/v1/models/fraud/jobs/"+name, body, "Content-Type", jsonType)
		shown, err := b.client.Job(t.Context(), "fraud", name)
		if err != nil {
			t.Fatal(err)
		}
		stored, created, err := b.client.PutJob(t.Context(), "fraud", name, shown.JobBody)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if created || stored.Revision != 1 {
			t.Errorf("%s: putting back what is shown made revision %d", name, stored.Revision)
		}
	}
}

func TestPutJobRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	b.putVersion("fraud", "1")
	b.putModel("price", modelwatch.TaskRegression)
	const head = `{"kind":"drift","cron":"0 6 * * *","window":"1d",`
	for _, tt := range []struct {
		name, model, body string
		locations         []string
		message           string
	}{
		{"no cron", "fraud", `{"kind":"drift","window":"1d"}`, []string{"body"}, "required property cron"},
		{"bad cron", "fraud", `{"kind":"drift","cron":"hourly","window":"1d"}`, []string{"body.cron"}, "has not five fields"},
		{"bad zone", "fraud", head + `"timezone":"Mars/Olympus"}`, []string{"body.timezone"}, "IANA"},
		{"bad window", "fraud", `{"kind":"drift","cron":"0 6 * * *","window":"1x"}`, []string{"body.window"}, `"1x" is not a duration`},
		{"no window", "fraud", `{"kind":"drift","cron":"0 6 * * *","window":""}`, []string{"body.window"}, "is not a duration"},
		{"short window", "fraud", `{"kind":"drift","cron":"0 6 * * *","window":"10s"}`, []string{"body.window"}, "from 1m to 366d"},
		{"long delay", "fraud", head + `"delay":"31d"}`, []string{"body.delay"}, "from 0s to 30d"},
		{"near metric", "fraud", head + `"metrics":["psi","js_distnace"]}`, []string{"body.metrics[1]"}, "did you mean js_distance?"},
		{"far metric", "fraud", head + `"metrics":["zzzzzzz"]}`, []string{"body.metrics[0]"}, "there are psi, js_distance, ks, missing_ratio"},
		{"metric of another task", "price", `{"kind":"backtest","cron":"0 6 * * *","window":"1d","metrics":["precision"]}`, []string{"body.metrics[0]"}, "does not apply to the task regression; there are rmse, mae"},
		{"metric of another kind", "fraud", head + `"metrics":["rmse"]}`, []string{"body.metrics[0]"}, "is not a drift metric"},
		{"metric twice", "fraud", head + `"metrics":["psi","psi"]}`, []string{"body.metrics"}, "unique"},
		{"column", "fraud", head + `"columns":["amuont","country"]}`, []string{"body.columns[0]"}, "did you mean amount?"},
		{"mapped column under our name", "fraud", head + `"columns":["score"]}`, []string{"body.columns[0]"}, "there are amount, card_age, country, label, y_pred_proba"},
		{"prefix", "fraud", head + `"columns":["cart_*"]}`, []string{"body.columns[0]"}, "matches no column"},
		{"version pattern", "fraud", head + `"versions":["3.*"]}`, []string{"body.versions[0]"}, "* stands alone"},
		{"sink", "fraud", head + `"sinks":["pagerduty"]}`, []string{"body.sinks[0]"}, "it has datadog"},
		{"minimum rows", "fraud", head + `"minimum_rows":0}`, []string{"body.minimum_rows"}, ">= 1"},
		{"threshold on another metric", "fraud", head + `"metrics":["psi"],"thresholds":[{"metric":"ks","upper":1}]}`, []string{"body.thresholds[0].metric"}, "add it there"},
		{"threshold on no metric", "fraud", head + `"thresholds":[{"metric":"pis","upper":1}]}`, []string{"body.thresholds[0].metric"}, "did you mean psi"},
		{"threshold without limit", "fraud", head + `"thresholds":[{"metric":"psi","upper":1},{"metric":"psi"}]}`, []string{"body.thresholds[1]"}, "limits nothing"},
		{"threshold crossed", "fraud", head + `"thresholds":[{"metric":"psi","upper":1,"lower":2}]}`, []string{"body.thresholds[0].lower"}, "above upper"},
		{"threshold column", "fraud", head + `"thresholds":[{"metric":"psi","upper":1,"name":"nope"}]}`, []string{"body.thresholds[0].name"}, "is not a column"},
		{"for", "fraud", head + `"thresholds":[{"metric":"psi","upper":1,"for":"3 of 2"}]}`, []string{"body.thresholds[0].for"}, "is never reached"},
		{"for nothing", "fraud", head + `"thresholds":[{"metric":"psi","for":"2 of 3"}]}`, []string{"body.thresholds[0]"}, "limits nothing"},
		{"change", "fraud", head + `"thresholds":[{"metric":"psi","change":"50%","against":"7 days"}]}`, []string{"body.thresholds[0].change", "body.thresholds[0].against"}, "write for example +50%"},
		{"change against nothing", "fraud", head + `"thresholds":[{"metric":"psi","change":"+50%"}]}`, []string{"body.thresholds[0].against"}, "is missing"},
		{"difference", "fraud", head + `"versions":["1"],"thresholds":[{"metric":"psi","difference":0,"against":"version:2"}]}`, []string{"body.thresholds[0].difference", "body.thresholds[0].against"}, "not among the job's versions, 1"},
		{"against", "fraud", head + `"thresholds":[{"metric":"psi","upper":1,"against":"7d"}]}`, []string{"body.thresholds[0].against"}, "applies to change and difference only"},
		{"learn", "fraud", head + `"thresholds":[{"metric":"ks","learn":{"sd":0}}]}`, []string{"body.thresholds[0].learn.sd"}, "> 0"},
		{"over", "fraud", head + `"thresholds":[{"metric":"ks","over":"zero"}]}`, []string{"body.thresholds[0].over"}, "null"},
		{"group of what is not measured", "fraud", head + `"metrics":["psi"],"thresholds":[{"metric":"ks_max","upper":1}]}`, []string{"body.thresholds[0].metric"}, "is not a drift metric"},
		{"null point of a backtest", "fraud", `{"kind":"backtest","cron":"0 6 * * *","window":"1d","thresholds":[{"metric":"recall","over":"null"}]}`,
			[]string{"body.thresholds[0].over"}, "kind drift only"},
		{"two sorts", "fraud", head + `"thresholds":[{"metric":"ks","over":"null","lower":0.1}]}`, []string{"body.thresholds[0].over"}, "does not go with lower"},
		{"segments of a backtest", "fraud", `{"kind":"backtest","cron":"0 6 * * *","window":"1d","segments":[["country"],["cuontry"]]}`, []string{"body.segments[1][0]"}, "did you mean country?"},
		{"segments", "fraud", head + `"segments":[["country"],["cuontry"],[],["a*","country","country"],["country"]]}`,
			[]string{"body.segments[1][0]", "body.segments[2]", "body.segments[3][0]", "body.segments[3][2]", "body.segments[4]"}, "did you mean country?"},
		{"compat", "fraud", head + `"compat":"excel"}`, []string{"body.compat"}, "nannyml"},
		{"compat of segments", "fraud", head + `"compat":"nannyml","exact":true,"segments":[["country"]]}`, []string{"body.compat", "body.exact", "body.exact"}, "does not go with segments"},
		{"exact backtest", "fraud", `{"kind":"backtest","cron":"0 6 * * *","window":"1d","exact":true}`, []string{"body.exact"}, "kind drift only"},
		{"same weekday", "fraud", `{"kind":"drift","cron":"0 6 * * *","window":"7d","baseline":{"kind":"same_weekday","exclude":[{"start":"2026-12-26T00:00:00Z","end":"2026-12-25T00:00:00Z"}]}}`,
			[]string{"body.baseline.weeks", "body.baseline.kind", "body.baseline.exclude[0].end"}, "at most 6d"},
		{"many weeks", "fraud", head + `"baseline":{"kind":"same_weekday","weeks":53}}`, []string{"body.baseline.weeks"}, "<= 52"},
		{"another version", "fraud", head + `"baseline":{"kind":"version","weeks":2}}`, []string{"body.baseline.version", "body.baseline.weeks"}, "say which version"},
		{"baseline of a backtest", "fraud", `{"kind":"backtest","cron":"0 6 * * *","window":"1d","baseline":{"kind":"previous"}}`, []string{"body.baseline.kind"}, "thresholds with change or difference"},
		{"window without end", "fraud", head + `"baseline":{"kind":"window","start":"2026-01-01T00:00:00Z"}}`, []string{"body.baseline.end"}, "is missing"},
		{"window backwards", "fraud", head + `"baseline":{"kind":"window","start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}}`, []string{"body.baseline.end"}, "after start"},
		{"rolling without length", "fraud", head + `"baseline":{"kind":"rolling","offset":"7d"}}`, []string{"body.baseline.length"}, "is not a duration"},
		{"rolling into itself", "fraud", head + `"baseline":{"kind":"rolling","offset":"1h","length":"1d"}}`, []string{"body.baseline.offset"}, "at least the job's window, 1d"},
		{"stray fields", "fraud", head + `"baseline":{"kind":"training","length":"7d","weeks":3}}`, []string{"body.baseline.length", "body.baseline.weeks"}, "kind rolling only"},
		{"label delay of drift", "fraud", head + `"label_delay":"3d"}`, []string{"body.label_delay"}, "kind backtest only"},
		{"all at once", "fraud", `{"kind":"drift","cron":"x","window":"y","metrics":["z"],"sinks":["s"]}`,
			[]string{"body.window", "body.cron", "body.metrics[0]", "body.sinks[0]"}, "sink"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := *b
			b.t = t
			p := b.wantProblem(422, tt.locations, http.MethodPut, "/v1/models/"+tt.model+"/jobs/j", tt.body, "Content-Type", jsonType)
			var text strings.Builder
			for _, d := range p.Errors {
				text.WriteString(d.Message + "\n")
			}
			if !strings.Contains(text.String(), tt.message) {
				t.Errorf("%q is not in %s", tt.message, text.String())
			}
		})
	}
}

func TestPutJobAcceptsKnownColumns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	const body = `{"kind":"drift","cron":"0 6 * * *","window":"1d","columns":["amount","card_*","y_pred_proba","label"],"thresholds":[{"metric":"psi","name":"country","upper":0.1}]}`
	// While nothing is known of any version, anything may be named.
	b.want(http.StatusCreated, http.MethodPut, "/v1/models/fraud/jobs/early", `{"kind":"drift","cron":"0 6 * * *","window":"1d","columns":["whatever"]}`, "Content-Type", jsonType)
	b.putVersion("fraud", "1")
	b.want(http.StatusCreated, http.MethodPut, "/v1/models/fraud/jobs/late", body, "Content-Type", jsonType)
}

func TestClientShowsPlaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.putModel("fraud", modelwatch.TaskBinary)
	job, _, err := b.client.PutJob(t.Context(), "fraud", "j", jobBody("pis"))
	e := asDomain(t, err)
	if e.Code != modelwatch.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Location != "body.metrics[0]" || !strings.Contains(err.Error(), "did you mean psi?") {
		t.Errorf("job %v, error %v", job, err)
	}
}
