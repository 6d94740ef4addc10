package catalog

import (
	"encoding/base64"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func TestPageSize(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{-1: DefaultPageLimit, 0: DefaultPageLimit, 1: 1, MaximumPageLimit: MaximumPageLimit, MaximumPageLimit + 1: MaximumPageLimit} {
		if got := pageSize(Page{Limit: limit}); got != want {
			t.Errorf("a limit of %d gives pages of %d, want %d", limit, got, want)
		}
	}
}

// FuzzStartAfter: a cursor of anyone's making is one of ours or CodeInvalid.
func FuzzStartAfter(f *testing.F) {
	seed, err := key{List: "runs", Time: 1, ID: 2, Text: "a", More: "b"}.cursor()
	must(f, err)
	for _, cursor := range []string{seed, "x", "bnVsbA", base64.RawURLEncoding.EncodeToString([]byte(`{"l":"runs","s":"\u0000"}`))} {
		f.Add(cursor)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		k, ok, err := startAfter(Page{Cursor: cursor}, "runs")
		if err != nil {
			wantCode(t, err, modelwatch.CodeInvalid)
			return
		}
		if ok != (cursor != "") || (ok && k.List != "runs") || clean(k.Text) != k.Text {
			t.Errorf("cursor %q gives %+v, %v", cursor, k, ok)
		}
	})
}
