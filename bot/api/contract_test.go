package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"go.uber.org/goleak"

	"elevate/bot/api/apitest"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("application/jsonl", openapi3filter.FileBodyDecoder)
	goleak.VerifyTestMain(m)
}

// contract is the OpenAPI document as the server serves it.
type contract struct {
	router routers.Router
	doc    *openapi3.T
}

var readContract = sync.OnceValues(func() (*contract, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile("openapi.json")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, err
	}
	router, err := legacy.NewRouter(doc)
	return &contract{router, doc}, err
})

// answer is an answer that has been read.
type answer struct {
	*http.Response
	body string
}

// caller makes calls to a World and holds every answer against the contract.
type caller struct {
	*testing.T
	world *apitest.World
}

// request is a call to make. Token is sent as it is; headers are pairs.
type request struct {
	method, path, body string
	token              string
	headers            []string
}

func (c caller) send(r request) answer {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), r.method, c.world.URL+"/api/v1"+r.path, strings.NewReader(r.body))
	if err != nil {
		c.Fatal(err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(r.headers); i += 2 {
		req.Header.Set(r.headers[i], r.headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		c.Fatal(err)
	}
	a := answer{res, string(body)}
	c.holds(r, req, a)
	return a
}

// as makes a call with a person's token.
func (c caller) as(p access.PersonID, method, path, body string, headers ...string) answer {
	c.Helper()
	return c.send(request{method: method, path: path, body: body, token: apitest.Token(p), headers: headers})
}

// holds checks an answer against the contract, and the headers that every answer has. A call that was carried out must
// be one that the contract knows.
func (c caller) holds(r request, req *http.Request, a answer) {
	c.Helper()
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer", "Access-Control-Allow-Origin": ""} {
		if got := a.Header.Get(name); got != want {
			c.Errorf("%s %s: %s is %q, want %q", req.Method, req.URL, name, got, want)
		}
	}
	book, err := readContract()
	if err != nil {
		c.Fatal(err)
	}
	req = req.Clone(c.Context())
	req.URL = &url.URL{Path: req.URL.Path, RawQuery: req.URL.RawQuery} // the contract's server is relative
	req.Body = io.NopCloser(strings.NewReader(r.body))
	route, params, err := book.router.FindRoute(req)
	if err != nil {
		if a.StatusCode < 400 && req.Method != http.MethodHead && req.Method != http.MethodOptions {
			c.Errorf("%s %s: %d, and the contract does not have it: %v", req.Method, req.URL, a.StatusCode, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if a.StatusCode < 300 {
		if err := openapi3filter.ValidateRequest(c.Context(), in); err != nil {
			c.Errorf("%s %s %s: carried out against the contract: %v", req.Method, req.URL, r.body, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.StatusCode, Header: a.Header,
		Body: io.NopCloser(strings.NewReader(a.body)), Options: in.Options}
	if err := openapi3filter.ValidateResponse(c.Context(), out); err != nil {
		c.Errorf("%s %s: the answer breaks the contract: %v\n%d %s", req.Method, req.URL, err, a.StatusCode, a.body)
	}
}

func TestContractIsServedToAnybody(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	a := c.send(request{method: http.MethodGet, path: "/openapi.json"})
	doc, err := openapi3.NewLoader().LoadFromData([]byte(a.body))
	if a.StatusCode != 200 || err != nil {
		t.Fatalf("got %d, %v", a.StatusCode, err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s %s has no id or summary", method, path)
			}
		}
	}
	if a := c.send(request{method: http.MethodPost, path: "/openapi.json"}); a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
}

func TestEveryRouteOfTheContractIsServed(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	book, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range book.doc.Paths.Map() {
		path = strings.ReplaceAll(path, "{id}", "07kq4-m2xp9")
		for method := range item.Operations() {
			a := c.as("adam", method, path, "")
			if strings.Contains(a.body, "no_such_path") || strings.Contains(a.body, "no_such_method") {
				t.Errorf("%s %s: %d %s", method, path, a.StatusCode, a.body)
			}
		}
		if a := c.as("adam", http.MethodDelete, path, ""); path != "/openapi.json" && (a.StatusCode != 405 || a.Header.Get("Allow") == "") {
			t.Errorf("DELETE %s: %d, Allow %q", path, a.StatusCode, a.Header.Get("Allow"))
		}
	}
}
