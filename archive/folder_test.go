package archive_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/archive/archivetest"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	archivetest.TestBucket(t, func(t *testing.T) archive.Bucket {
		b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: "file://" + t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestFolderPutWhileDeleting writes objects beside others that are being
// deleted: the deletion of a directory that is empty must not cost a write.
func TestFolderPutWhileDeleting(t *testing.T) {
	t.Parallel()
	b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const writers, rounds = 4, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range rounds {
				key := fmt.Sprintf("date=1/hour=2/%d", i)
				if err := b.PutIfAbsent(t.Context(), key, nil, hexSum(nil)); err != nil {
					t.Errorf("put: %v", err)
				}
				if err := b.Delete(t.Context(), key); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for info, err := range b.List(t.Context(), "") {
		t.Errorf("left over: %v, %v", info, err)
	}
}
