package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// WindowSource gives the rows of data files that fall into windows, in the order
// of file ids, as one table. Files are opened for each scan, one after the other.
// A feature that a file lacks is missing in all its rows, and its type may be
// another in each file. Where files were sampled at different rates there is a
// column _weight, one over the rate, as for WindowProfile.
type WindowSource struct {
	e       *Engine
	files   []modelwatch.DataFile
	windows []modelwatch.Window
	columns []table.ColumnInfo
	rows    int64
	weight  func(modelwatch.DataFile) float64 // nil: all rows weigh the same
}

// WindowSource opens the files that may have rows in one of the windows and counts
// those.
func (e *Engine) WindowSource(ctx context.Context, files []modelwatch.DataFile, windows ...modelwatch.Window) (*WindowSource, error) {
	s := &WindowSource{e: e, windows: windows}
	weight := fileWeights(files, windows)
	for _, f := range files {
		if outsideAll(f, windows) {
			continue
		}
		s.files = append(s.files, f)
		if weight(f) != 1 {
			s.weight = weight
		}
	}
	if s.weight != nil {
		s.columns = append(s.columns, table.ColumnInfo{Name: modelwatch.ColumnWeight, Type: modelwatch.TypeNumber})
	}
	slices.SortFunc(s.files, func(a, b modelwatch.DataFile) int { return int(a.ID - b.ID) })
	for _, f := range s.files {
		if err := s.look(ctx, f); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Key, err)
		}
	}
	return s, nil
}

// inside reports whether all rows of a file fall into one of the windows.
func (s *WindowSource) inside(f modelwatch.DataFile) bool {
	return !f.MinTime.IsZero() && !f.MaxTime.IsZero() && slices.ContainsFunc(s.windows, func(w modelwatch.Window) bool {
		return !f.MinTime.Before(w.Start) && f.MaxTime.Before(w.End)
	})
}

func (s *WindowSource) look(ctx context.Context, f modelwatch.DataFile) error {
	r, closer, err := s.e.archive.OpenDataFile(ctx, f)
	if err != nil {
		return err
	}
	defer closer.Close()
	for _, c := range r.Columns() {
		if _, known := s.find(c.Name); !known && c.Name != modelwatch.ColumnWeight {
			s.columns = append(s.columns, c)
		}
	}
	if s.inside(f) {
		s.rows += r.Rows()
		return nil
	}
	var places []int32
	return r.ScanColumn(ctx, modelwatch.ColumnTime, func(rows int, c *table.Column) error {
		places = s.within(rows, c, places)
		s.rows += int64(len(places))
		return nil
	})
}

// within lists the rows of a chunk that fall into one of the windows.
func (s *WindowSource) within(rows int, c *table.Column, places []int32) []int32 {
	places = places[:0]
	for i := range rows {
		if c.Missing(i) || len(c.Ints) == 0 {
			continue
		}
		for _, w := range s.windows {
			if c.Ints[i] >= w.Start.UnixMicro() && c.Ints[i] < w.End.UnixMicro() {
				places = append(places, int32(i))
				break
			}
		}
	}
	return places
}

// Rows is the number of rows in the windows.
func (s *WindowSource) Rows() int64 { return s.rows }

// Columns lists the columns of all files.
func (s *WindowSource) Columns() []table.ColumnInfo { return slices.Clone(s.columns) }

func (s *WindowSource) find(name string) (table.ColumnInfo, bool) {
	i := slices.IndexFunc(s.columns, func(c table.ColumnInfo) bool { return c.Name == name })
	if i < 0 {
		return table.ColumnInfo{}, false
	}
	return s.columns[i], true
}

// Column is the column as the first file that has it describes it. A feature that
// none has is a column without a type.
func (s *WindowSource) Column(name string) (table.ColumnInfo, bool) {
	if c, ok := s.find(name); ok || modelwatch.Reserved(name) {
		return c, ok
	}
	return table.ColumnInfo{Name: name}, true
}

