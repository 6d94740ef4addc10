package app

import (
	"context"
	"fmt"
	"io"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/schedule"
	"github.com/modelwatch/modelwatch/table"
)

// rows implements schedule.Rows on the archive and the stored baselines.
type rows struct {
	engine    *engine.Engine
	baselines *baselines
}

// open opens the rows of a baseline as they were registered. One that is a profile
// alone has none: CodeInvalid.
func (b *baselines) open(ctx context.Context, baseline modelwatch.Baseline) (*table.Reader, io.Closer, error) {
	if baseline.DataKey == "" {
		return nil, nil, modelwatch.Errorf(modelwatch.CodeInvalid, "baseline %s has no rows, it was registered from statistics", baseline.ID)
	}
	object, err := b.bucket.Open(ctx, baseline.DataKey)
	if err != nil {
		return nil, nil, fmt.Errorf("open rows of baseline %s: %w", baseline.ID, err)
	}
	reader, err := table.OpenParquet(object, object.Size())
	if err != nil {
		object.Close()
		return nil, nil, fmt.Errorf("open rows of baseline %s: %w", baseline.ID, err)
	}
	return reader, object, nil
}

// sides opens both sides as tables.
func (r rows) sides(ctx context.Context, s schedule.Sides) (training, baseline, current engine.Source, closer io.Closer, err error) {
	reader, closer, err := r.baselines.open(ctx, s.Training)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	training, baseline = reader, reader
	if s.Baseline != nil {
		baseline, err = r.engine.WindowSource(ctx, s.Baseline.Files, s.Baseline.Windows...)
	}
	if err == nil {
		current, err = r.engine.WindowSource(ctx, s.Current.Files, s.Current.Windows...)
	}
	if err != nil {
		closer.Close()
		return nil, nil, nil, nil, fmt.Errorf("read rows: %w", err)
	}
	return training, baseline, current, closer, nil
}

// Segments implements schedule.Rows.
func (r rows) Segments(ctx context.Context, s schedule.Sides, by [][]string, grids *profile.Set, f func(map[string]string, *profile.Set, *profile.Set) error) error {
	training, baseline, current, closer, err := r.sides(ctx, s)
	if err != nil {
		return err
	}
	defer closer.Close()
	return engine.CompareSegments(ctx, training, baseline, current, grids, by, f)
}

// Open implements schedule.Rows.
func (r rows) Open(ctx context.Context, s schedule.Sides, limit int64) (schedule.SideRows, error) {
	_, baseline, current, closer, err := r.sides(ctx, s)
	if err != nil {
		return nil, err
	}
	if err = withinLimit("baseline", baseline, limit); err == nil {
		err = withinLimit("window", current, limit)
	}
	if err != nil {
		closer.Close()
		return nil, err
	}
	return sideRows{closer, baseline, current}, nil
}

// sideRows implements schedule.SideRows.
type sideRows struct {
	io.Closer
	baseline, current engine.Source
}

// Samples implements schedule.SideRows.
func (s sideRows) Samples(ctx context.Context, column modelwatch.Column) (baseline, current drift.Sample, err error) {
	x, err := readSamples(ctx, s.baseline, column, 0)
	if err != nil {
		return baseline, current, err
	}
	y, err := readSamples(ctx, s.current, column, 0)
	if err != nil {
		return baseline, current, err
	}
	return x[0], y[0], nil
}

// ChunkSamples implements schedule.Rows.
func (r rows) ChunkSamples(ctx context.Context, b modelwatch.Baseline, column modelwatch.Column, n int, limit int64) (whole drift.Sample, chunks []drift.Sample, err error) {
	reader, closer, err := r.baselines.open(ctx, b)
	if err != nil {
		return whole, nil, err
	}
	defer closer.Close()
	if err := withinLimit("baseline", reader, limit); err != nil {
		return whole, nil, err
	}
	all, err := readSamples(ctx, reader, column, 0)
	if err != nil {
		return whole, nil, err
	}
	chunks, err = readSamples(ctx, reader, column, chunkRows(reader.Rows(), n))
	return all[0], chunks, err
}

// chunkRows is how many rows make a chunk, so that there are at most n chunks.
func chunkRows(rows int64, n int) int64 { return max(1, (rows+int64(n)-1)/int64(n)) }

func withinLimit(side string, src engine.Source, limit int64) error {
	if src.Rows() <= limit {
		return nil
	}
	return modelwatch.Errorf(modelwatch.CodeInvalid, "the %s has %d rows: compat and exact hold a column of at most %d in memory; take a shorter window, or measure from profiles", side, src.Rows(), limit)
}

func readSamples(ctx context.Context, src engine.Source, column modelwatch.Column, chunk int64) ([]drift.Sample, error) {
	read, err := engine.ReadSamples(ctx, src, column, engine.WeightColumn(src), chunk)
	if err != nil {
		return nil, err
	}
	out := make([]drift.Sample, len(read))
	for i, s := range read {
		out[i] = drift.Sample(s)
	}
	return out, nil
}
