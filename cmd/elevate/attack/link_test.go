package attack_test

import (
	"crypto/sha256"
	"fmt"
	"html"
	"regexp"
	"strings"
	"time"

	"elevate/bot/signin/oidcfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

func usedLinks(s *assault) {
	r := s.open()
	for range s.many(10, 2) {
		link := r.invited("ben")
		for range 3 { // programs look at links
			seen := oidcfake.NewBrowser(r).Get(link)
			s.triedAs("looked at", seedIn.MatchString(seen.Body), "%d", seen.Status)
		}
		if seen := oidcfake.NewBrowser(r).Post(link, nil); !seedIn.MatchString(seen.Body) {
			s.Fatalf("after the looks, the link is worth nothing: %d", seen.Status)
		}
		for range 3 {
			seen := oidcfake.NewBrowser(r).Post(link, nil)
			s.triedAs("used again", seedIn.MatchString(seen.Body), "%d", seen.Status)
		}
	}
}

// provided is a rig before an identity provider.
func (s *assault) provided(edits ...func(*setting)) (*rig, *oidcfake.Server) {
	s.Helper()
	r := s.prepare(edits...)
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(r))
	provider := oidcfake.Start(s, "http://"+listen+"/signin/callback", oidcfake.User{Subject: "00u-ana", Name: "ana"}, oidcfake.User{Subject: "00u-ben", Name: "ben"}, oidcfake.User{Subject: "00u-mal", Name: "mal"})
	r.at = listen
	r.set.more += fmt.Sprintf("oidc: {issuer: %q, client_id: %s, client_secret: %s}\n", provider.URL, oidcfake.ClientID, oidcfake.ClientSecret)
	r.set.oidc = true
	r.begin()
	return r, provider
}

var lead = regexp.MustCompile(`action="([^"]+)"`)

// signsIn goes from a page that asks for it to the provider, and back as somebody.
func (r *rig) signsIn(b *oidcfake.Browser, p *oidcfake.Server, page, subject string) oidcfake.Seen {
	r.Helper()
	seen := b.Get(page)
	form := lead.FindStringSubmatch(seen.Body)
	if form == nil {
		return seen
	}
	seen = b.Post(r.url()+html.UnescapeString(form[1]), nil)
	back, err := b.SignIn(p, seen.Location, subject)
	if err != nil {
		r.Fatalf("sign in as %s: %v", subject, err)
	}
	seen = b.Get(back)
	if strings.HasPrefix(seen.Location, "/") {
		seen = b.Get(r.url() + seen.Location)
	}
	return seen
}

func othersLinks(s *assault) {
	r, p := s.provided()
	for range s.many(10, 2) {
		link := r.invited("ben")
		b := oidcfake.NewBrowser(r)
		r.signsIn(b, p, link, "00u-ana")
		seen := b.Post(link, nil)
		s.tried(seedIn.MatchString(seen.Body), "ana is shown ben's key: %d", seen.Status)
	}
}

func unvouched(s *assault) {
	r := s.open()
	for i := range s.many(6, 2) {
		a, word := r.shows(oidcfake.NewBrowser(r), r.invited("ben"))
		r.types("U0BEN", "mfa "+word)
		id := r.ask("ana", "vault", "1h")
		got := r.withCode(0, i, id, a.next(r))
		s.tried(got.status == 200, "a factor that nobody vouched for approves: %d", got.status)
		if got.status == 200 {
			return
		}
		r.does("ana", "/requests/"+id+"/cancel", nil)
	}
}

// sentLinks has mal's account count as ben's: ben follows mal's link, signs in, and does not tell the word.
func sentLinks(s *assault) {
	r, p := s.provided(func(c *setting) { c.unlinked = true })
	for i := range s.many(20, 3) {
		link := accountURL.FindString(r.types("U0DAN", "link"))
		if link == "" {
			s.Fatal("there is no link")
		}
		seen := r.signsIn(oidcfake.NewBrowser(r), p, link, "00u-ben")
		if wordIn.FindString(seen.Body) == "" {
			s.Fatalf("ben is shown no word: %d %s", seen.Status, seen.Body)
		}
		sum := sha256.Sum256([]byte{byte(i)})
		guess := fmt.Sprintf("%x-%x", sum[:2], sum[2:4])
		got := r.types("U0DAN", "link "+guess)
		s.tried(strings.Contains(got, "s now"), "%s", got)
	}
}

func emptySeed(s *assault) {
	r := s.open()
	for i := range s.many(30, 3) {
		id := r.ask("ana", "vault", "1h")
		got := r.withCode(0, i, id, (&app{}).at(time.Now()))
		s.tried(got.status == 200, "the code of the empty seed: %d", got.status)
		r.does("ana", "/requests/"+id+"/"+map[bool]string{true: "end", false: "cancel"}[got.state != access.Pending], nil)
		r.does("ana", "/requests/"+id+"/cancel", nil)
	}
}
