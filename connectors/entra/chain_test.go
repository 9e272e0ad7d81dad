package entra_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/authentication"
	khttp "github.com/microsoft/kiota-http-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"

	"elevate/connectors"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
)

// manyClients is how many freshly built clients meet a 429; in the SDK's own chain the order is another in each.
const manyClients = 40

// TestTheStockChainCorruptsWhatItSendsAgain shows why the connector has a chain of its own. Should it fail one day, the
// SDK is mended.
func TestTheStockChainCorruptsWhatItSendsAgain(t *testing.T) {
	t.Parallel()
	var refusals, corrupt atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			_, err = gzip.NewReader(bytes.NewReader(body))
		}
		switch {
		case err != nil:
			corrupt.Add(1)
			w.WriteHeader(http.StatusBadRequest)
		case r.Header.Get("Retry-Attempt") == "":
			refusals.Add(1)
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	for range manyClients {
		client := khttp.GetDefaultClient()
		adapter, err := khttp.NewNetHttpRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
			&authentication.AnonymousAuthenticationProvider{}, kjson.NewJsonParseNodeFactory(), kjson.NewJsonSerializationWriterFactory(), client)
		if err != nil {
			t.Fatal(err)
		}
		request := abs.NewRequestInformation()
		request.Method, request.UrlTemplate = abs.POST, server.URL
		request.SetStreamContentAndContentType([]byte(strings.Repeat(`{"action":"adminAssign"}`, 100)), "application/json")
		_ = adapter.SendNoContent(t.Context(), request, nil) // the server counts
		client.CloseIdleConnections()
	}
	t.Logf("%d of %d clients sent a body that was corrupt after a single 429", corrupt.Load(), manyClients)
	if refusals.Load() != manyClients || corrupt.Load() == 0 {
		t.Errorf("%d clients were refused, and %d corrupted what they sent again; was the SDK mended?", refusals.Load(), corrupt.Load())
	}
}

func TestOurChainSendsTheSameAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(*entra.Config) {})
	for range manyClients {
		c, g := s.connect(t), s.grant()
		s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, graphfake.Says(http.StatusTooManyRequests, "TooManyRequests", "Retry-After: 17")))
		_, err := c.Activate(t.Context(), g)
		wantError(t, err, connectors.Throttled, "429")
		if wait := retryAfter(err); wait.Seconds() != 17 {
			t.Fatalf("it is to be tried again after %v, want 17s", wait)
		}
		if _, err := c.Activate(t.Context(), g); err != nil {
			t.Fatalf("the second try: %v", err)
		}
		s.wantHolds(t, g, true)
	}
}

// TestTheTokenGoesToGraphAlone: a list that names another place to go on at is not followed.
func TestTheTokenGoesToGraphAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(*entra.Config) {})
	stranger := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request went to a stranger")
	}))
	t.Cleanup(stranger.Close)
	s.Feel(graphfake.On(http.MethodGet, "Instances", 0, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"value":[],"@odata.nextLink":"`+stranger.URL+`/v1.0/more"}`)
		return true
	}))
	_, err := s.connect(t).Holders(t.Context(), s.role())
	wantError(t, err, connectors.Unavailable, "is not Graph's")
	s.Feel(graphfake.On(http.MethodGet, "Instances", 0, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		return true
	}))
	_, err = s.connect(t).Holders(t.Context(), s.role())
	wantError(t, err, connectors.Unavailable, "307")
}
