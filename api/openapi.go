package api

import (
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

//go:generate go test . -run ^TestOpenAPI$ -update

// operation finds a registered operation. What it returns may be edited until
// the description is rendered.
func (s *Server) operation(path, method string) *huma.Operation {
	item := s.api.OpenAPI().Paths[path]
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPut:
		return item.Put
	case http.MethodPost:
		return item.Post
	}
	panic("no operation " + method + " " + path)
}

// alsoAnswers describes a second status of an operation, with the same body as
// its usual one.
func (s *Server) alsoAnswers(path, method string, status int) {
	op := s.operation(path, method)
	usual := op.Responses[strconv.Itoa(op.DefaultStatus)]
	op.Responses[strconv.Itoa(status)] = &huma.Response{
		Description: http.StatusText(status), Headers: usual.Headers, Content: usual.Content,
	}
}

// describeBody describes a body that the operation reads by itself. It comes
// after registration, because huma would read a body that it knows of.
func (s *Server) describeBody(path, description string, content map[string]*huma.MediaType) {
	s.operation(path, http.MethodPost).RequestBody = &huma.RequestBody{Description: description, Required: true, Content: content}
}

func (s *Server) schemaOf(v any, hint string) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, hint)
}

func (s *Server) describeUpload(path string) {
	content := map[string]*huma.MediaType{jsonMediaType: {Schema: s.schemaOf(BaselineSource{}, "")}}
	for _, t := range UploadTypes {
		content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	s.describeBody(path, "A table of any size, or where to find one.", content)
}

// allowMore lets everything that only the server says grow: a client generated
// from the description must not refuse a field that a later version adds.
// What callers say stays closed, so that a misspelt field is an error.
func (s *Server) allowMore() {
	registry := s.api.OpenAPI().Components.Schemas
	said := map[string]bool{}
	var visit func(*huma.Schema)
	visit = func(schema *huma.Schema) {
		if schema == nil || said[schema.Ref] && schema.Ref != "" {
			return
		}
		if schema.Ref != "" {
			said[schema.Ref] = true
			visit(registry.SchemaFromRef(schema.Ref))
			return
		}
		visit(schema.Items)
		for _, one := range schema.AnyOf {
			visit(one)
		}
		for _, property := range schema.Properties {
			visit(property)
		}
	}
	for _, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Put, item.Post} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			for _, content := range op.RequestBody.Content {
				visit(content.Schema)
			}
		}
	}
	for name, schema := range registry.Map() {
		if !said["#/components/schemas/"+name] {
			schema.AdditionalProperties = nil
		}
	}
}
