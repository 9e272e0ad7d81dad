package graphfake

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"elevate/bot/bottest"
)

// graphAPI reads Microsoft's description of PIM in Graph once.
var graphAPI = sync.OnceValues(func() (routers.Router, error) {
	root, err := bottest.TestdataRoot("microsoft")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(root, "graph-pim.openapi.json"))
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

// described are the paths that Microsoft's description, as it was trimmed to PIM, covers. Users, groups and applications are
// not among them: what is asked there is held against the rules that the fake's own handlers enforce, and against no document.
func described(path string) bool {
	for _, p := range []string{"/v1.0/roleManagement/", "/v1.0/identityGovernance/", "/v1.0/policies/"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// unchecked tells whether requests are held against nothing, because the third-party test data is not there.
func unchecked() bool {
	_, err := graphAPI()
	return os.IsNotExist(err) && os.Getenv("CI") == ""
}

// CheckRequest tells what Microsoft's description has against a request, whose body has been read. Without the
// third-party test data it has nothing against any, which New says in the test's log; in CI it is an error.
func CheckRequest(r *http.Request, body []byte) error {
	if !described(r.URL.Path) {
		return nil
	}
	if unchecked() {
		return nil
	}
	router, err := graphAPI()
	if err != nil {
		return err
	}
	plain := &http.Request{
		Method: r.Method, URL: &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}, Header: r.Header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	route, params, err := router.FindRoute(plain)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: plain, PathParams: params, Route: route,
		Options: &openapi3filter.Options{RejectWhenRequestBodyNotSpecified: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
}
