package format

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/sr"
)

// jsonSchema reads JSON of schemas in a registry. What its schema does not
// allow is refused.
type jsonSchema struct {
	*anyShape
	schemas *schemas[*jsonschema.Schema]
}

func newJSONSchema(o *Options) (Format, error) {
	shape, err := newAnyShape(o)
	if err != nil {
		return nil, err
	}
	s, err := newSchemas(o.Registry, sr.TypeJSON, compileJSONSchema)
	return &jsonSchema{shape, s}, err
}

// noLoader refuses to fetch what a schema refers to and the registry does not have.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not among the references of the schema", url)
}

func compileJSONSchema(_ context.Context, s sr.Schema, references []reference) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	const base = "registry:///"
	for _, r := range append(references, reference{"", s.Schema}) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(r.text))
		if err != nil {
			return nil, err
		}
		name := r.name
		if !strings.Contains(name, "://") {
			name = base + name
		}
		if err := c.AddResource(name, doc); err != nil {
			return nil, err
		}
	}
	return c.Compile(base)
}

func (f *jsonSchema) Decode(ctx context.Context, r *Record, events []Event) ([]Event, error) {
	schema, framed, err := f.schemas.read(ctx, r)
	if err != nil {
		return events, err
	}
	v, fail := parse(framed.data)
	if fail != nil {
		return events, fail
	}
	if err := schema.Validate(treeOf(v)); err != nil {
		return events, invalid("the value is not of schema %s: %s", framed.id, shorten(firstCause(err)))
	}
	return f.events(v, events)
}

// firstCause is the sentence about the innermost fault that was found first.
func firstCause(err error) string {
	v := (*jsonschema.ValidationError)(nil)
	if !errors.As(err, &v) {
		return err.Error()
	}
	for len(v.Causes) > 0 {
		v = v.Causes[0]
	}
	return strings.ReplaceAll(v.Error(), "\n", " ")
}
