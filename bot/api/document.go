package api

import (
	_ "embed" // openapi.json
	"net/http"
)

//go:embed openapi.json
var document []byte

// serveDocument serves the OpenAPI document.
func serveDocument(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		problem(http.StatusMethodNotAllowed, "no_such_method", r.Method+" is not possible here; GET is.").
			response().with("Allow", "GET, HEAD").write(w)
		return
	}
	(&response{Status: http.StatusOK, Header: map[string]string{"Content-Type": "application/json"}, Body: document}).write(w)
}
