package main

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"

	"elevate/bot/signin/oidcfake"
	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
)

// login is the whole product at work for people whom the configuration does not link: a bot with its Slack, its Redis and an
// identity provider.
type login struct {
	*testing.T
	slack    *slackfake.Server
	provider *oidcfake.Server
	redis    *e2etest.Redis
	bot      *e2etest.Bot
}

func openLogin(t *testing.T) *login {
	t.Helper()
	l := &login{T: t, slack: slackfake.New(t), redis: e2etest.StartRedis(t)}
	l.slack.Scopes = append(l.slack.Scopes, "users:read.email", "usergroups:read")
	for _, u := range []slackfake.User{
		{ID: "U0ANA", Name: "ana", RealName: "Ana Lima", Email: "ana.lima@acme.example", Unconfirmed: true},
		{ID: "U0BEN", Name: "ben", RealName: "Ben Stone", Email: "ben@example.com"},
		{ID: "U0CAT", Name: "cat", RealName: "Cat Berg"},
		{ID: "U0DAN", Name: "dan", RealName: "Dan Osei", Email: "dan@example.com"},
	} {
		l.slack.AddUser(u)
	}
	l.slack.SetUsergroup("S0LEADS", "U0BEN")
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	l.provider = oidcfake.Start(t, "http://"+listen+"/signin/callback",
		oidcfake.User{Subject: "00u-ana", Name: "Ana Lima", Groups: []string{"platform"}}, oidcfake.User{Subject: "00u-mal", Name: "Mallory"}, oidcfake.User{Subject: "00u-cat", Name: "Cat Berg"})
	l.bot = e2etest.StartBot(t, fmt.Sprintf(`
store: {url: %q}
http: {listen: %q, public_url: "http://%s"}
slack: {bot_token: %s, signing_secret: %s, team_id: %s, api_url: %q, trust_email: true}
oidc: {issuer: %q, client_id: %s, client_secret: %s, name: Example Login, scopes: [offline_access]}
people:
  - {id: ana, name: Ana Lima, oidc: 00u-ana}
  - {id: ben, name: Ben Stone, email: ben@example.com}
  - {id: cat, name: Cat Berg, slack: U0CAT, oidc: 00u-cat, groups: [admins]}
  - {id: dan, name: Dan Osei, email: dan@example.com}
groups:
  sre: {oidc: platform}
  leads: {slack_usergroup: S0LEADS}
administrators: '"admins" in person.groups'
connectors:
  demo: {type: demo}
roles:
  - {id: vault-admin, title: Vault admin, connector: demo, target: {role: vault-admin}}
policies:
  - name: all
    match: "true"
    eligible: '"sre" in person.groups'
    duration: {max: 1h}
    approve:
      - {by: '"leads" in person.groups'}
    channel: {slack: C0ACCESS}
`, l.redis.URL(), listen, listen, slackfake.BotToken, slackfake.SigningSecret, slackfake.Team, l.slack.URL, l.provider.URL, oidcfake.ClientID, oidcfake.ClientSecret)+fortKeys)
	l.bot.WaitReady()
	l.slack.OverHTTP("http://" + listen)
	return l
}

// asks types a command and gives what the person alone is answered.
func (l *login) asks(account, words string) string {
	l.Helper()
	for range 20 { // a busy machine is told to try again
		ack := l.slack.As(account).Type("C0ACCESS", words)
		if ack.Err != nil || ack.Status != 200 {
			l.Fatalf("%s %s: %d, %v", account, words, ack.Status, ack.Err)
		}
		if body := string(ack.Body); !strings.Contains(body, "just now") && !strings.Contains(body, "in time") {
			return body
		}
	}
	l.Fatalf("%s %s: there is never an answer in time", account, words)
	return ""
}

func (l *login) answered(account, words string, want ...string) string {
	l.Helper()
	got := l.asks(account, words)
	for _, w := range want {
		if !strings.Contains(got, w) {
			l.Fatalf("%s %q is not answered with %q: %s", account, words, w, got)
		}
	}
	return got
}

