package teamsfake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"elevate/bot/bottest"
)

// Testdata is the path of a file of the shared third-party test data, as bottest finds it.
func Testdata(t testing.TB, parts ...string) string {
	t.Helper()
	return bottest.Testdata(t, "teams", parts...)
}

// connectorAPI reads Microsoft's description of the Bot Connector once.
var connectorAPI = sync.OnceValues(func() (routers.Router, error) {
	root, err := bottest.TestdataRoot("teams")
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(root, "connector", "botframework-channel.json"))
	if err != nil {
		return nil, err
	}
	var old openapi2.T
	if err := json.Unmarshal(raw, &old); err != nil {
		return nil, err
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // service URLs have other hosts, and paths of their own
	return legacy.NewRouter(doc)
})

// CheckRequest tells what the Bot Connector's own description has against a request, whose body has been read. Without
// the third-party test data it has nothing against any, except in CI.
func CheckRequest(r *http.Request, body []byte) error {
	router, err := connectorAPI()
	if os.IsNotExist(err) && os.Getenv("CI") == "" {
		return nil
	}
	if err != nil {
		return err
	}
	// Escaped, the ids are one segment each, whatever is in them.
	_, path, ok := strings.Cut(r.URL.EscapedPath(), "/v3/")
	if !ok {
		return fmt.Errorf("%s is not below v3", r.URL.EscapedPath())
	}
	plain := &http.Request{
		Method: r.Method, URL: &url.URL{Path: "/v3/" + path, RawQuery: r.URL.RawQuery}, Header: r.Header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	route, params, err := router.FindRoute(plain)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, plain.URL.Path, err)
	}
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: plain, PathParams: params, Route: route,
		Options: &openapi3filter.Options{RejectWhenRequestBodyNotSpecified: true},
	})
}
