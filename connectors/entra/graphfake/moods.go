package graphfake

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// On makes a mood that lasts for requests of a method below a path, its first so many; 0: all.
func On(method, path string, times int, m Mood) Mood {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method != method || !strings.Contains(r.URL.Path, path) || times > 0 && n.Add(1) > int64(times) {
			return false
		}
		return m(w, r, next)
	}
}

// Says answers with a status and a code, and headers given as "Name: value".
func Says(status int, code string, headers ...string) Mood {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		if code == "" {
			w.WriteHeader(status)
			return true
		}
		fail(w, status, code, "As the test wants it.")
		return true
	}
}

// After does what it was asked to, and then answers something else.
func After(m Mood) Mood {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		next.ServeHTTP(httptest.NewRecorder(), r)
		return m(w, r, next)
	}
}

// Hangs says nothing until the caller gives up.
func Hangs(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	<-r.Context().Done()
	return true
}