var linkURL = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/link/[A-Z2-7]{52}`)

// TestAccountsAreLinkedBySigningIn: somebody whom nobody linked signs in, types a word, and is a person whose groups come
// from the provider; what they ask for is approved by somebody whom Slack's user group makes an approver.
func TestAccountsAreLinkedBySigningIn(t *testing.T) {
	t.Parallel()
	l := openLogin(t)
	l.provider.Misbehave(oidcfake.Faults{Detour: true})
	l.answered("U0ANA", "vault-admin 30m unseal it", "does not know whose account this is", "/elevate link")
	link := linkURL.FindString(l.answered("U0ANA", "link", "the page for your Slack account", "It lasts 10 minutes and works once"))
	if link == "" {
		t.Fatal("there is no link to open")
	}
	p := e2etest.OpenPage(t, link, 1180, 900)
	p.See(`document.body.innerText.includes("Ana Lima (U0ANA)")`, "whose account it is")
	shots(p, "1-invited")
	p.Click(`document.querySelector("button")`, "Sign in")
	p.Click(`[...document.querySelectorAll("button")].find((b) => b.innerText === "Ana Lima")`, "Ana at the provider")
	p.See(`document.querySelector(".word")`, "the word")
	word := e2etest.Get[string](p, `document.querySelector(".word").innerText`)
	shots(p, "2-word")
	l.answered("U0ANA", "vault-admin 30m unseal it", "does not know whose account this is")
	l.answered("U0ANA", strings.TrimPrefix(word, "/elevate "), "Ana Lima", "'s now")
	p.Visit(e2etest.Get[string](p, "location.href"))
	p.See(`document.body.innerText.includes("The account is linked")`, "that it is done")
	p.Shot("3-linked")
	p.Visit(link)
	p.See(`document.body.innerText.includes("This link is over")`, "that it works once")
	p.Shot("4-over")
	for _, secret := range []string{path.Base(link), strings.TrimPrefix(word, "/elevate link ")} {
		if strings.Contains(l.redis.Everything(t), secret) || strings.Contains(l.bot.Log(), secret) {
			t.Errorf("%q is kept or logged", secret)
		}
	}

	l.answered("U0ANA", "vault-admin 30m unseal the vault", "vault-admin")
	l.slack.Await(t, "the request in the channel", func() bool { return len(l.slack.Messages("C0ACCESS")) > 0 })
	l.slack.Send("block_actions", l.slack.As("U0BEN").Press(l.slack.Messages("C0ACCESS")[0], "Approve"))
	l.slack.Await(t, "the approval", func() bool { return strings.Contains(fmt.Sprint(l.slack.Messages("C0ACCESS")), "Approved by") })

	// The groups were asked for when Ana clicked, and nobody can read what they were asked for with.
	if n := l.provider.Calls("refresh"); n == 0 {
		t.Error("the provider was not asked for Ana's groups")
	}
	kept := l.redis.Everything(t)
	if !strings.Contains(kept, "sealed") {
		t.Error("no refresh token is kept: the test looks at nothing")
	}
	l.bot.Stop()
	for where, text := range map[string]string{"Redis": kept, "the log": l.bot.Log(), "the audit log": e2etest.Proved(t, e2etest.AuditFolders(l.bot))} {
		if strings.Contains(text, "refresh-canary") || strings.Contains(text, "access-canary") {
			t.Errorf("%s has a token of the provider in the clear", where)
		}
	}
}

// TestAPersonWhomTheProviderWithdrawsIsTold: they can do nothing by that link, and are told the way out.
func TestAPersonWhomTheProviderWithdrawsIsTold(t *testing.T) {
	t.Parallel()
	l := openLogin(t)
	l.linkAna()
	l.provider.Revoke("00u-ana")
	l.answered("U0ANA", "vault-admin 30m unseal the vault", "the identity provider has withdrawn its sign-in", "/elevate link")
	l.again()
	l.answered("U0ANA", "mine", "counts as Ana Lima's no more", "sign in again")
	l.linkAna()
	l.again()
	l.answered("U0ANA", "mine", "You hold no access")
}

// linkAna has Ana sign in and type the word.
func (l *login) linkAna() {
	l.Helper()
	p := e2etest.OpenPage(l.T, linkURL.FindString(l.answered("U0ANA", "link", "works once")), 1180, 900)
	p.Click(`document.querySelector("button")`, "Sign in")
	p.Click(`[...document.querySelectorAll("button")].find((b) => b.innerText === "Ana Lima")`, "Ana at the provider")
	p.See(`document.querySelector(".word")`, "the word")
	l.answered("U0ANA", strings.TrimPrefix(e2etest.Get[string](p, `document.querySelector(".word").innerText`), "/elevate "), "Ana Lima", "'s now")
}

var factorURL = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/mfa/[A-Za-z0-9_-]+`)

