package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// maxRetention is the longest retention that can be stored.
const maxRetention = 36500 * day

// VersionBody is what a caller says about a version.
type VersionBody struct {
	Schema       *Schema  `json:"schema,omitempty" doc:"What the rows look like. Absent: what is known stays as it is, and an empty schema is inferred from the first baseline or from traffic."`
	SamplingRate *float64 `json:"sampling_rate,omitempty" exclusiveMinimum:"0" maximum:"1" default:"1" doc:"Share of predictions that is kept. The same request ids are kept in every stream and after every replay."`
	Retention    string   `json:"retention,omitempty" example:"90d" doc:"How long rows are kept, in whole days. Absent: for ever."`
}

// Schema says what the rows of a version look like.
type Schema struct {
	Features     []Feature              `json:"features,omitempty" nullable:"false" maxItems:"10000"`
	Score        modelwatch.FeatureType `json:"score,omitempty" enum:"number" doc:"Type of the score column, if there is one."`
	Predicted    modelwatch.FeatureType `json:"predicted,omitempty" enum:"number,category,boolean,text" doc:"Type of the predicted label or value."`
	Label        modelwatch.FeatureType `json:"label,omitempty" enum:"number,category,boolean,text" doc:"Type of the ground truth."`
	Classes      []string               `json:"classes,omitempty" nullable:"false" maxItems:"1000" uniqueItems:"true" doc:"Classes that have a score column each."`
	Attributions []string               `json:"attributions,omitempty" nullable:"false" maxItems:"10000" uniqueItems:"true" doc:"Features that have an attribution column each."`
	Tags         []string               `json:"tags,omitempty" nullable:"false" maxItems:"1000" uniqueItems:"true" doc:"Tags that have a column each."`
	Columns      *ColumnMapping         `json:"columns,omitempty" doc:"Which of your columns plays which part. Results use your names."`
	Privacy      *Privacy               `json:"privacy,omitempty" doc:"What of the events may be written. Applied before anything is: to the archive, dead letters and baselines."`
}

// Feature is one input column of a model.
type Feature struct {
	Name       string                 `json:"name"`
	Type       modelwatch.FeatureType `json:"type" enum:"number,category,boolean,timestamp,text,vector"`
	Unit       string                 `json:"unit,omitempty" maxLength:"50" example:"EUR"`
	Minimum    *float64               `json:"minimum,omitempty" doc:"A number below it is invalid."`
	Maximum    *float64               `json:"maximum,omitempty" doc:"A number above it is invalid."`
	Importance float64                `json:"importance,omitempty" minimum:"0" doc:"Relative weight among the features."`
}

// ColumnMapping says which of the user's columns plays which part.
type ColumnMapping struct {
	ID        string `json:"id,omitempty" maxLength:"200"`
	Time      string `json:"time,omitempty" maxLength:"200"`
	Score     string `json:"score,omitempty" maxLength:"200" example:"y_pred_proba"`
	Predicted string `json:"predicted,omitempty" maxLength:"200"`
	Label     string `json:"label,omitempty" maxLength:"200"`
	Group     string `json:"group,omitempty" maxLength:"200"`
	Weight    string `json:"weight,omitempty" maxLength:"200"`
}

