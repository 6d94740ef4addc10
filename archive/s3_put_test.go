package archive_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/internal/testserver"
)

func TestS3PutInParts(t *testing.T) {
	t.Parallel()
	server := testserver.S3(t)
	b := openS3(t, server, "p", quick)
	archive.SetPartSize(b, 20<<20)
	body := make([]byte, 22<<20)
	if _, err := rand.NewChaCha8([32]byte{}).Read(body); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "key", bytes.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	have, err := b.Read(t.Context(), "key")
	if err != nil || !bytes.Equal(have, body) {
		t.Fatalf("read %d bytes, %v; want the %d written", len(have), err, len(body))
	}
	for _, size := range []int{len(body) - 1, len(body) + 1} {
		err := b.Put(t.Context(), "other", bytes.NewReader(body), int64(size))
		if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
			t.Errorf("announced %d of %d bytes: %v, want invalid", size, len(body), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	reader := &cancelling{r: bytes.NewReader(body), after: 12 << 20, cancel: cancel}
	if err := b.Put(ctx, "other", reader, int64(len(body))); err == nil {
		t.Error("a cancelled upload succeeded")
	}
	if _, err := b.Open(t.Context(), "other"); modelwatch.ErrorCode(err) != modelwatch.CodeNotFound {
		t.Errorf("open after failed uploads: %v, want not found", err)
	}
	uploads, err := server.Client().ListMultipartUploads(t.Context(), archive.ListUploads(b))
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("%d uploads left, %v; want none", len(uploads.Uploads), err)
	}
}

// cancelling cancels a context in the middle of a body.
type cancelling struct {
	r      *bytes.Reader
	after  int64
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.r.Size()-int64(c.r.Len()) > c.after {
		c.cancel()
	}
	return n, err
}

func (c *cancelling) Seek(off int64, whence int) (int64, error) { return c.r.Seek(off, whence) }
