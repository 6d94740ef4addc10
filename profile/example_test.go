package profile_test

import (
	"fmt"

	"github.com/modelwatch/modelwatch/profile"
)

func Example() {
	training := []float64{1, 1, 2, 3, 5, 8, 13, 21, 34, 55}
	grid := profile.NewNumberGrid(training)

	monday, tuesday := profile.New(grid), profile.New(grid)
	monday.AddFloats([]float64{1, 2, 4}, nil)
	tuesday.AddFloats([]float64{8, 0, 100}, []bool{true, false, true})
	if err := monday.Merge(tuesday); err != nil {
		panic(err)
	}

	mean, _ := monday.Mean()
	fmt.Println(monday.Rows(), "rows,", monday.Missing(), "missing, mean", mean)
	for i, bin := range grid.Bins() {
		if bin.Upper == nil {
			fmt.Println("above:", monday.BinCounts()[i])
			break
		}
		fmt.Printf("up to %v: %d\n", *bin.Upper, monday.BinCounts()[i])
	}
	// Output:
	// 6 rows, 1 missing, mean 23
	// up to 1: 1
	// up to 2: 1
	// up to 3: 0
	// up to 5: 1
	// up to 8: 1
	// up to 13: 0
	// up to 21: 0
	// up to 34: 0
	// above: 1
}
