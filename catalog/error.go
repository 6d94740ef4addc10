package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/modelwatch/modelwatch"
)

// wrap turns an error of the database into one of the domain. An error that is
// one already passes through unchanged, and so does nil.
func (c *Catalog) wrap(err error, what string) error {
	var known *modelwatch.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return modelwatch.Wrap(c.code(err), err, "%s", what)
}

// code says what the reader of an error can do about it.
func (c *Catalog) code(err error) modelwatch.Code {
	if err == nil {
		return ""
	}
	var known *modelwatch.Error
	if errors.As(err, &known) {
		return known.Code
	}
	if code := c.dialect.code(err); code != "" {
		return code
	}
	var network net.Error
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return modelwatch.CodeNotFound
	case errors.As(err, &network), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return modelwatch.CodeUnavailable
	}
	return modelwatch.CodeInternal
}

// missing replaces "no rows" by a message that names what was asked for.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return modelwatch.Errorf(modelwatch.CodeNotFound, format, args...)
	}
	return err
}
