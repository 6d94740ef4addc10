package app

import (
	"io"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/report"
)

// page writes the result as one HTML file.
func (r *driftRun) page(w io.Writer) error {
	p := report.Report{
		Kind:      modelwatch.JobDrift,
		Generated: "modelwatch " + versionText(),
		Baseline:  report.Side{Name: r.baseline.uri, Rows: r.baseline.rows},
		Current:   report.Side{Name: r.current.uri, Rows: r.current.rows},
		Columns:   r.reportColumns(),
	}
	for _, c := range r.changes {
		p.SchemaChanges = append(p.SchemaChanges, report.SchemaChange{Column: c.Column, Change: describeChange(c)})
	}
	if len(r.chunks) < 2 {
		p.Measurements = r.measured
		return report.Write(w, p)
	}
	for i, c := range r.chunks {
		p.Chunks = append(p.Chunks, report.Chunk{Label: chunkLabel(r.chunks, i), Rows: c.rows})
	}
	for left := r.measured; len(left) > 0; { // they are sorted by chunk
		n := 1
		for n < len(left) && left[n].Chunk == left[0].Chunk {
			n++
		}
		p.Chunks[left[0].Chunk].Measurements, left = left[:n:n], left[n:]
	}
	return report.Write(w, p)
}

// reportColumns are the distributions of the columns. A preset of another tool
// leaves none: it has no bins of ours.
func (r *driftRun) reportColumns() []report.Column {
	importance := r.known.importance()
	out := make([]report.Column, len(r.columns))
	for i, c := range r.columns {
		if out[i] = (report.Column{Name: c.Name, Type: c.Type, Subject: c.Subject}); r.outlines != nil {
			out[i] = r.outlines[i].page
		}
		out[i].Importance = importance[c.Column]
	}
	return out
}
