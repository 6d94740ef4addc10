package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/modelwatch/modelwatch"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// layout is parsed for the first page: most commands draw none.
var layout = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageHTML)) })

// page is what the template draws.
type page struct {
	Title     string
	Drift     bool
	Generated string
	Sides     []sideView
	Verdict   verdict
	Tiles     []tile
	Notes     []string
	Schema    []SchemaChange

	Metrics    []heading // of the overview of a drift report
	Baselines  bool      // some metric of a backtest has the baseline's value
	Constants  bool      // or that of the best constant prediction
	Importance bool      // some column's is known
	Cards      []card
	Undrawn    string
	Model      *metricTable
	Groups     *matrix
	Classes    *matrix
	Confusion  *confusion
	Glossary   []heading

	Style  template.CSS
	Script template.JS
	Data   template.JS
	Policy string
}

type sideView struct{ Role, Class, Name, Rows string }

type verdict struct{ State, Text string }

type tile struct{ Label, Value, Note, State string }

// heading is a metric with what it means.
type heading struct{ Name, Text string }

// card is one column of a drift report or one metric of a backtest.
type card struct {
	ID         string
	Number     int
	Name       string
	Type       string
	Subject    string
	Importance string
	State      string
	StateText  string
	Sort       string // the score, for the script
	Weight     string // the importance, for the script
	Cells      []cell
	Table      metricTable
	Drawn      bool
	Charts     bool
	Segments   int
}

// newPage arranges everything that the template prints.
func newPage(r *Report) (*page, error) {
	a := arrange(r)
	table := a.takeConfusion()
	drawn := a.items[:min(len(a.items), DrawnColumns)]
	content, err := newData(r, drawn, a.last)
	if err != nil {
		return nil, err
	}
	p := &page{
		Title: r.Title, Drift: r.Kind == modelwatch.JobDrift, Generated: strings.TrimPrefix(r.Generated, "modelwatch "), Sides: sides(r),
		Notes: slices.Clone(r.Notes), Schema: r.SchemaChanges, Data: content,
		Style: template.CSS(pageCSS), Script: template.JS(pageJS), Policy: policy(),
	}
	if p.Title == "" {
		p.Title = map[bool]string{true: "Drift report", false: "Backtest report"}[p.Drift]
	}
	if len(a.last) > 0 {
		last := r.Chunks[len(r.Chunks)-1].Label
		p.Notes = append(p.Notes, "Values are those of the last chunk, "+last+", where there is none over all rows. Distributions are of all rows.")
	}
	if n := len(a.items) - len(drawn); n > 0 {
		p.Undrawn = "The " + count(DrawnColumns) + " columns that matter most are drawn below; the other " + count(int64(n)) + " stand in the overview only."
	}
	p.addCards(a)
	p.Verdict, p.Tiles = summary(r, a)
	if len(a.model) > 0 {
		t := newMetricTable(a.model)
		p.Model = &t
	}
	p.Groups = newMatrix("group", a.groups, meaningOver, func(m *modelwatch.Measurement) string { return m.Name })
	p.Classes = newMatrix("class", a.classes, meaning, func(m *modelwatch.Measurement) string { return m.Class })
	p.Confusion = table
	p.Glossary = glossary(a)
	return p, nil
}

func sides(r *Report) []sideView {
	var out []sideView
	add := func(role, class string, s Side) {
		if s.Name != "" || s.Rows > 0 {
			out = append(out, sideView{role, class, s.Name, count(s.Rows) + " rows"})
		}
	}
	if r.Kind == modelwatch.JobDrift {
		add("Baseline", "base", r.Baseline)
		add("Current", "now", r.Current)
		return out
	}
	add("Predictions", "now", r.Current)
	add("Labels", "", r.Labels)
	add("Baseline", "base", r.Baseline)
	return out
}

// policy forbids the page every request, and every script but its own.
func policy() string {
	sum := sha256.Sum256([]byte(pageJS))
	return "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

func (p *page) addCards(a *arrangement) {
	var metrics []seriesKey
	for _, it := range a.items {
		for _, m := range it.whole {
			if key := keyOfSeries(m); !slices.Contains(metrics, key) {
				metrics = append(metrics, key)
			}
			p.Baselines = p.Baselines || m.BaselineValue != nil
			p.Constants = p.Constants || m.ConstantValue != nil
		}
		_, weighted := it.importance()
		p.Importance = p.Importance || weighted
	}
	if p.Drift {
		metrics = inOrder(metrics)
		for _, key := range metrics {
			p.Metrics = append(p.Metrics, heading{metricName(key.metric, key.k), meaning(key.metric)})
		}
	}
	for i, it := range a.items {
		c := newCard(it, i, p.Drift)
		if p.Drift {
			c.Cells = overviewCells(it, metrics)
		}
		p.Cards = append(p.Cards, c)
	}
}

func newCard(it *item, i int, drift bool) card {
	c := card{
		ID: "c" + strconv.Itoa(i), Number: i, Name: it.key.name, State: it.state.String(), StateText: stateText(it, drift),
		Sort: strconv.FormatFloat(it.score, 'g', 6, 64), Weight: "0",
		Table: newMetricTable(it.whole), Drawn: i < DrawnColumns,
	}
	c.Charts = it.chunks != nil || len(it.segments) > 0
	if it.key.subject != modelwatch.SubjectFeature && it.key.subject != modelwatch.SubjectModel {
		c.Subject = string(it.key.subject)
	}
	if !drift {
		c.Name = metricName(it.key.metric, it.key.k)
		if it.key.name != "" {
			c.Name = it.key.name + " " + c.Name
		}
	}
	segments := map[string]bool{}
	for _, m := range it.segments {
		segments[segmentLabel(m.Segment)] = true
	}
	c.Segments = len(segments)
	if col := it.column; col != nil {
		c.Type = string(col.Type)
		c.Charts = c.Charts || len(col.Bins) > 0 || col.Curve != nil
		if w, ok := it.importance(); ok {
			c.Importance, c.Weight = number(w), strconv.FormatFloat(w, 'g', 6, 64)
		}
	}
	return c
}

func stateText(it *item, drift bool) string {
	switch it.state {
	case stateOver:
		if !slices.ContainsFunc(it.whole, func(m *modelwatch.Measurement) bool { return m.Breached }) {
			return "breached in a chunk"
		}
		return "threshold breached"
	case stateBeyond:
		if drift {
			return "beyond noise"
		}
		return "differs from baseline"
	case stateWithin:
		if drift {
			return "within noise"
		}
		return "as expected"
	}
	return "not measured"
}

// glossary explains the metrics of the page, in the order of documentation.
func glossary(a *arrangement) []heading {
	present := map[string]bool{}
	add := func(list []*modelwatch.Measurement) {
		for _, m := range list {
			present[m.Metric] = true
		}
	}
	add(a.model)
	add(a.groups)
	add(a.classes)
	for _, it := range a.items {
		add(it.whole)
		add(it.segments)
	}
	names := slices.Collect(maps.Keys(present))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(comparePositions(a, b), cmp.Compare(a, b)) })
	var out []heading
	for _, name := range names {
		if text := meaning(name); text != "" {
			out = append(out, heading{name, text})
		}
	}
	return out
}

func metricName(metric string, k int) string {
	if k != 0 {
		return strings.TrimSuffix(metric, "_at_k") + "@" + strconv.Itoa(k)
	}
	return metric
}
