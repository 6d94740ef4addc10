package api

import (
	"testing"

	"pgregory.net/rapid"
)

func TestEditDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"pis", "psi", 1}, {"js_distnace", "js_distance", 1},
		{"ca", "abc", 3}, {"flaw", "lawn", 2}, {"same", "same", 0},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestEditDistanceLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab_]{0,8}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := editDistance(a, b)
		if d != editDistance(b, a) {
			t.Fatal("not symmetric")
		}
		if (d == 0) != (a == b) {
			t.Fatalf("distance %d", d)
		}
		if longer := max(len(a), len(b)); d > longer || d < longer-min(len(a), len(b)) {
			t.Fatalf("distance %d is out of bounds", d)
		}
	})
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"amount", "amount_eur", "country"}
	for name, want := range map[string]string{
		"amuont": ": did you mean amount?",
		"amou":   ": did you mean amount, amount_eur?",
		"AMOUNT": ": did you mean amount?",
		"zzz":    ": there are amount, amount_eur, country",
		"":       ": there are amount, amount_eur, country",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := nearest("x", nil); got != "" {
		t.Errorf("of nothing, nearest is %q", got)
	}
}
