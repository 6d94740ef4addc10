package archive_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// intents is a catalog's part in collecting garbage.
type intents struct {
	pending   []string
	condemned []string
}

func (i *intents) CondemnIntents(_ context.Context, _ time.Time, limit int) ([]string, error) {
	i.condemned = append(i.condemned, i.pending...)
	i.pending = nil
	return i.condemned[:min(limit, len(i.condemned))], nil
}

func (i *intents) ForgetIntents(_ context.Context, keys []string) error {
	i.condemned = i.condemned[len(keys):]
	return nil
}

func TestCollectGarbage(t *testing.T) {
	t.Parallel()
	a := newArchive(t, archive.Options{})
	b := a.Bucket()
	var orphans intents
	for i := range 1203 {
		key := fmt.Sprintf("orphan/%d", i)
		orphans.pending = append(orphans.pending, key)
		if i%100 == 0 { // most uploads were never begun
			if err := b.PutIfAbsent(t.Context(), key, nil, hexSum(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.PutIfAbsent(t.Context(), "orphan/registered", nil, hexSum(nil)); err != nil {
		t.Fatal(err)
	}
	n, err := a.CollectGarbage(t.Context(), &orphans, day)
	if err != nil || n != 1203 || len(orphans.condemned) != 0 {
		t.Errorf("%d deleted, %v, %d condemned left; want 1203, none", n, err, len(orphans.condemned))
	}
	for info, err := range b.List(t.Context(), "") {
		if err != nil || info.Key != "orphan/registered" {
			t.Errorf("%s, %v: left over", info.Key, err)
		}
	}
}

// failing fails to delete some keys.
type failing struct {
	archive.Bucket
	fail map[string]bool
}

func (b failing) Delete(ctx context.Context, key string) error {
	if b.fail[key] {
		return modelwatch.Errorf(modelwatch.CodeUnavailable, "delete %s", key)
	}
	return b.Bucket.Delete(ctx, key)
}

// TestCollectGarbageKeepsWhatFailed: an intent is forgotten only after its
// object is gone, so the next round finds the rest.
func TestCollectGarbageKeepsWhatFailed(t *testing.T) {
	t.Parallel()
	bucket, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b := failing{Bucket: bucket, fail: map[string]bool{"b": true}}
	orphans := intents{pending: []string{"a", "b", "c"}}
	n, err := archive.New(b, archive.Options{}).CollectGarbage(t.Context(), &orphans, day)
	if modelwatch.ErrorCode(err) != modelwatch.CodeUnavailable || n != 1 {
		t.Errorf("%d deleted, %v; want 1 and unavailable", n, err)
	}
	if diff := cmp.Diff([]string{"b", "c"}, orphans.condemned); diff != "" {
		t.Errorf("left to the next round (-want +have):\n%s", diff)
	}
}
