package format

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/modelwatch/modelwatch"
)

// Registry says how to reach a schema registry that speaks Confluent's API.
type Registry struct {
	URLs               []string
	Username, Password string      // basic authentication, if they are set
	Token              string      // bearer token, if it is set
	TLS                *tls.Config // nil: the system's defaults
}

const (
	registryTimeout = 5 * time.Second
	// unknownFor is how long a schema that the registry does not have is not asked
	// for again.
	unknownFor = 10 * time.Second
	maxSchemas = 10_000 // kept compiled, and kept as unknown
	maxDepth   = 100    // of schemas that refer to others, and of values
)

// schemas compiles the schemas of a registry, each once. A schema never changes
// under its id.
type schemas[T any] struct {
	client  *sr.Client
	kind    sr.SchemaType
	compile func(ctx context.Context, s sr.Schema, references []reference) (T, error)
	known   map[schemaID]T
	unknown map[schemaID]unknown
}

// unknown is a schema that cannot be had, and when that was found.
type unknown struct {
	at   time.Time
	fail *Failure
}

// reference is a schema that another one refers to, before those that refer to it.
type reference struct {
	name string
	text string
}

func newSchemas[T any](r *Registry, kind sr.SchemaType, compile func(context.Context, sr.Schema, []reference) (T, error)) (*schemas[T], error) {
	client, err := r.client()
	return &schemas[T]{client: client, kind: kind, compile: compile, known: map[schemaID]T{}, unknown: map[schemaID]unknown{}}, err
}

// Check asks the registry how many subjects it has.
func (r *Registry) Check(ctx context.Context) (subjects int, err error) {
	client, err := r.client()
	if err != nil {
		return 0, err
	}
	list, err := client.Subjects(ctx)
	return len(list), err
}

func (r *Registry) client() (*sr.Client, error) {
	if r == nil || len(r.URLs) == 0 {
		return nil, errors.New("the format needs a registry with its url")
	}
	opts := []sr.ClientOpt{sr.URLs(r.URLs...), sr.UserAgent("modelwatch"), sr.HTTPClient(&http.Client{Timeout: registryTimeout})}
	if r.TLS != nil {
		opts = append(opts, sr.DialTLSConfig(r.TLS))
	}
	if r.Username != "" {
		opts = append(opts, sr.BasicAuth(r.Username, r.Password))
	}
	if r.Token != "" {
		opts = append(opts, sr.BearerToken(r.Token))
	}
	return sr.NewClient(opts...)
}

// read finds out which schema a value is of, and takes what says so off the value.
// An error that is no *Failure means that the registry does not answer.
func (s *schemas[T]) read(ctx context.Context, r *Record) (schema T, f framed, err error) {
	f, fail := unframe(r)
	if fail != nil {
		return schema, f, fail
	}
	schema, err = s.get(ctx, f.id)
	return schema, f, err
}

func (s *schemas[T]) get(ctx context.Context, id schemaID) (T, error) {
	schema, ok := s.known[id]
	if ok {
		return schema, nil
	}
	if u, ok := s.unknown[id]; ok && time.Since(u.at) < unknownFor {
		return schema, u.fail
	}
	schema, err := s.load(ctx, id)
	if fail := (*Failure)(nil); errors.As(err, &fail) {
		if len(s.unknown) >= maxSchemas {
			clear(s.unknown)
		}
		s.unknown[id] = unknown{time.Now(), fail}
	}
	if err != nil {
		return schema, err
	}
	if len(s.known) >= maxSchemas {
		clear(s.known)
	}
	s.known[id] = schema
	return schema, nil
}

func (s *schemas[T]) load(ctx context.Context, id schemaID) (schema T, err error) {
	got, err := s.fetch(ctx, id)
	if err != nil {
		return schema, err
	}
	if got.Type != s.kind {
		return schema, invalid("schema %s is %s; the format of the source wants %s", id, got.Type, s.kind)
	}
	var references []reference
	if err := s.collect(ctx, got.References, &references, 0); err != nil {
		return schema, err
	}
	if schema, err = s.compile(ctx, got, references); err != nil {
		return schema, invalid("schema %s cannot be used: %s", id, shorten(err.Error()))
	}
	return schema, nil
}

// fetch asks the registry. One that has no look-up by GUID can never have such a
// schema: that it is a registry all the same is told by a call that all of them have.
func (s *schemas[T]) fetch(ctx context.Context, id schemaID) (sr.Schema, error) {
	if !id.global {
		got, err := s.client.SchemaByID(ctx, id.number)
		return got, s.failure(err, "schema %s", id)
	}
	got, err := s.client.SchemaByGUID(ctx, id.String())
	if r := (*sr.ResponseError)(nil); errors.As(err, &r) && r.StatusCode == http.StatusNotFound && !absent(r) {
		if _, err := s.client.Subjects(ctx); err == nil {
			return sr.Schema{}, failf(modelwatch.DeadUnknownSchema, "the schema registry cannot look up schema %s: it has no /schemas/guids; "+
				"use one that has, or let producers write ids before the values", id)
		}
	}
	return got.Schema, s.failure(err, "schema %s", id)
}

// collect gathers what schemas refer to, what is needed first coming first.
func (s *schemas[T]) collect(ctx context.Context, refs []sr.SchemaReference, into *[]reference, depth int) error {
	if depth > maxDepth || len(*into) > maxSchemas {
		return invalid("schemas refer to each other too deeply")
	}
	for _, ref := range refs {
		got, err := s.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if err != nil {
			return s.failure(err, "subject %q, version %d, to which a schema refers", ref.Subject, ref.Version)
		}
		if err := s.collect(ctx, got.References, into, depth+1); err != nil {
			return err
		}
		known := false
		for _, r := range *into {
			known = known || r.name == ref.Name
		}
		if !known {
			*into = append(*into, reference{ref.Name, got.Schema.Schema})
		}
	}
	return nil
}

// failure tells a registry that says that it does not have something from one
// that does not answer, or not as a registry does.
func (s *schemas[T]) failure(err error, what string, args ...any) error {
	if err == nil {
		return nil
	}
	what = fmt.Sprintf(what, args...)
	if r := (*sr.ResponseError)(nil); errors.As(err, &r) {
		if absent(r) {
			return failf(modelwatch.DeadUnknownSchema, "the schema registry has no %s: %s", what, shorten(r.Message))
		}
		return fmt.Errorf("schema registry: %s: status %d: %s", what, r.StatusCode, shorten(r.Error()))
	}
	return fmt.Errorf("schema registry: %s: %w", what, err)
}

// absent reports that the registry says that it does not have what it was asked for.
func absent(r *sr.ResponseError) bool {
	switch r.SchemaError() {
	case sr.ErrSchemaNotFound, sr.ErrSubjectNotFound, sr.ErrVersionNotFound:
		return true
	}
	return false
}
