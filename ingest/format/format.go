// Package format reads what the producers of predictions write and turns it into
// modelwatch's own events. A format knows nothing of schemas, samples or files:
// what becomes of an event is the business of package ingest, and is the same for
// all formats.
package format

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Format reads the records of one source. It may be used by one goroutine at a time.
type Format interface {
	// Decode appends the events of a record and returns them all. A *Failure says
	// that the record cannot be read, whoever tries: it is a dead letter as a
	// whole. Any other error says nothing about the record, for example that the
	// schema registry cannot be reached: it is to be read again.
	//
	// The events refer to the record's bytes.
	Decode(ctx context.Context, r *Record, events []Event) ([]Event, error)
}

// Record is a record of Kafka, or a line of a file.
type Record struct {
	Topic   string
	Key     []byte
	Value   []byte
	Time    time.Time
	Headers []Header
}

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte
}

// header returns the last header of that name, whatever its case.
func (r *Record) header(names ...string) string {
	for _, name := range names {
		if value, ok := r.last(name); ok {
			return string(value)
		}
	}
	return ""
}

func (r *Record) last(name string) (value []byte, ok bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if strings.EqualFold(r.Headers[i].Key, name) {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// Failure says why a record cannot be read.
type Failure struct {
	Reason modelwatch.DeadLetterReason
	Detail string // one sentence: what was expected, what was found
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Detail }

func failf(reason modelwatch.DeadLetterReason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// invalid is the failure of a record that is not what its format says.
func invalid(format string, args ...any) *Failure {
	return failf(modelwatch.DeadInvalidFormat, format, args...)
}

// Options say what the records of a source do not say themselves. A field that a
// format has no use for is refused by New.
type Options struct {
	// Model and Version are those of records that name none.
	Model, Version string
	// Kind, if it is set, is what each record is, where that cannot be seen.
	Kind modelwatch.Kind
	// Inputs and Outputs name values that come by position. The names score,
	// label, value, predicted and score_<class> of outputs have their meaning; "-"
	// leaves a value out.
	Inputs, Outputs []string
	// Columns says which named value plays which part: see Parts.
	Columns map[string]string
	// Paths are JSONPath expressions by what they select: see PathNames.
	Paths map[string]string
	// Timezone is that of times that are written without one; "" is UTC.
	Timezone string
	// Registry is where schemas come from.
	Registry *Registry

	parts map[string]string // Columns the other way round
}

// Parts lists the keys of Options.Columns.
func Parts() []string {
	return []string{"id", "time", "score", "predicted", "label", "group", "weight", "model", "version", "kind"}
}

// maker makes a format of options; uses lists the options beside Model, Version
// and Columns that mean something to it.
type maker struct {
	make func(*Options) (Format, error)
	uses string
}

func makers() map[string]maker {
	return map[string]maker{
		"algorithmia": {newAlgorithmia, ""},
		"avro":        {newAvro, "kind paths registry"},
		"azureml":     {newAzureML, "inputs outputs"},
		"bentoml":     {newBentoML, "timezone"},
		"databricks":  {newDatabricks, "inputs outputs"},
		"json":        {newJSON, "kind paths"},
		"jsonschema":  {newJSONSchema, "kind paths registry"},
		"kserve":      {newKServe, "inputs outputs"},
		"mlserver":    {newMLServer, "inputs outputs"},
		"protobuf":    {newProtobuf, "kind paths registry"},
		"sagemaker":   {newSageMaker, "inputs outputs"},
		"seldon":      {newSeldon, "inputs outputs kind"},
	}
}

// Names lists the formats.
func Names() []string {
	var names []string
	for name := range makers() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New makes a format by its name. An error names the option that cannot be.
func New(name string, o Options) (Format, error) {
	m, ok := makers()[name]
	if !ok {
		return nil, fmt.Errorf("format %q is not known; known: %s", name, strings.Join(Names(), ", "))
	}
	if err := o.check(name, strings.Fields(m.uses)); err != nil {
		return nil, err
	}
	return m.make(&o)
}

// NeedsRegistry reports whether a format reads schemas from a registry.
func NeedsRegistry(name string) bool {
	return slices.Contains(strings.Fields(makers()[name].uses), "registry")
}

func (o *Options) check(name string, uses []string) error {
	for option, given := range map[string]bool{
		"inputs": len(o.Inputs) > 0, "outputs": len(o.Outputs) > 0, "kind": o.Kind != "", "timezone": o.Timezone != "",
		"paths": len(o.Paths) > 0, "registry": o.Registry != nil,
	} {
		if given && !slices.Contains(uses, option) {
			return fmt.Errorf("format %q has no use for %s", name, option)
		}
	}
	switch o.Kind {
	case "", modelwatch.KindPrediction, modelwatch.KindInput, modelwatch.KindOutput, modelwatch.KindLabel, modelwatch.KindAttribution:
	default:
		return fmt.Errorf("kind %q is not known; known: prediction, input, output, label, attribution", o.Kind)
	}
	o.parts = make(map[string]string, len(o.Columns))
	for _, part := range slices.Sorted(maps.Keys(o.Columns)) {
		column := o.Columns[part]
		if !slices.Contains(Parts(), part) {
			return fmt.Errorf("columns: %q is no part; known: %s", part, strings.Join(Parts(), ", "))
		}
		if other := o.parts[column]; other != "" {
			return fmt.Errorf("columns: %q is named as %s and as %s; a value plays one part", column, other, part)
		}
		o.parts[column] = part
	}
	return nil
}
