package archive

import (
	"crypto/md5" //nolint:gosec // a checksum that every store knows, not a secret
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/modelwatch/modelwatch"
)

// DefaultRegion is where a bucket is taken to be if nothing says otherwise.
const DefaultRegion = "us-east-1"

// The checksums that go with what is written.
const (
	// ChecksumSupported sends CRC32C, which S3 compares and keeps. It is the default.
	ChecksumSupported = "when_supported"
	// ChecksumRequired sends the older Content-MD5, for stores that do not know the
	// newer headers. A body that was damaged on its way is refused all the same.
	ChecksumRequired = "when_required"
)

// The dialects of S3's protocol.
const (
	DialectS3 = "s3"
	// DialectGCS is Google Cloud Storage's XML API with HMAC keys: its own names of
	// headers and of the signature, and its own way to write only what is absent.
	DialectGCS = "gcs"
)

// Encryption says how the store encrypts objects; the zero value leaves it to the
// bucket's own default, which on S3 is SSE-S3.
type Encryption struct {
	// Algorithm is AES256 (SSE-S3), aws:kms (SSE-KMS) or aws:kms:dsse.
	Algorithm string
	// KMSKey is the id or the ARN of the key; "" is the account's own key for S3.
	KMSKey string
	// BucketKey saves most of the calls to KMS.
	BucketKey bool
}

// check reports what of the settings cannot be.
func (cfg *BucketConfig) check() error {
	bad := func(format string, args ...any) error {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "bucket %s: %s", cfg.URI, fmt.Sprintf(format, args...))
	}
	e := cfg.Encryption
	kms := strings.HasPrefix(e.Algorithm, "aws:kms")
	switch {
	case !slices.Contains([]string{"", "AES256", "aws:kms", "aws:kms:dsse"}, e.Algorithm):
		return bad("the encryption %q is not known: it must be AES256, aws:kms or aws:kms:dsse", e.Algorithm)
	case !kms && (e.KMSKey != "" || e.BucketKey):
		return bad("a KMS key and bucket keys are of use with the encryption aws:kms only")
	case !slices.Contains([]string{"", ChecksumSupported, ChecksumRequired}, cfg.Checksums):
		return bad("the checksums %q are not known: they must be %s or %s", cfg.Checksums, ChecksumSupported, ChecksumRequired)
	case !slices.Contains([]string{"", DialectS3, DialectGCS}, cfg.Dialect):
		return bad("the dialect %q is not known: it must be %s or %s", cfg.Dialect, DialectS3, DialectGCS)
	case (cfg.AccessKey == "") != (cfg.SecretKey == ""):
		return bad("an access key needs its secret key, and the other way round")
	case cfg.ExternalID != "" && cfg.RoleARN == "":
		return bad("an external id is of use with a role only")
	case cfg.dialect() == DialectGCS && (cfg.RoleARN != "" || e.Algorithm != ""):
		return bad("Google Cloud Storage knows neither AWS roles nor SSE headers: encryption is a setting of the bucket there")
	case cfg.dialect() == DialectGCS && cfg.AccessKey == "":
		return bad("Google Cloud Storage needs an HMAC key: its access id and its secret")
	}
	return nil
}

// dialect is the one that is set, or else the one that the endpoint speaks.
func (cfg *BucketConfig) dialect() string {
	if cfg.Dialect != "" {
		return cfg.Dialect
	}
	if u, err := url.Parse(cfg.Endpoint); err == nil {
		host := strings.ToLower(u.Hostname())
		if strings.HasSuffix(host, ".googleapis.com") && (strings.HasPrefix(host, "storage.") || strings.Contains(host, ".storage.")) {
			return DialectGCS
		}
	}
	return DialectS3
}

// AssumeRole returns the credentials of a role that those of sdk may assume. They
// are renewed before they expire. The external id may be "".
func AssumeRole(sdk aws.Config, roleARN, externalID string) aws.CredentialsProvider {
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(sdk), roleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "modelwatch"
		if externalID != "" {
			o.ExternalID = aws.String(externalID)
		}
	})
	return aws.NewCredentialsCache(provider)
}

// writing is what every write to the bucket says beside its body.
type writing struct {
	encryption Encryption
	md5        bool // in place of CRC32C
}

// put completes the request for an object.
func (w writing) put(in *s3.PutObjectInput, body []byte) *s3.PutObjectInput {
	in.ContentLength = aws.Int64(int64(len(body)))
	if w.md5 {
		in.ContentMD5 = contentMD5(body)
	} else {
		in.ChecksumCRC32C = crc32c(body)
	}
	if a := w.encryption.Algorithm; a != "" {
		in.ServerSideEncryption = types.ServerSideEncryption(a)
		in.SSEKMSKeyId, in.BucketKeyEnabled = w.key()
	}
	return in
}

// begin completes the request for an upload in parts.
func (w writing) begin(in *s3.CreateMultipartUploadInput) *s3.CreateMultipartUploadInput {
	if !w.md5 {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	}
	if a := w.encryption.Algorithm; a != "" {
		in.ServerSideEncryption = types.ServerSideEncryption(a)
		in.SSEKMSKeyId, in.BucketKeyEnabled = w.key()
	}
	return in
}

// part completes the request for one part.
func (w writing) part(in *s3.UploadPartInput, body []byte) *s3.UploadPartInput {
	in.ContentLength = aws.Int64(int64(len(body)))
	if w.md5 {
		in.ContentMD5 = contentMD5(body)
	} else {
		in.ChecksumCRC32C = crc32c(body)
	}
	return in
}

func (w writing) key() (id *string, bucketKey *bool) {
	if w.encryption.KMSKey != "" {
		id = aws.String(w.encryption.KMSKey)
	}
	if w.encryption.BucketKey {
		bucketKey = aws.Bool(true)
	}
	return id, bucketKey
}

func contentMD5(body []byte) *string {
	sum := md5.Sum(body) //nolint:gosec // see the import
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}
