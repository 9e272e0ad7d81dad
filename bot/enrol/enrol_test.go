package enrol

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"go.uber.org/goleak"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type people struct{}

func (people) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	if id != "ana" && id != "root" {
		return access.Person{}, access.ErrNotFound
	}
	return access.Person{ID: id, Name: "Ana <b>Lima</b>"}, nil
}

func (people) People(context.Context) ([]access.Person, error) { return nil, nil }

// site is the page on real factors, and a fresh link to it.
type site struct {
	*testing.T
	*factor.Factors
	link string
}

func open(t *testing.T, signIn func(http.ResponseWriter, *http.Request) (access.PersonID, bool)) site {
	t.Helper()
	return openWith(t, Config{SignIn: signIn})
}

func openWith(t *testing.T, cfg Config) site {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true})
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	store, err := redis.Open(t.Context(), server.Connect(redis.Config{AllowUnsafe: true}))
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	factors, err := factor.New(factor.Config{
		Store: store, Directory: people{}, PageURL: web.URL + Path, Administrator: func(p access.Person) bool { return p.ID == "root" },
		Keys: []seal.Key{{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))}},
	})
	must(t, err)
	cfg.Factors = factors
	page, err := New(cfg)
	must(t, err)
	mux.Handle(Path, page.Handler())
	link, err := factors.Begin(t.Context(), access.Actor{Person: "ana"}, access.Secret{})
	must(t, err)
	return site{t, factors, link.Reveal()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s site) get() (*http.Response, string) {
	s.Helper()
	return s.do(http.MethodGet, nil)
}

func (s site) post(form url.Values, headers ...string) (*http.Response, string) {
	s.Helper()
	return s.do(http.MethodPost, strings.NewReader(form.Encode()), headers...)
}

