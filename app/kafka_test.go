package app

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Events go to a topic that takes them, and to none where there is none.
func TestEventsGoToATopicOfOurs(t *testing.T) {
	t.Parallel()
	cfg := KafkaConfig{Sources: []SourceConfig{{Topic: "captured", Format: "sagemaker"}, {Topic: "events"}, {Topic: "more", Format: "modelwatch"}}}
	for _, want := range []string{"events", "more", ""} {
		if got := cfg.eventTopic(); got != want {
			t.Errorf("topic %q, want %q", got, want)
		}
		cfg.Sources = slices.DeleteFunc(cfg.Sources, func(s SourceConfig) bool { return s.Topic == want })
	}
	b := setupWith(t, []string{roleAPI}, func(c *Config) { c.Kafka.Sources = cfg.Sources })
	resp, err := b.http.Post(b.url+"/v1/events", "application/json", strings.NewReader(`{"id":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusConflict || !strings.Contains(string(text), "format: modelwatch") {
		t.Errorf("%s: %s, %v", resp.Status, text, err)
	}
}
