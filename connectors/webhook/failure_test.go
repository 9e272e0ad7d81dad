package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/webhook"
	"elevate/workflows/access"
)

func TestStatusMeansKind(t *testing.T) {
	t.Parallel()
	f := newTarget(t, httptest.NewServer)
	c := connect(t, f, nil)
	for _, test := range []struct {
		status int
		after  string
		kind   connectors.Kind
		wait   time.Duration
	}{
		{http.StatusBadRequest, "", connectors.Invalid, 0},
		{http.StatusUnauthorized, "", connectors.Denied, 0},
		{http.StatusForbidden, "5", connectors.Denied, 0},
		{http.StatusNotFound, "", connectors.NotFound, 0},
		{http.StatusGone, "", connectors.NotFound, 0},
		{http.StatusMethodNotAllowed, "", connectors.Invalid, 0},
		{http.StatusRequestTimeout, "", connectors.Unavailable, 0},
		{http.StatusConflict, "", connectors.TooEarly, 0},
		{http.StatusConflict, "300", connectors.TooEarly, 5 * time.Minute},
		{http.StatusConflict, "{in 5m}", connectors.TooEarly, 5 * time.Minute},
		{http.StatusConflict, "{ago 5m}", connectors.TooEarly, 0},
		{http.StatusConflict, "soon", connectors.TooEarly, 0},
		{http.StatusConflict, "-7", connectors.TooEarly, 0},
		{http.StatusTooEarly, "1", connectors.TooEarly, time.Second},
		{http.StatusUnprocessableEntity, "", connectors.Invalid, 0},
		{http.StatusTooManyRequests, "9", connectors.Throttled, 9 * time.Second},
		{http.StatusTooManyRequests, "99999999999999", connectors.Throttled, time.Hour},
		{http.StatusTooManyRequests, "{in 20h}", connectors.Throttled, time.Hour},
		{http.StatusInternalServerError, "", connectors.Unavailable, 0},
		{http.StatusBadGateway, "", connectors.Unavailable, 0},
		{http.StatusServiceUnavailable, "2", connectors.Unavailable, 2 * time.Second},
		{http.StatusTemporaryRedirect, "", connectors.Unavailable, 0},
	} {
		now := time.Now()
		after := strings.NewReplacer("{in 5m}", now.Add(5*time.Minute).UTC().Format(http.TimeFormat),
			"{ago 5m}", now.Add(-5*time.Minute).UTC().Format(http.TimeFormat),
			"{in 20h}", now.Add(20*time.Hour).UTC().Format(http.TimeFormat)).Replace(test.after)
		f.feel(on("activate", says(test.status, `{"detail":"no \u001b[31mluck"}`, "Retry-After: "+after)))
		_, err := c.Activate(t.Context(), anasGrant)
		e := asError(t, err)
		if e.Kind != test.kind {
			t.Errorf("%d: kind %q, want %q", test.status, e.Kind, test.kind)
		}
		if diff := test.wait - e.RetryAfter; diff < 0 || diff > 30*time.Second || test.wait == 0 && e.RetryAfter != 0 {
			t.Errorf("%d with Retry-After %q: wait %v, want %v", test.status, after, e.RetryAfter, test.wait)
		}
		if !strings.Contains(err.Error(), fmt.Sprint(test.status)) || !strings.Contains(err.Error(), "luck") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%d: the error does not say what the target said, safely: %q", test.status, err)
		}
	}
}

func asError(t *testing.T, err error) *connectors.Error {
	t.Helper()
	var e *connectors.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *connectors.Error: %v", err, err)
	}
	return e
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || connectors.KindOf(err) != connectors.Unavailable {
		t.Errorf("%s: %v, want an error of kind %q", what, err, connectors.Unavailable)
	}
}

// TestAnswersThatSayNothingAreNotBelieved: after each of these, the access may have been given or taken.
func TestAnswersThatSayNothingAreNotBelieved(t *testing.T) {
	c, f := setup(t)
	for name, test := range map[string]struct {
		verb string
		mood func(http.ResponseWriter, *http.Request, http.Handler)
	}{
		"a cut connection":           {"activate", resets},
		"nothing":                    {"activate", says(200, "")},
		"no JSON":                    {"activate", says(200, "<html>welcome</html>")},
		"half of it":                 {"activate", says(200, `{"already":false`)},
		"more than one":              {"activate", says(200, `{"already":false}{"already":true}`)},
		"a misspelt key":             {"activate", says(200, `{"alreday":true}`)},
		"an unknown key":             {"activate", says(200, `{"already":false,"x":1}`)},
		"a wrong type":               {"activate", says(200, `{"already":"false"}`)},
		"null":                       {"activate", says(200, `null`)},
		"a list":                     {"activate", says(200, `[]`)},
		"too much":                   {"activate", says(200, `{"already":false,"ref":"`+strings.Repeat("x", 64<<10)+`"}`)},
		"too many headers":           {"activate", says(200, `{"already":false}`, "X-Long: "+strings.Repeat("x", 128<<10))},
		"202 without Location":       {"activate", says(202, "")},
		"no word on what was":        {"deactivate", says(200, `{}`)},
		"an unknown word":            {"deactivate", says(200, `{"was":"shared"}`)},
		"fewer than no sessions":     {"deactivate", says(200, `{"was":"removed","sessions_ended":-1}`)},
		"no list":                    {"holders", says(200, `{}`)},
		"a holder that is nobody":    {"holders", says(200, `{"holders":[{"grant":"07kq4-m2xp9"}]}`)},
		"a list that fails half way": {"holders", resets},
		"a list of 9 MiB":            {"holders", says(200, `{"holders":[{"account":"`+strings.Repeat("x", 9<<20)+`"}]}`)},
	} {
		f.feel(on(test.verb, test.mood))
		var err error
		switch test.verb {
		case "activate":
			_, err = c.Activate(t.Context(), anasGrant)
		case "deactivate":
			_, err = c.Deactivate(t.Context(), anasGrant, access.Receipt{})
		case "holders":
			_, err = c.Holders(t.Context(), anasGrant.Role)
			_, deactivateErr := c.Deactivate(t.Context(), anasGrant, access.Receipt{})
			wantUnavailable(t, "Deactivate that is read back as "+name, deactivateErr)
		}
		wantUnavailable(t, test.verb+" answered with "+name, err)
	}
}

