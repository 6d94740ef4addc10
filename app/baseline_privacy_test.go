package app

import (
	"bytes"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/table"
)

// TestBaselineIsProtected: nothing that rules cover is profiled or stored, and
// categories are the pseudonyms that traffic has.
func TestBaselineIsProtected(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	b := setupWith(t, []string{roleAPI}, func(cfg *Config) { cfg.Privacy = PrivacyConfig{Key: key, HashIDs: []string{"credit"}} })
	b.putModel(t)
	_, _, err := b.client.PutVersion(t.Context(), "credit", "1", api.VersionBody{Schema: &api.Schema{
		Privacy: &api.Privacy{Columns: map[string]string{"country": "hash", "ssn": "drop", "zip": "truncate:1"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var csv strings.Builder
	csv.WriteString("_id,amount,country,ssn,zip\n")
	for i := range 300 {
		csv.WriteString("SECRET" + strings.Repeat("x", i%7) + ",1.5," + country(i) + ",SECRET," + []string{"A1", "A2", "B1"}[i%3] + "\n")
	}
	for _, version := range []string{"1", "2"} { // nobody has registered the second one: it inherits
		baseline := b.register(t, api.RegisterRequest{Model: "credit", Version: version, ContentType: "text/csv", Body: strings.NewReader(csv.String())})
		var values []string
		for _, bin := range column(t, baseline, "country").Bins {
			if bin.Value != nil {
				values = append(values, *bin.Value)
			}
		}
		want := modelwatch.PrivacyKey(key).Pseudonym("DE")
		if len(values) != 3 || !strings.Contains(strings.Join(values, " "), want) {
			t.Errorf("version %s: countries %v, want pseudonyms such as %s", version, values, want)
		}
		for _, c := range baseline.Columns {
			if c.Name == "ssn" {
				t.Errorf("version %s: the column ssn is profiled", version)
			}
			if c.Name == "zip" && len(c.Counts) != 3 { // A, B and other
				t.Errorf("version %s: zip has the bins %+v", version, c.Bins)
			}
		}
		stored, err := b.service.catalog.Baseline(t.Context(), "credit", version, baseline.ID)
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.service.archive.Bucket().Read(t.Context(), stored.DataKey)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := table.OpenParquet(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range reader.Columns() {
			names = append(names, c.Name)
		}
		err = reader.Scan(t.Context(), names, func(c *table.Chunk) error {
			for _, col := range c.Columns {
				if strings.Contains(strings.Join(col.Dict, " "), "SECRET") || col.Name == "ssn" {
					t.Errorf("version %s: column %s holds what is private", version, col.Name)
				}
			}
			return nil
		})
		if err != nil || reader.Rows() != 300 {
			t.Errorf("version %s: %d rows, %v", version, reader.Rows(), err)
		}
		v, err := b.client.Version(t.Context(), "credit", version)
		if err != nil || v.Schema.Privacy == nil || v.Schema.Privacy.Columns["country"] != "hash" {
			t.Errorf("version %s has lost its rules: %+v, %v", version, v.Schema, err)
		}
	}
}

// TestPrivacyKeyStays: another key would give values other pseudonyms.
func TestPrivacyKeyStays(t *testing.T) {
	t.Parallel()
	b := setupWith(t, []string{roleAPI}, func(cfg *Config) { cfg.Privacy.Key = "0123456789abcdef" })
	other := *b.service
	other.cfg.Privacy.Key = "fedcba9876543210"
	if err := other.settlePrivacyKey(t.Context()); modelwatch.ErrorCode(err) != modelwatch.CodeInvalid {
		t.Errorf("another key: %v, want invalid", err)
	}
	other.cfg.Privacy.Key = "0123456789abcdef"
	if err := other.settlePrivacyKey(t.Context()); err != nil {
		t.Errorf("the same key: %v", err)
	}
}
