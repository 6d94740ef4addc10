package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/report"
)

// testPage is a page as a browser sees it.
type testPage struct {
	raw  []byte
	root *html.Node
	data pageData
}

type pageData struct {
	Kind     string   `json:"kind"`
	Chunks   []string `json:"chunks"`
	Segments []string `json:"segments"`
	Cards    []struct {
		Name string `json:"name"`
		Bins *struct {
			Edges, P, Q []*float64
			Values      []string
			Other       int
			New         []float64
		} `json:"bins"`
		Curve *struct {
			X, F, G, Gap []*float64
			Clip         bool
		} `json:"curve"`
		KS     []*float64 `json:"ks"`
		Series []struct {
			M    string            `json:"m"`
			V    []*float64        `json:"v"`
			Over []float64         `json:"over"`
			B    []int             `json:"b"`
			Why  map[string]string `json:"why"`
		} `json:"series"`
		Segment []struct {
			M    string  `json:"m"`
			At   []int   `json:"at"`
			Rows []int64 `json:"rows"`
		} `json:"segment"`
	} `json:"cards"`
}

func setup(t *testing.T, r report.Report) testPage {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	p := testPage{raw: b.Bytes(), root: root}
	decoder := json.NewDecoder(strings.NewReader(text(p.one(t, "script", "id", "data"))))
	if err := decoder.Decode(&p.data); err != nil {
		t.Fatalf("data of the page: %v", err)
	}
	return p
}

func (p testPage) all(tag, key, value string) []*html.Node {
	var out []*html.Node
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag && (key == "" || slices.Contains(strings.Fields(attribute(n, key)), value)) {
			out = append(out, n)
		}
	}
	return out
}

