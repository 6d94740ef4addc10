package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/table"
)

// tableFile is one file of what an offline command is given to read.
type tableFile struct {
	name string // a path, or s3://bucket/key
	open func(context.Context) (archive.Object, error)
}

// findTables lists the files behind an input in the order of their names: a file,
// the table files below a folder, those that a glob matches, an object, those below
// a prefix of a bucket. Where names are not given in full, files and folders whose
// names begin with a dot or an underscore are passed over, as Spark, Trino and
// DuckDB do: they are what writers leave beside tables.
func findTables(ctx context.Context, input string) ([]tableFile, error) {
	scheme, rest, found := strings.Cut(input, "://")
	switch {
	case found && scheme == "s3":
		return findObjects(ctx, input)
	case found && scheme == "file":
		input = rest
	case found:
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s: %q is not read from; give a file, a folder, a glob or s3://bucket/prefix", input, scheme+"://")
	}
	info, err := os.Stat(input)
	switch {
	case err == nil && info.IsDir():
		return findBelow(input)
	case err == nil:
		return []tableFile{localFile(input)}, nil
	case errors.Is(err, fs.ErrNotExist) && isGlob(input):
		return findGlob(input)
	}
	return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read table")
}

func localFile(name string) tableFile {
	return tableFile{name: name, open: func(context.Context) (archive.Object, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read table")
		}
		info, err := f.Stat()
		switch {
		case err != nil:
		case info.IsDir():
			err = modelwatch.Errorf(modelwatch.CodeInvalid, "%s is not a file", name)
		default:
			return localObject{f, info.Size()}, nil
		}
		return nil, errors.Join(err, f.Close())
	}}
}

type localObject struct {
	*os.File
	size int64
}

func (o localObject) Size() int64 { return o.size }

// isTable reports whether a name is that of a table file.
func isTable(name string) bool { return table.FormatOf("", name) != table.FormatUnknown }

// hidden reports whether a relative, slash-separated name has an element that
// begins with a dot or an underscore.
func hidden(name string) bool {
	for elem := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(elem, ".") || strings.HasPrefix(elem, "_") {
			return true
		}
	}
	return false
}

func isGlob(s string) bool { return strings.ContainsAny(s, `*?[`) }

const tableNames = ".parquet, .csv, .tsv, .jsonl, .ndjson or .json, also with .gz or .zst"

// findBelow lists the table files of a folder and of the folders in it.
func findBelow(dir string) ([]tableFile, error) {
	var files []tableFile
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		switch {
		case err != nil:
			return err
		case rel == ".":
		case hidden(filepath.ToSlash(rel)) && entry.IsDir():
			return fs.SkipDir
		case !entry.IsDir() && !hidden(filepath.ToSlash(rel)) && isTable(name):
			files = append(files, localFile(name))
		}
		return nil
	})
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read folder")
	}
	if len(files) == 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the folder %s has no table in it: no file named %s", dir, tableNames)
	}
	return files, nil
}

// findGlob lists the files that a pattern matches, and those below folders that it matches.
func findGlob(pattern string) ([]tableFile, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s", pattern)
	}
	if len(names) == 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "no file matches %s", pattern)
	}
	var files []tableFile
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read table")
		}
		if !info.IsDir() {
			files = append(files, localFile(name))
			continue
		}
		below, err := findBelow(name)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

// findObjects lists the objects behind s3://bucket/key, s3://bucket/prefix or a
// glob of keys.
func findObjects(ctx context.Context, uri string) ([]tableFile, error) {
	return findObjectsIn(ctx, uri, archive.BucketConfig{PathStyle: pathStyle(), Retry: archive.Retry{Attempts: 4}})
}

// findObjectsIn is findObjects with an endpoint and credentials.
func findObjectsIn(ctx context.Context, uri string, cfg archive.BucketConfig) ([]tableFile, error) {
	name, key, _ := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	cfg.URI = "s3://" + name
	bucket, err := archive.OpenBucket(ctx, cfg)
	if err != nil {
		return nil, err
	}
	prefix, wanted, err := keyPattern(key)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s", uri)
	}
	var keys []string
	for info, err := range bucket.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if info.Key == key {
			return []tableFile{objectFile(bucket, key)}, nil
		}
		if wanted(info.Key) {
			keys = append(keys, info.Key)
		}
	}
	if len(keys) == 0 {
		hint := ""
		if key != "" && !isGlob(key) {
			hint = "; names that begin with it are matched by " + uri + "*"
		}
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "no table under %s: no object named %s%s", uri, tableNames, hint)
	}
	slices.Sort(keys)
	files := make([]tableFile, len(keys))
	for i, k := range keys {
		files[i] = objectFile(bucket, k)
	}
	return files, nil
}

// keyPattern says what to list and which of it is meant by a key, prefix or glob.
func keyPattern(key string) (prefix string, wanted func(string) bool, err error) {
	if isGlob(key) {
		if _, err := path.Match(key, ""); err != nil {
			return "", nil, err
		}
		return key[:strings.IndexAny(key, `*?[`)], func(k string) bool {
			ok, _ := path.Match(key, k) // the pattern is sound: see above
			return ok
		}, nil
	}
	prefix = strings.TrimSuffix(key, "/")
	folder := prefix + "/"
	if prefix == "" {
		folder = ""
	}
	return prefix, func(k string) bool {
		rel, ok := strings.CutPrefix(k, folder)
		return ok && isTable(k) && !hidden(rel)
	}, nil
}

func objectFile(bucket archive.Bucket, key string) tableFile {
	name := bucket.URI() + "/" + key
	return tableFile{name: name, open: func(ctx context.Context) (archive.Object, error) { return bucket.Open(ctx, key) }}
}

// pathStyle reports whether the bucket's name goes into the path of an address.
// AWS's own host names need not; the addresses of other stores, which AWS's
// libraries take from AWS_ENDPOINT_URL, mostly must. AWS_VIRTUAL_HOSTED_STYLE_REQUEST
// is what the object stores of Polars, DataFusion and Delta Lake read.
func pathStyle() bool {
	if os.Getenv("AWS_ENDPOINT_URL") == "" && os.Getenv("AWS_ENDPOINT_URL_S3") == "" {
		return false
	}
	return !strings.EqualFold(os.Getenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST"), "true")
}
