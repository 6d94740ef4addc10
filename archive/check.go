package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/modelwatch/modelwatch"
)

// checkBucket does once what ingest and engine do all day: create, refuse to
// overwrite, read, delete. A store that takes conditional writes for ordinary
// ones would lose data silently, so it is found out here.
func checkBucket(ctx context.Context, b Bucket) error {
	key := ".check/" + uuid.NewString()
	body := []byte("modelwatch " + key)
	if err := b.PutIfAbsent(ctx, key, body, digest(body)); err != nil {
		return fmt.Errorf("check bucket: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = b.Delete(ctx, key) // again, if a step before the deletion failed
	}()
	other := []byte("other " + key)
	err := b.PutIfAbsent(ctx, key, other, digest(other))
	if err == nil {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "check bucket %s: it overwrites in spite of If-None-Match; use a store with conditional writes", b.URI())
	}
	if modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
		return fmt.Errorf("check bucket: %w", err)
	}
	have, err := b.Read(ctx, key)
	if err != nil {
		return fmt.Errorf("check bucket: %w", err)
	}
	if !bytes.Equal(have, body) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "check bucket %s: it returned %d bytes other than the %d written", b.URI(), len(have), len(body))
	}
	if err := b.Delete(ctx, key); err != nil {
		return fmt.Errorf("check bucket: %w", err)
	}
	return nil
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