func (p testPage) one(t *testing.T, tag, key, value string) *html.Node {
	t.Helper()
	found := p.all(tag, key, value)
	if len(found) != 1 {
		t.Fatalf("%d elements <%s %s=%s>, want 1", len(found), tag, key, value)
	}
	return found[0]
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func titles(p testPage) []string {
	var out []string
	for _, n := range p.all("h3", "", "") {
		out = append(out, text(n))
	}
	return out
}

func TestPageHasEverything(t *testing.T) {
	t.Parallel()
	r := exampleDrift(20, 14)
	p := setup(t, r)
	if n := len(p.all("section", "class", "card")); n != 20 {
		t.Errorf("%d cards, want 20", n)
	}
	if n := len(p.data.Cards); n != 20 {
		t.Errorf("data of %d cards, want 20", n)
	}
	if len(p.data.Chunks) != 14 || len(p.data.Segments) != 5 {
		t.Errorf("%d chunks and %d segments, want 14 and 5", len(p.data.Chunks), len(p.data.Segments))
	}
	whole := text(p.root)
	for _, want := range []string{r.Title, r.Generated, r.Baseline.Name, "250,000 rows", r.Notes[0], r.SchemaChanges[0].Change, "drifted_share", "customer", "all missing"} {
		if !strings.Contains(whole, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	ids := map[string]bool{}
	for n := range p.root.Descendants() {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
	}
	for _, a := range p.all("a", "", "") {
		if target, ok := strings.CutPrefix(attribute(a, "href"), "#"); !ok || !ids[target] {
			t.Errorf("link to %q leads nowhere", attribute(a, "href"))
		}
	}
	for i, c := range p.data.Cards {
		if c.Curve == nil {
			continue
		}
		if n := len(c.Curve.X); n < 20 || n > 320 || len(c.Curve.F) != n || len(c.Curve.G) != n {
			t.Errorf("card %d has a curve of %d points", i, n)
		}
	}
}

// Whatever the names hold, they are text: they open no element, end no script
// and become no attribute.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	names := []string{
		`<script>alert(1)</script>`, `</script><img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `' onmouseover='alert(1)`, `<!-- --><![CDATA[`, `]]>`,
		"https://example.invalid/x.js", "javascript:alert(1)", "مبلغ العملية", "שלום‏ 12", "😀👩‍👩‍👧‍👦", strings.Repeat("länge_", 50), "line\u2028separator", "{{.Title}}", "`${alert(1)}`", " ", "\\u003c", "&lt;b&gt;",
	}
	r := report.Report{Kind: modelwatch.JobDrift, Title: names[0], Generated: names[1], Baseline: report.Side{Name: names[2], Rows: 1}, Current: report.Side{Name: names[3], Rows: 1}, Notes: names, Chunks: []report.Chunk{{Label: names[1]}}}
	for _, name := range names {
		r.SchemaChanges = append(r.SchemaChanges, report.SchemaChange{Column: name, Change: name})
		r.Columns = append(r.Columns, report.Column{Name: name, Type: modelwatch.TypeCategory, Subject: modelwatch.SubjectFeature, Unit: name, Bins: []report.Bin{{Value: name, Baseline: 1, Current: 1}}})
		m := modelwatch.Measurement{Value: modelwatch.Value{Metric: "psi", Value: ptr(0.1)}, Subject: modelwatch.SubjectFeature, Name: name}
		segment := m
		segment.Segment = map[string]string{name: name}
		group := m
		group.Subject = modelwatch.SubjectGroup
		r.Measurements = append(r.Measurements, m, segment, group)
		r.Chunks[0].Measurements = append(r.Chunks[0].Measurements, m)
	}
	p := setup(t, r)
	if n := len(p.all("script", "", "")); n != 2 {
		t.Errorf("%d scripts, want 2", n)
	}
	if n := len(p.all("img", "", "")); n != 0 {
		t.Errorf("%d images, want none", n)
	}
	checkSelfContained(t, p)
	got, want := titles(p), slices.Clone(names)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the titles are %q, want %q", got, want)
	}
	for _, c := range p.data.Cards {
		if c.Bins == nil || !slices.Equal(c.Bins.Values, []string{c.Name}) || !slices.Contains(names, c.Name) {
			t.Errorf("data of a card is %+v", c)
		}
	}
}

// checkSelfContained checks that a browser has nothing to fetch and nothing to
// run but the page's script.
func checkSelfContained(t *testing.T, p testPage) {
	t.Helper()
	for n := range p.root.Descendants() {
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "srcset", a.Key == "action", a.Key == "data":
				t.Errorf("<%s> has the attribute %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "href" && !strings.HasPrefix(a.Val, "#") && a.Val != "data:,":
				t.Errorf("<%s> refers to %q", n.Data, a.Val)
			case a.Key == "style" && strings.Contains(a.Val, "url"):
				t.Errorf("<%s> has the style %q", n.Data, a.Val)
			}
		}
	}
	style := text(p.one(t, "style", "", ""))
	if rest := strings.ReplaceAll(style, "url(#hatch)", ""); strings.Contains(rest, "url(") || strings.Contains(rest, "@import") || strings.Contains(rest, "@font-face") {
		t.Error("the style sheet refers to something outside")
	}
	scripts := p.all("script", "", "")
	script := text(scripts[len(scripts)-1])
	for _, call := range []string{"http:", "https:", "fetch(", "import(", "XMLHttpRequest", "WebSocket", "sendBeacon", "innerHTML", "eval(", "localStorage"} {
		if strings.Contains(script, call) {
			t.Errorf("the script holds %q", call)
		}
	}
	sum := sha256.Sum256([]byte(script))
	policy := attribute(p.one(t, "meta", "http-equiv", "Content-Security-Policy"), "content")
	if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, hash) || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy is %q, want it to allow %s and no request", policy, hash)
	}
}

func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	checkSelfContained(t, setup(t, exampleDrift(20, 14)))
	checkSelfContained(t, setup(t, exampleBacktest()))
}

// Not one number that is not finite reaches the page, whatever the input.
func TestNothingButFiniteNumbers(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64} {
		r := exampleDrift(4, 3)
		v := modelwatch.Value{Metric: "psi", Value: &bad, Lower: &bad, Upper: &bad, Null95: &bad, PValue: &bad, AdjustedP: &bad, StandardError: &bad, BaselineValue: &bad, ConstantValue: &bad, EffectiveCurrent: &bad}
		for i := range r.Columns {
			c := &r.Columns[i]
			c.Importance, c.Baseline, c.Current = bad, report.Quality{Missing: bad, Invalid: bad, New: bad}, report.Quality{Missing: bad, Invalid: bad, New: bad}
			for j := range c.Bins {
				c.Bins[j].Baseline = bad
				if c.Bins[j].Upper != nil {
					c.Bins[j].Upper = &bad
				}
			}
			if c.Curve != nil {
				c.Curve.X[7], c.Curve.Baseline[8], c.Curve.Current[len(c.Curve.X)-1] = bad, bad, bad
			}
		}
		m := modelwatch.Measurement{Value: v, Subject: modelwatch.SubjectFeature, Name: "amount", Threshold: &modelwatch.Bounds{Upper: &bad, Lower: &bad}, LabelCoverage: &bad}
		segment := m
		segment.Segment = map[string]string{"a": "b"}
		r.Measurements = append(r.Measurements, m, segment)
		r.Chunks[0].Measurements = append(r.Chunks[0].Measurements, m)
		p := setup(t, r)
		for n := range p.root.Descendants() {
			style := n.Type == html.TextNode && n.Parent.Data == "style" || n.Type == html.TextNode && n.Parent.Data == "script" && attribute(n.Parent, "id") != "data"
			if style {
				continue
			}
			all := []string{n.Data}
			for _, a := range n.Attr {
				all = append(all, a.Val)
			}
			for _, s := range all {
				if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") || strings.Contains(s, "ZgotmplZ") {
					t.Fatalf("with %v the page holds %.80q", bad, s)
				}
			}
		}
	}
}

func TestSameReportSameBytes(t *testing.T) {
	t.Parallel()
	first, second := setup(t, exampleDrift(30, 5)), setup(t, exampleDrift(30, 5))
	if !bytes.Equal(first.raw, second.raw) {
		t.Error("two pages of the same report differ")
	}
	if first, second := setup(t, exampleBacktest()), setup(t, exampleBacktest()); !bytes.Equal(first.raw, second.raw) {
		t.Error("two pages of the same backtest differ")
	}
}

// Twenty columns with chunks and segments are mailed around.
func TestSize(t *testing.T) {
	t.Parallel()
	size := func(columns int) int {
		var b bytes.Buffer
		if err := report.Write(&b, exampleDrift(columns, 14)); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	twenty := size(20)
	if twenty > 250_000 {
		t.Errorf("twenty columns take %d bytes, want at most 250000", twenty)
	}
	if further := (size(40) - twenty) / 20; further > 9000 {
		t.Errorf("a further column takes %d bytes, want at most 9000", further)
	}
}

func TestOrderOfColumns(t *testing.T) {
	t.Parallel()
	limit := &modelwatch.Bounds{Upper: ptr(0.2)}
	value := func(name string, v float64, b *modelwatch.Bounds, breached bool) modelwatch.Measurement {
		return modelwatch.Measurement{Value: modelwatch.Value{Metric: "psi", Value: &v, Null95: ptr(0.01)}, Subject: modelwatch.SubjectFeature, Name: name, Threshold: b, Breached: breached}
	}
	column := func(name string, importance float64) report.Column {
		return report.Column{Name: name, Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber, Importance: importance}
	}
	low := value("low", 0.5, &modelwatch.Bounds{Lower: ptr(0.9)}, true)
	for name, test := range map[string]struct {
		columns      []report.Column
		measurements []modelwatch.Measurement
		want         string
	}{
		"breached first":           {nil, []modelwatch.Measurement{value("null", 0.1, nil, false), value("limit", 0.3, limit, true)}, "limit null"},
		"ratio to the threshold":   {nil, []modelwatch.Measurement{value("a", 0.3, limit, true), value("b", 0.6, limit, true)}, "b a"},
		"lower thresholds too":     {nil, []modelwatch.Measurement{value("a", 0.3, limit, true), low}, "low a"},
		"weighted by importance":   {[]report.Column{column("a", 1), column("b", 5)}, []modelwatch.Measurement{value("a", 0.08, nil, false), value("b", 0.04, nil, false)}, "b a"},
		"unmeasured last, by name": {[]report.Column{column("z", 0), column("y", 0)}, []modelwatch.Measurement{value("a", 0.001, nil, false)}, "a y z"},
	} {
		got := titles(setup(t, report.Report{Kind: modelwatch.JobDrift, Columns: test.columns, Measurements: test.measurements}))
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: the order is %v, want %s", name, got, test.want)
		}
	}
}

// Where nothing was measured over all rows, the last chunk stands for them, and
// the page says so; a breach in an earlier chunk still marks its column.
func TestChunksAlone(t *testing.T) {
	t.Parallel()
	at := func(v float64) []modelwatch.Measurement {
		m := modelwatch.Measurement{Value: modelwatch.Value{Metric: "psi", Value: &v, NCurrent: 10}, Subject: modelwatch.SubjectFeature, Name: "x", Threshold: &modelwatch.Bounds{Upper: ptr(0.2)}, Breached: v > 0.2}
		return []modelwatch.Measurement{m}
	}
	none := at(0)
	none[0].Value.Value, none[0].Reason, none[0].Breached = nil, modelwatch.ReasonTooFew, false
	p := setup(t, report.Report{Kind: modelwatch.JobDrift, Chunks: []report.Chunk{{Label: "first", Measurements: at(0.7)}, {Label: "second", Measurements: none}, {Label: "third", Measurements: at(0.125)}}})
	whole := text(p.root)
	for _, want := range []string{"the last chunk, third,", "0.125", "breached in a chunk", "1 of 1 column breaches a threshold"} {
		if !strings.Contains(whole, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	s := p.data.Cards[0].Series
	if len(s) != 1 || len(s[0].V) != 3 || s[0].V[1] != nil || *s[0].V[0] != 0.7 || !slices.Equal(s[0].B, []int{0}) || s[0].Why["1"] != "too few rows" || !slices.Equal(s[0].Over, []float64{0.2}) {
		t.Errorf("the series is %+v", s)
	}
}

// The gap that is marked on curves over all rows carries no value of a chunk.
func TestGapOfAllRows(t *testing.T) {
	t.Parallel()
	ks := []modelwatch.Measurement{{Value: modelwatch.Value{Metric: "ks", Value: ptr(0.75)}, Subject: modelwatch.SubjectFeature, Name: "x"}}
	r := report.Report{Kind: modelwatch.JobDrift, Columns: []report.Column{{Name: "x", Type: modelwatch.TypeNumber, Subject: modelwatch.SubjectFeature, Curve: &report.Curve{X: []float64{0, 1, 2}, Baseline: []float64{0, .5, 1}, Current: []float64{0, .25, 1}}}}}
	r.Chunks = []report.Chunk{{Label: "a", Measurements: ks}}
	if k := setup(t, r).data.Cards[0].KS; len(k) != 0 {
		t.Errorf("the curves carry the value %v of a chunk", k)
	}
	r.Measurements = ks
	if k := setup(t, r).data.Cards[0].KS; len(k) != 3 || *k[0] != 0.75 {
		t.Errorf("the curves carry %v, want 0.75", k)
	}
}

func TestManyColumns(t *testing.T) {
	t.Parallel()
	r := report.Report{Kind: modelwatch.JobDrift}
	for i := range report.DrawnColumns + 5 {
		r.Columns = append(r.Columns, report.Column{Name: fmt.Sprint("c", i), Type: modelwatch.TypeNumber, Subject: modelwatch.SubjectFeature})
	}
	p := setup(t, r)
	if n := len(p.all("section", "class", "card")); n != report.DrawnColumns {
		t.Errorf("%d cards, want %d", n, report.DrawnColumns)
	}
	if n := len(p.all("tr", "data-state", "none")); n != len(r.Columns) {
		t.Errorf("%d rows of the overview, want %d", n, len(r.Columns))
	}
	if !strings.Contains(text(p.root), "the other 5 stand in the overview only") {
		t.Error("the page does not say what it leaves out")
	}
}

func TestBacktestPage(t *testing.T) {
	t.Parallel()
	r := exampleBacktest()
	for _, class := range []string{"cat", "dog"} {
		r.Measurements = append(r.Measurements, modelwatch.Measurement{Value: modelwatch.Value{Metric: "recall", Class: class, Value: ptr(0.625)}, Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel})
	}
	r.Measurements = append(r.Measurements, modelwatch.Measurement{Value: modelwatch.Value{Metric: "ndcg_at_k", K: 10, Value: ptr(0.5)}, Kind: modelwatch.JobBacktest, Subject: modelwatch.SubjectModel})
	p := setup(t, r)
	got := titles(p)
	want := []string{"precision", "accuracy", "recall", "f1", "auc_roc", "log_loss", "brier", "ndcg@10"}
	if !slices.Equal(got, want) {
		t.Errorf("the metrics are %v, want %v", got, want)
	}
	confusion := text(p.one(t, "table", "class", "confusion"))
	for _, want := range []string{"12,480", "58.79 %", "68,212"} {
		if !strings.Contains(confusion, want) {
			t.Errorf("the table of right and wrong predictions lacks %s: %s", want, confusion)
		}
	}
	for _, want := range []string{"dog", "0.625", "80.3 %", "0.631 to 0.653", "best constant", "\u2265 0.66", "differs from baseline"} {
		if !strings.Contains(text(p.root), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestEmptyReport(t *testing.T) {
	t.Parallel()
	for _, kind := range []modelwatch.JobKind{modelwatch.JobDrift, modelwatch.JobBacktest} {
		if p := setup(t, report.Report{Kind: kind}); !strings.Contains(text(p.root), "Nothing was compared.") {
			t.Errorf("an empty report of kind %s does not say that it is empty", kind)
		}
	}
}

type brokenWriter struct{ left int }

var errBroken = errors.New("no space")

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errBroken
	}
	return len(b), nil
}

func TestErrors(t *testing.T) {
	t.Parallel()
	var code *modelwatch.Error
	if err := report.Write(&bytes.Buffer{}, report.Report{Kind: "weather"}); !errors.As(err, &code) || code.Code != modelwatch.CodeInvalid {
		t.Errorf("a report of an unknown kind fails with %v", err)
	}
	for _, left := range []int{0, 70_000} {
		if err := report.Write(&brokenWriter{left}, exampleDrift(20, 14)); !errors.Is(err, errBroken) {
			t.Errorf("a writer that fails after %d bytes gives %v", left, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, columns := range []int{20, 1000} {
		b.Run(fmt.Sprint(columns), func(b *testing.B) {
			r := exampleDrift(columns, 14)
			for b.Loop() {
				var out bytes.Buffer
				if err := report.Write(&out, r); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(out.Len()))
			}
		})
	}
}
