package web

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// tokenHeader carries the word that only a page which this server gave out can know. A foreign page cannot read it, nor
// set the header without a preflight, which nothing here answers.
const tokenHeader = "X-Elevate-Token"

// contentPolicy lets a page load its own files and nothing else; with trusted types, no text can become markup.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
	"trusted-types 'none'"

// Listen opens a TCP address of this machine's loopback and refuses every other: the page asks nobody who they are.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w (write it like 127.0.0.1:8080)", address, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("listen address %q: the web chat asks nobody who they are, so it listens on 127.0.0.1, "+
			"[::1] or localhost only", address)
	}
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}

func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// Guard lets through what a browser on this machine asks of its own accord, and sets the headers that keep the page to
// itself. It refuses foreign host names (a name that was made to point at 127.0.0.1), requests that another site's page
// made, and anything that did not come in over loopback.
func Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if why := suspicious(r); why != "" {
			Fail(w, http.StatusForbidden, why)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// suspicious tells why a request is refused, or "".
func suspicious(r *http.Request) string {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if local == nil || !local.IP.IsLoopback() {
		return "This page is for the machine it runs on."
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = r.Host, "80"
	}
	if !loopback(strings.Trim(host, "[]")) || port != fmt.Sprint(local.Port) {
		return "This is not the name this page was opened under. Open the address that was printed at start."
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return "Another site's page asked for this. Open the page itself."
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return ""
	}
	// A link to the page, followed on another site, is welcome; all else that other sites ask for is not.
	if r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document" {
		return ""
	}
	return "Another site's page asked for this. Open the page itself."
}

// withToken lets through requests that carry the token of this start.
func withToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(token)) != 1 {
			Fail(w, http.StatusUnauthorized, "The server was started anew. Reload the page.")
			return
		}
		next.ServeHTTP(w, r)
	})
}
