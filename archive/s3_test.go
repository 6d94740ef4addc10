package archive_test

import (
	"testing"

	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/archive/archivetest"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

func TestS3(t *testing.T) {
	t.Parallel()
	server := testserver.S3(t)
	archivetest.TestBucket(t, func(t *testing.T) archive.Bucket {
		return openS3(t, server, "deep/prefix", archive.Retry{})
	})
}

func openS3(t testing.TB, server *testserver.S3Server, prefix string, retry archive.Retry) archive.Bucket {
	t.Helper()
	b, err := archive.OpenBucket(t.Context(), archive.BucketConfig{
		URI:      "s3://" + server.Bucket(t) + "/" + prefix,
		Endpoint: server.Endpoint, Region: server.Region, PathStyle: true,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		Retry: retry,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
