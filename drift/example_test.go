package drift_test

import (
	"fmt"

	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/profile"
)

func ExampleMeasure() {
	training := make([]float64, 1000) // 0, 1, ..., 99, each ten times
	for i := range training {
		training[i] = float64(i % 100)
	}
	window := make([]float64, 200) // 20, ..., 119: moved up by a fifth
	for i := range window {
		window[i] = float64(20 + i%100)
	}

	grid := profile.NewNumberGrid(training) // frozen when the baseline is registered
	baseline, current := profile.New(grid), profile.New(grid)
	baseline.AddFloats(training, nil)
	current.AddFloats(window, nil)

	for _, v := range drift.Measure(baseline, current, []string{drift.KS, drift.Wasserstein, drift.NewCategoryRatio}, drift.Options{}) {
		if v.Value == nil {
			fmt.Println(v.Metric, v.Reason)
			continue
		}
		fmt.Printf("%s %.3f\n", v.Metric, *v.Value)
	}
	// Output:
	// ks 0.200
	// wasserstein 20.000
	// new_category_ratio not_applicable
}

// The same two columns have another number in each tool.
func ExampleMeasureCompat() {
	training := drift.Sample{Kind: profile.KindCategory, Categories: []profile.CategoryCount{{Value: "DE", Count: 500}, {Value: "FR", Count: 500}}}
	window := drift.Sample{Kind: profile.KindCategory, Categories: []profile.CategoryCount{{Value: "DE", Count: 80}, {Value: "FR", Count: 120}}}
	for _, preset := range drift.Presets() {
		values, err := drift.MeasureCompat(preset, training, window, nil, drift.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s %.4f\n", preset, values[0].Metric, *values[0].Value)
	}
	// Output:
	// evidently: chi2_p 0.0098
	// nannyml: js_distance 0.0854
	// azureml: js_distance 0.0854
	// sagemaker: l_infinity 0.0000
	// sagemaker_simple: l_infinity 0.1000
	// vertex: l_infinity 0.1000
}

func ExampleAdjustP() {
	for _, p := range drift.AdjustP([]float64{0.01, 0.04, 0.03, 0.5}) {
		fmt.Printf("%.4f\n", p)
	}
	// Output:
	// 0.0400
	// 0.0533
	// 0.0533
	// 0.5000
}