func (s site) do(method string, body io.Reader, headers ...string) (*http.Response, string) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.link, body)
	must(s.T, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	must(s.T, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	must(s.T, err)
	http.DefaultClient.CloseIdleConnections()
	return answer, string(text)
}

var (
	ticketIn = regexp.MustCompile(`name="ticket" value="([A-Z2-7]+)"`)
	seedIn   = regexp.MustCompile(`class="key">([A-Z2-7 ]+)<`)
	wordIn   = regexp.MustCompile(`/elevate mfa ([0-9A-Z]{3}-[0-9A-Z]{3})`)
)

func TestThePageShowsTheKeyOnceAndTheWordForACode(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for range 3 {
		if answer, text := s.get(); answer.StatusCode != 200 || !strings.Contains(text, "Ana &lt;b&gt;Lima") || seedIn.MatchString(text) {
			t.Fatalf("a look: %d %s", answer.StatusCode, text)
		}
	}
	answer, text := s.post(nil)
	ticket, seed := ticketIn.FindStringSubmatch(text), seedIn.FindStringSubmatch(text)
	if answer.StatusCode != 200 || ticket == nil || seed == nil || !strings.Contains(text, "data:image/png;base64,") {
		t.Fatalf("the key: %d %s", answer.StatusCode, text)
	}
	for header, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if got := answer.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if policy := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy: %s", policy)
	}
	for name, again := range map[string]func() (*http.Response, string){"a look after": s.get, "a second visit": func() (*http.Response, string) { return s.post(nil) }} {
		if answer, text := again(); answer.StatusCode != 404 || strings.Contains(text, seed[1]) || !strings.Contains(text, "leads nowhere") {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
	answer, text = s.post(url.Values{"ticket": {ticket[1]}, "code": {"12345"}})
	if answer.StatusCode != 422 || strings.Contains(text, seed[1]) || strings.Contains(text, "12345") {
		t.Errorf("a wrong code: %d %s", answer.StatusCode, text)
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(seed[1], " ", ""), time.Now())
	must(t, err)
	if answer, _ := s.post(url.Values{"ticket": {"FORGED"}, "code": {code}}); answer.StatusCode != 404 {
		t.Errorf("a forged page: %d", answer.StatusCode)
	}
	answer, text = s.post(url.Values{"ticket": {ticket[1]}, "code": {code}})
	word := wordIn.FindStringSubmatch(text)
	if answer.StatusCode != 200 || word == nil {
		t.Fatalf("the word: %d %s", answer.StatusCode, text)
	}
	if set, err := s.Name(t.Context(), access.Actor{Person: "ana"}, word[1]); err != nil || set {
		t.Errorf("the word: set %t, %v; want an administrator to be waited for", set, err)
	}
}

func TestThePageCallsTheCommandByItsName(t *testing.T) {
	t.Parallel()
	s := openWith(t, Config{Command: "/jit", Teams: "/elevate"})
	_, text := s.post(nil)
	ticket, seed := ticketIn.FindStringSubmatch(text), seedIn.FindStringSubmatch(text)
	if ticket == nil || seed == nil {
		t.Fatalf("the key: %s", text)
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(seed[1], " ", ""), time.Now())
	must(t, err)
	_, text = s.post(url.Values{"ticket": {ticket[1]}, "code": {code}})
	inTeams := wordIn.FindStringSubmatch(text)
	if inTeams == nil || !strings.Contains(text, "<code>/jit mfa "+inTeams[1]) || !strings.Contains(text, "In Microsoft Teams, type “/elevate mfa ") {
		t.Errorf("the word: %s", text)
	}
	if _, text = s.get(); !strings.Contains(text, "Type “/jit mfa” in your chat") {
		t.Errorf("the end of the link: %s", text)
	}
}

func TestAnotherSitesFormPostsNothing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	if answer, _ := s.post(nil, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
		t.Errorf("%d", answer.StatusCode)
	}
	if answer, _ := s.post(url.Values{"code": {strings.Repeat("1", maxBody)}}); answer.StatusCode != 413 {
		t.Errorf("a huge form: %d", answer.StatusCode)
	}
	if answer, _ := s.get(); answer.StatusCode != 200 {
		t.Errorf("the link after it: %d", answer.StatusCode)
	}
}

func TestASignInStandsInFrontOfThePage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		who    access.PersonID
		status int
	}{"nobody": {"", 401}, "somebody else": {"root", 404}, "the person": {"ana", 200}} {
		s := open(t, func(w http.ResponseWriter, _ *http.Request) (access.PersonID, bool) {
			if c.who == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			return c.who, c.who != ""
		})
		if answer, text := s.post(nil); answer.StatusCode != c.status || seedIn.MatchString(text) != (c.status == 200) {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
}

// The page as people see it, in a browser: its own policy lets its style and its picture through, and nothing else.
func TestThePageWorksInABrowser(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	p := e2etest.OpenPage(t, s.link, 480, 900)
	p.See(`document.querySelector("h1").textContent === "Set up your second factor"`, "the first page")
	p.See(`getComputedStyle(document.querySelector("main")).borderTopWidth === "4px"`, "its style")
	p.Shot("enrol-start")
	p.Click(`document.querySelector("button")`, "Use an authenticator app")
	p.See(`document.querySelector("img")?.naturalWidth === 240`, "the picture")
	p.Shot("enrol-key")
	seed := e2etest.Get[string](p, `document.querySelector(".key").textContent`)
	typeCode := func(code string) {
		p.See(`document.activeElement?.name === "code"`, "the input")
		p.Type(code)
		p.Click(`document.querySelector("button")`, "Go on")
	}
	typeCode("000 000")
	p.See(`document.querySelector(".wrong")?.textContent`, "the complaint")
	p.Shot("enrol-wrong")
	code, err := totp.GenerateCode(strings.ReplaceAll(seed, " ", ""), time.Now())
	must(t, err)
	typeCode(code)
	p.See(`document.querySelector(".word") !== null`, "the word")
	p.Shot("enrol-word")
	p.Visit(s.link)
	p.See(`document.body.textContent.includes("leads nowhere")`, "the end of the link")
	p.Shot("enrol-gone")
}
