package armfake

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"elevate/bot/bottest"
)

// specification reads Microsoft's description of PIM in Azure Resource Manager once.
var specification = sync.OnceValues(func() (routers.Router, error) {
	root, err := bottest.TestdataRoot("microsoft")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(root, "arm-pim-2020-10-01.openapi.json"))
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// belowGroup is the part of a path that names a resource: the description stops at resource groups.
var belowGroup = regexp.MustCompile(`^(/subscriptions/[^/]+/resourceGroups/[^/]+)(/providers/.+)(/providers/Microsoft\.Authorization/.+)$`)

// unchecked tells whether requests are held against nothing, because the third-party test data is not there.
func unchecked() bool {
	_, err := specification()
	return os.IsNotExist(err) && os.Getenv("CI") == ""
}

// input is a request as the description has it. False: it has nothing to say about it, or it is not there, which New says
// in the test's log, and which is an error in CI.
func (s *Server) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, bool) {
	if !strings.Contains(r.URL.Path, "/providers/Microsoft.Authorization/role") || strings.Contains(r.URL.Path, "/roleDefinitions/") ||
		strings.HasSuffix(r.URL.Path, "/roleAssignments") || strings.HasPrefix(r.URL.Path, "/providers/Microsoft.Authorization/") {
		return nil, false
	}
	if unchecked() {
		return nil, false
	}
	router, err := specification()
	if err != nil {
		s.t.Error(err)
		return nil, false
	}
	path := r.URL.Path
	if parts := belowGroup.FindStringSubmatch(path); parts != nil {
		path = parts[1] + parts[3]
	}
	plain := (&http.Request{
		Method: r.Method, URL: &url.URL{Path: path, RawQuery: r.URL.RawQuery}, Header: r.Header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: r.ContentLength,
	}).WithContext(context.Background())
	route, params, err := router.FindRoute(plain)
	if err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return nil, false
	}
	return &openapi3filter.RequestValidationInput{Request: plain, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, RejectWhenRequestBodyNotSpecified: true,
	}}, true
}

// checkRequest fails the test for a request that Microsoft's description does not have.
func (s *Server) checkRequest(r *http.Request, body []byte) *problem {
	if r.Header.Get("Content-Encoding") != "" || r.ContentLength != int64(len(body)) {
		s.t.Errorf("%s %s came with encoding %q and length %d of %d", r.Method, r.URL.Path, r.Header.Get("Content-Encoding"), r.ContentLength, len(body))
	}
	input, ok := s.input(r, body)
	if !ok {
		return nil
	}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		s.t.Errorf("%s %s is not as Microsoft describes it: %v", r.Method, r.URL.Path, err)
		return no(http.StatusBadRequest, "BadRequestFormat", "%v", err)
	}
	return nil
}

// checkAnswer fails the test for an answer of our own that Microsoft's description does not have.
func (s *Server) checkAnswer(r *http.Request, body []byte, status int, answer []byte) {
	input, ok := s.input(r, body)
	if !ok || status == http.StatusOK && r.Method == http.MethodPost || strings.HasSuffix(r.URL.Path, "/roleManagementPolicyAssignments") {
		return // cancel has no body, and the description of settings leaves out what the rules hold
	}
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer)),
	})
	if err != nil {
		s.t.Errorf("the fake's answer to %s %s is not as Microsoft describes it: %v", r.Method, r.URL.Path, err)
	}
}
