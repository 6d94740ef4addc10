package archive

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What tests of package archive_test need from inside.
var (
	CheckBucket = checkBucket
	EncodeName  = encodeName
	Encode      = encode
	Verify      = verify
	Mergeable   = mergeable
)

// VerifyTurns is after how many files each column has been compared.
const VerifyTurns = verifyTurns

// SetPartSize lowers the size from which an S3 bucket uploads in parts.
func SetPartSize(b Bucket, n int64) { b.(*s3Bucket).partSize = n }

// ListUploads asks for the unfinished uploads of an S3 bucket.
func ListUploads(b Bucket) *s3.ListMultipartUploadsInput {
	return &s3.ListMultipartUploadsInput{Bucket: &b.(*s3Bucket).bucket}
}

// AmazonSigner is the signer of GCS with the names of AWS.
func AmazonSigner() headerSigner { //nolint:revive // for tests alone
	return headerSigner{algorithm: "AWS4-HMAC-SHA256", prefix: "AWS4", terminator: "aws4_request", header: amazonHeader}
}

// SignAgain signs a request that has arrived as it must have been signed.
func SignAgain(r *http.Request, secret string) string {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Goog-Date"))
	if err != nil {
		return err.Error()
	}
	authorization := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(authorization, "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	for name := range r.Header {
		if !slices.Contains(strings.Split(names, ";"), strings.ToLower(name)) {
			r.Header.Del(name)
		}
	}
	key, _, _ := strings.Cut(strings.TrimPrefix(authorization, "GOOG4-HMAC-SHA256 Credential="), "/")
	if err := googleSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r, r.Header.Get("X-Goog-Content-Sha256"), "", "", at); err != nil {
		return err.Error()
	}
	return r.Header.Get("Authorization")
}

// DialectOf is what an endpoint is taken to speak.
func DialectOf(endpoint string) string { return (&BucketConfig{Endpoint: endpoint}).dialect() }
