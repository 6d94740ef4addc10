// Package deploy_test checks the files that deploy modelwatch: they are not
// compiled, so nothing else would notice a mistake in them.
package deploy_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch/internal/testserver"
)

const root = ".."

// compose loads docker-compose.yml as Docker does: against the schema of the
// Compose specification, and checking that what it refers to exists.
func compose(t *testing.T, environment ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{root + "/docker-compose.yml"},
		cli.WithWorkingDirectory(root), cli.WithEnv(environment), cli.WithConsistency(true), cli.WithNormalization(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("load docker-compose.yml: %v", err)
	}
	return project
}

func service(t *testing.T, p *types.Project, name string) types.ServiceConfig {
	t.Helper()
	s, err := p.GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kafkaSettings turns the image's variables into the broker's settings:
// KAFKA_NODE_ID is node.id.
func kafkaSettings(s types.ServiceConfig) map[string]string {
	settings := map[string]string{}
	for name, value := range s.Environment {
		if rest, ok := strings.CutPrefix(name, "KAFKA_"); ok && value != nil {
			settings[strings.ReplaceAll(strings.ToLower(rest), "_", ".")] = *value
		}
	}
	return settings
}

func TestKafkaIsTheBrokerOfTheTests(t *testing.T) {
	t.Parallel()
	got := kafkaSettings(service(t, compose(t), "kafka"))
	for _, name := range []string{"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs"} {
		if got[name] == "" {
			t.Errorf("kafka has no %s", name)
		}
		delete(got, name)
	}
	if diff := cmp.Diff(testserver.KafkaSettings(), got); diff != "" {
		t.Errorf("the broker's settings differ from those that tests run against (-tests +compose):\n%s", diff)
	}
}

func TestImagesAreTheVersionsOfTheTests(t *testing.T) {
	t.Parallel()
	p := compose(t)
	for name, want := range map[string]string{
		"kafka":        "apache/kafka:" + testserver.KafkaVersion,
		"create-topic": "apache/kafka:" + testserver.KafkaVersion,
		"s3":           "versity/versitygw:v" + testserver.VersitygwVersion,
		"postgres":     "postgres:15",
	} {
		if got := service(t, p, name).Image; got != want {
			t.Errorf("%s runs %s, want %s", name, got, want)
		}
	}
}

func TestModelwatchServices(t *testing.T) {
	t.Parallel()
	p := compose(t)
	source, err := os.ReadFile(root + "/cmd/modelwatch/commands.go")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{"migrate": "migrate", "modelwatch": "serve", "simulate": "simulate"}
	for name, command := range commands {
		s := service(t, p, name)
		if s.Build == nil || s.Image != "modelwatch:dev" {
			t.Errorf("%s is not built from this tree: image %s", name, s.Image)
		}
		if len(s.Command) == 0 || s.Command[0] != command {
			t.Errorf("%s runs %q, want %s", name, s.Command, command)
		}
		// The grammar of the command line is a struct: a command is a field with its name.
		field := "\t" + strings.ToUpper(command[:1]) + command[1:]
		if !slices.ContainsFunc(strings.Split(string(source), "\n"), func(line string) bool {
			return strings.HasPrefix(line, field+" ") && strings.Contains(line, `cmd:""`)
		}) {
			t.Errorf("%s runs the command %s, which modelwatch does not have", name, command)
		}
	}
}

// TestOrder checks that nothing starts before what it needs can be used.
func TestOrder(t *testing.T) {
	t.Parallel()
	p := compose(t)
	needs := map[string]map[string]string{
		"create-topic":  {"kafka": types.ServiceConditionHealthy},
		"create-bucket": {"s3": types.ServiceConditionHealthy},
		"migrate":       {"postgres": types.ServiceConditionHealthy},
		"modelwatch": {
			"migrate":       types.ServiceConditionCompletedSuccessfully,
			"create-topic":  types.ServiceConditionCompletedSuccessfully,
			"create-bucket": types.ServiceConditionCompletedSuccessfully,
		},
		"simulate": {"modelwatch": types.ServiceConditionHealthy},
	}
	for name, want := range needs {
		got := map[string]string{}
		for other, d := range service(t, p, name).DependsOn {
			got[other] = d.Condition
			h := service(t, p, other).HealthCheck
			if d.Condition == types.ServiceConditionHealthy && (h == nil || len(h.Test) == 0) {
				t.Errorf("%s waits until %s is healthy, but that has no health check", name, other)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s depends on (-want +got):\n%s", name, diff)
		}
	}
}

func TestDatadogKeyIsOptional(t *testing.T) {
	t.Parallel()
	without := service(t, compose(t), "modelwatch").Environment
	if key := without["DD_API_KEY"]; key == nil || *key != "" {
		t.Errorf("without DD_API_KEY the service gets %v, want an empty one", key)
	}
	if site := without["DD_SITE"]; site == nil || *site != "datadoghq.com" {
		t.Errorf("without DD_SITE the service gets %v, want datadoghq.com", site)
	}
	with := service(t, compose(t, "DD_API_KEY=abc", "DD_SITE=datadoghq.eu"), "modelwatch").Environment
	if *with["DD_API_KEY"] != "abc" || *with["DD_SITE"] != "datadoghq.eu" {
		t.Errorf("DD_API_KEY and DD_SITE do not reach the service: %v, %v", *with["DD_API_KEY"], *with["DD_SITE"])
	}
}

// TestPortsAreLocal: no server of the example is reachable from other machines.
func TestPortsAreLocal(t *testing.T) {
	t.Parallel()
	published := 0
	for name, s := range compose(t).Services {
		for _, port := range s.Ports {
			published++
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s on %q, want 127.0.0.1", name, port.Published, port.HostIP)
			}
		}
	}
	if published == 0 {
		t.Error("no port is published")
	}
}

func TestServeHasTimeToStop(t *testing.T) {
	t.Parallel()
	grace := service(t, compose(t), "modelwatch").StopGracePeriod
	if grace == nil || time.Duration(*grace) < 30*time.Second {
		t.Errorf("the service has %v to stop, want at least 30s", grace)
	}
}

func TestConfigurationIsMounted(t *testing.T) {
	t.Parallel()
	p := compose(t)
	file := p.Configs["modelwatch"].File
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("the configuration that docker-compose.yml names: %v", err)
	}
	for _, name := range []string{"migrate", "modelwatch", "simulate"} {
		s := service(t, p, name)
		path := s.Environment["MODELWATCH_CONFIG"]
		if path == nil || !slices.ContainsFunc(s.Configs, func(c types.ServiceConfigObjConfig) bool {
			return c.Source == "modelwatch" && c.Target == *path
		}) {
			t.Errorf("%s does not find its configuration: MODELWATCH_CONFIG is %v, mounted is %v", name, path, s.Configs)
		}
	}
}