// Scan implements Source.
func (s *WindowSource) Scan(ctx context.Context, columns []string, f func(*table.Chunk) error) error {
	p := newWindowPick(columns, s.weight != nil)
	for _, file := range s.files {
		p.all, p.weight = s.inside(file), 1
		if s.weight != nil {
			p.weight = s.weight(file)
		}
		err := s.scanFile(ctx, file, p.names, func(c *table.Chunk) error {
			if !p.all {
				p.places = s.within(c.Rows, &c.Columns[p.time], p.places)
			}
			if picked := p.pick(c); picked.Rows > 0 {
				return f(picked)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("file %s: %w", file.Key, err)
		}
	}
	return nil
}

// windowPick takes the rows of the window, and the columns that were asked for,
// out of chunks of files.
type windowPick struct {
	names     []string // to be read of files
	at        []int    // of the wanted columns: their place among names; -1 is the weight
	time      int      // place of the time among names
	all       bool     // every row is in the window
	weight    float64  // of the rows of the file
	places    []int32  // rows in the window
	weights   []float64
	picked    table.Chunk
	gatherers []gatherer
}

func newWindowPick(columns []string, weighted bool) *windowPick {
	p := &windowPick{time: -1, picked: table.Chunk{Columns: make([]table.Column, len(columns))}, gatherers: make([]gatherer, len(columns))}
	for _, name := range columns {
		if weighted && name == modelwatch.ColumnWeight {
			p.at = append(p.at, -1)
			continue
		}
		if name == modelwatch.ColumnTime {
			p.time = len(p.names)
		}
		p.at = append(p.at, len(p.names))
		p.names = append(p.names, name)
	}
	if p.time < 0 {
		p.time = len(p.names)
		p.names = append(p.names, modelwatch.ColumnTime)
	}
	return p
}

func (p *windowPick) pick(c *table.Chunk) *table.Chunk {
	p.picked.Rows = c.Rows
	if !p.all {
		p.picked.Rows = len(p.places)
	}
	for i, at := range p.at {
		switch {
		case at < 0:
			p.weights = resize(p.weights, p.picked.Rows)
			for k := range p.weights {
				p.weights[k] = p.weight
			}
			p.picked.Columns[i] = table.Column{Name: modelwatch.ColumnWeight, Type: modelwatch.TypeNumber, Floats: p.weights}
		case p.all:
			p.picked.Columns[i] = c.Columns[at]
		default:
			p.picked.Columns[i] = *p.gatherers[i].pick(&c.Columns[at], p.places)
		}
	}
	return &p.picked
}

func (s *WindowSource) scanFile(ctx context.Context, file modelwatch.DataFile, columns []string, f func(*table.Chunk) error) error {
	r, closer, err := s.e.archive.OpenDataFile(ctx, file)
	if err != nil {
		return err
	}
	defer closer.Close()
	return r.Scan(ctx, columns, f)
}

// ScanColumn implements Source.
func (s *WindowSource) ScanColumn(ctx context.Context, name string, f func(rows int, c *table.Column) error) error {
	return s.Scan(ctx, []string{name}, func(c *table.Chunk) error { return f(c.Rows, &c.Columns[0]) })
}

// WeightColumn is the column of weights under its own name, if a source has one.
func WeightColumn(src Source) string {
	if c, ok := src.Column(modelwatch.ColumnWeight); ok && c.Type == modelwatch.TypeNumber {
		return c.Name
	}
	return ""
}

// maxSegmentBytes bounds the profiles of one side's segments.
const maxSegmentBytes = 512 << 20

// CompareSegments divides both sides by the segments that the training set holds
// (see [Crossings]) and calls f for each segment with rows on a side, in the order
// of the baseline's. The profiles are on the grids of like; f must not keep them.
// Memory is that of the current side's segments, which are refused with
// CodeInvalid where they would take more than 512 MiB.
func CompareSegments(ctx context.Context, training, baseline, current Source, like *profile.Set, by [][]string, f func(segment map[string]string, baseline, current *profile.Set) error) error {
	crossings, err := Crossings(ctx, training, by)
	if err != nil {
		return err
	}
	width := int64(0)
	for _, c := range crossings {
		width += int64(c.Places())
	}
	if bytes := width * setBytes(like, true); bytes > maxSegmentBytes {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the profiles of %d segments of %d columns would take %d MiB, more than %d: name fewer segments or columns", width, len(like.Columns), bytes>>20, maxSegmentBytes>>20)
	}
	options := func(src Source) GroupOptions {
		return GroupOptions{Crossings: crossings, MemoryBytes: maxSegmentBytes, Weight: WeightColumn(src)}
	}
	found, order := map[string]Group{}, []string(nil)
	if current.Rows() > 0 {
		_, err = ProfileGroups(ctx, current, like, options(current), func(g Group) error {
			if key := modelwatch.SegmentKey(g.Segment); key != "" && g.Rows > 0 {
				found[key], order = g, append(order, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	compare := func(g Group) error {
		key := modelwatch.SegmentKey(g.Segment)
		now, ok := found[key]
		if key == "" || !ok && g.Rows == 0 {
			return nil
		}
		if !ok {
			now.Set = like.Empty()
		}
		delete(found, key)
		return f(g.Segment, g.Set, now.Set)
	}
	if baseline.Rows() > 0 {
		if _, err = ProfileGroups(ctx, baseline, like, options(baseline), compare); err != nil {
			return err
		}
	}
	for _, key := range order {
		if g, ok := found[key]; ok {
			if err := f(g.Segment, like.Empty(), g.Set); err != nil {
				return err
			}
		}
	}
	return nil
}
