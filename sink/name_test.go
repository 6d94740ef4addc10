package sink

import (
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMetricName(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"modelwatch.drift.psi", "modelwatch.drift.psi"},
		{"algorithmia.Risk Score", "algorithmia.Risk_Score"},
		{"a__b", "a_b"},
		{"a_.b", "a.b"},
		{"a._b", "a.b"},
		{"a..b", "a.b"},
		{"1st.metric", "st.metric"},
		{"_x", "x"},
		{"größe", "gr_e"},
		{"end_", "end"},
		{"", ""},
		{strings.Repeat("m", 250), strings.Repeat("m", 200)},
	}
	for _, tt := range tests {
		if got := MetricName(tt.in); got != tt.want {
			t.Errorf("MetricName(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"DE", "de"},
		{"United Kingdom", "united_kingdom"},
		{"a  &  b!", "a_b"},
		{"http://x/y?z=1", "http://x/y_z_1"},
		{"Größe", "größe"},
		{"\xff\xfe", "blank"},
		{"", "blank"},
		{"???", "blank"},
		{"1.4.0", "1.4.0"},
	}
	for _, tt := range tests {
		if got := foldValue(tt.in); got != tt.want {
			t.Errorf("foldValue(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	for in, want := range map[string]string{"Country": "country", "a:b": "a_b", "2fa": "segment_2fa", "_x": "x", "": "segment", "!": "segment"} {
		if got := foldKey(in); got != want {
			t.Errorf("foldKey(%q) = %q, want %q", in, got, want)
		}
	}
}

// Folding what is folded changes nothing: Datadog has nothing left to change.
func TestFoldIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if v := foldValue(s); foldValue(v) != v || len(v) > valueLimit || !utf8.ValidString(v) {
			t.Fatalf("value %q becomes %q, then %q", s, v, foldValue(v))
		}
		if k := foldKey(s); foldKey(k) != k || len(k) > keyLimit {
			t.Fatalf("key %q becomes %q, then %q", s, k, foldKey(k))
		}
		if m := MetricName(s); MetricName(m) != m || len(m) > NameLimit {
			t.Fatalf("metric %q becomes %q, then %q", s, m, MetricName(m))
		}
	})
}

func TestNamesOverPublications(t *testing.T) {
	t.Parallel()
	var got []Collision
	n := NewNames(func(c Collision) { got = append(got, c) })
	claim := func(raw string) string { return n.claim("", "model:", foldValue(raw), raw, valueLimit) }

	if a := claim("Fraud"); a != "fraud" {
		t.Errorf("the first of a name becomes %q", a)
	}
	if a := claim("Fraud"); a != "fraud" || n.Collisions() != 0 {
		t.Errorf("the same name again becomes %q, %d collisions", a, n.Collisions())
	}
	if a := claim("fraud"); a != "fraud" {
		t.Errorf("a name that folding leaves alone becomes %q", a)
	}
	first := claim("Fraud")
	if !strings.HasPrefix(first, "fraud_") {
		t.Errorf("the other becomes %q", first)
	}
	if a := claim("FRAUD"); a == first || !strings.HasPrefix(a, "fraud_") {
		t.Errorf("a third becomes %q, the second is %q", a, first)
	}
	if a := n.claim("other scope", "model:", "fraud", "FRAUD", valueLimit); a != "fraud" {
		t.Errorf("the name in another scope becomes %q", a)
	}
	want := []Collision{{"", "model:fraud", "fraud", "Fraud"}, {"", "model:fraud", "fraud", "FRAUD"}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] || n.Collisions() != 2 {
		t.Errorf("collisions = %+v, want %+v", got, want)
	}
}

func TestNamesConcurrently(t *testing.T) {
	t.Parallel()
	n := NewNames(nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if got := n.claim("", "k:", "a", "a", valueLimit); got != "a" {
					t.Errorf("claim = %q", got)
				}
				n.claim("", "k:", "a", "A", valueLimit)
			}
		})
	}
	wg.Wait()
	if n.Collisions() != 1 {
		t.Errorf("%d collisions, want 1", n.Collisions())
	}
}
