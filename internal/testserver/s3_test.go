//go:build unix

package testserver_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

func put(ctx context.Context, client *s3.Client, bucket, key, body string) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body), IfNoneMatch: aws.String("*"),
	})
	return err
}

func get(t *testing.T, client *s3.Client, bucket, key string) string {
	t.Helper()
	out, err := client.GetObject(within(t), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(body)
}

func TestS3(t *testing.T) {
	t.Parallel()
	s := testserver.S3(t)
	bucket, client := s.Bucket(t), s.Client()
	if err := put(within(t), client, bucket, "a/b", "first"); err != nil {
		t.Fatalf("put: %v", err)
	}
	err := put(within(t), client, bucket, "a/b", "second")
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "PreconditionFailed" {
		t.Errorf("a second put of the same key is %v, want PreconditionFailed", err)
	}
	if got := get(t, client, bucket, "a/b"); got != "first" {
		t.Errorf("the object is %q, want first", got)
	}
}

func TestS3KeepsDataAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := testserver.NewS3(t)
	bucket, client := s.Bucket(t), s.Client()
	if err := put(within(t), client, bucket, "k", "v"); err != nil {
		t.Fatalf("put: %v", err)
	}
	for _, end := range []func(){s.Stop, s.Kill} {
		end()
		if err := put(short(t), client, bucket, "other", "v"); err == nil {
			t.Error("the server answers while it is down")
		}
		s.Start()
		if got := get(t, client, bucket, "k"); got != "v" {
			t.Errorf("after the restart the object is %q, want v", got)
		}
	}
}
