package app

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// monitoringPage has the table between these lines.
const (
	monitoringPage = "../docs/monitoring.md"
	tableBegins    = "| metric | labels | what it is |\n|---|---|---|\n"
)

// TestEveryMetricIsDocumented: the page's table is what a process of all roles
// registers, name for name, label for label and word for word. With UPDATE_DOCS=1
// in the environment it is written anew: read the difference.
func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	b, _, _ := setupIngestAs(t, []string{roleAPI, roleIngest, roleWork}, func(cfg *Config) {
		cfg.Sinks.Stdout.Enabled = true
	})
	eventually(t, "kafka's metrics are registered", func() bool {
		return slices.ContainsFunc(documented(t, b.service.registry), func(row string) bool { return strings.Contains(row, "modelwatch_kafka_") })
	})
	text, err := os.ReadFile(monitoringPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegins)
	table, after, end := strings.Cut(rest, "\n\n")
	if !ok || !end {
		t.Fatalf("%s has no table of metrics", monitoringPage)
	}
	want := strings.Join(documented(t, b.service.registry), "\n")
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(monitoringPage, []byte(before+tableBegins+want+"\n\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		table = want
	}
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("the table is not what a process registers; UPDATE_DOCS=1 go test ./app -run Documented writes it anew (-registered +page):\n%s", diff)
	}
	for _, m := range regexp.MustCompile("`(modelwatch_[a-z_]+)").FindAllStringSubmatch(before+after, -1) {
		if !strings.Contains(want, "`"+m[1]+"`") && !strings.HasSuffix(m[1], "_") {
			t.Errorf("the page speaks of %s, which nobody registers", m[1])
		}
	}
}

var description = regexp.MustCompile(`^Desc\{fqName: "(.*)", help: "(.*?)"(?:, unit: ".*")?, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// documented makes a row of each metric of ours, by name: those that are
// described, and those that only a scrape knows.
func documented(t *testing.T, registry *prometheus.Registry) []string {
	t.Helper()
	rows := map[string]string{}
	add := func(name, help string, labels []string) {
		if strings.HasPrefix(name, "modelwatch_") {
			slices.Sort(labels)
			rows[name] = fmt.Sprintf("| `%s` | %s | %s |", name, strings.Join(labels, ", "), help)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		add(f.GetName(), f.GetHelp(), labels)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	for d := range descriptions {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("a description of another form: %s", d)
		}
		var labels []string
		for l := range strings.SplitSeq(m[3]+","+m[4], ",") {
			if l, _, _ = strings.Cut(l, "="); l != "" {
				labels = append(labels, l)
			}
		}
		add(m[1], m[2], labels)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		out = append(out, rows[name])
	}
	return out
}