// Version is a version as the API shows it.
type Version struct {
	Model string `json:"model"`
	Name  string `json:"name"`
	VersionBody
	Registered     bool      `json:"registered" doc:"False while the version is known from its traffic alone: its schema was inferred and still grows."`
	SchemaRevision int64     `json:"schema_revision" doc:"Goes up with each change of the schema."`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

func newVersion(v modelwatch.Version) Version {
	rate := v.SamplingRate
	out := Version{
		Model: v.Model, Name: v.Name,
		VersionBody:    VersionBody{Schema: newSchema(v.Schema), SamplingRate: &rate},
		Registered:     v.Registered,
		SchemaRevision: v.SchemaRevision,
		CreatedAt:      v.CreatedAt.UTC(), UpdatedAt: v.UpdatedAt.UTC(),
	}
	if v.RetentionDays > 0 {
		out.Retention = modelwatch.FormatDuration(time.Duration(v.RetentionDays) * day)
	}
	return out
}

func newSchema(s modelwatch.Schema) *Schema {
	out := &Schema{Score: s.Score, Predicted: s.Predicted, Label: s.Label, Classes: s.Classes, Attributions: s.Attributions, Tags: s.Tags}
	for _, f := range s.Features {
		out.Features = append(out.Features, Feature(f))
	}
	if s.Columns != (modelwatch.ColumnMapping{}) {
		c := newColumnMapping(s.Columns)
		out.Columns = &c
	}
	out.Privacy = newPrivacy(s.Privacy)
	return out
}

func newColumnMapping(c modelwatch.ColumnMapping) ColumnMapping {
	return ColumnMapping{ID: c.ID, Time: c.Time, Score: c.Score, Predicted: c.Predicted, Label: c.Label, Group: c.Group, Weight: c.Weight}
}

func (c ColumnMapping) domain() modelwatch.ColumnMapping {
	return modelwatch.ColumnMapping{ID: c.ID, Time: c.Time, Score: c.Score, Predicted: c.Predicted, Label: c.Label, Group: c.Group, Weight: c.Weight}
}

// parts lists the mapping's pairs in a fixed order.
func (c ColumnMapping) parts() [7][2]string {
	return [7][2]string{
		{"id", c.ID}, {"time", c.Time}, {"score", c.Score}, {"predicted", c.Predicted},
		{"label", c.Label}, {"group", c.Group}, {"weight", c.Weight},
	}
}

// domain checks the schema and returns it sorted, as the domain keeps it.
func (s *Schema) domain(f *faults) modelwatch.Schema {
	out := modelwatch.Schema{
		Score: s.Score, Predicted: s.Predicted, Label: s.Label,
		Classes: sorted(s.Classes), Attributions: sorted(s.Attributions), Tags: sorted(s.Tags),
	}
	seen := make(map[string]int, len(s.Features))
	for i, feature := range s.Features {
		feature.check(f, fmt.Sprintf("body.schema.features[%d]", i))
		if first, ok := seen[feature.Name]; ok {
			f.add(fmt.Sprintf("body.schema.features[%d].name", i), feature.Name, "is the name of features[%d] already", first)
		}
		seen[feature.Name] = i
		out.Features = append(out.Features, modelwatch.Feature(feature))
	}
	slices.SortFunc(out.Features, func(a, b modelwatch.Feature) int { return strings.Compare(a.Name, b.Name) })
	if s.Columns != nil {
		s.Columns.check(f, seen)
		out.Columns = s.Columns.domain()
	}
	if s.Privacy != nil {
		out.Privacy = s.Privacy.domain(f, s)
	}
	return out
}

func (feature Feature) check(f *faults, at string) {
	if fault := columnFault(feature.Name); fault != "" {
		f.add(at+".name", feature.Name, "%s", fault)
	} else if modelwatch.Reserved(feature.Name) {
		f.add(at+".name", feature.Name, "begins with an underscore: such names are modelwatch's own")
	}
	if feature.Minimum == nil && feature.Maximum == nil {
		return
	}
	if feature.Type != modelwatch.TypeNumber {
		f.add(at+".type", feature.Type, "minimum and maximum apply to the type number only")
	} else if feature.Minimum != nil && feature.Maximum != nil && *feature.Minimum > *feature.Maximum {
		f.add(at+".minimum", *feature.Minimum, "is above maximum, %v", *feature.Maximum)
	}
}

// check refuses a column that would play two parts.
func (c ColumnMapping) check(f *faults, features map[string]int) {
	played := map[string]string{}
	for _, p := range c.parts() {
		part, column := p[0], p[1]
		if column == "" {
			continue
		}
		at := "body.schema.columns." + part
		if i, ok := features[column]; ok {
			f.add(at, column, "is a feature too, features[%d]: a column plays one part", i)
		}
		if other, ok := played[column]; ok {
			f.add(at, column, "is mapped to %s already: a column plays one part", other)
		}
		played[column] = part
	}
}

func (b VersionBody) domain(model, version string) (modelwatch.Version, error) {
	var f faults
	v := modelwatch.Version{Model: model, Name: version, SamplingRate: 1, Registered: true}
	if b.Schema != nil {
		v.Schema = b.Schema.domain(&f)
	}
	if b.SamplingRate != nil {
		v.SamplingRate = *b.SamplingRate
	}
	if b.Retention != "" {
		d, err := modelwatch.ParseDuration(b.Retention)
		switch {
		case err != nil:
			f.add("body.retention", b.Retention, "%s", err)
		case d <= 0 || d%day != 0 || d > maxRetention:
			f.add("body.retention", b.Retention, "must be whole days, from 1d to %s", modelwatch.FormatDuration(maxRetention))
		}
		v.RetentionDays = int(d / day)
	}
	return v, f.err("the version")
}

func sorted(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}

// VersionPath is the path of a version.
type VersionPath struct {
	ModelPath
	Version string `path:"version" doc:"Name of the version: 1 to 200 bytes without control characters or slash." example:"3.1.0"`
}

type versionOutput struct {
	Body Version
}

type putVersionOutput struct {
	Status int
	Body   Version
}

func (s *Server) registerVersions() {
	const path = "/v1/models/{model}/versions/{version}"
	call(s, huma.Operation{
		OperationID: "put-version", Method: http.MethodPut, Path: path, Tags: []string{"models"},
		Summary:     "Create or change a version: schema, sampling, retention",
		Description: "201 when the version was not known, 200 otherwise. The model must exist.",
	}, s.putVersion)
	s.alsoAnswers(path, http.MethodPut, http.StatusCreated)
	call(s, huma.Operation{
		OperationID: "get-version", Method: http.MethodGet, Path: path, Tags: []string{"models"},
		Summary: "Show a version",
	}, s.getVersion)
	call(s, huma.Operation{
		OperationID: "list-versions", Method: http.MethodGet, Path: "/v1/models/{model}/versions", Tags: []string{"models"},
		Summary: "List the versions of a model",
	}, s.listVersions)
}

func (s *Server) putVersion(ctx context.Context, in *struct {
	VersionPath
	Body VersionBody
}) (*putVersionOutput, error) {
	v, err := in.Body.domain(in.Model, in.Version)
	if err == nil && s.opts.NoPrivacyKey {
		err = refuseHashes(v.Schema.Privacy)
	}
	if err != nil {
		return nil, err
	}
	stored, created, err := s.opts.Store.PutVersion(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("store version: %w", err)
	}
	return &putVersionOutput{Status: createdOrOK(created), Body: newVersion(stored)}, nil
}

func (s *Server) getVersion(ctx context.Context, in *VersionPath) (*versionOutput, error) {
	v, err := s.opts.Store.Version(ctx, in.Model, in.Version)
	if err != nil {
		return nil, fmt.Errorf("read version: %w", err)
	}
	return &versionOutput{Body: newVersion(v)}, nil
}

func (s *Server) listVersions(ctx context.Context, in *struct {
	ModelPath
	PageQuery
}) (*listOutput[Version], error) {
	if _, err := s.requireModel(ctx, in.Model); err != nil {
		return nil, err
	}
	versions, next, err := s.opts.Store.Versions(ctx, in.Model, in.page())
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return &listOutput[Version]{Body: newList(versions, next, newVersion)}, nil
}
