package modelwatch_test

import (
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

func ExampleParseDuration() {
	for _, text := range []string{"15m", "7d", "1d12h", "1.5h"} {
		fmt.Println(modelwatch.ParseDuration(text))
	}
	// Output:
	// 15m0s <nil>
	// 168h0m0s <nil>
	// 36h0m0s <nil>
	// 0s "1.5h" is not a duration: write whole numbers with the units d, h, m or s, for example 15m, 1h or 7d
}

func ExampleFormatDuration() {
	fmt.Println(modelwatch.FormatDuration(36*time.Hour), modelwatch.FormatDuration(7*24*time.Hour))
	// Output: 36h 7d
}
