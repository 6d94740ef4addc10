package api_test

import (
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite openapi.yaml")

// The description in the repository is what the server serves: a change of the
// interface shows in review. Its version is left at that of the test's server.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	served := b.want(http.StatusOK, http.MethodGet, "/openapi.yaml", "")
	if got := served.Header.Get("Content-Type"); got != "application/openapi+yaml" {
		t.Errorf("content type %q", got)
	}
	got := strings.Replace(string(served.body), "version: 1.2.3", "version: dev", 1)
	if *update {
		if err := os.WriteFile("openapi.yaml", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("openapi.yaml is not what the server serves; run go generate ./api (-file +served):\n%s", diff)
	}
	if !strings.HasPrefix(got, "components:") && !strings.Contains(got, "openapi: 3.1.0") {
		t.Error("not an OpenAPI 3.1 description")
	}
}
