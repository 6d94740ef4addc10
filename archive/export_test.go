package archive

import "github.com/aws/aws-sdk-go-v2/service/s3"

// What tests of package archive_test need from inside.
var (
	CheckBucket = checkBucket
	EncodeName  = encodeName
	Encode      = encode
	Verify      = verify
	Mergeable   = mergeable
)

// SetPartSize lowers the size from which an S3 bucket uploads in parts.
func SetPartSize(b Bucket, n int64) { b.(*s3Bucket).partSize = n }

// ListUploads asks for the unfinished uploads of an S3 bucket.
func ListUploads(b Bucket) *s3.ListMultipartUploadsInput {
	return &s3.ListMultipartUploadsInput{Bucket: &b.(*s3Bucket).bucket}
}
