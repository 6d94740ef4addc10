package archive

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/modelwatch/modelwatch"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c is the checksum as S3's headers want it; the service compares it with
// what arrived, so a body damaged on its way is refused.
func crc32c(body []byte) *string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
	return aws.String(base64.StdEncoding.EncodeToString(sum))
}

func (b *s3Bucket) PutIfAbsent(ctx context.Context, key string, body []byte, sha256hex string) error {
	k, err := b.key(key)
	if err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, b.writing.put(&s3.PutObjectInput{
		Bucket: &b.bucket, Key: k, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*"),
	}, body), signedAs(sha256hex))
	if httpStatus(err) == http.StatusPreconditionFailed {
		return b.compare(ctx, key, int64(len(body)), sha256hex)
	}
	if err != nil {
		return b.fail(ctx, "put", key, err)
	}
	return nil
}

// signedAs tells the checksum of a body to the signature of a request over plain HTTP,
// which covers it and would have it computed once more. "": it is not known.
func signedAs(sha256hex string) func(*s3.Options) {
	known := middleware.FinalizeMiddlewareFunc("KnownPayloadHash", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok && !r.IsHTTPS() && sha256hex != "" {
			ctx = v4.SetPayloadHash(ctx, sha256hex)
		}
		return next.HandleFinalize(ctx, in)
	})
	return s3.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(known, "ResolveEndpointV2", middleware.After) // which tells HTTP from HTTPS
	})
}

// compare tells an earlier try of the same write, whose answer was lost, from a
// different object.
func (b *s3Bucket) compare(ctx context.Context, key string, size int64, sha256hex string) error {
	o, err := b.Open(ctx, key)
	if err != nil {
		return fmt.Errorf("compare with what exists: %w", err)
	}
	defer o.Close()
	same := o.Size() == size
	if same {
		have := make([]byte, size)
		if _, err := o.ReadAt(have, 0); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("compare with what exists: %w", err)
		}
		same = digest(have) == sha256hex
	}
	if !same {
		return modelwatch.Errorf(modelwatch.CodeConflict, "put %s in %s: the object exists with other content", key, b.uri)
	}
	return nil
}

func (b *s3Bucket) Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	k, err := b.key(key)
	if err != nil {
		return err
	}
	if size > b.partSize {
		return b.putParts(ctx, key, r, size)
	}
	body, err := readBody(r, size)
	if err != nil {
		return fmt.Errorf("put %s in %s: %w", key, b.uri, err)
	}
	_, err = b.client.PutObject(ctx, b.writing.put(&s3.PutObjectInput{Bucket: &b.bucket, Key: k, Body: bytes.NewReader(body)}, body))
	if err != nil {
		return b.fail(ctx, "put", key, err)
	}
	return nil
}

// readBody reads exactly size bytes to the end of r.
func readBody(r io.Reader, size int64) ([]byte, error) {
	body := make([]byte, size)
	n, err := io.ReadFull(r, body)
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return body, checkEnd(r, int64(n), size)
	}
	return nil, err
}

// checkEnd fails unless r stands at its end after the size announced.
func checkEnd(r io.Reader, have, size int64) error {
	rest, err := io.CopyN(io.Discard, r, 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if have += rest; have != size {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "body has %d bytes or more, announced were %d", have, size)
	}
	return nil
}

// maxParts is S3's limit on the parts of one upload.
const maxParts = 10_000

// putParts uploads in parts, one in memory at a time. An upload that fails is
// aborted, so that its parts do not stay and cost.
func (b *s3Bucket) putParts(ctx context.Context, key string, r io.Reader, size int64) error {
	k := aws.String(b.prefix + key)
	up, err := b.client.CreateMultipartUpload(ctx, b.writing.begin(&s3.CreateMultipartUploadInput{Bucket: &b.bucket, Key: k}))
	if err != nil {
		return b.fail(ctx, "put", key, err)
	}
	parts, err := b.uploadParts(ctx, k, up.UploadId, r, size)
	if err == nil {
		_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &b.bucket, Key: k, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
	}
	if err == nil {
		return nil
	}
	err = b.fail(ctx, "put", key, err)
	if aerr := b.abort(ctx, k, up.UploadId); aerr != nil {
		return fmt.Errorf("%w (and the upload could not be aborted: %w)", err, aerr)
	}
	return err
}

func (b *s3Bucket) uploadParts(ctx context.Context, k, upload *string, r io.Reader, size int64) ([]types.CompletedPart, error) {
	partSize := max(b.partSize/4, (size+maxParts-1)/maxParts)
	buf := make([]byte, partSize)
	var parts []types.CompletedPart
	for left := size; left > 0; {
		body := buf[:min(partSize, left)]
		if n, err := io.ReadFull(r, body); err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read body: %d bytes, announced were %d", size-left+int64(n), size)
		}
		number := aws.Int32(int32(len(parts) + 1))
		out, err := b.client.UploadPart(ctx, b.writing.part(&s3.UploadPartInput{
			Bucket: &b.bucket, Key: k, UploadId: upload, PartNumber: number, Body: bytes.NewReader(body),
		}, body))
		if err != nil {
			return nil, err
		}
		parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumCRC32C: out.ChecksumCRC32C})
		left -= int64(len(body))
	}
	return parts, checkEnd(r, size, size)
}

func (b *s3Bucket) abort(ctx context.Context, k, upload *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.bucket, Key: k, UploadId: upload})
	if err != nil && !isAbsent(err) {
		return err
	}
	return nil
}
