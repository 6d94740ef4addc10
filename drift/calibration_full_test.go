//go:build !race

package drift

const (
	calibrationWindows   = 6000
	calibrationTolerance = 0.01
)
