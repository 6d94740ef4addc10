package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/modelwatch/modelwatch"
)

// tempDir holds files while they are written. It lies inside the bucket so that
// a rename or link stays on one file system, and is not listed.
const tempDir = ".tmp"

// folder is a bucket in a directory. Objects become visible by link or rename
// of a synced temporary file, so a reader never sees half an object, and a
// crash leaves at most a file in tempDir.
type folder struct {
	root string
}

func openFolder(path string) (Bucket, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "bucket %s", path)
	}
	b := &folder{root: abs}
	if err := os.MkdirAll(filepath.Join(abs, tempDir), 0o755); err != nil {
		return nil, b.fail("make", "", err)
	}
	return b, nil
}

func (b *folder) URI() string { return b.root }

func (b *folder) path(key string) (string, error) {
	if err := ValidateKey(key); err != nil {
		return "", err
	}
	if key == tempDir || strings.HasPrefix(key, tempDir+"/") {
		return "", modelwatch.Errorf(modelwatch.CodeInvalid, "object key %q: %s is the folder's own", key, tempDir)
	}
	return filepath.Join(b.root, filepath.FromSlash(key)), nil
}

func (b *folder) PutIfAbsent(ctx context.Context, key string, body []byte, sha256hex string) error {
	path, err := b.path(key)
	if err != nil {
		return err
	}
	tmp, err := b.writeTemp(ctx, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return b.fail("put", key, err)
	}
	defer os.Remove(tmp)
	err = b.place(path, func() error { return os.Link(tmp, path) })
	if errors.Is(err, fs.ErrExist) {
		return b.compare(path, key, int64(len(body)), sha256hex)
	}
	if err != nil {
		return b.fail("put", key, err)
	}
	return nil
}

// compare tells an earlier try of the same write from a different object.
func (b *folder) compare(path, key string, size int64, sha256hex string) error {
	have, err := os.ReadFile(path)
	if err != nil {
		return b.fail("put", key, err)
	}
	sum := sha256.Sum256(have)
	if int64(len(have)) != size || hex.EncodeToString(sum[:]) != sha256hex {
		return modelwatch.Errorf(modelwatch.CodeConflict, "put %s in %s: the object exists with other content", key, b.root)
	}
	return nil
}

func (b *folder) Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	path, err := b.path(key)
	if err != nil {
		return err
	}
	tmp, err := b.writeTemp(ctx, r, size)
	if err != nil {
		return b.fail("put", key, err)
	}
	defer os.Remove(tmp)
	if err := b.place(path, func() error { return os.Rename(tmp, path) }); err != nil {
		return b.fail("put", key, err)
	}
	return nil
}

// writeTemp writes and syncs a temporary file and returns its path.
func (b *folder) writeTemp(ctx context.Context, r io.Reader, size int64) (_ string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Join(b.root, tempDir), "put-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	n, err := io.Copy(f, &contextReader{ctx: ctx, r: r})
	if err != nil {
		return "", err
	}
	if n != size {
		return "", modelwatch.Errorf(modelwatch.CodeInvalid, "body has %d bytes, announced were %d", n, size)
	}
	if err := f.Chmod(0o644); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// placeAttempts is how often a write makes its directory anew that deletions
// take away again.
const placeAttempts = 100

// place runs the link or rename that makes an object visible. Delete removes
// empty directories, so the one just made may be gone again: it is made anew.
func (b *folder) place(path string, move func() error) error {
	dir := filepath.Dir(path)
	var err error
	for range placeAttempts {
		if err = b.makeDir(dir); err == nil {
			err = move()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := syncDir(dir); !errors.Is(err, fs.ErrNotExist) { // deleted at once
		return err
	}
	return nil
}

// makeDir makes a directory below the root and syncs each parent that gained an
// entry, so that an object survives a power cut together with its path.
func (b *folder) makeDir(dir string) error {
	if len(dir) <= len(b.root) {
		return os.MkdirAll(dir, 0o755)
	}
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := b.makeDir(parent); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (b *folder) Open(ctx context.Context, key string) (Object, error) {
	path, err := b.path(key)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, b.fail("open", key, err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, b.fail("open", key, err)
	}
	return &fileObject{File: f, size: info.Size()}, nil
}

type fileObject struct {
	*os.File
	size int64
}

func (o *fileObject) Size() int64 { return o.size }

func (b *folder) Read(ctx context.Context, key string) ([]byte, error) {
	o, err := b.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	body := make([]byte, o.Size())
	if _, err := o.ReadAt(body, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, b.fail("read", key, err)
	}
	return body, nil
}

func (b *folder) List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		err := filepath.WalkDir(b.listRoot(prefix), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // deleted meanwhile
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			info, ok, err := b.entry(path, d, prefix)
			if err != nil {
				return err
			}
			if ok && !yield(info, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.SkipDir) {
			yield(ObjectInfo{}, b.fail("list", prefix, err))
		}
	}
}

// listRoot is the deepest directory that holds every key beginning with prefix.
// A prefix that no key can have leads to a directory that does not exist.
func (b *folder) listRoot(prefix string) string {
	i := strings.LastIndexByte(prefix, '/')
	if i <= 0 || ValidateKey(prefix[:i]) != nil {
		return b.root
	}
	return filepath.Join(b.root, filepath.FromSlash(prefix[:i]))
}

func (b *folder) entry(path string, d fs.DirEntry, prefix string) (ObjectInfo, bool, error) {
	rel, err := filepath.Rel(b.root, path)
	if err != nil {
		return ObjectInfo{}, false, err
	}
	key := filepath.ToSlash(rel)
	if d.IsDir() {
		if key == tempDir {
			return ObjectInfo{}, false, fs.SkipDir
		}
		return ObjectInfo{}, false, nil
	}
	if !d.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
		return ObjectInfo{}, false, nil
	}
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return ObjectInfo{}, false, nil
	}
	if err != nil {
		return ObjectInfo{}, false, err
	}
	return ObjectInfo{Key: key, Size: info.Size(), Modified: info.ModTime()}, true, nil
}

func (b *folder) Delete(ctx context.Context, key string) error {
	path, err := b.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil // a directory is not an object
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return b.fail("delete", key, err)
	}
	for dir := filepath.Dir(path); len(dir) > len(b.root); dir = filepath.Dir(dir) {
		if syscall.Rmdir(dir) != nil { // os.Remove would also take a file of that name
			break // not empty
		}
	}
	return nil
}

func (b *folder) Check(ctx context.Context) error { return checkBucket(ctx, b) }

// fail gives an error of the file system its code.
func (b *folder) fail(op, key string, err error) error {
	var known *modelwatch.Error
	switch {
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %s in %s: %w", op, key, b.root, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return modelwatch.Wrap(modelwatch.CodeNotFound, err, "%s %s in %s: no such object", op, key, b.root)
	}
	return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "%s %s in %s", op, key, b.root)
}

// contextReader ends a long copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
