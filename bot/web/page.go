package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

// embedded holds the scripts, styles and pictures of the page.
//
//go:embed page
var embedded embed.FS

//go:embed index.html
var document string

// page renders the one document, which carries the token of this start.
func (s *Server) page(title string) (http.Handler, error) {
	t, err := template.New("page").Parse(document)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	var out bytes.Buffer
	data := struct {
		Title, Token string
		Aside        bool
	}{title, s.token, s.aside != nil}
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(out.Bytes())
	}), nil
}
