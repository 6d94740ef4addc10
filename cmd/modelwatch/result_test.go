package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// contractResult is the one JSON of results as people's scripts read it, spelt
// out apart from the types that write it.
type contractResult struct {
	Kind     string          `json:"kind"`
	Baseline *contractSource `json:"baseline"`
	Current  *contractSource `json:"current"`
	Columns  []struct {
		Name string                       `json:"name"`
		Type string                       `json:"type"`
		Bins []map[string]json.RawMessage `json:"bins"`
	} `json:"columns"`
	SchemaChanges []struct {
		Column   string `json:"column"`
		Baseline string `json:"baseline"`
		Current  string `json:"current"`
	} `json:"schema_changes"`
	Measurements []map[string]json.RawMessage `json:"measurements"`
}

type contractSource struct {
	URI  string `json:"uri"`
	Rows *int64 `json:"rows"`
}

var (
	contractReasons = []string{
		"too_few", "empty", "constant", "all_missing", "single_class", "no_positive", "no_labels", "not_applicable", "zero_division",
	}
	contractSubjects = []string{"feature", "prediction", "label", "attribution", "group", "model"}
	contractTypes    = []string{"number", "category", "boolean", "timestamp", "text", "vector"}
	contractNumbers  = []string{"value", "lower", "upper", "p_value", "null_95", "standard_error", "label_coverage", "n_baseline", "n_current", "chunk", "k",
		"effective_n_baseline", "effective_n_current", "adjusted_p_value", "baseline_value", "constant_value"}
	contractFields = append([]string{
		"kind", "subject", "name", "metric", "class", "reason", "threshold", "breached", "mature", "window", "segment",
	}, contractNumbers...)
)

// checkResult holds a result to the contract: result FILE [METRIC=VALUE|METRIC=REASON...].
// FILE may be stdout. What follows must be among the measurements, a value to its last digit.
func checkResult(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	r, err := readResult(text)
	if err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	for _, want := range args[1:] {
		metric, value, _ := strings.Cut(want, "=")
		if !slices.ContainsFunc(r.Measurements, func(m map[string]json.RawMessage) bool {
			name := word(m["metric"])
			if column := word(m["name"]); column != "" {
				name = column + "." + name
			}
			return name == metric && (string(m["value"]) == value || word(m["reason"]) == value)
		}) {
			ts.Fatalf("no measurement %s in %s", want, text)
		}
	}
}

func readResult(text string) (contractResult, error) {
	var r contractResult
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if d.More() {
		return r, errors.New("something follows the result")
	}
	if r.Kind != "drift" && r.Kind != "backtest" {
		return r, fmt.Errorf("kind is %q", r.Kind)
	}
	if r.Current == nil || r.Current.URI == "" || r.Current.Rows == nil || r.Kind == "drift" && r.Baseline == nil {
		return r, errors.New("a side of the comparison is missing")
	}
	for _, c := range r.Columns {
		if c.Name == "" || !slices.Contains(contractTypes, c.Type) {
			return r, fmt.Errorf("column %q has the type %q", c.Name, c.Type)
		}
		for i, b := range c.Bins {
			if len(b) != 1 || !slices.ContainsFunc([]string{"upper", "value", "other"}, func(k string) bool { _, ok := b[k]; return ok }) {
				return r, fmt.Errorf("column %s: bin %d is %v", c.Name, i, b)
			}
		}
	}
	if len(r.Measurements) == 0 {
		return r, errors.New("no measurement")
	}
	for i, m := range r.Measurements {
		if err := checkMeasurement(m); err != nil {
			return r, fmt.Errorf("measurement %d: %w", i, err)
		}
	}
	return r, nil
}

func checkMeasurement(m map[string]json.RawMessage) error {
	for field, raw := range m {
		if !slices.Contains(contractFields, field) {
			return fmt.Errorf("the field %q is not of the contract", field)
		}
		var number float64
		if slices.Contains(contractNumbers, field) && json.Unmarshal(raw, &number) != nil || string(raw) == "null" {
			return fmt.Errorf("%s is %s", field, raw)
		}
	}
	_, value := m["value"]
	reason, explained := m["reason"]
	_, judged := m["threshold"]
	_, breached := m["breached"]
	_, named := m["name"]
	switch {
	case value == explained:
		return fmt.Errorf("value is there: %t, reason is there: %t; exactly one is wanted", value, explained)
	case explained && !slices.Contains(contractReasons, word(reason)):
		return fmt.Errorf("the reason is %s", reason)
	case !slices.Contains(contractSubjects, word(m["subject"])):
		return fmt.Errorf("the subject is %s", m["subject"])
	case named == (word(m["subject"]) == "model"):
		return fmt.Errorf("the subject is %s, the name %s", m["subject"], m["name"])
	case word(m["metric"]) == "":
		return errors.New("no metric")
	case judged != breached:
		return errors.New("threshold and breached go together")
	}
	if _, ok := m["n_current"]; !ok {
		return errors.New("n_current is missing")
	}
	return nil
}

// word is a JSON string's text, "" for anything else.
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
