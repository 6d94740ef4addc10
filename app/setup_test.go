package app

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a running service with the api role on SQLite and a folder.
type testBundle struct {
	url     string
	http    *http.Client
	client  *api.Client
	service *service
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	return setupWith(t, []string{roleAPI}, func(*Config) {})
}

func setupWith(t *testing.T, roles []string, change func(*Config)) *testBundle {
	t.Helper()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(dir, "catalog.db")
	cfg.Archive.URI = filepath.Join(dir, "archive")
	cfg.Kafka.Brokers = []string{"127.0.0.1:1"} // baselines do not go through Kafka
	change(&cfg)
	s, err := newService(t.Context(), cfg, serviceOptions{Roles: roles, Log: discardLog(), EventNow: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.assemble(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	b := &testBundle{url: "http://" + s.cfg.Listen, http: &http.Client{Transport: transport}, service: s}
	if b.client, err = api.NewClient(b.url, "", b.http); err != nil {
		t.Fatal(err)
	}
	return b
}

// putModel makes the model credit known.
func (b *testBundle) putModel(t *testing.T) {
	t.Helper()
	if _, _, err := b.client.PutModel(t.Context(), "credit", api.ModelBody{Task: modelwatch.TaskBinary}); err != nil {
		t.Fatal(err)
	}
}
