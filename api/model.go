package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// ModelBody is what a caller says about a model.
type ModelBody struct {
	Task        modelwatch.Task   `json:"task" enum:"binary,multiclass,regression,ranking,other" doc:"What the model predicts; it decides which backtest metrics apply."`
	Positive    string            `json:"positive,omitempty" maxLength:"200" doc:"Binary: the class counted as positive. Not needed if it is 1 or true."`
	Description string            `json:"description,omitempty" maxLength:"10000"`
	Owner       string            `json:"owner,omitempty" maxLength:"200"`
	Tags        map[string]string `json:"tags,omitempty" maxProperties:"50" doc:"Free labels, such as team or tier."`

	FeatureGroups map[string][]string `json:"feature_groups,omitempty" maxProperties:"100" doc:"Names for sets of columns, as results name them; a trailing * matches a prefix. Drift jobs measure each group as a whole, weighted by the importance of its features."`

	KPIs any `json:"kpis,omitempty" doc:"Not offered by this version yet."`
}

// Model is a model as the API shows it.
type Model struct {
	Name string `json:"name"`
	ModelBody
	Registered bool      `json:"registered" doc:"False while the model is known from its traffic alone."`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

func newModel(m modelwatch.Model) Model {
	return Model{
		Name:       m.Name,
		ModelBody:  ModelBody{Task: m.Task, Positive: m.Positive, Description: m.Description, Owner: m.Owner, Tags: m.Tags, FeatureGroups: m.FeatureGroups},
		Registered: m.Registered,
		CreatedAt:  m.CreatedAt.UTC(),
		UpdatedAt:  m.UpdatedAt.UTC(),
	}
}

func (b ModelBody) domain(name string) (modelwatch.Model, error) {
	var f faults
	if b.Positive != "" && b.Task != modelwatch.TaskBinary {
		f.add("body.positive", b.Positive, "applies to the task binary only, and this model's is %s", b.Task)
	}
	b.checkGroups(&f)
	if b.KPIs != nil {
		f.notOffered("body.kpis")
	}
	m := modelwatch.Model{
		Name: name, Task: b.Task, Positive: b.Positive, Description: b.Description, Owner: b.Owner, Tags: b.Tags,
		Registered: true,
	}
	if len(b.FeatureGroups) > 0 {
		m.FeatureGroups = b.FeatureGroups
	}
	return m, f.err("the model")
}

// maxGroupColumns bounds what is stored with a model.
const maxGroupColumns = 10_000

func (b ModelBody) checkGroups(f *faults) {
	for _, name := range slices.Sorted(maps.Keys(b.FeatureGroups)) {
		at, columns := "body.feature_groups."+name, b.FeatureGroups[name]
		if fault := columnFault(name); fault != "" {
			f.add(at, name, "%s", fault)
		}
		if len(columns) == 0 || len(columns) > maxGroupColumns {
			f.add(at, nil, "must name from 1 to %d columns", maxGroupColumns)
		}
		for i, column := range columns {
			if fault := columnFault(strings.TrimSuffix(column, "*")); fault != "" && column != "*" {
				f.add(fmt.Sprintf("%s[%d]", at, i), column, "%s", fault)
			}
		}
	}
}

// ModelPath is the path of a model (exported because huma fills embedded
// structs of exported types only). Its length is checked in bytes, with the
// other rules for names, before any operation runs.
type ModelPath struct {
	Model string `path:"model" doc:"Name of the model: 1 to 200 bytes without control characters or slash." example:"fraud"`
}

type modelOutput struct {
	Body Model
}

type putModelOutput struct {
	Status int
	Body   Model
}

func (s *Server) registerModels() {
	call(s, huma.Operation{
		OperationID: "put-model", Method: http.MethodPut, Path: "/v1/models/{model}", Tags: []string{"models"},
		Summary:     "Create or change a model",
		Description: "201 when the model was not known, 200 otherwise. A model that is known from its traffic becomes registered.",
	}, s.putModel)
	s.alsoAnswers("/v1/models/{model}", http.MethodPut, http.StatusCreated)
	call(s, huma.Operation{
		OperationID: "get-model", Method: http.MethodGet, Path: "/v1/models/{model}", Tags: []string{"models"},
		Summary: "Show a model",
	}, s.getModel)
	call(s, huma.Operation{
		OperationID: "list-models", Method: http.MethodGet, Path: "/v1/models", Tags: []string{"models"},
		Summary:     "List models",
		Description: "By name; those known from traffic alone are among them.",
	}, s.listModels)
}

func (s *Server) putModel(ctx context.Context, in *struct {
	ModelPath
	Body ModelBody
}) (*putModelOutput, error) {
	m, err := in.Body.domain(in.Model)
	if err != nil {
		return nil, err
	}
	stored, created, err := s.opts.Store.PutModel(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("store model: %w", err)
	}
	return &putModelOutput{Status: createdOrOK(created), Body: newModel(stored)}, nil
}

func (s *Server) getModel(ctx context.Context, in *ModelPath) (*modelOutput, error) {
	m, err := s.requireModel(ctx, in.Model)
	if err != nil {
		return nil, err
	}
	return &modelOutput{Body: newModel(m)}, nil
}

func (s *Server) listModels(ctx context.Context, in *PageQuery) (*listOutput[Model], error) {
	models, next, err := s.opts.Store.Models(ctx, in.page())
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	return &listOutput[Model]{Body: newList(models, next, newModel)}, nil
}

func createdOrOK(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}
