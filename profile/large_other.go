//go:build !linux

package profile

// useLargePages does nothing: these systems use large pages as they think fit, or have none.
func useLargePages([]byte) {}
