package oidcfake

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Browser is somebody's browser without a screen: it keeps cookies, and follows nothing by itself.
type Browser struct {
	t      testing.TB
	client *http.Client
}

// Seen is a page, and where it sends the browser by itself.
type Seen struct {
	Status   int
	Location string
	Body     string
	Header   http.Header
}

// NewBrowser opens a browser without cookies.
func NewBrowser(t testing.TB) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, client: &http.Client{
		Jar: jar, Timeout: 20 * time.Second, Transport: http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// Get opens an address.
func (b *Browser) Get(address string) Seen { return b.do(http.MethodGet, address, nil, nil) }

// Post sends a form off, from a page of the same site.
func (b *Browser) Post(address string, form url.Values) Seen {
	return b.do(http.MethodPost, address, form, http.Header{"Sec-Fetch-Site": {"same-origin"}})
}

// PostAcross sends a form off that stands on another site.
func (b *Browser) PostAcross(address string, form url.Values) Seen {
	return b.do(http.MethodPost, address, form, http.Header{"Sec-Fetch-Site": {"cross-site"}})
}

// Do sends a request with headers of its own.
func (b *Browser) Do(method, address string, header http.Header) Seen {
	return b.do(method, address, nil, header)
}

func (b *Browser) do(method, address string, form url.Values, header http.Header) Seen {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	to := resp.Header.Get("Location")
	if _, onward, ok := strings.Cut(resp.Header.Get("Refresh"), "url="); ok {
		to = onward
	}
	return Seen{Status: resp.StatusCode, Location: to, Body: string(body), Header: resp.Header}
}

var askField = regexp.MustCompile(`name="ask" value="([^"]+)"`)

// SignIn chooses a user on the provider's page, and gives the address that the browser is sent back to. No user is Cancel.
func (b *Browser) SignIn(s *Server, page, user string) (callback string, err error) {
	seen := b.Get(page)
	ask := askField.FindStringSubmatch(seen.Body)
	if seen.Status != http.StatusOK || ask == nil {
		return "", fmt.Errorf("the provider answered %d: %s", seen.Status, seen.Body)
	}
	back := b.Post(s.URL+"/login", url.Values{"ask": {ask[1]}, "user": {user}})
	if back.Status != http.StatusSeeOther {
		return "", fmt.Errorf("the provider answered %d: %s", back.Status, back.Body)
	}
	return back.Location, nil
}
