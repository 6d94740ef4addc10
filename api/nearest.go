package api

import (
	"cmp"
	"slices"
	"strings"
)

// maxSuggestions is how many similar names a message shows.
const maxSuggestions = 3

// suggestFor is the number of faults of one input that come with suggestions:
// looking for similar names costs more than finding the fault.
const suggestFor = 20

// nearest suggests names as long as few faults have been found.
func (c *jobCheck) nearest(name string, known []string) string {
	if len(c.faults) >= suggestFor {
		return ""
	}
	return nearest(name, known)
}

// Nearest is the tail of a message about an unknown name: those most like it, or
// the first few if none is.
func Nearest(name string, known []string) string { return nearest(name, known) }

func nearest(name string, known []string) string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	for _, k := range known {
		d := editDistance(strings.ToLower(name), strings.ToLower(k))
		if limit := max(1, len(k)/3); d <= limit || name != "" && strings.HasPrefix(k, name) {
			near = append(near, candidate{k, d})
		}
	}
	if len(near) == 0 {
		if len(known) == 0 {
			return ""
		}
		shown := known[:min(len(known), 10)]
		more := ""
		if len(shown) < len(known) {
			more = ", ..."
		}
		return ": there are " + strings.Join(shown, ", ") + more
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	names := make([]string, 0, maxSuggestions)
	for _, c := range near[:min(len(near), maxSuggestions)] {
		names = append(names, c.name)
	}
	return ": did you mean " + strings.Join(names, ", ") + "?"
}

// editDistance is the least number of bytes inserted, removed, replaced or
// swapped with their neighbour that turn a into b (optimal string alignment). It
// takes len(a)*len(b) steps.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
