package archive

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"
)

// Intents knows the uploads that were announced and never registered.
type Intents interface {
	// CondemnIntents marks pending intents older than that, so that their upload
	// can no longer be registered, and returns their keys, those condemned
	// earlier and not yet forgotten included.
	CondemnIntents(ctx context.Context, olderThan time.Time, limit int) (keys []string, err error)
	// ForgetIntents removes condemned intents.
	ForgetIntents(ctx context.Context, keys []string) error
}

// garbageBatch is how many orphans are condemned at a time.
const garbageBatch = 500

// CollectGarbage deletes the objects of uploads that were announced before
// olderThan and never registered: what a crash between upload and commit leaves.
// An intent is condemned before its object is deleted and forgotten after, so a
// slow writer fails to register instead of registering a deleted object, and a
// crash in between is made good by the next round. It returns how many were
// deleted.
func (a *Archive) CollectGarbage(ctx context.Context, intents Intents, olderThan time.Time) (deleted int, err error) {
	for {
		keys, err := intents.CondemnIntents(ctx, olderThan, garbageBatch)
		if err != nil {
			return deleted, fmt.Errorf("collect garbage: %w", err)
		}
		if len(keys) == 0 {
			return deleted, nil
		}
		done, derr := a.deleteAll(ctx, keys)
		if len(done) > 0 {
			if err := intents.ForgetIntents(ctx, done); err != nil {
				return deleted, fmt.Errorf("collect garbage: %w", errors.Join(err, derr))
			}
		}
		deleted += len(done)
		if derr != nil {
			return deleted, fmt.Errorf("collect garbage: %w", derr)
		}
		if len(keys) < garbageBatch {
			return deleted, nil
		}
	}
}

// deleteAll deletes what it can, with what was derived of it, and returns the keys
// that are gone. It stops at the first failure: what is left is condemned already
// and comes again.
func (a *Archive) deleteAll(ctx context.Context, keys []string) (done []string, err error) {
	for _, key := range keys {
		if err := a.deleteDerived(ctx, key); err != nil {
			return done, err
		}
		if err := a.bucket.Delete(ctx, key); err != nil {
			return done, err
		}
		done = append(done, key)
	}
	return done, nil
}

// deleteDerived deletes what was stored beside a data file.
func (a *Archive) deleteDerived(ctx context.Context, key string) error {
	for o, err := range a.bucket.List(ctx, DerivedPrefix(key)) {
		if err == nil {
			err = a.bucket.Delete(ctx, o.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DerivedPrefix is how the keys of objects begin that are derived of a data file,
// such as its profiles: in the file's folder, and with the underscore that makes
// query engines pass over them. They go when it goes.
func DerivedPrefix(key string) string {
	dir, base := path.Split(key)
	return dir + "_" + base + "."
}
