package e2etest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"elevate/bot/teams/teamsfake"
)

// The paths of a Framework: activities come in by the one, and the connector is below the other.
const (
	messagesPath  = "/api/messages"
	connectorPath = "/_connector"
)

// Framework is the Bot Framework between a Playground and a bot. It signs what goes to the bot, and passes nothing on
// from the bot but with a token that it gave out.
type Framework struct {
	*teamsfake.Identity
	t   testing.TB
	mux *http.ServeMux
	url string

	mu    sync.Mutex
	calls []Call
}

// Call is what the bot had the connector do, and how that was answered.
type Call struct {
	Method, Path, Body string
	Status             int
}

// startFramework stands before a bot that listens, or will listen, at an address (host:port).
func startFramework(t testing.TB, bot string) *Framework {
	f := &Framework{Identity: teamsfake.NewIdentity(t), t: t, mux: http.NewServeMux()}
	f.mux.Handle(messagesPath, f.signing(&url.URL{Scheme: "http", Host: bot}))
	server := httptest.NewServer(f.mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// ServiceURL is where the bot finds the connector.
func (f *Framework) ServiceURL() string { return f.url + connectorPath }

// signing passes activities on as the Bot Framework does.
func (f *Framework) signing(bot *url.URL) http.Handler {
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(bot) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var activity struct{ ServiceURL string }
		if body := f.read(r); json.Unmarshal([]byte(body), &activity) == nil { // the Playground also asks without one
			r.Header.Set("Authorization", "Bearer "+f.Token(activity.ServiceURL))
		}
		pass.ServeHTTP(w, r)
	})
}

// connect puts a connector behind the Framework.
func (f *Framework) connect(connector *url.URL) {
	f.mux.HandleFunc(connectorPath+"/", func(w http.ResponseWriter, r *http.Request) {
		c := Call{Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, connectorPath), Body: f.read(r)}
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer || !f.GoodBearer(token) {
			f.t.Errorf("the bot calls without a good token: %s %s", c.Method, c.Path)
			http.Error(w, "Authorization has been denied for this request.", http.StatusUnauthorized)
			return
		}
		pass := &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(connector) },
			ModifyResponse: func(answer *http.Response) error {
				c.Status = answer.StatusCode
				f.mu.Lock()
				defer f.mu.Unlock()
				f.calls = append(f.calls, c)
				return nil
			},
		}
		pass.ServeHTTP(w, r)
	})
}

// read gives a request's body, which can be read again.
func (f *Framework) read(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("read %s: %v", r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

// Calls are those of a method so far, with paths that begin with /v3.
func (f *Framework) Calls(method string) []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c Call) bool { return c.Method != method })
}
