// Package archive keeps the sample: Parquet objects in a bucket, one layout of
// keys, and the merge of predictions and labels that are both sorted by rank.
//
// A bucket is S3 (or what speaks its protocol) or a folder. Objects are written
// once under unique keys and never changed; what exists for readers is decided
// by the catalog, so a half-finished write is at worst an orphan that garbage
// collection removes.
package archive

import (
	"context"
	"io"
	"iter"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
)

// Bucket stores objects under keys. Two implementations satisfy it, S3 and a
// folder; archivetest.TestBucket says what both must do.
//
// Errors carry codes: CodeNotFound for an absent object, CodeConflict where
// said below, CodeInvalid for a key that breaks the rules of ValidateKey, and
// CodeUnavailable, naming the bucket and the operation, when the store does not
// answer or refuses: retrying later may help. A cancelled context is returned
// as such.
type Bucket interface {
	// PutIfAbsent creates an object, whole or not at all. Of many writers of one
	// key one wins. An object that already exists with the same content is
	// success (an earlier try may have landed); with other content it is
	// CodeConflict. sha256hex is the checksum of body in lower-case hex.
	PutIfAbsent(ctx context.Context, key string, body []byte, sha256hex string) error
	// Put streams an object of the given size and replaces what was there. It is
	// for temporary and derived objects only.
	Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error
	// Open makes an object readable by ranges. The object is read under ctx:
	// it must outlive the reads. It fails if the object does not exist.
	Open(ctx context.Context, key string) (Object, error)
	// Read returns a whole object.
	Read(ctx context.Context, key string) ([]byte, error)
	// List yields the objects whose keys begin with prefix, in no particular
	// order. The prefix need not end at a slash; "" lists everything. After an
	// error the sequence ends.
	List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error]
	// Delete removes an object. An absent one is success.
	Delete(ctx context.Context, key string) error
	// Check writes, reads and deletes an object under .check/ and says what is
	// wrong, so that a deployment fails at its start and not at its first flush.
	Check(ctx context.Context) error
	// URI names the bucket in messages: s3://bucket/prefix, or a path.
	URI() string
}

// Object is an opened object. ReadAt may be called concurrently.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// ObjectInfo is one entry of a listing.
type ObjectInfo struct {
	Key      string // within the bucket, without its prefix
	Size     int64
	Modified time.Time
}

// BucketConfig says where a bucket is and how it is reached.
type BucketConfig struct {
	// URI is s3://bucket/prefix, file:///path, or a path.
	URI string
	// Endpoint replaces AWS's own, for stores that speak the protocol.
	Endpoint string
	// Region is the bucket's; empty means what the environment says, else us-east-1.
	Region string
	// PathStyle puts the bucket's name in the path instead of the host name.
	PathStyle bool
	// AccessKey and SecretKey are static credentials; empty means AWS's own chain.
	AccessKey, SecretKey string
	// RoleARN is a role to be assumed with those credentials, and ExternalID what
	// its trust policy may ask for.
	RoleARN, ExternalID string
	Encryption          Encryption
	// Checksums is ChecksumSupported or ChecksumRequired, Dialect DialectS3 or
	// DialectGCS; empty means the former, or what the endpoint is known to speak.
	Checksums, Dialect string
	// Retry bounds what is spent on one operation before it is CodeUnavailable.
	Retry Retry
}

// Retry bounds the attempts of one operation. Zero values mean the defaults.
type Retry struct {
	Attempts       int           // default 6
	MaxBackoff     time.Duration // between two attempts, default 5 s
	AttemptTimeout time.Duration // of one request with its body, default 2 minutes
}

func (r Retry) withDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = 6
	}
	if r.MaxBackoff <= 0 {
		r.MaxBackoff = 5 * time.Second
	}
	if r.AttemptTimeout <= 0 {
		r.AttemptTimeout = 2 * time.Minute
	}
	return r
}

// OpenBucket opens the bucket that cfg names. A folder is made if it is absent;
// S3 is not contacted before the first operation, so call Check to know early.
func OpenBucket(ctx context.Context, cfg BucketConfig) (Bucket, error) {
	scheme, rest, found := strings.Cut(cfg.URI, "://")
	switch {
	case cfg.URI == "":
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "bucket: the URI is empty; give s3://bucket/prefix or a folder")
	case found && scheme == "s3":
		return openS3(ctx, cfg)
	case found && scheme == "file":
		path, err := url.PathUnescape(rest)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "bucket %s", cfg.URI)
		}
		return openFolder(path)
	case found:
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "bucket %s: unknown scheme %q; s3 and file are known", cfg.URI, scheme)
	default:
		return openFolder(filepath.FromSlash(cfg.URI))
	}
}
