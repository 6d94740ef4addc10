package report

import (
	"fmt"

	"github.com/modelwatch/modelwatch"
)

// summary is the sentence under the title, and the figures beside it.
func summary(r *Report, a *arrangement) (verdict, []tile) {
	var by [stateOver + 1]int
	for _, it := range a.items {
		by[it.state]++
	}
	drift := r.Kind == modelwatch.JobDrift
	noun := map[bool]string{true: "column", false: "metric"}[drift]
	tiles := []tile{
		{Label: noun + "s", Value: count(int64(len(a.items)))},
		{Label: "threshold breached", Value: count(int64(by[stateOver])), State: "over"},
	}
	if !a.judged {
		tiles[1] = tile{Label: "threshold breached", Value: "\u2013", Note: "none given"}
	}
	if drift {
		tiles = append(tiles,
			tile{Label: "beyond noise", Value: count(int64(by[stateBeyond])), State: "beyond", Note: "no threshold breached"},
			tile{Label: "within noise", Value: count(int64(by[stateWithin])), State: "within"})
	} else if by[stateBeyond] > 0 {
		tiles = append(tiles, tile{Label: "differ from baseline", Value: count(int64(by[stateBeyond])), State: "beyond"})
	}
	if by[stateNone] > 0 {
		tiles = append(tiles, tile{Label: "not measured", Value: count(int64(by[stateNone]))})
	}
	if len(r.Chunks) > 0 {
		tiles = append(tiles, tile{Label: "chunks", Value: count(int64(len(r.Chunks)))})
	}
	if coverage, ok := coverageOf(r); ok {
		tiles = append(tiles, tile{Label: "of predictions labelled", Value: percent(share(coverage))})
	}
	return verdictOf(len(a.items), by, a.judged, drift, noun), tiles
}

func verdictOf(n int, by [stateOver + 1]int, judged, drift bool, noun string) verdict {
	verb := "breach"
	if by[stateOver] == 1 {
		verb = "breaches"
	}
	switch {
	case n == 0:
		return verdict{"none", "Nothing was compared."}
	case by[stateOver] > 0:
		return verdict{"over", fmt.Sprintf("%s of %s %s a threshold", count(int64(by[stateOver])), plural(n, noun), verb)}
	case judged:
		return verdict{"within", "No " + noun + " breaches a threshold"}
	case drift && by[stateBeyond] > 0:
		return verdict{"beyond", fmt.Sprintf("%s of %s beyond noise; no threshold was given", count(int64(by[stateBeyond])), plural(n, noun))}
	case drift:
		return verdict{"within", "No " + noun + " beyond noise; no threshold was given"}
	case by[stateBeyond] > 0:
		return verdict{"beyond", fmt.Sprintf("%s of %s differ from the baseline; no threshold was given", count(int64(by[stateBeyond])), plural(n, noun))}
	}
	return verdict{"within", plural(n, noun) + "; no threshold was given"}
}

func coverageOf(r *Report) (float64, bool) {
	for i := range r.Measurements {
		if v, ok := usable(r.Measurements[i].LabelCoverage); ok {
			return v, true
		}
	}
	return 0, false
}
