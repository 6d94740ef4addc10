package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/modelwatch/modelwatch"
)

// s3Bucket is a bucket on S3 or on a store that speaks its protocol, under a
// prefix of its own.
type s3Bucket struct {
	client   *s3.Client
	bucket   string
	prefix   string // "" or ending at a slash
	uri      string
	retry    Retry
	writing  writing
	partSize int64 // of multipart uploads; also the size above which Put uses them
}

// multipartAbove is the size up to which one request carries an object.
const multipartAbove = 64 << 20

func openS3(ctx context.Context, cfg BucketConfig) (Bucket, error) {
	name, prefix, _ := strings.Cut(strings.TrimPrefix(cfg.URI, "s3://"), "/")
	prefix = strings.Trim(prefix, "/")
	if name == "" {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "bucket %s: no bucket name; give s3://bucket/prefix", cfg.URI)
	}
	if prefix != "" {
		if err := ValidateKey(prefix); err != nil {
			return nil, fmt.Errorf("bucket %s: prefix: %w", cfg.URI, err)
		}
		prefix += "/"
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Retry = cfg.Retry.withDefaults()
	sdk, err := loadAWS(ctx, cfg)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "bucket %s: load the AWS configuration", cfg.URI)
	}
	md5 := cfg.Checksums == ChecksumRequired || cfg.dialect() == DialectGCS
	client := s3.NewFromConfig(sdk, func(o *s3.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.UsePathStyle = cfg.PathStyle
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if md5 {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
		if cfg.dialect() == DialectGCS {
			o.HTTPSignerV4 = googleSigner()
		}
	})
	uri := "s3://" + name
	if prefix != "" {
		uri += "/" + strings.TrimSuffix(prefix, "/")
	}
	return &s3Bucket{client: client, bucket: name, prefix: prefix, uri: uri, retry: cfg.Retry, partSize: multipartAbove, writing: writing{cfg.Encryption, md5}}, nil
}

func loadAWS(ctx context.Context, cfg BucketConfig) (aws.Config, error) {
	opts := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer { return newRetryer(cfg.Retry) }),
		config.WithHTTPClient(newHTTPClient(cfg.Retry)),
	}
	switch {
	case cfg.Region != "":
		opts = append(opts, config.WithRegion(cfg.Region))
	case os.Getenv("AWS_REGION") == "" && os.Getenv("AWS_DEFAULT_REGION") == "":
		opts = append(opts, config.WithDefaultRegion(DefaultRegion))
	}
	if cfg.AccessKey != "" {
		opts = append(opts, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, "")))
	}
	sdk, err := config.LoadDefaultConfig(ctx, opts...)
	if err == nil && cfg.RoleARN != "" {
		sdk.Credentials = AssumeRole(sdk, cfg.RoleARN, cfg.ExternalID)
	}
	return sdk, err
}

// silence is how long a server may take to begin its answer. A store that is slow
// by half a minute is still used; a shorter limit would repeat for ever what it does.
const silence = time.Minute

// newHTTPClient bounds one attempt: a server that accepts and then is silent
// must cost a retry, not a stuck flush.
func newHTTPClient(r Retry) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(r.AttemptTimeout).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = min(silence, r.AttemptTimeout)
		t.MaxIdleConnsPerHost = 64
	})
}

// newRetryer is the SDK's standard one with more attempts and without its token
// bucket, which during an outage would fail every operation at once instead of
// backing off.
func newRetryer(r Retry) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = r.Attempts
		o.MaxBackoff = r.MaxBackoff
		o.Backoff = retry.NewExponentialJitterBackoff(r.MaxBackoff)
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryableS3))
	})
}

// retryableS3 adds what the SDK does not retry by itself: a conditional write
// that met another one in flight, a body damaged or cut on its way, throttling
// by status alone, and an answer that was cut short.
func retryableS3(err error) aws.Ternary {
	if retryableCode(apiCode(err)) || httpStatus(err) == http.StatusTooManyRequests || errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

func retryableCode(code string) bool {
	switch code {
	case "ConditionalRequestConflict", "OperationAborted", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody":
		return true
	}
	return false
}

func (b *s3Bucket) URI() string { return b.uri }

func (b *s3Bucket) key(key string) (*string, error) {
	if err := ValidateKey(key); err != nil {
		return nil, err
	}
	if n := len(b.prefix) + len(key); n > maxKeyBytes {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "object key %.40q...: %d bytes with the bucket's prefix, at most %d", key, n, maxKeyBytes)
	}
	return aws.String(b.prefix + key), nil
}

func (b *s3Bucket) Read(ctx context.Context, key string) ([]byte, error) {
	o, err := b.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	body := make([]byte, o.Size())
	if _, err := o.ReadAt(body, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return body, nil
}

func (b *s3Bucket) List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{
			Bucket: &b.bucket,
			Prefix: aws.String(b.prefix + prefix),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(ObjectInfo{}, b.fail(ctx, "list", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(objectInfo(b.prefix, o), nil) {
					return
				}
			}
		}
	}
}

func objectInfo(prefix string, o types.Object) ObjectInfo {
	return ObjectInfo{
		Key:      strings.TrimPrefix(aws.ToString(o.Key), prefix),
		Size:     aws.ToInt64(o.Size),
		Modified: aws.ToTime(o.LastModified).UTC(),
	}
}

func (b *s3Bucket) Delete(ctx context.Context, key string) error {
	k, err := b.key(key)
	if err != nil {
		return err
	}
	_, err = b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: k})
	if err != nil && !isAbsent(err) {
		return b.fail(ctx, "delete", key, err)
	}
	return nil
}

func (b *s3Bucket) Check(ctx context.Context) error { return checkBucket(ctx, b) }

// fail gives an error of S3 its code. What the service refuses for want of
// rights or of the bucket is unavailable, not invalid: an administrator mends
// it while data waits.
func (b *s3Bucket) fail(ctx context.Context, op, key string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s in %s: %w", op, key, b.uri, context.Cause(ctx))
	}
	var known *modelwatch.Error
	status := httpStatus(err)
	switch {
	case errors.As(err, &known):
		return fmt.Errorf("%s %s in %s: %w", op, key, b.uri, err)
	case apiCode(err) == "NoSuchUpload": // completed by a try whose answer was lost, or aborted by a lifecycle rule
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "%s %s in %s: the upload is gone", op, key, b.uri)
	case apiCode(err) == "NoSuchBucket":
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "%s %s: the bucket %s does not exist", op, key, b.uri)
	case isAbsent(err):
		return modelwatch.Wrap(modelwatch.CodeNotFound, err, "%s %s in %s: no such object", op, key, b.uri)
	case status == http.StatusPreconditionFailed:
		return modelwatch.Wrap(modelwatch.CodeConflict, err, "%s %s in %s: the object has changed meanwhile", op, key, b.uri)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "%s %s: %s refuses the credentials", op, key, b.uri)
	case status >= 400 && status < 500 && retryableS3(err) != aws.TrueTernary && status != http.StatusConflict && status != http.StatusRequestTimeout:
		return modelwatch.Wrap(modelwatch.CodeInternal, err, "%s %s in %s", op, key, b.uri)
	}
	return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "%s %s in %s", op, key, b.uri)
}

// isAbsent holds for GET's NoSuchKey and for HEAD's bare 404.
func isAbsent(err error) bool {
	return httpStatus(err) == http.StatusNotFound && apiCode(err) != "NoSuchBucket"
}

func apiCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func httpStatus(err error) int {
	var res *smithyhttp.ResponseError
	if errors.As(err, &res) {
		return res.HTTPStatusCode()
	}
	return 0
}
