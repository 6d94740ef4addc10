package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/modelwatch/modelwatch"
)

// WriteDeadLetters writes the values of dead letters that are too large for the
// catalog. Writing the same again is success.
func (a *Archive) WriteDeadLetters(ctx context.Context, key string, body []byte) error {
	if err := a.bucket.PutIfAbsent(ctx, key, body, digest(body)); err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}

// ReadPart returns a part of an object. An object that is gone is CodeNotFound;
// one that is too short for the part was changed behind the catalog's back.
func (a *Archive) ReadPart(ctx context.Context, p modelwatch.ObjectPart) ([]byte, error) {
	o, err := a.bucket.Open(ctx, p.Key)
	if err != nil {
		return nil, fmt.Errorf("read part: %w", err)
	}
	defer o.Close()
	if p.Offset < 0 || p.Length < 0 || p.Offset > o.Size()-p.Length {
		return nil, modelwatch.Errorf(modelwatch.CodeInternal, "object %s in %s: it has %d bytes, and %d from %d on were written", p.Key, a.bucket.URI(), o.Size(), p.Length, p.Offset)
	}
	body := make([]byte, p.Length)
	if _, err := o.ReadAt(body, p.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read part of %s: %w", p.Key, err)
	}
	return body, nil
}
