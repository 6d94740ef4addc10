package ingest

import (
	"slices"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// importRows gathers rows of chunks, column by column, in the order of the table.
type importRows struct {
	ids     arena
	placed  []placed
	columns []importColumn
}

// importColumn is one column of the rows gathered.
type importColumn struct {
	col    table.Column
	lookup map[string]int32
	remap  []int32 // of the chunk's dictionary: place + 1 in ours, 0 until it is needed
}

func newImportRows(infos []table.ColumnInfo) *importRows {
	r := &importRows{columns: make([]importColumn, len(infos))}
	for i, info := range infos {
		r.columns[i].col = table.Column{Name: info.Name, Type: info.Type, Physical: info.Physical}
	}
	r.reset()
	return r
}

func (r *importRows) reset() {
	r.ids, r.placed = arena{}, r.placed[:0]
	for i := range r.columns {
		c := &r.columns[i]
		c.lookup = map[string]int32{}
		clear(c.remap)
		c.col = table.Column{Name: c.col.Name, Type: c.col.Type, Physical: c.col.Physical}
	}
}

// begin is told of each chunk before its rows are added; its first two columns are
// the id and the time.
func (r *importRows) begin(c *table.Chunk) {
	for i := range r.columns {
		n := len(c.Columns[i+2].Dict)
		r.columns[i].remap = slices.Grow(r.columns[i].remap[:0], n)[:n]
		clear(r.columns[i].remap)
	}
}

func (r *importRows) add(c *table.Chunk, row int, p placed) {
	r.ids.add([]byte(c.Columns[0].Text(row)))
	r.placed = append(r.placed, p)
	for i := range r.columns {
		r.columns[i].add(&c.Columns[i+2], row)
	}
}

func (c *importColumn) add(from *table.Column, row int) {
	to := &c.col
	valid := !from.Missing(row)
	switch {
	case len(from.Floats) > 0:
		to.Floats = append(to.Floats, from.Floats[row])
	case len(from.Ints) > 0:
		to.Ints = append(to.Ints, from.Ints[row])
	case len(from.Bools) > 0:
		to.Bools = append(to.Bools, from.Bools[row])
	case len(from.Vectors) > 0:
		to.Vectors = append(to.Vectors, slices.Clone(from.Vectors[row]))
	case len(from.Index) > 0 && valid:
		to.Index = append(to.Index, c.word(from, row))
	case len(from.Index) > 0:
		to.Index = append(to.Index, 0)
	}
	to.Valid = append(to.Valid, valid)
}

func (c *importColumn) word(from *table.Column, row int) int32 {
	at := from.Index[row]
	if c.remap[at] == 0 {
		text := from.Dict[at]
		place, ok := c.lookup[text]
		if !ok {
			place = int32(len(c.col.Dict))
			c.col.Dict = append(c.col.Dict, text)
			c.lookup[text] = place
		}
		c.remap[at] = place + 1
	}
	return c.remap[at] - 1
}

// chunk returns rows in a given order.
func (r *importRows) chunk(order []int32, received int64) *table.Chunk {
	n := len(order)
	times, ranks, receipts := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, at := range order {
		times[i], ranks[i], receipts[i] = r.placed[at].time, r.placed[at].rank, received
	}
	out := &table.Chunk{Rows: n}
	out.Columns = append(out.Columns,
		r.idColumn(order),
		intColumn(modelwatch.ColumnTime, modelwatch.TypeTimestamp, table.PhysicalTime, times),
		intColumn(modelwatch.ColumnRank, modelwatch.TypeNumber, table.PhysicalInt64, ranks),
		intColumn(modelwatch.ColumnReceivedAt, modelwatch.TypeTimestamp, table.PhysicalTime, receipts),
	)
	for i := range r.columns {
		from := &r.columns[i].col
		to := table.Column{Name: from.Name, Type: from.Type, Physical: from.Physical, Valid: gather(from.Valid, order)}
		switch {
		case len(from.Floats) > 0:
			to.Floats = gather(from.Floats, order)
		case len(from.Ints) > 0:
			to.Ints = gather(from.Ints, order)
		case len(from.Bools) > 0:
			to.Bools = gather(from.Bools, order)
		case len(from.Vectors) > 0:
			to.Vectors = gather(from.Vectors, order)
		case len(from.Index) > 0:
			to.Dict, to.Index = used(from, order)
		}
		out.Columns = append(out.Columns, to)
	}
	return out
}

func (r *importRows) idColumn(order []int32) table.Column {
	c := table.Column{Name: modelwatch.ColumnID, Type: modelwatch.TypeText, Dict: make([]string, len(order)), Index: make([]int32, len(order))}
	for i, at := range order {
		from := 0
		if at > 0 {
			from = r.ids.ends[at-1]
		}
		c.Dict[i], c.Index[i] = string(r.ids.bytes[from:r.ids.ends[at]]), int32(i)
	}
	return c
}

// used returns the part of a dictionary that some rows use, and their places in it.
func used(c *table.Column, order []int32) (dict []string, index []int32) {
	places, index := map[int32]int32{}, make([]int32, len(order))
	for i, at := range order {
		if !c.Valid[at] {
			continue
		}
		place, ok := places[c.Index[at]]
		if !ok {
			place = int32(len(dict))
			places[c.Index[at]] = place
			dict = append(dict, c.Dict[c.Index[at]])
		}
		index[i] = place
	}
	return dict, index
}

func intColumn(name string, t modelwatch.FeatureType, p table.Physical, v []int64) table.Column {
	return table.Column{Name: name, Type: t, Physical: p, Ints: v}
}
