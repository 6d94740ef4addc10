package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelwatch/modelwatch"
)

func TestPutModelKeepsEveryField(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		want := filled[modelwatch.Model]()
		stored, created, err := b.PutModel(t.Context(), want)
		must(t, err)
		if !created {
			t.Error("a new model is not reported as created")
		}
		want.CreatedAt, want.UpdatedAt = start, start
		same(t, "stored", stored, want)
		got, err := b.Model(t.Context(), want.Name)
		must(t, err)
		same(t, "read", got, want)
	})
}

func TestPutModelAgain(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		m := modelwatch.Model{Name: "fraud", Task: modelwatch.TaskBinary, Tags: map[string]string{"team": "risk", "tier": "1"}}
		_, _, err := b.PutModel(t.Context(), m)
		must(t, err)

		b.clock.advance(time.Hour)
		stored, created, err := b.PutModel(t.Context(), m)
		must(t, err)
		if created || !stored.UpdatedAt.Equal(start) {
			t.Errorf("the same model again: created %v, updated at %s; want no change", created, stored.UpdatedAt)
		}

		m.Description = "with\x00NUL and \xff"
		stored, _, err = b.PutModel(t.Context(), m)
		must(t, err)
		if !stored.UpdatedAt.Equal(start.Add(time.Hour)) || !stored.CreatedAt.Equal(start) || stored.Description != "with\uFFFDNUL and \uFFFD" {
			t.Errorf("changed model: %+v", stored)
		}
		got, err := b.Model(t.Context(), "fraud")
		must(t, err)
		same(t, "read", got, stored)
	})
}

func TestModelFromTrafficIsRegisteredLater(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		_, err := b.EnsureVersion(t.Context(), "fraud", "1")
		must(t, err)
		m, err := b.Model(t.Context(), "fraud")
		must(t, err)
		if m.Registered || m.Task != modelwatch.TaskOther {
			t.Errorf("a model known from traffic: %+v", m)
		}
		m, created, err := b.PutModel(t.Context(), modelwatch.Model{Name: "fraud", Task: modelwatch.TaskOther})
		must(t, err)
		if created || !m.Registered {
			t.Errorf("registered later: created %v, %+v", created, m)
		}
	})
}

func TestModelNotFound(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		_, err := b.Model(t.Context(), "nobody\x00")
		wantCode(t, err, modelwatch.CodeNotFound)
		if !strings.Contains(err.Error(), "nobody") {
			t.Errorf("the error %q does not name the model", err)
		}
	})
}

func TestModelsByName(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle) {
		// Sorted by bytes, as Go sorts, whatever the locale of the server.
		want := []string{"A", "B", "Z", "_", "a", "ä"}
		for _, name := range []string{"a", "Z", "ä", "_", "B", "A"} {
			_, _, err := b.PutModel(t.Context(), modelwatch.Model{Name: name})
			must(t, err)
		}
		for size := 1; size <= len(want)+1; size++ {
			var got []string
			for _, m := range pages(t, size, func(p Page) ([]modelwatch.Model, string, error) { return b.Models(t.Context(), p) }) {
				got = append(got, m.Name)
			}
			same(t, fmt.Sprintf("pages of %d", size), got, want)
		}
	})
}
