package catalog

import (
	"database/sql"
	"errors"
	"net/url"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/migrations"
)

// sqliteReaders is how many queries read at once; WAL lets them, beside the writer.
const sqliteReaders = 4

func (c *Catalog) openSQLite(path string) error {
	if path == "" || path == ":memory:" {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "the database sqlite:%s has no file: name one, such as sqlite:modelwatch.db", path)
	}
	var err error
	// synchronous=FULL: what a caller was told is committed outlasts a power
	// cut. The default of WAL would forget the last transactions.
	c.write, err = sql.Open("sqlite", sqliteURI(path, "_txlock", "immediate", "_pragma", "synchronous(FULL)"))
	if err != nil {
		return c.wrap(err, "open "+path)
	}
	c.write.SetMaxOpenConns(1)
	c.read, err = sql.Open("sqlite", sqliteURI(path, "_query_only", "true"))
	if err != nil {
		return c.wrap(errors.Join(err, c.write.Close()), "open "+path)
	}
	c.read.SetMaxOpenConns(sqliteReaders)
	c.read.SetMaxIdleConns(sqliteReaders)
	c.dialect = dialect{
		name: migrations.SQLite, goose: goose.DialectSQLite3,
		code: sqliteCode, refused: sqliteRefused, exclusive: sqliteExclusive(path),
	}
	return nil
}

// sqliteURI names a file with the options that every connection has.
func sqliteURI(path string, options ...string) string {
	query := url.Values{"_busy_timeout": {"5000"}, "_foreign_keys": {"true"}}
	for i := 0; i < len(options); i += 2 {
		query.Add(options[i], options[i+1])
	}
	// The path is one opaque part: "?", "#" and "%" in it are not syntax.
	name := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + name + "?" + query.Encode()
}

func sqliteCode(err error) modelwatch.Code {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return modelwatch.CodeConflict
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return modelwatch.CodeNotFound
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL:
		return modelwatch.CodeUnavailable
	}
	return modelwatch.CodeInternal
}

// sqliteRefused: a busy database has kept the transaction open, and closing it
// rolls it back. Everything else, a full disk say, is looked up.
func sqliteRefused(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT)
}