// TestASecondFactorIsSetUpBehindASignIn: the page shows no key before the provider has said who is there, and none to
// anybody else than the person whom the link is for.
func TestASecondFactorIsSetUpBehindASignIn(t *testing.T) {
	t.Parallel()
	l := openLogin(t)
	link := factorURL.FindString(l.answered("U0CAT", "mfa", "/mfa/"))
	p := e2etest.OpenPage(t, link, 1180, 900)
	p.See(`document.body.innerText.includes("Sign in first") && !document.querySelector("img")`, "that a sign-in is needed")
	shots(p, "5-factor-sign-in")
	p.Click(`document.querySelector("button")`, "Sign in")
	p.Click(`[...document.querySelectorAll("button")].find((b) => b.innerText === "Ana Lima")`, "Ana at the provider")
	p.See(`document.body.innerText.includes("You signed in as somebody else") && !document.querySelector("img")`, "that the link is for somebody else")
	p.Visit(link)
	p.Click(`document.querySelector("button")`, "Sign in")
	p.Click(`[...document.querySelectorAll("button")].find((b) => b.innerText === "Cat Berg")`, "Cat at the provider")
	p.See(`document.body.innerText.includes("Cat Berg") && document.body.innerText.includes("Use an authenticator app")`, "whose factor it is")
	p.Click(`[...document.querySelectorAll("button")].find((b) => b.innerText === "Use an authenticator app")`, "Use an authenticator app")
	p.See(`document.querySelector("img")`, "the picture of the key")
	shots(p, "6-factor-key")
	if strings.Contains(l.redis.Everything(t), path.Base(link)) {
		t.Error("the link is kept in the store")
	}
}

// TestAChangedNameSuspendsALinkByEmail: Dan is Dan by an address that Slack confirmed, until his name changes; then he is
// nobody, people are told, and an administrator vouches for him.
func TestAChangedNameSuspendsALinkByEmail(t *testing.T) {
	t.Parallel()
	l := openLogin(t)
	l.answered("U0DAN", "mine", "You hold no access")
	l.answered("U0BEN", "mine", "You hold no access")
	l.slack.AddUser(slackfake.User{ID: "U0DAN", Name: "dan", RealName: "Ben Stone", Email: "ben@example.com"})
	l.again() // and so no word of Slack's from before is believed
	l.answered("U0DAN", "mine", "counts as Dan Osei's no more", "the account's e-mail address changed", "/elevate link confirm dan")
	l.slack.Await(t, "the message to the administrator", func() bool {
		return strings.Contains(fmt.Sprint(l.slack.Messages(l.slack.DM("U0CAT"))), "link confirm dan")
	})
	l.answered("U0BEN", "link confirm dan", "Only administrators may confirm")
	l.answered("U0DAN", "link confirm dan", "counts as Dan Osei's no more")
	l.answered("U0CAT", "link confirm cat", "cannot confirm your own")
	l.slack.AddUser(slackfake.User{ID: "U0DAN", Name: "dan", RealName: "Dan O. Osei", Email: "dan@example.com"})
	l.answered("U0CAT", "link confirm dan", "counts as", "again")
	l.again()
	l.answered("U0DAN", "mine", "You hold no access")
	l.answered("U0CAT", "link remove dan", "Removed: Slack account U0DAN")
	l.bot.Stop()
	log := e2etest.Proved(t, e2etest.AuditFolders(l.bot))
	for _, want := range []string{`"kind":"linked"`, `"kind":"link_suspended"`, `"kind":"link_confirmed"`, `"kind":"unlinked"`, `"reason":"link_suspended"`} {
		if !strings.Contains(log, want) {
			t.Errorf("not on record: %s", want)
		}
	}
}

// TestGroupsThatCannotBeAskedRefuse: without Slack's word on its user groups nobody is an approver, and nobody is told
// that they are none.
func TestGroupsThatCannotBeAskedRefuse(t *testing.T) {
	t.Parallel()
	l := openLogin(t)
	l.slack.Misbehave("usergroups.list", slackfake.Fault{Times: -1, Status: 503})
	l.again()
	for _, words := range []string{"mine", "vault-admin 30m unseal the vault", "roles"} {
		if got := string(l.slack.As("U0CAT").Type("C0ACCESS", words).Body); !strings.Contains(got, "so nothing was done. Try again in a minute.") {
			t.Errorf("%s: %s", words, got)
		}
	}
	l.slack.Behave()
	l.answered("U0CAT", "mine", "You hold no access")
}

// again starts the bot anew: what it believed of others is forgotten.
func (l *login) again() {
	l.Helper()
	l.bot.Stop()
	l.bot.Start()
	l.bot.WaitReady()
}

// shots keeps pictures of a page at a desk and on a phone, in light and in dark colours.
func shots(p *e2etest.Page, name string) {
	for place, size := range map[string][2]int64{"desk": {1180, 900}, "phone": {390, 844}} {
		for _, scheme := range []string{"dark", "light"} {
			p.Resize(size[0], size[1])
			p.Prefer(scheme)
			p.Shot(name + "-" + place + "-" + scheme)
		}
	}
	p.Resize(1180, 900)
	p.Prefer("light")
}
