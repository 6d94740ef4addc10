package engine

import (
	"context"

	"github.com/modelwatch/modelwatch/table"
)

// Source is a table to be profiled: a file ([table.Reader]) or several as one
// ([table.Union]). It may be scanned any number of times, also at the same time,
// and gives its rows in the same order each time. The slices of a chunk are valid
// until the function that was given it returns.
type Source interface {
	Rows() int64
	Columns() []table.ColumnInfo
	Column(name string) (table.ColumnInfo, bool)
	Scan(ctx context.Context, columns []string, f func(*table.Chunk) error) error
	ScanColumn(ctx context.Context, name string, f func(rows int, c *table.Column) error) error
}
