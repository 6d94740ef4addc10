package simulate

import (
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The simulated models and their versions.
const (
	Fraud        = "fraud"
	FraudVersion = "3.1.0"
	Price        = "price"
	PriceVersion = "1.4.0"
)

// model is how the rows of one model come about.
type model struct {
	name, version string
	task          modelwatch.Task
	positive      string
	description   string
	features      []modelwatch.Feature // in the order of drawing
	keys          []string             // `"amount":`
	score         modelwatch.FeatureType
	predicted     modelwatch.FeatureType
	// draw makes a row for a time in a world that has drifted that far (0 to 1).
	draw func(r *random, out *row, at time.Time, drift float64)
}

func (m *model) withKeys() *model {
	for _, f := range m.features {
		m.keys = append(m.keys, `"`+f.Name+`":`)
	}
	return m
}

func (m *model) schema() modelwatch.Schema {
	features := slices.Clone(m.features)
	slices.SortFunc(features, func(a, b modelwatch.Feature) int { return strings.Compare(a.Name, b.Name) })
	return modelwatch.Schema{Features: features, Score: m.score, Predicted: m.predicted, Label: m.predicted}
}

// Models are the definitions of the simulated models, for registration.
func Models() []modelwatch.Model {
	var out []modelwatch.Model
	for _, m := range []*model{newFraud(), newPrice()} {
		out = append(out, modelwatch.Model{
			Name: m.name, Task: m.task, Positive: m.positive, Description: m.description, Owner: "simulation", Registered: true,
		})
	}
	return out
}

// Versions are the definitions of their versions, which keep every prediction.
func Versions() []modelwatch.Version {
	var out []modelwatch.Version
	for _, m := range []*model{newFraud(), newPrice()} {
		out = append(out, modelwatch.Version{Model: m.name, Name: m.version, Schema: m.schema(), SamplingRate: 1, Registered: true})
	}
	return out
}

func limits(low, high float64) (*float64, *float64) { return &low, &high }

// numeric is a number with a unit and the range that is valid.
func numeric(name, unit string, low, high float64) modelwatch.Feature {
	f := modelwatch.Feature{Name: name, Type: modelwatch.TypeNumber, Unit: unit}
	f.Minimum, f.Maximum = limits(low, high)
	return f
}

func category(name string) modelwatch.Feature {
	return modelwatch.Feature{Name: name, Type: modelwatch.TypeCategory}
}

func flag(name string) modelwatch.Feature {
	return modelwatch.Feature{Name: name, Type: modelwatch.TypeBoolean}
}

// mixed is a list of choices between two mixes: the first at drift 0, the
// second at 1. Both have the same names.
type mixed struct {
	before []choice
	after  []choice
}

// pick draws a name and returns its index, too.
func (m mixed) pick(r *random, drift float64) (int, string) {
	choices := m.before
	if drift > 0 && r.chance(drift) {
		choices = m.after
	}
	i := r.pick(choices)
	return i, choices[i].name
}
