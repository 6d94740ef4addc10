package catalog

import "github.com/modelwatch/modelwatch"

// schemaBody is a schema as JSON. The names are those of the stored rows: they
// may be added to and are never renamed.
type schemaBody struct {
	Features     []featureBody          `json:"features,omitempty"`
	Score        modelwatch.FeatureType `json:"score,omitempty"`
	Predicted    modelwatch.FeatureType `json:"predicted,omitempty"`
	Label        modelwatch.FeatureType `json:"label,omitempty"`
	Classes      []string               `json:"classes,omitempty"`
	Attributions []string               `json:"attributions,omitempty"`
	Tags         []string               `json:"tags,omitempty"`
	Columns      columnsBody            `json:"columns,omitzero"`
	Privacy      *privacyBody           `json:"privacy,omitempty"`
}

type featureBody struct {
	Name       string                 `json:"name"`
	Type       modelwatch.FeatureType `json:"type"`
	Unit       string                 `json:"unit,omitempty"`
	Minimum    *float64               `json:"minimum,omitempty"`
	Maximum    *float64               `json:"maximum,omitempty"`
	Importance float64                `json:"importance,omitempty"`
}

type columnsBody struct {
	ID        string `json:"id,omitempty"`
	Time      string `json:"time,omitempty"`
	Score     string `json:"score,omitempty"`
	Predicted string `json:"predicted,omitempty"`
	Label     string `json:"label,omitempty"`
	Group     string `json:"group,omitempty"`
	Weight    string `json:"weight,omitempty"`
}

// privacyBody is rules as JSON; nil where there are none. That it stands in a
// schema's text is how versions with rules are found.
type privacyBody struct {
	Columns   map[string]privacyRuleBody `json:"columns,omitempty"`
	AllowList bool                       `json:"allow_list,omitempty"`
}

type privacyRuleBody struct {
	Action     modelwatch.PrivacyAction `json:"action"`
	Characters int                      `json:"characters,omitempty"`
}

func newPrivacyBody(p modelwatch.Privacy) *privacyBody {
	if p.Empty() {
		return nil
	}
	b := &privacyBody{AllowList: p.AllowList}
	for name, rule := range p.Columns {
		if b.Columns == nil {
			b.Columns = map[string]privacyRuleBody{}
		}
		b.Columns[name] = privacyRuleBody(rule)
	}
	return b
}

func (b *privacyBody) privacy() modelwatch.Privacy {
	if b == nil {
		return modelwatch.Privacy{}
	}
	p := modelwatch.Privacy{AllowList: b.AllowList}
	for name, rule := range b.Columns {
		if p.Columns == nil {
			p.Columns = map[string]modelwatch.PrivacyRule{}
		}
		p.Columns[name] = modelwatch.PrivacyRule(rule)
	}
	return p
}

func newSchemaBody(s modelwatch.Schema) schemaBody {
	return schemaBody{
		Features: convert(s.Features, func(f modelwatch.Feature) featureBody { return featureBody(f) }),
		Score:    s.Score, Predicted: s.Predicted, Label: s.Label,
		Classes: s.Classes, Attributions: s.Attributions, Tags: s.Tags,
		Columns: columnsBody(s.Columns), Privacy: newPrivacyBody(s.Privacy),
	}
}

func (b schemaBody) schema() modelwatch.Schema {
	return modelwatch.Schema{
		Features: convert(b.Features, func(f featureBody) modelwatch.Feature { return modelwatch.Feature(f) }),
		Score:    b.Score, Predicted: b.Predicted, Label: b.Label,
		Classes: b.Classes, Attributions: b.Attributions, Tags: b.Tags,
		Columns: modelwatch.ColumnMapping(b.Columns), Privacy: b.Privacy.privacy(),
	}
}

// rateBody is one step of a version's sampling rate as JSON.
type rateBody struct {
	From int64   `json:"from"` // microseconds, 0: since ever
	Rate float64 `json:"rate"` // 0: as configured
}

func newRateBody(s modelwatch.RateStep) rateBody { return rateBody{micros(s.From), s.Rate} }

func (b rateBody) step() modelwatch.RateStep {
	return modelwatch.RateStep{From: fromMicros(b.From), Rate: b.Rate}
}

// convert maps a slice; nil stays nil.
func convert[A, B any](in []A, f func(A) B) []B {
	if in == nil {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
