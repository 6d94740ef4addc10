package modelwatch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Privacy says what of a version's events is written, and in which form. It is
// applied before anything is written, dead letters included. The zero value
// writes everything.
type Privacy struct {
	// Columns are rules by the column's name in tables: "email", "_tag_user".
	Columns map[string]PrivacyRule
	// AllowList drops every field that the schema does not name, instead of keeping
	// it in _extra or making a column of it.
	AllowList bool
}

// Empty reports that everything is written.
func (p Privacy) Empty() bool { return len(p.Columns) == 0 && !p.AllowList }

// Equal reports whether both say the same.
func (p Privacy) Equal(q Privacy) bool {
	return p.AllowList == q.AllowList && maps.Equal(p.Columns, q.Columns)
}

// Merge returns rules that are at least as strict as both: of two rules for a
// column the stricter one holds.
func (p Privacy) Merge(q Privacy) Privacy {
	out := Privacy{Columns: map[string]PrivacyRule{}, AllowList: p.AllowList || q.AllowList}
	for _, rules := range []map[string]PrivacyRule{p.Columns, q.Columns} {
		for name, rule := range rules {
			if have, ok := out.Columns[name]; !ok || rule.stricter(have) {
				out.Columns[name] = rule
			}
		}
	}
	return out
}

// PrivacyAction is what happens to the values of a column.
type PrivacyAction string

// The actions, the strictest first.
const (
	PrivacyDrop     PrivacyAction = "drop"     // nothing is written
	PrivacyHash     PrivacyAction = "hash"     // a pseudonym is: see PrivacyKey
	PrivacyTruncate PrivacyAction = "truncate" // the first characters are
)

// PrivacyRule is an action, and for truncate the number of characters that stay.
type PrivacyRule struct {
	Action     PrivacyAction
	Characters int
}

func (r PrivacyRule) stricter(than PrivacyRule) bool {
	order := []PrivacyAction{PrivacyDrop, PrivacyHash, PrivacyTruncate}
	a, b := slices.Index(order, r.Action), slices.Index(order, than.Action)
	return a < b || a == b && r.Action == PrivacyTruncate && r.Characters < than.Characters
}

// String is the rule as users write it: "drop", "hash", "truncate:8".
func (r PrivacyRule) String() string {
	if r.Action == PrivacyTruncate {
		return string(r.Action) + ":" + strconv.Itoa(r.Characters)
	}
	return string(r.Action)
}

// maxPrivacyCharacters bounds truncate: what keeps more keeps everything.
const maxPrivacyCharacters = 1000

// ParsePrivacyRule reads what String writes.
func ParsePrivacyRule(text string) (PrivacyRule, error) {
	action, number, cut := strings.Cut(text, ":")
	switch PrivacyAction(action) {
	case PrivacyDrop, PrivacyHash:
		if !cut {
			return PrivacyRule{Action: PrivacyAction(action)}, nil
		}
	case PrivacyTruncate:
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= maxPrivacyCharacters {
			return PrivacyRule{Action: PrivacyTruncate, Characters: n}, nil
		}
	}
	return PrivacyRule{}, fmt.Errorf("%q is no privacy rule: it must be drop, hash, or truncate:N with N characters from 1 to %d", text, maxPrivacyCharacters)
}

// Truncate returns the first characters of a text. Bytes that are not UTF-8 count
// as one character each.
func (r PrivacyRule) Truncate(text []byte) []byte {
	end := 0
	for range r.Characters {
		if end >= len(text) {
			return text
		}
		_, n := utf8.DecodeRune(text[end:])
		end += n
	}
	return text[:end]
}

// PrivacyKey is the deployment's key of pseudonyms. Whoever has it can tell which
// value a pseudonym stands for by trying values; nobody else can.
type PrivacyKey []byte

// pseudonymBytes of the HMAC are kept: two values of a deployment have the same
// pseudonym with a probability that does not matter below 10^18 values.
const pseudonymBytes = 16

// PseudonymLength is the length of a pseudonym.
const PseudonymLength = 2 * pseudonymBytes

// Pseudonym stands for a value: the first 16 bytes of its HMAC-SHA-256 under the
// key, as 32 lower-case hexadecimal digits. The same value has the same pseudonym
// in every column, model and stream, so that what is joined or compared still is.
func (k PrivacyKey) Pseudonym(value string) string {
	return string(NewPseudonyms(k).Append(nil, []byte(value)))
}

// Fingerprint tells keys apart without giving them away.
func (k PrivacyKey) Fingerprint() string { return k.Pseudonym("modelwatch privacy key") }

// Pseudonyms makes pseudonyms without allocation. It is for one goroutine.
type Pseudonyms struct {
	mac hash.Hash
	sum []byte
}

// NewPseudonyms returns pseudonyms under a key.
func NewPseudonyms(k PrivacyKey) *Pseudonyms { return &Pseudonyms{mac: hmac.New(sha256.New, k)} }

// Append appends the pseudonym of a value.
func (p *Pseudonyms) Append(b, value []byte) []byte {
	p.mac.Reset()
	p.mac.Write(value) // never fails
	p.sum = p.mac.Sum(p.sum[:0])
	return hex.AppendEncode(b, p.sum[:pseudonymBytes])
}

// IsPseudonym reports whether a text has the form of one.
func IsPseudonym(text []byte) bool {
	if len(text) != PseudonymLength {
		return false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// MatchesModel reports whether a model is among patterns; a trailing * matches any end.
func MatchesModel(patterns []string, model string) bool {
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(model, prefix) || p == model {
			return true
		}
	}
	return false
}
