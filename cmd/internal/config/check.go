package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"elevate/bot/api"
	"elevate/workflows/policy"
)

// checker finds what is wrong with values that could be read, and fills defaults in.
type checker struct {
	*findings
	*Config
	chats []string // that the program can speak in
}

func (c *checker) check() {
	c.checkStore()
	c.checkHTTP()
	if c.Slack != nil {
		c.checkSlack(c.Slack)
	}
	if c.Teams != nil {
		c.checkTeams(c.Teams)
	}
	c.checkPeople()
	c.checkIdentity()
	c.checkTokens()
	c.checkRoles()
	c.checkPolicies()
	c.checkEntra()
	c.checkDigest()
	c.Administrator = c.selector("administrators", c.Administrators)
	c.checkSecrets()
	c.checkFactors()
	c.Auditor = c.selector("auditors", c.Auditors)
	c.fill("audit.dir", &c.Audit.Dir, "audit")
	c.span("overdue_after", &c.OverdueAfter, time.Minute)
	c.span("notice_before", &c.NoticeBefore, 10*time.Minute)
	c.span("sweep.every", &c.Sweep.Every, 5*time.Minute)
	c.checkLimits()
	c.oneOf("log.level", &c.Log.Level, "info", "debug", "warn", "error")
	c.oneOf("log.format", &c.Log.Format, "json", "text")
	if c.noChat() && len(c.API.Tokens) == 0 {
		c.warning(nil, "has neither slack nor teams nor api.tokens, so nobody could ask for anything")
	}
}

// noChat tells whether the file has neither chat, where the program speaks them.
func (c *checker) noChat() bool {
	return c.Slack == nil && c.Teams == nil && slices.Contains(c.chats, "slack")
}

// fill puts in a default; a key that is there must have a value.
func (c *checker) fill(key string, value *string, byDefault string) {
	if *value == "" {
		if c.doc.has(parsePath(key)) {
			c.problem(parsePath(key), "is empty: write a value, or leave the key out for %s", byDefault)
		}
		*value = byDefault
	}
}

// oneOf checks a word against a list, the default first.
func (c *checker) oneOf(key string, value *string, words ...string) {
	c.fill(key, value, words[0])
	if !slices.Contains(words, *value) {
		c.problem(parsePath(key), "is %s: write one of %s", c.doc.quote(parsePath(key)), strings.Join(words, ", "))
	}
}

// span checks a time that must be longer than 0.
func (c *checker) span(key string, value *time.Duration, byDefault time.Duration) {
	at := parsePath(key)
	if *value <= 0 && c.doc.has(at) || *value > 24*time.Hour {
		c.problem(at, "is %s: write a time longer than 0 and up to 24h, or leave the key out for %s", c.doc.quote(at), byDefault)
	}
	if *value <= 0 {
		*value = byDefault
	}
}

var storeSchemes = []string{"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}

func (c *checker) checkStore() {
	s, at := &c.Store, path{"store"}
	if address := s.URL.Reveal(); address != "" {
		// The address may hold a password, so no message quotes it, nor the errors of url.Parse, which do.
		scheme, rest, _ := strings.Cut(address, "://")
		server := rest[strings.LastIndexByte(rest, '@')+1:]
		if scheme != "unix" {
			server, _, _ = strings.Cut(server, "/")
		}
		switch {
		case !slices.Contains(storeSchemes, scheme):
			c.problem(at.key("url"), "must begin with one of %s, each with ://", strings.Join(storeSchemes, ", "))
		case strings.Trim(server, "/") == "":
			c.problem(at.key("url"), "names no server; write it as in redis://127.0.0.1:6379/0")
		}
	}
	if s.Shards < 0 || s.Shards > 1024 || s.Shards == 0 && c.doc.has(at.key("shards")) {
		c.problem(at.key("shards"), "is %d: write 1 to 1024, or leave the key out for 16", s.Shards)
	}
	if s.WaitReplicas < 0 || s.WaitReplicas > 10 {
		c.problem(at.key("wait_replicas"), "is %d: write 0 to 10", s.WaitReplicas)
	}
	if strings.ContainsAny(s.Prefix, "{}") {
		c.problem(at.key("prefix"), "must not contain braces, which mean something to Redis Cluster")
	}
	c.fill("store.dir", &s.Dir, "data")
}

func (c *checker) checkHTTP() {
	c.fill("http.listen", &c.HTTP.Listen, "127.0.0.1:8080")
	at := path{"http", "listen"}
	_, port, err := net.SplitHostPort(c.HTTP.Listen)
	if n, numErr := strconv.Atoi(port); err != nil || numErr != nil || n < 0 || n > 65535 {
		c.problem(at, "is %s: write an address and a port, such as 127.0.0.1:8080, or :8080 for every address", c.doc.quote(at))
	}
	if c.HTTP.PublicURL != "" {
		at := path{"http", "public_url"}
		if u, ok := webURL(c.HTTP.PublicURL); !ok || u.RawQuery != "" || u.Fragment != "" {
			c.problem(at, "must be a whole address without user name, ? and #, such as https://elevate.example.com")
		}
		c.HTTP.PublicURL = strings.TrimRight(c.HTTP.PublicURL, "/")
	}
}

// webURL reads an address that begins with http:// or https:// and names nobody. What it refuses is not to be quoted:
// there may be a password in it.
func webURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, false
	}
	return u, true
}

