package sink

import (
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// NameLimit is the longest metric name, and the longest tag with its key and
// colon, in bytes. Datadog cuts longer ones, which could make two series one.
const NameLimit = 200

// MetricName turns a name into one that Datadog keeps as it is: ASCII letters,
// digits, underscores and dots, beginning with a letter, without runs of
// underscores and without an underscore beside a dot, at most NameLimit bytes.
// Case is kept, since Datadog's metric names have one.
func MetricName(name string) string {
	b := make([]byte, 0, len(name))
	for _, r := range name {
		c := byte('_')
		if r < utf8.RuneSelf && (isASCIILetter(r) || '0' <= r && r <= '9' || r == '.') {
			c = byte(r)
		}
		last := byte('.') // a name does not begin with an underscore or a dot
		if len(b) > 0 {
			last = b[len(b)-1]
		}
		switch {
		case len(b) == 0 && !isASCIILetter(rune(c)):
			continue
		case c == '_' && (last == '_' || last == '.'), c == '.' && last == '.':
			continue
		case c == '.' && last == '_':
			b[len(b)-1] = '.'
			continue
		}
		b = append(b, c)
	}
	if len(b) > NameLimit {
		b = b[:NameLimit]
	}
	return strings.TrimRight(string(b), "_.")
}

func isASCIILetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// A tag is at most NameLimit bytes: a key of at most keyLimit, the colon, and a
// value of at most valueLimit.
const (
	keyLimit   = 63
	valueLimit = NameLimit - keyLimit - len(":")
)

// foldKey turns a tag key into one that Datadog keeps as it is. A key that does
// not begin with a letter gets a prefix, for Datadog would cut its head off.
func foldKey(key string) string {
	folded := strings.TrimLeft(fold(strings.ReplaceAll(key, ":", "_")), "_")
	first, _ := utf8.DecodeRuneInString(folded)
	if !unicode.IsLetter(first) {
		folded = strings.TrimRight(segmentPrefix+folded, "_")
	}
	return cut(folded, keyLimit)
}

// foldValue turns a tag value into one that Datadog keeps as it is. What folds
// to nothing becomes "blank": a tag needs a value.
func foldValue(value string) string {
	folded := cut(fold(value), valueLimit)
	if folded == "" {
		return "blank"
	}
	return folded
}

// fold lower-cases, turns what Datadog does not allow in tags into underscores,
// and drops runs of them and those at the end, with colons there.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	underscore := false
	for _, r := range s {
		r = unicode.ToLower(r)
		if !tagRune(r) {
			r = '_'
		}
		if r == '_' && underscore {
			continue
		}
		underscore = r == '_'
		b.WriteRune(r)
	}
	return strings.TrimRight(b.String(), "_:")
}

func tagRune(r rune) bool {
	switch r {
	case '_', '-', ':', '.', '/':
		return true
	case utf8.RuneError:
		return false
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// cut shortens to at most limit bytes, at the border of a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.TrimRight(s[:limit], "_:")
}

// Collision tells of two names of ours that a backend would take for one.
type Collision struct {
	Scope   string // the model, "" for the names of models
	Folded  string // what both become: "country:de"
	Kept    string // the name that is sent as Folded
	Renamed string // the name that is sent with a suffix
}

// Names remembers which name stands behind each folded tag, so that two series
// which Datadog's rules would merge ("Risk Score" and "risk_score") stay two:
// the second gets a suffix made from its own spelling. A name that folding does
// not change always keeps it, whichever came first. Otherwise the first does:
// between two spellings that both change, a restart may decide differently.
// Tags of one model are compared with each other only. It may be used by
// several goroutines.
type Names struct {
	mu         sync.Mutex
	owners     map[string]string
	reported   map[string]struct{}
	collisions int64
	report     func(Collision)
}

// maxNames bounds the memory of Names; past it new names are folded unseen.
const maxNames = 500_000

// NewNames returns an empty memory. report, if not nil, is called once for each
// name that had to be renamed, without any lock held.
func NewNames(report func(Collision)) *Names {
	return &Names{owners: map[string]string{}, reported: map[string]struct{}{}, report: report}
}

// Collisions is the number of names that had to be renamed so far.
func (n *Names) Collisions() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.collisions
}

// claim returns what is sent for a name within a space of names: folded, or
// folded with a suffix when it belongs to another name.
func (n *Names) claim(scope, space, folded, raw string, limit int) string {
	key := scope + "\x00" + space + "\x00" + folded
	n.mu.Lock()
	kept, known := n.owners[key]
	loser := raw
	switch {
	case !known && len(n.owners) < maxNames, known && raw == folded:
		loser, kept = kept, raw
		n.owners[key] = raw
	case !known:
		kept = raw
	}
	fresh := known && loser != kept && n.first(key, loser)
	n.mu.Unlock()

	if fresh && n.report != nil {
		n.report(Collision{Scope: scope, Folded: space + folded, Kept: kept, Renamed: loser})
	}
	if raw != kept {
		return suffixed(folded, raw, limit)
	}
	return folded
}

// first notes that a name was renamed and tells whether that is new.
func (n *Names) first(key, loser string) bool {
	if _, seen := n.reported[key+"\x00"+loser]; seen || len(n.reported) >= maxNames {
		return false
	}
	n.reported[key+"\x00"+loser] = struct{}{}
	n.collisions++
	return true
}

// suffixed tells a name apart by eight digits made from its own spelling, so
// that it is the same on every replica and after every restart.
func suffixed(folded, raw string, limit int) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(raw)) // a hash does not fail
	return cut(folded, limit-9) + fmt.Sprintf("_%08x", h.Sum32())
}
