package modelwatch_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
)

func TestPrivacyRules(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"drop", "hash", "truncate:1", "truncate:1000"} {
		rule, err := modelwatch.ParsePrivacyRule(text)
		if err != nil || rule.String() != text {
			t.Errorf("%q is read as %q, %v", text, rule, err)
		}
	}
	for _, text := range []string{"", "Drop", "drop:1", "hash:", "truncate", "truncate:", "truncate:0", "truncate:-1", "truncate:1001", "truncate:x", "mask"} {
		if rule, err := modelwatch.ParsePrivacyRule(text); err == nil {
			t.Errorf("%q is read as %q", text, rule)
		}
	}
}

// TestPseudonym compares with HMAC-SHA-256 of OpenSSL:
// printf DE | openssl dgst -sha256 -hmac key
func TestPseudonym(t *testing.T) {
	t.Parallel()
	key := modelwatch.PrivacyKey("key")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("DE"))
	want := hex.EncodeToString(mac.Sum(nil))[:modelwatch.PseudonymLength]
	if got := key.Pseudonym("DE"); got != want || got != "44609ffdae6de27f8f39213f7feba573" {
		t.Errorf("got %s, want %s", got, want)
	}
	if modelwatch.PrivacyKey("other").Pseudonym("DE") == want || key.Pseudonym("FR") == want {
		t.Error("another key or another value has the same pseudonym")
	}
	if !modelwatch.IsPseudonym([]byte(want)) || modelwatch.IsPseudonym([]byte(strings.ToUpper(want))) || modelwatch.IsPseudonym([]byte(want[1:])) || modelwatch.IsPseudonym([]byte("DE")) {
		t.Error("what is a pseudonym is not told from what is not")
	}
	if key.Fingerprint() == modelwatch.PrivacyKey("other").Fingerprint() {
		t.Error("two keys have one fingerprint")
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{{"10115", 2, "10"}, {"äöü", 2, "äö"}, {"a", 5, "a"}, {"", 1, ""}, {"\xff\xfea", 2, "\xff\xfe"}} {
		rule := modelwatch.PrivacyRule{Action: modelwatch.PrivacyTruncate, Characters: tt.n}
		if got := string(rule.Truncate([]byte(tt.text))); got != tt.want {
			t.Errorf("the first %d of %q are %q, want %q", tt.n, tt.text, got, tt.want)
		}
	}
}

func TestMergeKeepsTheStricterRule(t *testing.T) {
	t.Parallel()
	rule := func(text string) modelwatch.PrivacyRule {
		r, err := modelwatch.ParsePrivacyRule(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range [][3]string{{"drop", "hash", "drop"}, {"truncate:2", "hash", "hash"}, {"truncate:2", "truncate:9", "truncate:2"}, {"hash", "hash", "hash"}} {
		a := modelwatch.Privacy{Columns: map[string]modelwatch.PrivacyRule{"x": rule(tt[0]), "a": rule("drop")}}
		b := modelwatch.Privacy{Columns: map[string]modelwatch.PrivacyRule{"x": rule(tt[1]), "b": rule("hash")}, AllowList: true}
		for _, merged := range []modelwatch.Privacy{a.Merge(b), b.Merge(a)} {
			if merged.Columns["x"] != rule(tt[2]) || merged.Columns["a"] != rule("drop") || merged.Columns["b"] != rule("hash") || !merged.AllowList {
				t.Errorf("%s and %s become %s", tt[0], tt[1], merged.Columns["x"])
			}
		}
	}
	schema := modelwatch.Schema{Features: []modelwatch.Feature{{Name: "a", Type: "number"}, {Name: "b", Type: "number"}}, Privacy: modelwatch.Privacy{Columns: map[string]modelwatch.PrivacyRule{"a": rule("drop")}}}
	if columns := schema.Profiled(); len(columns) != 1 || columns[0].Name != "b" {
		t.Errorf("profiled are %v: what is dropped has no distribution", columns)
	}
	if !modelwatch.MatchesModel([]string{"a", "fra*"}, "fraud") || modelwatch.MatchesModel([]string{"a", "fra*"}, "ab") || !modelwatch.MatchesModel([]string{"*"}, "x") {
		t.Error("patterns of models")
	}
}
