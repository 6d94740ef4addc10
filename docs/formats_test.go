package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/ingest/format"
)

// sourceExample is a source as the page shows it.
type sourceExample struct {
	Topic    string            `yaml:"topic"`
	Format   string            `yaml:"format"`
	Model    string            `yaml:"model"`
	Version  string            `yaml:"version"`
	Kind     string            `yaml:"kind"`
	Inputs   []string          `yaml:"inputs"`
	Outputs  []string          `yaml:"outputs"`
	Columns  map[string]string `yaml:"columns"`
	Paths    map[string]string `yaml:"paths"`
	Timezone string            `yaml:"timezone"`
}

// TestFormatsPage: each format has a section, and the page's examples are accepted.
func TestFormatsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("formats.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	var seen []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1) {
		var sources []sourceExample
		if strings.HasPrefix(block[1], "kafka:") {
			var file struct {
				Kafka struct {
					Sources []sourceExample `yaml:"sources"`
				} `yaml:"kafka"`
			}
			if err := yaml.Unmarshal([]byte(block[1]), &file); err != nil {
				t.Fatalf("%s: %v", block[1], err)
			}
			sources = file.Kafka.Sources
		} else if err := yaml.UnmarshalWithOptions([]byte(block[1]), &sources, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", block[1], err)
		}
		for _, s := range sources {
			seen = append(seen, s.Format)
			if s.Format == ingest.FormatModelwatch {
				continue
			}
			o := format.Options{
				Model: s.Model, Version: s.Version, Kind: modelwatch.Kind(s.Kind), Inputs: s.Inputs, Outputs: s.Outputs,
				Columns: s.Columns, Paths: s.Paths, Timezone: s.Timezone,
			}
			if format.NeedsRegistry(s.Format) {
				o.Registry = &format.Registry{URLs: []string{"https://registry:8081"}}
			}
			if _, err := format.New(s.Format, o); err != nil {
				t.Errorf("%s: %v", block[1], err)
			}
		}
	}
	for _, name := range ingest.Formats() {
		heading := regexp.MustCompile(`(?m)^## .*\b` + name + `\b`)
		if !heading.MatchString(page) || !slices.Contains(seen, name) && name != "protobuf" && name != "jsonschema" {
			t.Errorf("format %s has no section with an example", name)
		}
	}
}
