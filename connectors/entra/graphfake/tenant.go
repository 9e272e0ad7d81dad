// Package graphfake is a tenant of Microsoft Entra ID for tests: the sign-in server and the part of Graph that Elevate
// uses. It keeps state and behaves as Entra was seen and is documented to behave: nothing ends in its first five minutes,
// "created" is not yet done, lists lag behind, the last Global Administrator stays. Every request is held to Microsoft's
// own description of Graph, where that covers it, and to the permissions that the application has. It misbehaves on demand.
package graphfake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// The tenant's and the application's ids, and the application's secret.
const (
	TenantID = "aaaaaaaa-0000-4000-8000-000000000001"
	ClientID = "bbbbbbbb-0000-4000-8000-000000000002"
	Secret   = "canary-client-secret-8Q~"
)

// GlobalAdministrator is the role whose last active assignment stays.
const GlobalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// Right is a directory role at a scope, or a relationship to a group.
type Right struct{ Role, Scope, Group, As string }

// Rules are the settings of a right in PIM, for active assignments.
type Rules struct {
	Enabled []string // MultiFactorAuthentication, Justification, Ticketing
	Longest string   // as "P15D"; empty: no expiration is required
}

// T is what the fake needs of a test.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
}

// Mood answers in the tenant's place where it returns true; next is what would answer.
type Mood func(w http.ResponseWriter, r *http.Request, next http.Handler) bool

// Tenant is a tenant.
type Tenant struct {
	ID  string // may be changed before it is used
	URL string
	CA  []byte // PEM, of the server's certificate

	mu       sync.Mutex
	offset   time.Duration // of the tenant's clock
	mood     Mood
	problems []string
	seen     []string // method, path and body of what came in

	permissions []string
	issued      int
	people      map[string]*person
	groups      map[string]map[string]bool // members that are people
	inside      map[string][]string        // groups that are members, by the group
	rules       map[Right]Rules            // scope empty: a role's settings are for all scopes
	assigned    []*assignment
	requests    []*request
	eligible    map[Right][]string
	past        map[Right][]string // holders past PIM
	late        map[[2]string]int  // lists of a group that show of somebody what was before

	// How the tenant is slow and false. Numbers count lists.
	Lag     int  // lists of assignments until what was done shows
	Late    int  // lists of requests, and of a group's members, until what was done shows
	Slow    int  // lists until a request is done that was accepted as pending
	Vague   bool // goes on to say Granted of requests that are done
	Firm    bool // cancels nothing but what is Granted, as Microsoft documents
	Lies    bool // confirms removals and does not carry them out
	Denies  string
	numbers int
}

type person struct {
	name, mail string
	guest      bool
	manager    string
	disabled   bool
	generation int // of sign-ins; those of an earlier one have ended
}

// New starts a tenant. Whatever broke Microsoft's description fails the test at its end.
func New(t T) *Tenant {
	t.Helper()
	f := &Tenant{
		ID:     TenantID,
		people: map[string]*person{}, groups: map[string]map[string]bool{}, inside: map[string][]string{}, rules: map[Right]Rules{},
		eligible: map[Right][]string{}, past: map[Right][]string{}, late: map[[2]string]int{},
		permissions: []string{"User.Read.All", "RoleAssignmentSchedule.ReadWrite.Directory", "RoleManagementPolicy.Read.Directory",
			"PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup", "RoleManagementPolicy.Read.AzureADGroup", "GroupMember.ReadWrite.All",
			"User.RevokeSessions.All", "RoleEligibilitySchedule.Read.Directory", "PrivilegedEligibilitySchedule.Read.AzureADGroup", "RoleManagement.Read.Directory"},
	}
	if unchecked() {
		t.Logf("NOT CHECKED: no request of this test is held against Microsoft's description of Graph, whose file is not in ../shared/testdata")
	}
	server := httptest.NewTLSServer(http.HandlerFunc(f.open))
	f.URL = server.URL
	f.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	t.Cleanup(func() {
		server.Close()
		for _, p := range f.Problems() {
			t.Errorf("a request was none of Graph's: %s", p)
		}
	})
	return f
}

// Problems are the requests that broke Microsoft's description.
func (f *Tenant) Problems() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.problems)
}

// Seen gives what came in since the last call: "METHOD /path BODY".
func (f *Tenant) Seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.seen
	f.seen = nil
	return out
}

// Feel changes the mood.
func (f *Tenant) Feel(m Mood) { f.Do(func() { f.mood = m }) }

// Do changes the tenant's fields safely.
func (f *Tenant) Do(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// Permit gives the application these permissions and no others.
func (f *Tenant) Permit(names ...string) { f.Do(func() { f.permissions = names }) }

// Now is the tenant's time.
func (f *Tenant) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now()
}

func (f *Tenant) now() time.Time { return time.Now().Add(f.offset).UTC() }

// Advance moves the tenant's clock.
func (f *Tenant) Advance(d time.Duration) { f.Do(func() { f.offset += d }) }

// open takes a request in.
func (f *Tenant) open(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	mood := f.mood
	if !strings.HasPrefix(r.URL.Path, "/"+f.ID) {
		f.seen = append(f.seen, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body)))
	}
	f.mu.Unlock()
	if mood != nil && mood(w, r, http.HandlerFunc(f.serve)) {
		return
	}
	f.serve(w, r)
}

func (f *Tenant) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if below, ok := strings.CutPrefix(r.URL.Path, "/"+f.ID+"/"); ok {
		f.signIn(w, r, below, string(body))
		return
	}
	if want := "Bearer " + f.token(); r.Header.Get("Authorization") != want {
		fail(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty or wrong.")
		return
	}
	if r.Method == http.MethodPost && r.ContentLength < 0 {
		f.problems = append(f.problems, r.URL.Path+": the body came in chunks")
	}
	if err := CheckRequest(r, body); err != nil {
		f.problems = append(f.problems, err.Error())
		fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	f.route(w, r, strings.TrimPrefix(r.URL.Path, "/v1.0"), body)
}

// signIn is the sign-in server.
func (f *Tenant) signIn(w http.ResponseWriter, r *http.Request, path, body string) {
	base := f.URL + "/" + f.ID
	switch path {
	case "v2.0/.well-known/openid-configuration":
		say(w, http.StatusOK, map[string]any{"issuer": base + "/v2.0", "token_endpoint": base + "/oauth2/v2.0/token",
			"authorization_endpoint": base + "/oauth2/v2.0/authorize", "jwks_uri": base + "/keys"})
	case "oauth2/v2.0/token":
		r.Body = io.NopCloser(strings.NewReader(body))
		good := r.PostFormValue("client_id") == ClientID && r.PostFormValue("grant_type") == "client_credentials" &&
			r.PostFormValue("scope") != "" && (r.PostFormValue("client_secret") == Secret || r.PostFormValue("client_assertion") != "")
		if !good {
			say(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client",
				"error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": []int{7000215}})
			return
		}
		f.issued++
		say(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": f.token()})
	default:
		http.NotFound(w, r)
	}
}

// token is the access token. It changes with what the application may do.
func (f *Tenant) token() string {
	claims, _ := json.Marshal(map[string]any{"appid": ClientID, "roles": f.permissions})
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(claims) + "." + part([]byte("signature"))
}

func say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// fail answers as Graph does.
func fail(w http.ResponseWriter, status int, code, message string) {
	say(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

// id makes an id that nobody has.
func (f *Tenant) id() string {
	f.numbers++
	return fmt.Sprintf("cccccccc-0000-4000-8000-%012d", f.numbers)
}