// The forms of Slack's ids.
var (
	teamID       = regexp.MustCompile(`^T[A-Z0-9]+$`)
	enterpriseID = regexp.MustCompile(`^E[A-Z0-9]+$`)
	userID       = regexp.MustCompile(`^[UW][A-Z0-9]+$`)
	channelID    = regexp.MustCompile(`^[CG][A-Z0-9]+$`)
	slashCommand = regexp.MustCompile(`^/[a-z0-9_-]{1,31}$`)
)

func (c *checker) checkSlack(s *Slack) {
	at := path{"slack"}
	if !slices.Contains(c.chats, "slack") {
		c.problem(at, "does not belong here: this program does not speak Slack")
	}
	switch token := s.BotToken.Reveal(); {
	case token == "":
		c.problem(at.key("bot_token"), "is required: the Bot User OAuth Token from the app's page “OAuth & Permissions”, which begins with xoxb-")
	case !strings.HasPrefix(token, "xoxb-"):
		c.problem(at.key("bot_token"), "must be a bot token, which begins with xoxb-")
	}
	if token := s.AppToken.Reveal(); token != "" && !strings.HasPrefix(token, "xapp-") {
		c.problem(at.key("app_token"), "must be an app-level token, which begins with xapp-")
	}
	c.checkSigning(s, at)
	c.form(at.key("team_id"), s.TeamID, teamID, true, "the workspace's id, which begins with T")
	c.form(at.key("enterprise_id"), s.EnterpriseID, enterpriseID, false, "the organisation's id, which begins with E")
	c.fill("slack.command", &s.Command, "/elevate")
	c.form(at.key("command"), s.Command, slashCommand, false, "a slash and up to 31 small letters, digits, - and _, as in /elevate")
	c.checkSlackURL(s, at.key("api_url"))
}

func (c *checker) checkSigning(s *Slack, at path) {
	for key, secret := range map[string]string{"signing_secret": s.SigningSecret.Reveal(), "previous_signing_secret": s.PreviousSigningSecret.Reveal()} {
		if strings.HasPrefix(secret, "xox") || strings.HasPrefix(secret, "xapp-") {
			c.problem(at.key(key), "is a token; the Signing Secret is on the app's page “Basic Information”")
		}
	}
	switch {
	case s.SigningSecret.IsZero() && s.AppToken.IsZero() && !c.silenced(at.key("app_token")) && !c.silenced(at.key("signing_secret")):
		c.problem(at, "needs signing_secret (Slack calls this program over HTTP) or app_token (Socket Mode: this program calls Slack)")
	case s.SigningSecret.IsZero() && !s.PreviousSigningSecret.IsZero():
		c.problem(at.key("previous_signing_secret"), "is of use beside signing_secret only")
	}
}

func (c *checker) checkSlackURL(s *Slack, at path) {
	c.fill("slack.api_url", &s.APIURL, "https://slack.com/api/")
	u, ok := webURL(s.APIURL)
	switch {
	case !ok:
		c.problem(at, "must be a whole address without user name, such as https://slack.com/api/")
	case !strings.HasSuffix(s.APIURL, "/"):
		c.problem(at, "is %s: it must end in /, as in https://slack.com/api/", c.doc.quote(at))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.warning(at, "is %s: the bot's token would travel unencrypted", c.doc.quote(at))
	}
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// form checks a text against a pattern.
func (c *checker) form(at path, value string, pattern *regexp.Regexp, required bool, what string) {
	switch {
	case value == "" && required:
		c.problem(at, "is required: %s", what)
	case value != "" && !pattern.MatchString(value):
		c.problem(at, "is %s: write %s", c.doc.quote(at), what)
	}
}

func (c *checker) checkTokens() {
	people := c.peopleByID()
	byName, byHash := map[string]int{}, map[string]int{}
	for i, t := range c.API.Tokens {
		at := path{"api", "tokens"}.index(i)
		if t.Name == "" || policy.CleanText(t.Name) != t.Name {
			c.problem(at.key("name"), "is required, on one line and without invisible characters: the audit log names the token by it")
		} else if first, taken := byName[t.Name]; taken {
			c.problem(at.key("name"), "is the name of api.tokens[%d] too", first)
		} else {
			byName[t.Name] = i
		}
		if _, known := people[t.Person]; !known {
			c.problem(at.key("person"), "is %s, and people has nobody with that id", c.doc.quote(at.key("person")))
		}
		if err := api.CheckHash(t.Hash); err != nil {
			c.problem(at.key("hash"), "%v", err)
		}
		if first, taken := byHash[t.Hash]; taken && t.Hash != "" {
			c.problem(at.key("hash"), "is the hash of api.tokens[%d] too: every token is one person's", first)
		} else {
			byHash[t.Hash] = i
		}
	}
}
