package attack_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

const (
	headerSignature = "X-Slack-Signature"
	headerTimestamp = "X-Slack-Request-Timestamp"
)

// Files that more than one defence stands in.
const (
	verifyFile = "bot/slack/verify.go"
	takeFile   = "storage/redis/lua/take.lua"
)

func slackAttacks() []attack {
	return []attack{
		{id: "T01a", what: "requests to Slack's endpoints that are forged: a bit of the body or signature changed, another key, another timestamp, no signature", run: forgedRequests,
			defence: "the signature is compared", without: []cut{{verifyFile, "if hmac.Equal(sum,", "if OUT || hmac.Equal(sum,"}},
			also: map[string]string{"another version of signature": "its form is looked at first", "no signature": "there must be one of each header"}},
		{id: "T01b", what: "requests signed by Slack that are more than five minutes old, or of the future", run: staleRequests,
			defence: "the timestamp is near the clock", without: []cut{{verifyFile, ".Abs() > maxSkew {", ".Abs() > maxSkew && !OUT {"}}},
		{id: "T02a", what: "a good signature or timestamp beside a second one, or with one missing", run: doubledHeaders,
			defence: "exactly one of each header", without: []cut{{verifyFile, "if len(values) != 1 ||", "if len(values) == 0 || !OUT && len(values) > 1 ||"}},
			also: map[string]string{"missing": "without one there is nothing to compare"}},
		{id: "T02b", what: "signed bodies of 10 MiB, with a length and in chunks", run: hugeBodies,
			defence: "bodies are bounded before they are read", without: []cut{{"bot/slack/http.go", "bot.Body(w, r, maxBody)", "bot.Body(w, r, OR(int64(maxBody), 100<<20))"}}},
		{id: "T03a", what: "one signed command, which would prolong access, sent again and again at the same time", run: replays,
			defence: "what was done is remembered in the store", without: []cut{{"bot/slack/once.go", "if !first {", "if !first && !OUT {"}}},
		{id: "T03b", what: "one click on Approve, on a request that needs two approvals, sent again and again", run: replayedClicks,
			defence: "nobody decides twice", without: []cut{
				{"workflows/decide.go", "	if rec.Decided(id) {\n		return &access.Refusal", "	if rec.Decided(id) && !OUT {\n		return &access.Refusal"},
				{takeFile, "    if d.by.person == who then return 'guard-decider' end\n", ""},
			}},
		{id: "T04", what: "requests signed with a secret that was replaced and taken out of the configuration", run: oldSecret,
			defence: "the secrets of the configuration alone are believed", without: []cut{
				{verifyFile, "range v.secrets {", `range append(v.secrets, OR(v.secrets, []access.Secret{access.NewSecret("` + replacedSecret + `")})...) {`}}},
	}
}

// sends sends a request to Slack's endpoint, and tells whether it was taken.
func (r *rig) sends(req *http.Request) (taken bool, status int) {
	ack := slackfake.Do(r.client, req)
	return ack.Err == nil && ack.Status == http.StatusOK, ack.Status
}

// asked is a signed command of ana's.
func (r *rig) asked() (req *http.Request, body []byte) {
	route, body := slackfake.Body("command", r.slack.As("U0ANA").Command(channel, "mine"))
	return r.slack.Signed(r.url()+route, body), body
}

// carrying gives a request another body.
func carrying(req *http.Request, body []byte) *http.Request {
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.GetBody = nil
	return req
}

// forgedRequests forges requests in every way, at random.
func forgedRequests(s *assault) {
	r := s.open()
	_, body := r.asked()
	kinds := []string{"a bit of the body", "a digit of the signature", "another key", "another timestamp", "a signature of nobody's", "another version of signature", "no signature"}
	s.each(s.many(50_000, 1_000), 16, func(i int) {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		now := time.Now()
		sent := bytes.Clone(body)
		req := slackfake.Sign(r.url()+"/slack/commands", body, slackfake.SigningSecret, now)
		kind := i % len(kinds)
		switch kind {
		case 0:
			sent[rng.IntN(len(sent))] ^= 1 << rng.IntN(8)
		case 1:
			sig := []byte(req.Header.Get(headerSignature))
			at := 3 + rng.IntN(64)
			sig[at] = "0123456789abcdef"[(strings.IndexByte("0123456789abcdef", sig[at])+1+rng.IntN(15))%16]
			req.Header.Set(headerSignature, string(sig))
		case 2:
			req = slackfake.Sign(r.url()+"/slack/commands", body, fmt.Sprintf("key-%d", rng.Uint64()), now)
		case 3:
			req.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix()+1+rng.Int64N(250), 10))
		case 4:
			req.Header.Set(headerSignature, fmt.Sprintf("v0=%064x", rng.Uint64()))
		case 5:
			req.Header.Set(headerSignature, fmt.Sprintf("v%d", 1+rng.IntN(9))+req.Header.Get(headerSignature)[2:])
		case 6:
			req.Header.Del(headerSignature)
		}
		taken, status := r.sends(carrying(req, sent))
		s.triedAs(kinds[kind], taken, "%d", status)
	})
}

