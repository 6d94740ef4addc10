//go:build race

package drift

// The race detector makes the experiment minutes long: it is run in full without.
const (
	calibrationWindows   = 300
	calibrationTolerance = 0.08 // 3.6 standard errors of 100
)
