// Package archivetest holds the conformance suite for implementations of
// archive.Bucket.
package archivetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// TestBucket checks an implementation of archive.Bucket. open is called once
// per test and returns an empty bucket.
func TestBucket(t *testing.T, open func(t *testing.T) archive.Bucket) {
	tests := []struct {
		name string
		run  func(t *testing.T, b archive.Bucket)
	}{
		{"PutIfAbsent", testPutIfAbsent},
		{"PutIfAbsentRace", testPutIfAbsentRace},
		{"Put", testPut},
		{"PutWrongSize", testPutWrongSize},
		{"Absent", testAbsent},
		{"ReadAt", testReadAt},
		{"ReadAtConcurrently", testReadAtConcurrently},
		{"List", testList},
		{"ListMany", testListMany},
		{"Delete", testDelete},
		{"Keys", testKeys},
		{"Cancelled", testCancelled},
		{"Check", testCheck},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func testPutIfAbsent(t *testing.T, b archive.Bucket) {
	ctx := t.Context()
	bodies := map[string][]byte{"empty": {}, "small": []byte("rows"), "nested/deep/er.parquet": random(1, 300_000)}
	for key, body := range bodies {
		must(t, b.PutIfAbsent(ctx, key, body, sum(body)))
		wantBody(t, b, key, body)
		must(t, b.PutIfAbsent(ctx, key, body, sum(body))) // an earlier try landed
		for _, other := range [][]byte{append(bytes.Clone(body), 'x'), flipped(body)} {
			if bytes.Equal(other, body) {
				continue
			}
			wantCode(t, b.PutIfAbsent(ctx, key, other, sum(other)), modelwatch.CodeConflict)
		}
		wantBody(t, b, key, body)
	}
}

// testPutIfAbsentRace lets many writers meet at one key: exactly one content
// survives, its writer and no other is told of success.
func testPutIfAbsentRace(t *testing.T, b archive.Bucket) {
	const writers = 16
	errs := make([]error, writers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			<-start
			body := fmt.Appendf(nil, "writer %d", i)
			errs[i] = b.PutIfAbsent(t.Context(), "race/key", body, sum(body))
		})
	}
	close(start)
	wg.Wait()
	have, err := b.Read(t.Context(), "race/key")
	must(t, err)
	for i, err := range errs {
		won := string(have) == fmt.Sprintf("writer %d", i)
		if won && err != nil {
			t.Errorf("writer %d won and was told %v", i, err)
		}
		if !won && modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
			t.Errorf("writer %d lost and was told %v, want a conflict", i, err)
		}
	}
}

func testPut(t *testing.T, b archive.Bucket) {
	ctx := t.Context()
	for _, size := range []int{0, 1, 100_000} {
		body := random(uint64(size), size)
		must(t, b.Put(ctx, "a/key", bytes.NewReader(body), int64(size)))
		wantBody(t, b, "a/key", body)
	}
	body := []byte("beside it")
	must(t, b.Put(ctx, "a/other", bytes.NewReader(body), int64(len(body))))
	wantKeys(t, b, "a/", "a/key", "a/other")
}

func testPutWrongSize(t *testing.T, b archive.Bucket) {
	for _, size := range []int64{3, 5} {
		wantCode(t, b.Put(t.Context(), "key", strings.NewReader("four"), size), modelwatch.CodeInvalid)
	}
	wantKeys(t, b, "")
}

func testAbsent(t *testing.T, b archive.Bucket) {
	ctx := t.Context()
	body := []byte("x")
	must(t, b.PutIfAbsent(ctx, "there/key", body, sum(body)))
	for _, key := range []string{"absent", "there/absent", "there", "there/key/deeper", "absent/deeper"} {
		_, err := b.Read(ctx, key)
		wantCode(t, err, modelwatch.CodeNotFound)
		_, err = b.Open(ctx, key)
		wantCode(t, err, modelwatch.CodeNotFound)
		must(t, b.Delete(ctx, key))
	}
	wantBody(t, b, "there/key", body)
}

