package app

import (
	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/report"
)

// reportColumn is how a column of two sides on the same grid is distributed, for the
// HTML report.
func reportColumn(c modelwatch.Column, baseline, current *profile.Profile) report.Column {
	return report.Column{
		Name: c.Name, Type: c.Type, Subject: c.Subject,
		Bins: reportBins(baseline, current), Curve: reportCurve(baseline, current),
		Baseline: reportQuality(baseline), Current: reportQuality(current),
	}
}

func reportBins(baseline, current *profile.Profile) []report.Bin {
	bins := baseline.Grid().Bins()
	p, q := baseline.BinMass(), current.BinMass()
	out := make([]report.Bin, len(bins))
	for i, b := range bins {
		out[i] = report.Bin{
			Upper: b.Upper, Value: b.Value, Other: b.Other,
			Baseline: shareOf(p[i], baseline.Mass()), Current: shareOf(q[i], current.Mass()),
		}
	}
	return out
}

// reportCurve is F and G at each cut and just before it; nil for what is no
// number, and for a side without values.
func reportCurve(baseline, current *profile.Profile) *report.Curve {
	cuts := baseline.Grid().Cuts()
	n, m := baseline.Mass(), current.Mass()
	if len(cuts) == 0 || !(n > 0) || !(m > 0) {
		return nil
	}
	lo, hi := cuts[0], cuts[len(cuts)-1]
	for _, p := range []*profile.Profile{baseline, current} {
		if v, ok := p.Min(); ok {
			lo = min(lo, v)
		}
		if v, ok := p.Max(); ok {
			hi = max(hi, v)
		}
	}
	c := &report.Curve{}
	add := func(x, f, g float64) {
		c.X, c.Baseline, c.Current = append(c.X, x), append(c.Baseline, shareOf(f, n)), append(c.Current, shareOf(g, m))
	}
	if lo < cuts[0] {
		add(lo, 0, 0)
	}
	p, q := baseline.CellMass(), current.CellMass()
	var f, g float64
	for i, cut := range cuts {
		f, g = f+p[2*i], g+q[2*i]
		add(cut, f, g)
		f, g = f+p[2*i+1], g+q[2*i+1]
		add(cut, f, g)
	}
	if last := len(p) - 1; hi > cuts[len(cuts)-1] {
		add(hi, f+p[last], g+q[last])
	}
	return c
}

func reportQuality(p *profile.Profile) report.Quality {
	return report.Quality{
		Missing: shareOf(p.MissingMass(), p.RowMass()), Invalid: shareOf(p.InvalidMass(), p.RowMass()), New: shareOf(p.UnseenMass(), p.Mass()),
	}
}

// shareOf is a over whole, 0 of nothing.
func shareOf(a, whole float64) float64 {
	if !(whole > 0) {
		return 0
	}
	return min(max(a/whole, 0), 1)
}
