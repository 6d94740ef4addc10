package archive_test

import (
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
