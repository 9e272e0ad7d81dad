// Package armfake is a server for tests that speaks as much of Azure Resource Manager, and of Entra's sign-in service,
// as connectors/azure uses. It keeps state, checks each request and each of its own answers with Microsoft's
// specification, holds to PIM's rules, and misbehaves on demand. What it does where the specification says nothing is
// what has been measured or documented; it is not Azure.
package armfake

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The application that signs in here.
const (
	Tenant     = "11111111-aaaa-4bbb-8ccc-000000000001"
	Client     = "22222222-aaaa-4bbb-8ccc-000000000002"
	Object     = "33333333-aaaa-4bbb-8ccc-000000000003" // its service principal
	Secret     = "hunter2-canary-secret"
	Management = "/providers/microsoft.management/managementgroups/corp"
)

// Server is one tenant.
type Server struct {
	*httptest.Server
	t testing.TB

	mu     sync.Mutex
	offset time.Duration
	tokens map[string]string // to the object id
	// applications maps a client id to its secret and its object id.
	applications map[string][2]string
	people       map[string]bool
	groups       map[string][]string // to members
	parents      map[string]string   // of management groups and subscriptions
	scopes       map[string]bool
	settings     map[string]Settings
	rights       map[string][]Right // by object id
	requests     map[string]*request
	assignments  []*Assignment
	eligible     []Assignment
	faults       []*Fault
	delay, lag   time.Duration
	lies         bool
	next         string // where lists say that they go on
	number       int
	sent         []string
}

// New starts a tenant with one management group and, in it, nothing. It is closed when the test ends.
func New(t testing.TB) *Server {
	s := &Server{
		t: t, tokens: map[string]string{}, people: map[string]bool{}, groups: map[string][]string{}, parents: map[string]string{Management: ""},
		scopes: map[string]bool{Management: true, "": true}, settings: map[string]Settings{}, requests: map[string]*request{},
		rights:       map[string][]Right{Object: {{Role: Administrator}}},
		applications: map[string][2]string{Client: {Secret, Object}},
	}
	if unchecked() {
		t.Log("NOT CHECKED: nothing in this test is held against Microsoft's description of Azure Resource Manager, whose file is not in ../shared/testdata")
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.EnableHTTP2 = false
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// CAFile writes the server's certificate to a file.
func (s *Server) CAFile(t testing.TB) string {
	name := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Now is the tenant's time.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return time.Now().Add(s.offset).UTC() }

// Advance moves the tenant's time on.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
}

// Slow lets requests take that long to come true, and lists take that much longer to show it.
func (s *Server) Slow(delay, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.lag = delay, lag
}

// LieAboutRemovals has all removals confirmed from now on, and none done.
func (s *Server) LieAboutRemovals() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies = true
}

// NextPageAt has lists say that they go on somewhere.
func (s *Server) NextPageAt(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = url
}

// Fault is one answer that is not as it should be.
type Fault struct {
	Method, Part string // of the request: its method, and a part of its path
	Status       int    // 0: the connection is cut
	Code         string
	Header       http.Header
	Done         bool // do what was asked first
	Times        int  // 0: once
}

// Misbehave has the next request that fits answered by the fault.
func (s *Server) Misbehave(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, &f)
}

func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times > 0 && (f.Method == "" || f.Method == r.Method) && strings.Contains(r.URL.Path, f.Part) {
			f.Times--
			return f
		}
	}
	return nil
}

// Sent lists what was asked, as METHOD PATH.
func (s *Server) Sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.sent...)
}

// problem is an answer that says no.
type problem struct {
	status        int
	code, message string
}

func no(status int, code, format string, args ...any) *problem {
	return &problem{status, code, fmt.Sprintf(format, args...)}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	s.mu.Lock()
	s.sent = append(s.sent, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if strings.Contains(r.URL.Path, "/oauth2/") || strings.Contains(r.URL.Path, "/.well-known/") {
		s.signIn(w, r, body)
		return
	}
	f := s.fault(r)
	var status int
	var out any
	var bad *problem
	if f == nil || f.Done {
		status, out, bad = s.answer(r, body)
	}
	switch {
	case f != nil && f.Status == 0:
		panic(http.ErrAbortHandler)
	case f != nil:
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		bad = no(f.Status, f.Code, "as the test asked")
	}
	if bad != nil {
		status, out = bad.status, map[string]any{"error": map[string]any{"code": bad.code, "message": bad.message}}
	}
	text, err := json.Marshal(out)
	if err != nil {
		s.t.Error(err)
	}
	if f == nil {
		s.checkAnswer(r, body, status, text)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may be gone
}

// signIn is the part of Entra.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	at := s.URL + "/" + Tenant
	if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
		fmt.Fprintf(w, `{"token_endpoint":%q,"authorization_endpoint":%q,"issuer":%q}`, at+"/oauth2/v2.0/token", at+"/oauth2/v2.0/authorize", at+"/v2.0")
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	_ = r.ParseForm() // what cannot be read has no right secret
	s.mu.Lock()
	defer s.mu.Unlock()
	app, known := s.applications[r.PostForm.Get("client_id")]
	proof := r.PostForm.Get("client_secret") + r.PostForm.Get("client_assertion") // a federated token is trusted as it is
	if !known || proof != app[0] || r.PostForm.Get("scope") == "" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`)
		return
	}
	fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":%q}`, s.issue(app[1]))
}

// issue makes a token for an object id.
func (s *Server) issue(object string) string {
	s.number++
	claims := fmt.Sprintf(`{"oid":%q,"jti":"%d"}`, object, s.number)
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	s.tokens[token] = object
	return token
}

// Machine is what a machine in Azure has beside it: it gives tokens for the machine's own identity, which is our
// application's here. The header is the one that App Service wants.
func (s *Server) Machine(header string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != header || r.URL.Query().Get("resource") == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"expires_on":"%d","resource":%q,"token_type":"Bearer"}`, s.issue(Object), time.Now().Add(time.Hour).Unix(), r.URL.Query().Get("resource"))
	})
}
