package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// s3Object reads ranges of one object. Every read is conditional on the ETag
// seen when it was opened, so an object replaced meanwhile is an error and not
// a mixture of two.
type s3Object struct {
	bucket *s3Bucket
	ctx    context.Context // of Open: io.ReaderAt has no place for one
	key    string
	etag   *string
	size   int64
}

func (b *s3Bucket) Open(ctx context.Context, key string) (Object, error) {
	k, err := b.key(key)
	if err != nil {
		return nil, err
	}
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: k})
	if err != nil {
		return nil, b.fail(ctx, "open", key, err)
	}
	return &s3Object{bucket: b, ctx: ctx, key: key, etag: head.ETag, size: aws.ToInt64(head.ContentLength)}, nil
}

func (o *s3Object) Size() int64 { return o.size }

func (o *s3Object) Close() error { return nil }

// ReadAt requests exactly the bytes asked for. A body that is cut short is
// requested again from where it ended.
func (o *s3Object) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", o.key, off)
	}
	if off >= o.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), o.size-off)]
	done := 0
	for attempt := 1; done < len(want); attempt++ {
		n, err := o.readRange(want[done:], off+int64(done))
		done += n
		if err == nil {
			continue
		}
		if !errors.Is(err, errBodyCut) || attempt >= o.bucket.retry.Attempts || o.ctx.Err() != nil {
			return done, o.bucket.fail(o.ctx, "read", o.key, err)
		}
		if err := pause(o.ctx, attempt, o.bucket.retry.MaxBackoff); err != nil {
			return done, o.bucket.fail(o.ctx, "read", o.key, err)
		}
	}
	if len(want) < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// errBodyCut marks an answer that ended early, after the SDK's own retries.
var errBodyCut = errors.New("body ended early")

func (o *s3Object) readRange(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	out, err := o.bucket.client.GetObject(o.ctx, &s3.GetObjectInput{
		Bucket:  &o.bucket.bucket,
		Key:     aws.String(o.bucket.prefix + o.key),
		Range:   aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
		IfMatch: o.etag,
	})
	if err != nil {
		return 0, err
	}
	defer out.Body.Close()
	n, err := io.ReadFull(out.Body, p)
	if err != nil {
		return n, fmt.Errorf("%w after %d of %d bytes: %w", errBodyCut, n, len(p), err)
	}
	return n, nil
}

// pause waits before another attempt: exponential with full jitter, from 50 ms.
func pause(ctx context.Context, attempt int, limit time.Duration) error {
	d := min(limit, 50*time.Millisecond<<min(attempt, 10))
	t := time.NewTimer(time.Duration(rand.Int64N(int64(d) + 1)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
