package deploy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch/app"
)

// TestConfigurationLoads reads the configuration as the service in the
// container does: with that service's environment, and no field unknown.
func TestConfigurationLoads(t *testing.T) {
	p := compose(t)
	for name, value := range service(t, p, "modelwatch").Environment {
		if value != nil {
			t.Setenv(name, *value)
		}
	}
	cfg, err := app.LoadConfig("modelwatch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Archive.AccessKey != *service(t, p, "s3").Environment["ROOT_ACCESS_KEY"] {
		t.Errorf("the archive's key %q is not the S3 server's", cfg.Archive.AccessKey)
	}
	// The file shows every default; the addresses and secrets are its own.
	want := app.DefaultConfig()
	want.Listen, want.Token, want.Catalog, want.Archive, want.Kafka.Brokers = cfg.Listen, cfg.Token, cfg.Catalog, cfg.Archive, cfg.Kafka.Brokers
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("the file says that it shows the defaults (-default +file):\n%s", diff)
	}
}
