package archive_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

func TestDataKey(t *testing.T) {
	t.Parallel()
	hour := time.Date(2026, 11, 21, 23, 59, 0, 0, time.FixedZone("", -3600)) // the next day in UTC
	tests := map[string]string{
		archive.DataKey(modelwatch.KindPrediction, "fraud", "3.1.0", hour, "u"):              "kind=prediction/model=fraud/version=3.1.0/date=2026-11-22/hour=00/u.parquet",
		archive.DataKey(modelwatch.KindLabel, "fraud", "", hour, "u"):                        "kind=label/model=fraud/version=__HIVE_DEFAULT_PARTITION__/date=2026-11-22/hour=00/u.parquet",
		archive.DataKey(modelwatch.KindLabel, "a b/c=d%", "ü+1", hour, "u"):                  "kind=label/model=a%20b%2Fc%3Dd%25/version=ü%2B1/date=2026-11-22/hour=00/u.parquet",
		archive.DataKey(modelwatch.KindLabel, "..", "__HIVE_DEFAULT_PARTITION__", hour, "u"): "kind=label/model=../version=%5F_HIVE_DEFAULT_PARTITION__/date=2026-11-22/hour=00/u.parquet",
	}
	for have, want := range tests {
		if have != want {
			t.Errorf("key %s, want %s", have, want)
		}
	}
}

// TestEncodeName: any name is one valid path element, read back by undoing %XX
// unless it is too long, and distinct from every other name's.
func TestEncodeName(t *testing.T) {
	t.Parallel()
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,200}`), rapid.StringMatching(`[%/ü漢\xff]{60,200}`),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		ea, eb := archive.EncodeName(a), archive.EncodeName(b)
		if err := archive.ValidateKey("model=" + ea); err != nil {
			t.Fatalf("%q becomes %q: %v", a, ea, err)
		}
		if (a == b) != (ea == eb) {
			t.Fatalf("%q becomes %q, %q becomes %q", a, ea, b, eb)
		}
		if strings.ContainsAny(ea, `/\:*?"<>|{}[]#^=' +`) || !utf8.ValidString(ea) {
			t.Fatalf("%q becomes %q", a, ea)
		}
		if strings.Contains(ea, "%7E") && !strings.Contains(a, "~") {
			return // cut
		}
		if back, err := url.PathUnescape(ea); err != nil || back != a {
			t.Fatalf("%q becomes %q becomes %q, %v", a, ea, back, err)
		}
	})
}
