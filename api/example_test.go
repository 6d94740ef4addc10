package api_test

import (
	"encoding/json"
	"fmt"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// A number that could not be computed is a reason, never a zero.
func ExampleNewMeasurement() {
	m := api.NewMeasurement(modelwatch.Measurement{
		Value:   modelwatch.Value{Metric: "psi", Reason: modelwatch.ReasonTooFew, NBaseline: 50000, NCurrent: 12},
		Subject: modelwatch.SubjectFeature, Name: "city", RunID: "r-1", Kind: modelwatch.JobDrift,
	})
	text, err := json.Marshal(m)
	fmt.Println(string(text), err)
	// Output: {"run":"r-1","kind":"drift","subject":"feature","name":"city","metric":"psi","reason":"too_few","n_baseline":50000,"n_current":12} <nil>
}
