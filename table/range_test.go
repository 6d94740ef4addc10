package table

import (
	"bytes"
	"slices"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func TestIntRangesAndGroups(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, []ColumnInfo{{Name: "_rank", Type: modelwatch.TypeNumber, Physical: PhysicalInt64}, {Name: "x", Type: modelwatch.TypeNumber}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const rows = 2*RowGroupRows + 10
	ranks, xs := make([]int64, rows), make([]float64, rows)
	for i := range ranks {
		ranks[i], xs[i] = int64(i)*3-5, 1
	}
	err = w.Write(&Chunk{Rows: rows, Columns: []Column{
		{Name: "_rank", Type: modelwatch.TypeNumber, Physical: PhysicalInt64, Ints: ranks}, {Name: "x", Type: modelwatch.TypeNumber, Floats: xs}}})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenParquet(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	have, err := r.IntRanges("_rank")
	want := []IntRange{{-5, RowGroupRows*3 - 8, true}, {RowGroupRows*3 - 5, 2*RowGroupRows*3 - 8, true}, {2*RowGroupRows*3 - 5, rows*3 - 8, true}}
	if err != nil || !slices.Equal(have, want) || r.Groups() != 3 {
		t.Errorf("ranges %v, %v, of %d groups; want %v", have, err, r.Groups(), want)
	}
	for _, name := range []string{"x", "absent"} {
		if have, err := r.IntRanges(name); err != nil || !slices.Equal(have, make([]IntRange, 3)) {
			t.Errorf("ranges of %s: %v, %v; want none known", name, have, err)
		}
	}
	var seen []int64
	err = r.ScanGroups(t.Context(), []int{2, 0}, []string{"_rank"}, func(c *Chunk) error {
		seen = append(seen, c.Columns[0].Ints...)
		return nil
	})
	if err != nil || !slices.Equal(seen, append(slices.Clone(ranks[2*RowGroupRows:]), ranks[:RowGroupRows]...)) {
		t.Errorf("%d rows of groups 2 and 0, %v", len(seen), err)
	}
}
