package api

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsFiles embed.FS

// docsPolicy lets the page do nothing but show itself.
const docsPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func writePage(w http.ResponseWriter, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	// A failed write means that the client has gone: there is nobody left to tell.
	_, _ = w.Write(body)
}

// ready says of each dependency, on a line of its own, whether it answers.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	var lines bytes.Buffer
	status := http.StatusOK
	for _, c := range s.opts.Ready(r.Context()) {
		if c.Err != nil {
			status = http.StatusServiceUnavailable
			fmt.Fprintf(&lines, "not ready  %s: %v\n", c.Name, c.Err)
			continue
		}
		fmt.Fprintf(&lines, "ok         %s\n", c.Name)
	}
	if lines.Len() == 0 {
		lines.WriteString("ok\n")
	}
	w.Header().Set("Cache-Control", "no-store")
	writePage(w, status, textMediaType, lines.Bytes())
}

func (s *Server) showDocs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", docsPolicy)
	writePage(w, http.StatusOK, "text/html; charset=utf-8", s.docs)
}

// docsSection is the operations under one tag.
type docsSection struct {
	Tag        *huma.Tag
	Operations []*huma.Operation
}

// renderDocs draws the page of operations. It loads nothing from elsewhere, so
// that it works where the server does.
func renderDocs(spec *huma.OpenAPI) ([]byte, error) {
	page, err := template.ParseFS(docsFiles, "docs.html")
	if err != nil {
		return nil, fmt.Errorf("parse docs.html: %w", err)
	}
	var all []*huma.Operation
	for _, item := range spec.Paths {
		for _, op := range []*huma.Operation{item.Put, item.Get, item.Post, item.Delete} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	slices.SortFunc(all, func(a, b *huma.Operation) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	var sections []docsSection
	for _, tag := range spec.Tags {
		section := docsSection{Tag: tag}
		for _, op := range all {
			if slices.Contains(op.Tags, tag.Name) {
				section.Operations = append(section.Operations, op)
			}
		}
		sections = append(sections, section)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, map[string]any{"Info": spec.Info, "Sections": sections, "Spec": openAPIPath}); err != nil {
		return nil, fmt.Errorf("draw docs.html: %w", err)
	}
	return out.Bytes(), nil
}
