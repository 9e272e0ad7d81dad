package vouch

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is the page about one act, which an honest answer "signed" does.
type site struct {
	*testing.T
	waiting factor.Waiting
	outcome bot.Outcome
	over    bool
	proofs  []string
}

func newSite(t *testing.T) *site {
	return &site{T: t, outcome: bot.Outcome{Done: true, Title: "Done", Text: "It was done."}, waiting: factor.Waiting{
		Act: access.Act{Verb: "approve", Request: "07kq4-m2xp9"}, By: access.Actor{Person: "lea", Via: "slack"}, Person: access.Person{ID: "lea", Name: "Lea Berg"},
		Options: []byte(`{"challenge":"AAAA","rpId":"\"><script>alert(1)</script>"}`),
		Record: &access.Record{Request: access.Request{ID: "07kq4-m2xp9", Requester: "ana", Person: "ben", Duration: 90 * time.Minute, Policy: "production",
			Justification: "fix <b>it</b>", Ticket: "INC-1", Account: "ben_dba", Role: access.Role{ID: "db-admin", Title: "Database admin", Connector: "pg-prod"}}},
	}}
}

func (s *site) do(method, token string, body url.Values, headers ...string) (*http.Response, string) {
	s.Helper()
	made, err := New(Config{
		Act: func(_ context.Context, token access.Secret) (factor.Waiting, error) {
			if token.Reveal() != "TOKEN" || s.over {
				return factor.Waiting{}, factor.ErrLink
			}
			return s.waiting, nil
		},
		Do: func(_ context.Context, w factor.Waiting, proof access.Secret) bot.Outcome {
			s.proofs = append(s.proofs, string(w.By.Person)+" "+proof.Reveal())
			return s.outcome
		},
		Person: func(_ context.Context, id access.PersonID) (access.Person, error) {
			return access.Person{ID: id, Name: strings.ToUpper(string(id))}, nil
		},
	})
	if err != nil {
		s.Fatal(err)
	}
	r := httptest.NewRequestWithContext(s.Context(), method, "https://elevate.example.com"+Path+token, strings.NewReader(body.Encode()))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	made.Handler().ServeHTTP(w, r)
	answer := w.Result()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer, string(text)
}

func TestThePageShowsExactlyWhatIsConfirmedAndDoesNothingByBeingLookedAt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 3 {
		answer, text := s.do(http.MethodGet, "TOKEN", nil)
		for _, want := range []string{"Approve this request?", "07kq4-m2xp9", "ANA (ana)", "BEN (ben)", "Database admin (db-admin)", "pg-prod, account ben_dba",
			"1 hour 30 minutes", "fix &lt;b&gt;it&lt;/b&gt;", "INC-1", "production", "You began this in Slack"} {
			if answer.StatusCode != 200 || !strings.Contains(text, want) {
				t.Errorf("%d, without %q: %s", answer.StatusCode, want, text)
			}
		}
		if strings.Contains(text, "<script>alert") {
			t.Error("what the options hold gets out of the attribute")
		}
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers: %v", answer.Header)
		}
	}
	if len(s.proofs) > 0 {
		t.Errorf("done by looking: %v", s.proofs)
	}
	if answer, text := s.do(http.MethodGet, "key.js", nil); answer.StatusCode != 200 || !strings.Contains(text, "navigator.credentials") || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("the script: %d %v", answer.StatusCode, answer.Header)
	}
}

func TestThePageShowsWhatABundleGives(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.waiting.Record.Parts = []access.Member{
		{Role: access.Role{ID: "db-admin", Connector: "pg-prod"}, Account: "ben_dba"},
		{Role: access.Role{ID: "host-root", Connector: "ssh-prod"}, Account: "ben"},
	}
	answer, text := s.do(http.MethodGet, "TOKEN", nil)
	for _, want := range []string{"db-admin at pg-prod, account ben_dba", "host-root at ssh-prod, account ben"} {
		if answer.StatusCode != 200 || !strings.Contains(text, want) {
			t.Errorf("%d, without %q: %s", answer.StatusCode, want, text)
		}
	}
}

func TestThePageSaysWhichFactorIsTakenAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.waiting.Act, s.waiting.Record, s.waiting.What = access.Act{Verb: "remove", Subject: "k1"}, nil, "Security key key-2 (Blue <key>)"
	answer, text := s.do(http.MethodGet, "TOKEN", nil)
	for _, want := range []string{"Remove this second factor?", "LEA (lea)", "Which", "Security key key-2 (Blue &lt;key&gt;)"} {
		if answer.StatusCode != 200 || !strings.Contains(text, want) {
			t.Errorf("%d, without %q: %s", answer.StatusCode, want, text)
		}
	}
}

func TestAnAnswerIsPassedOnOnceAndOnlyFromThePageItself(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	signed := url.Values{page.AnswerField: {"signed"}}
	for name, c := range map[string]struct {
		token   string
		body    url.Values
		headers []string
		status  int
	}{
		"another site's form": {"TOKEN", signed, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another link":        {"OTHER", signed, nil, 404},
		"no answer":           {"TOKEN", nil, nil, 400},
		"a huge answer":       {"TOKEN", url.Values{page.AnswerField: {strings.Repeat("A", maxBody)}}, nil, 413},
	} {
		if answer, text := s.do(http.MethodPost, c.token, c.body, c.headers...); answer.StatusCode != c.status || len(s.proofs) > 0 {
			t.Errorf("%s: %d, %v: %s", name, answer.StatusCode, s.proofs, text)
		}
	}
	answer, text := s.do(http.MethodPost, "TOKEN", signed)
	if answer.StatusCode != 200 || !strings.Contains(text, "It was done.") || len(s.proofs) != 1 || s.proofs[0] != "lea TOKEN signed" {
		t.Errorf("%d, %v: %s", answer.StatusCode, s.proofs, text)
	}
	s.over = true
	if answer, text := s.do(http.MethodPost, "TOKEN", signed); answer.StatusCode != 404 || !strings.Contains(text, "This link is over") || len(s.proofs) != 1 {
		t.Errorf("a second time: %d: %s", answer.StatusCode, text)
	}
}

func TestThePageSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome bot.Outcome
		status  int
		says    string
	}{
		"a key that did not count": {bot.Outcome{Again: "That did not count."}, 422, "That did not count."},
		"refused":                  {bot.Outcome{Title: "Not done", Text: "Request 07kq4-m2xp9 was already approved."}, 409, "already approved"},
		"it goes on elsewhere":     {bot.Outcome{Done: true, Link: access.NewSecret("https://elevate.example.com/mfa/X")}, 303, ""},
	} {
		s := newSite(t)
		s.outcome = c.outcome
		answer, text := s.do(http.MethodPost, "TOKEN", url.Values{page.AnswerField: {"signed"}})
		if answer.StatusCode != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
}
