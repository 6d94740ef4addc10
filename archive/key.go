package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelwatch/modelwatch"
)

const (
	maxKeyBytes     = 1024 // S3's limit, prefix included
	maxElementBytes = 255  // a file name's limit on every common file system
	maxNameBytes    = 200  // of an encoded model or version: leaves room for "version="
)

// hiveDefault stands for a null partition value in Hive, Spark, Trino and
// DuckDB: labels that name no version lie under it.
const hiveDefault = "__HIVE_DEFAULT_PARTITION__"

// DataKey places a data file:
// kind=prediction/model=fraud/version=3.1.0/date=2026-11-21/hour=10/<unique>.parquet
// by the hour of event time. Engines that know Hive's layout see kind, model,
// version, date and hour as columns.
func DataKey(kind modelwatch.Kind, model, version string, hour time.Time, unique string) string {
	v := hiveDefault
	if version != "" {
		v = encodeName(version)
	}
	hour = hour.UTC()
	return path.Join(
		"kind="+string(kind),
		"model="+encodeName(model),
		"version="+v,
		"date="+hour.Format(time.DateOnly),
		fmt.Sprintf("hour=%02d", hour.Hour()),
		unique+".parquet",
	)
}

// FileKey is DataKey for a file that is about to be written: what an upload
// intent names before the upload.
func FileKey(spec modelwatch.FileSpec) string {
	return DataKey(spec.Kind, spec.Model, spec.Version, spec.Hour, spec.Unique)
}

// encodeName makes any name one safe path element. ASCII other than letters,
// digits, dot, hyphen and underscore becomes %XX, which Hive, Spark, Trino and
// DuckDB undo; characters beyond ASCII stay as they are, because some of those
// engines read %XX as a character and not as a byte of UTF-8. Bytes that are
// not UTF-8 are encoded. A name whose encoding would be too long for a file
// name is cut and marked with its hash: distinct names stay distinct, and the
// full name stands in the file's metadata and in the catalog.
func encodeName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		switch {
		case r >= utf8.RuneSelf && (r != utf8.RuneError || n > 1):
			b.WriteString(name[i : i+n])
		case isPlain(name[i]) && !(i == 0 && name == hiveDefault):
			b.WriteByte(name[i])
		default:
			fmt.Fprintf(&b, "%%%02X", name[i])
		}
		i += n
	}
	enc := b.String()
	if len(enc) <= maxNameBytes {
		return enc
	}
	sum := sha256.Sum256([]byte(name))
	return cut(enc, maxNameBytes-34) + "%7E" + hex.EncodeToString(sum[:])[:31]
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

// cut returns at most n bytes of an encoded name, splitting neither a character
// nor a %XX.
func cut(enc string, n int) string {
	for n > 0 && !utf8.RuneStart(enc[n]) {
		n--
	}
	if i := strings.LastIndexByte(enc[:n], '%'); i >= 0 && i > n-3 {
		n = i
	}
	return enc[:n]
}

// ValidateKey says whether a key may be used: relative, slash-separated
// elements of 1 to 255 bytes, none "." or "..", no control characters and no
// backslash, 1,024 bytes at most.
func ValidateKey(key string) error {
	if key == "" {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "object key: empty")
	}
	if len(key) > maxKeyBytes {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "object key %.40q...: %d bytes, at most %d", key, len(key), maxKeyBytes)
	}
	if !utf8.ValidString(key) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "object key %q: not UTF-8", key)
	}
	for elem := range strings.SplitSeq(key, "/") {
		if msg := elementFault(elem); msg != "" {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "object key %q: %s", key, msg)
		}
	}
	return nil
}

func elementFault(elem string) string {
	switch {
	case elem == "":
		return "an empty element; keys are relative, without doubled or trailing slashes"
	case elem == "." || elem == "..":
		return fmt.Sprintf("element %q", elem)
	case len(elem) > maxElementBytes:
		return fmt.Sprintf("element %.20q... has %d bytes, at most %d", elem, len(elem), maxElementBytes)
	case strings.ContainsFunc(elem, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }):
		return fmt.Sprintf("element %q holds a control character or a backslash", elem)
	}
	return ""
}
