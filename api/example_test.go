package api_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func ExampleParseDuration() {
	for _, text := range []string{"15m", "7d", "1d12h", "1.5h"} {
		fmt.Println(api.ParseDuration(text))
	}
	// Output:
	// 15m0s <nil>
	// 168h0m0s <nil>
	// 36h0m0s <nil>
	// 0s "1.5h" is not a duration: write whole numbers with the units d, h, m or s, for example 15m, 1h or 7d
}

func ExampleFormatDuration() {
	fmt.Println(api.FormatDuration(36*time.Hour), api.FormatDuration(7*24*time.Hour))
	// Output: 36h 7d
}

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
