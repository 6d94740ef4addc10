//go:build !race

package drift

const (
	calibrationWindows   = 2000
	calibrationTolerance = 0.01
)