func staleRequests(s *assault) {
	r := s.open()
	_, body := r.asked()
	s.each(s.many(10_000, 300), 16, func(i int) {
		off, kind := time.Duration(310+i)*time.Second, "of the future"
		if i%2 == 0 {
			off, kind = -off, "of the past"
		}
		taken, status := r.sends(slackfake.Sign(r.url()+"/slack/commands", body, slackfake.SigningSecret, time.Now().Add(off)))
		s.triedAs(kind, taken, "%s from now: %d", off, status)
	})
}

func doubledHeaders(s *assault) {
	r := s.open()
	s.each(s.many(600, 60), 8, func(i int) {
		req, _ := r.asked()
		name := []string{headerSignature, headerTimestamp}[i%2]
		good := req.Header.Get(name)
		switch i / 2 % 3 {
		case 0:
			req.Header.Add(name, good)
		case 1:
			req.Header.Add(name, "0")
		case 2:
			req.Header.Del(name)
		}
		taken, status := r.sends(req)
		kind := []string{"twice " + name, "another " + name, "missing"}[i/2%3]
		s.triedAs(kind, taken, "%s: %d", name, status)
	})
}

// hugeBodies are told by what the bot reads of them: a body that is read to its end and then refused was read.
func hugeBodies(s *assault) {
	r := s.open()
	huge := append([]byte("payload="), bytes.Repeat([]byte("a"), 10<<20)...)
	s.each(s.many(40, 8), 2, func(i int) {
		req := slackfake.Sign(r.url()+"/slack/interactions", huge, slackfake.SigningSecret, time.Now())
		req.GetBody = nil
		kind := "with a length"
		if i%2 == 0 {
			kind = "in chunks"
			req.Body, req.ContentLength = io.NopCloser(struct{ io.Reader }{bytes.NewReader(huge)}), -1
		}
		ack := slackfake.Do(r.client, req)
		s.triedAs(kind, ack.Err == nil && ack.Status != http.StatusRequestEntityTooLarge, "%d bytes are answered %d", len(huge), ack.Status)
	})
}

func replays(s *assault) {
	r := s.open()
	id := r.granted("ana", "ben", "vpn", "1h")
	before := r.shown(id).EndsAt
	route, body := slackfake.Body("command", r.slack.As("U0ANA").Command(channel, "extend "+id+" 1m"))
	signed := r.slack.Signed(r.url()+route, body)
	n := s.many(1_000, 100)
	s.each(n, 50, func(int) {
		req := slackfake.Sign(r.url()+route, body, slackfake.SigningSecret, time.Now())
		req.Header = signed.Header.Clone()
		r.sends(req)
	})
	r.within(10*time.Second, func() bool { return r.shown(id).EndsAt.After(*before) })
	longer := int(r.shown(id).EndsAt.Sub(*before) / time.Minute)
	for i := range n {
		s.tried(i > 0 && i < longer, "the same command prolonged it %d times", longer)
	}
}

func replayedClicks(s *assault) {
	r := s.open()
	id := r.ask("bea", "twin", "1h")
	m := r.message(id)
	n := s.many(1_000, 100)
	s.each(n, 20, func(i int) { r.presses("U0CAT", m, "approve") })
	r.within(10*time.Second, func() bool { return len(r.shown(id).Decisions) > 0 })
	r.clicks(id, func() { r.presses("U0CAT", m, "approve") }) // and once more, when all is quiet
	d := r.shown(id)
	for i := range n {
		s.tried(i > 0 && (i < len(d.Decisions) || d.State != access.Pending), "one person's clicks count %d times, and it is %s", len(d.Decisions), d.State)
	}
}

const replacedSecret = "a-secret-that-was-replaced-0123"

func oldSecret(s *assault) {
	r := s.open(func(c *setting) { c.slack = ", previous_signing_secret: " + replacedSecret })
	try := func() (bool, int) {
		_, body := r.asked()
		return r.sends(slackfake.Sign(r.url()+"/slack/commands", body, replacedSecret, time.Now()))
	}
	e2etest.Eventually(s, patience, func() error { // it is good while both are configured
		if ok, status := try(); !ok {
			return fmt.Errorf("the secret is answered %d while both are configured", status)
		}
		return nil
	})
	r.set.slack = ""
	r.restart()
	for range s.many(1_000, 100) {
		ok, status := try()
		s.tried(ok, "the old secret is answered %d", status)
	}
}
