package api

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// In CSV, what does not apply is an empty cell.

func csvFloat(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

func csvInt(v *int64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatInt(*v, 10)
}

func csvChunk(v *int) string {
	if v == nil {
		return ""
	}
	return strconv.Itoa(*v)
}

func csvBool(v *bool) string {
	if v == nil {
		return ""
	}
	return strconv.FormatBool(*v)
}

// csvCount writes numbers that count from 1.
func csvCount(v int) string {
	if v == 0 {
		return ""
	}
	return strconv.Itoa(v)
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// csvSegment writes country:DE,device:phone, by key.
func csvSegment(segment map[string]string) string {
	parts := make([]string, 0, len(segment))
	for _, key := range slices.Sorted(maps.Keys(segment)) {
		parts = append(parts, key+":"+segment[key])
	}
	return strings.Join(parts, ",")
}

func deref[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}
