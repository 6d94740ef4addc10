package catalog

import (
	"context"

	"github.com/pressly/goose/v3"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/migrations"
)

// dialect is all that the catalog must know about the database it speaks to.
type dialect struct {
	// lock makes the rows that a SELECT in a transaction returns ours until it
	// ends. SQLite needs no words for it: there is one writer.
	lock string
	// skipLocked is lock, passing over rows that others hold.
	skipLocked string
	// code classifies the errors of the driver; "" for an error of someone else.
	code func(error) modelwatch.Code
	// refused reports whether a failed COMMIT is certain to have done nothing.
	refused func(error) bool

	// exclusive runs f while no other process migrates the same database.
	exclusive func(ctx context.Context, c *Catalog, f func(context.Context) error) error
	name      migrations.Dialect
	goose     goose.Dialect
}