func TestLongListsAreRead(t *testing.T) {
	c, f := setup(t)
	for i := range 20_000 {
		f.plant(fmt.Sprintf("somebody-with-a-name-of-some-length-%d", i), "admin")
	}
	holders, err := c.Holders(t.Context(), anasGrant.Role)
	if err != nil || len(holders) != 20_000 {
		t.Errorf("Holders: %d, %v", len(holders), err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	c, f := setup(t)
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		f.feel(on("activate", says(status, "", "Location: "+elsewhere.URL+"/activate")))
		_, err := c.Activate(t.Context(), anasGrant)
		wantUnavailable(t, fmt.Sprint(status), err)
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("%d requests went where the target pointed", n)
	}
}

func TestTimeoutBoundsTheWholeCall(t *testing.T) {
	t.Parallel()
	f := newTarget(t, httptest.NewServer)
	f.feel(on("holders", hangs))
	c := connect(t, f, func(cfg *webhook.Config) { cfg.Timeout = 200 * time.Millisecond })
	if _, err := c.Activate(t.Context(), anasGrant); err != nil {
		t.Fatal(err)
	}
	_, err := c.Deactivate(t.Context(), anasGrant, access.Receipt{})
	wantUnavailable(t, "Deactivate that cannot be read back in time", err)
}

// work is a target that takes its time: it accepts a request and says later how it went.
type work struct {
	status  []int // of one poll after the other
	headers []string
	polls   atomic.Int32
}

func (k *work) mood(location string) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if r.Method == http.MethodPost {
			says(http.StatusAccepted, "", append(k.headers, "Location: "+location)...)(w, r, next)
			return true
		}
		status := k.status[min(int(k.polls.Add(1)), len(k.status))-1]
		says(status, `{"already":false,"ref":"job 7"}`, k.headers...)(w, r, next)
		return true
	}
}

func TestSlowTargetsArePolledByRetries(t *testing.T) {
	c, f := setup(t)
	for name, location := range map[string]string{
		"relative": "jobs/7", "a path": "/elevate/jobs/7", "absolute": f.server.URL + "/elevate/jobs/7?x=1",
	} {
		k := &work{status: []int{202, 202, 200}, headers: []string{"Retry-After: 4"}}
		f.feel(k.mood(location))
		for range 2 {
			_, err := c.Activate(t.Context(), anasGrant)
			if e := asError(t, err); e.Kind != connectors.TooEarly || e.RetryAfter != 4*time.Second {
				t.Errorf("%s: while the target is at work: %v after %v", name, err, e.RetryAfter)
			}
		}
		receipt, err := c.Activate(t.Context(), anasGrant)
		if err != nil || receipt.Ref != "job 7" {
			t.Errorf("%s: when the target is done: %+v, %v", name, receipt, err)
		}
		for _, r := range f.requests() {
			if r.header.Get("Idempotency-Key") != "07kq4-m2xp9:activate" {
				t.Errorf("%s: %s has the key %q", name, r.method, r.header.Get("Idempotency-Key"))
			}
			if err := f.key.Verify([]byte(r.body), r.header); err != nil || (r.method == http.MethodGet) != (r.body == "") {
				t.Errorf("%s: %s: %q, %v", name, r.method, r.body, err)
			}
		}
	}
}

func TestNoAnswerToAPollIsFinal(t *testing.T) {
	c, f := setup(t)
	for status, kind := range map[int]connectors.Kind{
		400: connectors.Unavailable, 401: connectors.Unavailable, 404: connectors.Unavailable, 500: connectors.Unavailable,
		302: connectors.Unavailable, 429: connectors.Throttled, 409: connectors.TooEarly,
	} {
		f.feel((&work{status: []int{status}}).mood("jobs/7"))
		_, err := c.Activate(t.Context(), anasGrant)
		if connectors.KindOf(err) != kind {
			t.Errorf("%d: %v, want kind %q", status, err, kind)
		}
	}
}

func TestPollsStayAtTheTarget(t *testing.T) {
	c, f := setup(t)
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	userinfo := strings.Replace(f.server.URL, "http://", "http://me@", 1)
	for _, location := range []string{elsewhere.URL + "/jobs/7", strings.TrimPrefix(elsewhere.URL, "http:"), "https" + strings.TrimPrefix(f.server.URL, "http"), userinfo, "file:///etc/passwd", "http://[::1", "\t"} {
		k := &work{status: []int{200}}
		f.feel(k.mood(location))
		_, err := c.Activate(t.Context(), anasGrant)
		wantUnavailable(t, "Location "+location, err)
		if k.polls.Load() != 0 {
			t.Errorf("Location %q was asked", location)
		}
	}
	if asked.Load() != 0 {
		t.Error("a signed request went to another server")
	}
}
