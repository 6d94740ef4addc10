package catalog

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"
)

// runner is a pool or a transaction.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// row is a *sql.Row or the current row of *sql.Rows.
type row interface{ Scan(dest ...any) error }

// all runs a query and returns what scan makes of each row.
func all[T any](ctx context.Context, r runner, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}

// find reads all rows of a query outside a transaction.
func find[T any](ctx context.Context, c *Catalog, what string, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	found, err := all(ctx, c.read, scan, query, args...)
	return found, c.wrap(err, what)
}

// findOne reads the one row of a query outside a transaction; none is sql.ErrNoRows.
func findOne[T any](ctx context.Context, c *Catalog, scan func(row) (T, error), query string, args ...any) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	return scan(c.read.QueryRowContext(ctx, query, args...))
}

// exec runs a statement and returns how many rows it changed.
func exec(ctx context.Context, r runner, query string, args ...any) (int64, error) {
	result, err := r.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// scanText scans a single text column.
func scanText(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// selection is a SELECT that grows by conditions. Conditions are written with ?
// for their arguments and numbered as they are added.
type selection struct {
	text strings.Builder
	args []any
}

// selectFrom starts with a SELECT that has no WHERE yet.
func selectFrom(head string) *selection {
	q := &selection{}
	q.text.WriteString(head)
	q.text.WriteString(" WHERE 1 = 1")
	return q
}

// and adds a condition.
func (q *selection) and(condition string, args ...any) {
	q.text.WriteString(" AND ")
	q.add(condition, args...)
}

// add appends text, such as ORDER BY and LIMIT.
func (q *selection) add(text string, args ...any) {
	for _, arg := range args {
		before, after, _ := strings.Cut(text, "?")
		q.args = append(q.args, arg)
		q.text.WriteString(before)
		q.text.WriteString("$")
		q.text.WriteString(strconv.Itoa(len(q.args)))
		text = after
	}
	q.text.WriteString(text)
}

// andText adds an equality unless the value is "", which is no filter.
func (q *selection) andText(column, value string) {
	if value != "" {
		q.and(column+" = ?", clean(value))
	}
}

// andWindow keeps windows that overlap [from, to); a zero time is open.
func (q *selection) andWindow(from, to time.Time) {
	if !from.IsZero() {
		q.and("window_end > ?", micros(from))
	}
	if !to.IsZero() {
		q.and("window_start < ?", micros(to))
	}
}

// batches are the numbers of rows that one statement takes. Few sizes make few
// distinct statements, so each is parsed and planned once per connection.
var batches = [...]int{128, 32, 8, 4, 2, 1}

// maximumParameters bounds a statement: SQLite looks its parameters up one by
// one, so that their number counts squared.
const maximumParameters = 1000

// eachBatch hands out items, of width parameters each, in slices as long as a
// batch, in order.
func eachBatch[T any](items []T, width int, f func(batch []T) error) error {
	for _, size := range batches {
		for len(items) >= size && size*width <= maximumParameters {
			if err := f(items[:size]); err != nil {
				return err
			}
			items = items[size:]
		}
	}
	return nil
}

// insertRows runs head + VALUES lists + tail over all rows and returns how many
// rows were changed. Rows are locked in the order given.
func insertRows(ctx context.Context, r runner, head, tail string, rows [][]any) (changed int64, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	err = eachBatch(rows, len(rows[0]), func(batch [][]any) error {
		var text strings.Builder
		text.WriteString(head)
		args := make([]any, 0, len(batch)*len(batch[0]))
		for i, values := range batch {
			if i > 0 {
				text.WriteString(",")
			}
			placeholders(&text, len(args)+1, len(values))
			args = append(args, values...)
		}
		text.WriteString(tail)
		n, err := exec(ctx, r, text.String(), args...)
		changed += n
		return err
	})
	return changed, err
}

// execIn runs head + (list of $n) + tail in batches over the values and returns
// how many rows were changed. The list's parameters follow those of args.
func execIn[T any](ctx context.Context, r runner, head, tail string, values []T, args ...any) (changed int64, err error) {
	err = eachBatch(values, 1, func(batch []T) error {
		text, all := inList(head, tail, batch, args)
		n, err := exec(ctx, r, text, all...)
		changed += n
		return err
	})
	return changed, err
}

// inList builds head + (list of $n) + tail and its arguments.
func inList[T any](head, tail string, batch []T, args []any) (string, []any) {
	var text strings.Builder
	text.WriteString(head)
	placeholders(&text, len(args)+1, len(batch))
	text.WriteString(tail)
	all := append([]any(nil), args...)
	for _, v := range batch {
		all = append(all, v)
	}
	return text.String(), all
}

// placeholders writes ($first, $first+1, ...).
func placeholders(text *strings.Builder, first, n int) {
	text.WriteString(" (")
	for i := range n {
		if i > 0 {
			text.WriteString(",")
		}
		text.WriteString("$")
		text.WriteString(strconv.Itoa(first + i))
	}
	text.WriteString(")")
}

// countBy reads rows of a name and a number.
func countBy[K ~string](ctx context.Context, c *Catalog, what, query string) (map[K]int64, error) {
	counts := map[K]int64{}
	scan := func(r row) (n int64, err error) {
		var name K
		err = r.Scan(&name, &n)
		counts[name] = n
		return n, err
	}
	if _, err := find(ctx, c, what, scan, query); err != nil {
		return nil, err
	}
	return counts, nil
}

// scanCount scans a single number.
func scanCount(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}
