package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/table"
)

// The same row as a line of a table and as an event. What begins with SECRET must
// not be written as it is.
const (
	privateTable = "_id,_time,_group,amount,country,zip,ssn,_tag_user,_tag_host,_extra\n" +
		`SECRETid,2026-11-20T10:00:00Z,SECRETgroup,1.5,SECRETland,ASECRET,SECRETssn,SECRETuser,SECREThost,"{""features"":{""ssn"":""SECRETextra""}}"` + "\n"
	privateEvent = `{"kind":"prediction","model":%q,"version":%q,"id":"SECRETid","time":"2026-11-20T10:00:00Z","group":"SECRETgroup",` +
		`"features":{"amount":1.5,"country":"SECRETland","zip":"ASECRET","ssn":"SECRETssn","more":{"ssn":"SECRETextra"}},"tags":{"user":"SECRETuser","host":"SECREThost"}}` + "\n"
	privateLabelTable = "_id,_time,_label\nSECRETid,2026-11-20T11:00:00Z,yes\n"
	privateLabelEvent = `{"kind":"label","model":%q,"id":"SECRETid","time":"2026-11-20T11:00:00Z","label":"yes"}` + "\n"
)

// TestImportIsProtected: files of the past and traffic are under the same rules,
// whether a file is a table or has an event a line, and whoever has made the
// version known.
func TestImportIsProtected(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	pseudonym := modelwatch.PrivacyKey(key).Pseudonym
	b := setupWith(t, []string{roleAPI}, func(cfg *Config) { cfg.Privacy = PrivacyConfig{Key: key, HashIDs: []string{"credit", "closed"}} })
	b.putModel(t)
	b.putPrivate(t, "credit", "1", api.Schema{Privacy: &api.Privacy{Columns: map[string]string{
		"country": "hash", "zip": "truncate:1", "ssn": "drop", "_tag_user": "hash", "_tag_host": "drop",
	}}})
	if _, _, err := b.client.PutModel(t.Context(), "closed", api.ModelBody{Task: modelwatch.TaskBinary}); err != nil {
		t.Fatal(err)
	}
	b.putPrivate(t, "closed", "1", api.Schema{Features: []api.Feature{{Name: "amount", Type: modelwatch.TypeNumber}}, Privacy: &api.Privacy{AllowList: true}})

	ruled := map[string]string{"_id": pseudonym("SECRETid"), "_group": pseudonym("SECRETgroup"), "country": pseudonym("SECRETland"), "zip": "A", "_tag_user": pseudonym("SECRETuser")}
	closed := map[string]string{"_id": pseudonym("SECRETid"), "_group": pseudonym("SECRETgroup")}
	label := map[string]string{"_id": pseudonym("SECRETid"), "_label": "yes"}
	for _, tt := range []struct {
		name, model, version string
		want                 map[string]string
	}{
		{"registered", "credit", "1", ruled},
		{"known from traffic", "credit", "2", ruled},
		{"allow-list", "closed", "1", closed},
		{"inherited allow-list", "closed", "2", closed},
		{"labels", "credit", "", label},
	} {
		kind, rows, event := modelwatch.KindPrediction, privateTable, fmt.Sprintf(privateEvent, tt.model, tt.version)
		if tt.version == "" {
			kind, rows, event = modelwatch.KindLabel, privateLabelTable, fmt.Sprintf(privateLabelEvent, tt.model)
		}
		for _, file := range []struct{ form, text, format string }{{"table", rows, ""}, {"events", event, "modelwatch"}} {
			have := b.imported(t, ImportOptions{Model: tt.model, Version: tt.version, Kind: kind, Format: file.format}, file.text)
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("%s, %s (-want +have):\n%s", tt.name, file.form, diff)
			}
		}
	}
}

func (b *testBundle) putPrivate(t *testing.T, model, version string, schema api.Schema) {
	t.Helper()
	if _, _, err := b.client.PutVersion(t.Context(), model, version, api.VersionBody{Schema: &schema}); err != nil {
		t.Fatal(err)
	}
}

// imported imports a file of one row and returns the texts of the row in the
// archive by column.
func (b *testBundle) imported(t *testing.T, opts ImportOptions, text string) map[string]string {
	t.Helper()
	files := func() (keys []modelwatch.DataFile) {
		t.Helper()
		keys, err := b.service.catalog.DataFiles(t.Context(), modelwatch.DataFileFilter{Model: opts.Model})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	before := files()
	opts.From = filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(opts.From, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts.Streams = Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}
	if err := Import(t.Context(), b.service.cfg, opts); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, f := range files() {
		if slices.ContainsFunc(before, func(old modelwatch.DataFile) bool { return old.Key == f.Key }) {
			continue
		}
		b.readFirst(t, f, have)
	}
	return have
}

// readFirst adds the texts of a file's first row to have, by column.
func (b *testBundle) readFirst(t *testing.T, f modelwatch.DataFile, have map[string]string) {
	t.Helper()
	reader, closer, err := b.service.archive.OpenDataFile(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	var names []string
	for _, c := range reader.Columns() {
		names = append(names, c.Name)
	}
	err = reader.Scan(t.Context(), names, func(c *table.Chunk) error {
		for _, col := range c.Columns {
			if strings.Contains(strings.Join(col.Dict, " "), "SECRET") {
				t.Errorf("column %s holds what is private: %q", col.Name, col.Dict)
			}
			if text := col.Text(0); text != "" && col.Name != modelwatch.ColumnExtra {
				have[col.Name] = text
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
