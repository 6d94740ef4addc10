package table

// Rows are rows that are asked for column by column, some at a time, so that who has them
// in another form need not hold all of them as a Chunk.
type Rows interface {
	// Len is how many there are.
	Len() int
	// Infos are their columns.
	Infos() []ColumnInfo
	// Part returns n rows of the i-th column. They are valid until the next call, and are
	// not changed. One without values is missing in all of them.
	Part(i, from, n int) Column
}

// Len is the number of rows.
func (c *Chunk) Len() int { return c.Rows }

// Infos are the columns.
func (c *Chunk) Infos() []ColumnInfo {
	infos := make([]ColumnInfo, len(c.Columns))
	for i := range c.Columns {
		infos[i] = ColumnInfo{Name: c.Columns[i].Name, Type: c.Columns[i].Type, Physical: c.Columns[i].Physical}
	}
	return infos
}

// Part returns n rows of the i-th column. What it has not one of for each row stays whole,
// so that the writer sees it.
func (c *Chunk) Part(i, from, n int) Column {
	out := c.Columns[i]
	out.Valid = cut(out.Valid, c.Rows, from, n)
	out.Floats = cut(out.Floats, c.Rows, from, n)
	out.Ints = cut(out.Ints, c.Rows, from, n)
	out.Bools = cut(out.Bools, c.Rows, from, n)
	out.Index = cut(out.Index, c.Rows, from, n)
	out.Vectors = cut(out.Vectors, c.Rows, from, n)
	return out
}

func cut[T any](s []T, rows, from, n int) []T {
	switch len(s) {
	case rows:
		return s[from : from+n]
	case n: // it would pass for the part
		return append(s[:n:n], make([]T, min(n, 1))...)
	}
	return s
}
