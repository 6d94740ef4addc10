package datadog_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/modelwatch/modelwatch/sink/datadog"
)

// BenchmarkDeliver sends to an intake that takes everything unseen.
func BenchmarkDeliver(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer srv.Close()
	client, err := datadog.New(datadog.Config{APIKey: key, URL: srv.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("points=%d", n), func(b *testing.B) {
			points := many(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Deliver(b.Context(), points); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