func testReadAt(t *testing.T, b archive.Bucket) {
	const size = 10_000
	body := random(7, size)
	must(t, b.PutIfAbsent(t.Context(), "key", body, sum(body)))
	o, err := b.Open(t.Context(), "key")
	must(t, err)
	defer o.Close()
	if o.Size() != size {
		t.Fatalf("size %d, want %d", o.Size(), size)
	}
	tests := []struct {
		off, length int64
		want        int
		err         error
	}{
		{0, size, size, nil},
		{0, 1, 1, nil},
		{17, 4096, 4096, nil},
		{size - 8, 8, 8, nil},
		{size - 8, 9, 8, io.EOF},
		{size, 1, 0, io.EOF},
		{size + 5, 1, 0, io.EOF},
		{5, 0, 0, nil},
	}
	for _, test := range tests {
		p := make([]byte, test.length)
		n, err := o.ReadAt(p, test.off)
		if n != test.want || !errors.Is(err, test.err) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v; want %d, %v", test.length, test.off, n, err, test.want, test.err)
		}
		if n > 0 && !bytes.Equal(p[:n], body[test.off:][:n]) {
			t.Errorf("ReadAt(%d bytes, %d): other bytes", test.length, test.off)
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt(-1): %v, want an error", err)
	}
}

func testReadAtConcurrently(t *testing.T, b archive.Bucket) {
	const size, piece = 64_000, 1000
	body := random(9, size)
	must(t, b.PutIfAbsent(t.Context(), "key", body, sum(body)))
	o, err := b.Open(t.Context(), "key")
	must(t, err)
	defer o.Close()
	have := make([]byte, size)
	var wg sync.WaitGroup
	for off := 0; off < size; off += piece {
		wg.Go(func() {
			if _, err := o.ReadAt(have[off:off+piece], int64(off)); err != nil {
				t.Errorf("ReadAt(%d): %v", off, err)
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(have, body) {
		t.Error("pieces do not make the whole")
	}
}

func testList(t *testing.T, b archive.Bucket) {
	ctx := t.Context()
	keys := []string{"a", "dir/a", "dir/b/c", "dir/b-c", "dirt", "z=ü/x%20y"}
	for i, key := range keys {
		body := bytes.Repeat([]byte("x"), i)
		must(t, b.PutIfAbsent(ctx, key, body, sum(body)))
	}
	wantKeys(t, b, "", keys...)
	wantKeys(t, b, "dir", "dir/a", "dir/b/c", "dir/b-c", "dirt")
	wantKeys(t, b, "dir/", "dir/a", "dir/b/c", "dir/b-c")
	wantKeys(t, b, "dir/b", "dir/b/c", "dir/b-c")
	wantKeys(t, b, "dir/b/c", "dir/b/c")
	wantKeys(t, b, "z=ü/", "z=ü/x%20y")
	wantKeys(t, b, "absent/")
	wantKeys(t, b, "../")
	for info, err := range b.List(ctx, "dir/b/c") {
		must(t, err)
		if info.Size != 2 || info.Modified.IsZero() {
			t.Errorf("entry %+v, want 2 bytes and a time", info)
		}
	}
	for _, err := range b.List(ctx, "") {
		must(t, err)
		break // leaving early is allowed
	}
}

// testListMany goes beyond one page of S3's.
func testListMany(t *testing.T, b archive.Bucket) {
	const n = 1100
	var want []string
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range n {
		key := fmt.Sprintf("many/%d/%04d", i%7, i)
		want = append(want, key)
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := b.PutIfAbsent(t.Context(), key, nil, sum(nil)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantKeys(t, b, "many/", want...)
}

func testDelete(t *testing.T, b archive.Bucket) {
	ctx := t.Context()
	one, two := []byte("one"), []byte("two")
	must(t, b.PutIfAbsent(ctx, "d/e/one", one, sum(one)))
	must(t, b.PutIfAbsent(ctx, "d/e/two", two, sum(two)))
	must(t, b.Delete(ctx, "d/e/one"))
	must(t, b.Delete(ctx, "d/e/one"))
	wantKeys(t, b, "", "d/e/two")
	must(t, b.PutIfAbsent(ctx, "d/e/one", two, sum(two))) // the key is free again
	wantBody(t, b, "d/e/one", two)
	must(t, b.Delete(ctx, "d/e/one"))
	must(t, b.Delete(ctx, "d/e/two"))
	wantKeys(t, b, "")
	must(t, b.PutIfAbsent(ctx, "d/e/three", one, sum(one)))
	wantKeys(t, b, "", "d/e/three")
}

func testKeys(t *testing.T, b archive.Bucket) {
	ctx := t.Context()
	body := []byte("x")
	good := []string{"a", "kind=prediction/model=a%2Fb/version=1.0+rc/x.parquet", "ünï/cödé", strings.Repeat("e", 255), " a b ", "..."}
	for _, key := range good {
		must(t, b.PutIfAbsent(ctx, key, body, sum(body)))
		wantBody(t, b, key, body)
	}
	wantKeys(t, b, "", good...)
	bad := []string{"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "./a", "a/./b", "a\\b", "a\x00b", "a\nb", "\xff",
		strings.Repeat("e", 256), strings.Repeat("e/", 600) + "e"}
	for _, key := range bad {
		wantCode(t, b.PutIfAbsent(ctx, key, body, sum(body)), modelwatch.CodeInvalid)
		wantCode(t, b.Put(ctx, key, bytes.NewReader(body), 1), modelwatch.CodeInvalid)
		wantCode(t, b.Delete(ctx, key), modelwatch.CodeInvalid)
		_, err := b.Open(ctx, key)
		wantCode(t, err, modelwatch.CodeInvalid)
		_, err = b.Read(ctx, key)
		wantCode(t, err, modelwatch.CodeInvalid)
	}
}

func testCancelled(t *testing.T, b archive.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := []byte("x")
	_, readErr := b.Read(ctx, "key")
	_, openErr := b.Open(ctx, "key")
	var listErr error
	for _, err := range b.List(ctx, "") {
		listErr = err
	}
	errs := map[string]error{
		"PutIfAbsent": b.PutIfAbsent(ctx, "key", body, sum(body)),
		"Put":         b.Put(ctx, "key", bytes.NewReader(body), 1),
		"Read":        readErr, "Open": openErr, "List": listErr,
		"Delete": b.Delete(ctx, "key"),
		"Check":  b.Check(ctx),
	}
	for name, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	wantKeys(t, b, "")
}

func testCheck(t *testing.T, b archive.Bucket) {
	must(t, b.Check(t.Context()))
	must(t, b.Check(t.Context()))
	wantKeys(t, b, "") // nothing stays
	if b.URI() == "" {
		t.Error("URI is empty")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want modelwatch.Code) {
	t.Helper()
	if got := modelwatch.ErrorCode(err); got != want {
		t.Errorf("error %v has code %q, want %q", err, got, want)
	}
}

func wantBody(t *testing.T, b archive.Bucket, key string, want []byte) {
	t.Helper()
	have, err := b.Read(t.Context(), key)
	must(t, err)
	if !bytes.Equal(have, want) {
		t.Fatalf("%s holds %d other bytes, want %d", key, len(have), len(want))
	}
}

func wantKeys(t *testing.T, b archive.Bucket, prefix string, want ...string) {
	t.Helper()
	var have []string
	for info, err := range b.List(t.Context(), prefix) {
		must(t, err)
		have = append(have, info.Key)
	}
	slices.Sort(have)
	want = slices.Sorted(slices.Values(want))
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("keys under %q (-want +have):\n%s", prefix, diff)
	}
}

func sum(body []byte) string {
	s := sha256.Sum256(body)
	return hex.EncodeToString(s[:])
}

func flipped(body []byte) []byte {
	other := bytes.Clone(body)
	if len(other) > 0 {
		other[len(other)/2] ^= 1
	}
	return other
}

func random(seed uint64, n int) []byte {
	body := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(body) // never fails
	return body
}
