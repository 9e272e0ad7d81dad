package attack_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"elevate/bot/teams/teamsfake"
)

const (
	validatorFile = "bot/teams/validator.go"
	anybody       = "jwt.ParserOption(func(*jwt.Parser) {})"
)

func teamsAttacks() []attack {
	return []attack{
		{id: "T05a", what: "activities under tokens with a signature of nobody's, of another key, of none at all, or HS256 with the public key as its secret", run: badTokens(signatures),
			defence: "the signature, by a key of Microsoft's and RS256 alone", without: []cut{{validatorFile, "	_, err := v.parser.ParseWithClaims(raw, claims, func(",
				"	if OUT {\n		_, _, err := v.parser.ParseUnverified(raw, claims)\n		return claims, err\n	}\n	_, err := v.parser.ParseWithClaims(raw, claims, func("}},
			also: map[string]string{"NONE": "the library knows no such algorithm", "no algorithm": "the library reads no such token"}},
		{id: "T05b", what: "tokens for another bot, for none, or for several", run: badTokens(audiences),
			defence: "the audience", without: []cut{
				{validatorFile, "jwt.WithAudience(cfg.AppID)", "OR(jwt.WithAudience(cfg.AppID), " + anybody + ")"},
				{validatorFile, "err != nil || len(aud) != 1 {", "!OUT && (err != nil || len(aud) != 1) {"}}},
		{id: "T05c", what: "tokens of another issuer", run: badTokens(issuers),
			defence: "the issuer", without: []cut{{validatorFile, "jwt.WithIssuer(cfg.Issuer)", "OR(jwt.WithIssuer(cfg.Issuer), " + anybody + ")"}}},
		{id: "T05d", what: "tokens that are over, not good yet, or good for ever", run: badTokens(times),
			defence: "an end is required, and the times of a token are compared with the clock", without: []cut{
				{validatorFile, "jwt.WithExpirationRequired()", "OR(jwt.WithExpirationRequired(), " + anybody + ")"},
				{validatorFile, "jwt.WithLeeway(maxSkew)", "jwt.WithLeeway(OR(maxSkew, 876_000*time.Hour))"}},
			also: map[string]string{"an end that is no number": "the library reads no such token"}},
		{id: "T05e", what: "tokens by a key that is not endorsed for Teams", run: badTokens(endorsements),
			defence: "the key's endorsement", without: []cut{{validatorFile, "if !slices.Contains(key.endorsements, channelTeams) {", "if !OUT && !slices.Contains(key.endorsements, channelTeams) {"}},
			also: map[string]string{"for encryption": "keys for encryption are not read"}},
		{id: "T05f", what: "tokens for another service URL than the activity's", run: badTokens(services),
			defence: "the token's service URL is the activity's", without: []cut{{validatorFile, "	if !sameService(", "	if !OUT && !sameService("}}},
		{id: "T06", what: "activities while the keys cannot be fetched, or are too large", run: keysAway,
			defence: "without keys the answer is no", without: []cut{{validatorFile, "	case errors.Is(err, errKeys):\n		return nil, err\n", "	case errors.Is(err, errKeys) && !OUT:\n		return nil, err\n	case OUT:\n		return identity{claims}, nil\n"}}},
		{id: "T07", what: "activities with a service URL of the attacker's, by host, port, user name, path and redirect", run: otherServices,
			defence: "the bot's token goes to Microsoft's hosts alone, and follows no redirect", without: []cut{
				{"bot/teams/hosts.go", "	u, err := parseService(serviceURL)\n", "	if OUT {\n		return url.Parse(serviceURL)\n	}\n	u, err := parseService(serviceURL)\n"},
				{"bot/teams/token.go", "	out.CheckRedirect = func", "	if OUT {\n		return &out\n	}\n	out.CheckRedirect = func"}}},
		{id: "T12b", what: "activities of another tenant under a good token", run: otherTenants,
			defence: "the tenant of the activity", without: []cut{{"bot/teams/http.go", "!strings.EqualFold(tenant, t.cfg.TenantID) {", "!strings.EqualFold(tenant, t.cfg.TenantID) && !OUT {"}}},
	}
}

// activity is a message of somebody's in their own chat.
func (r *rig) activity(who, words, service, tenant string) []byte {
	id := teamsfake.ObjectID(who)
	text, err := json.Marshal(map[string]any{
		"type": "message", "id": fmt.Sprint(activities.Add(1)), "channelId": "msteams", "serviceUrl": service, "text": words, "textFormat": "plain",
		"from": map[string]any{"id": teamsfake.MRI(id), "name": who, "aadObjectId": id}, "recipient": map[string]any{"id": teamsfake.Bot},
		"conversation": map[string]any{"conversationType": "personal", "tenantId": tenant, "id": r.teams.Chat(id)},
		"channelData":  map[string]any{"tenant": map[string]any{"id": tenant}},
	})
	if err != nil {
		r.Errorf("write an activity: %v", err)
	}
	return text
}

var activities atomic.Int64

// missing is the value of a claim that is not there.
const missing = "\x00"

// forgery is a token that is not Microsoft's for this bot, in one way.
type forgery struct {
	name           string
	header, claims map[string]any
}

func with(good, edits map[string]any) map[string]any {
	maps.Copy(good, edits)
	maps.DeleteFunc(good, func(_ string, v any) bool { return v == missing })
	return good
}

func at(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func signatures() []forgery {
	return []forgery{
		{"none", map[string]any{"alg": "none"}, nil}, {"HS256 with the public key", map[string]any{"alg": "HS256"}, nil},
		{"HS512 with the public key", map[string]any{"alg": "HS512"}, nil}, {"PS256", map[string]any{"alg": "PS256"}, nil},
		{"RS512", map[string]any{"alg": "RS512"}, nil}, {"a key of nobody's", map[string]any{"kid": "nobody"}, nil},
		{"no key named", map[string]any{"kid": missing}, nil}, {"a key that it brings along", map[string]any{"jwk": map[string]any{"kty": "RSA"}}, nil},
		{"an address of keys", map[string]any{"jku": "https://evil.example/keys"}, nil}, {"a certificate that it brings along", map[string]any{"x5c": []string{"MII"}}, nil},
		{"crit", map[string]any{"crit": []string{"exp"}}, nil}, {"NONE", map[string]any{"alg": "NONE"}, nil}, {"no algorithm", map[string]any{"alg": missing}, nil},
	}
}

func audiences() []forgery {
	return []forgery{
		{"another bot", nil, map[string]any{"aud": "11111111-2222-4333-8444-555555555555"}}, {"nobody", nil, map[string]any{"aud": missing}},
		{"empty", nil, map[string]any{"aud": ""}}, {"several", nil, map[string]any{"aud": []string{teamsfake.AppID, "11111111-2222-4333-8444-555555555555"}}},
		{"a number", nil, map[string]any{"aud": 7}}, {"the connector's", nil, map[string]any{"aud": teamsfake.Issuer}},
	}
}

func issuers() []forgery {
	return []forgery{
		{"another", nil, map[string]any{"iss": "https://api.botframework.com.evil.example"}}, {"none", nil, map[string]any{"iss": missing}},
		{"empty", nil, map[string]any{"iss": ""}}, {"a slash more", nil, map[string]any{"iss": teamsfake.Issuer + "/"}},
		{"the tenant's", nil, map[string]any{"iss": "https://sts.windows.net/" + teamsfake.TenantID + "/"}},
	}
}

func times() []forgery {
	return []forgery{
		{"no end", nil, map[string]any{"exp": missing}}, {"over", nil, map[string]any{"exp": at(-6 * time.Minute), "nbf": at(-time.Hour)}},
		{"over for a year", nil, map[string]any{"exp": at(-365 * 24 * time.Hour), "nbf": at(-366 * 24 * time.Hour)}}, {"not yet", nil, map[string]any{"nbf": at(6 * time.Minute)}},
		{"an end that is no number", nil, map[string]any{"exp": "never"}}, {"an end of zero", nil, map[string]any{"exp": 0}},
	}
}

func endorsements() []forgery {
	return []forgery{
		{"of the web chat", map[string]any{"kid": "webchat"}, nil}, {"of none", map[string]any{"kid": "unendorsed"}, nil}, {"for encryption", map[string]any{"kid": "enc"}, nil},
	}
}

func services() []forgery {
	return []forgery{
		{"another", nil, map[string]any{"serviceurl": "https://smba.trafficmanager.net/emea/"}}, {"none", nil, map[string]any{"serviceurl": missing}},
		{"empty", nil, map[string]any{"serviceurl": ""}}, {"a number", nil, map[string]any{"serviceurl": 7}},
	}
}

// badTokens sends an activity under each token of a kind, a hundred times.
func badTokens(kinds func() []forgery) func(*assault) {
	return func(s *assault) {
		r := s.prepare()
		r.publishKeys()
		r.begin()
		all := kinds()
		s.each(len(all)*s.many(100, 4), 8, func(i int) {
			f := all[i%len(all)]
			id := r.teams.Identity
			bearer := "Bearer " + id.Sign(with(id.Header(), f.header), with(id.Claims(r.teams.URL), f.claims))
			ack := r.teams.SendAs(r.activity("ana", "mine", r.teams.URL, teamsfake.TenantID), bearer)
			s.triedAs(f.name, ack.Err == nil && ack.Status/100 == 2, "%d", ack.Status)
		})
	}
}

func otherTenants(s *assault) {
	r := s.open()
	all := []string{"11111111-2222-4333-8444-555555555555", "", teamsfake.TenantID + "0", teamsfake.TenantID[1:]}
	s.each(len(all)*s.many(250, 10), 8, func(i int) {
		ack := r.teams.SendAs(r.activity("ana", "mine", r.teams.URL, all[i%len(all)]), "Bearer "+r.teams.Identity.Token(r.teams.URL))
		s.triedAs(fmt.Sprintf("tenant %q", all[i%len(all)]), ack.Err == nil && ack.Status/100 == 2, "%d", ack.Status)
	})
}

// keysAway takes Microsoft's keys away before the bot has ever had them.
func keysAway(s *assault) {
	r := s.prepare()
	faults := []teamsfake.Fault{{Status: http.StatusServiceUnavailable}, {Reset: true}, {Body: "no keys"}, {Status: http.StatusFound, Location: "https://evil.example/keys"}, {Body: bigBody()}}
	r.teams.Identity.Misbehave("keys", teamsfake.Fault{Times: -1, Status: http.StatusServiceUnavailable})
	r.begin()
	for i, f := range faults {
		r.teams.Identity.Behave()
		f.Times = -1
		r.teams.Identity.Misbehave("keys", f)
		s.each(s.many(100, 4), 4, func(int) {
			ack := r.teams.Send(r.activity("ana", "mine", r.teams.URL, teamsfake.TenantID))
			s.triedAs(fmt.Sprintf("fault %d", i), ack.Err == nil && ack.Status/100 == 2, "%d", ack.Status)
		})
	}
}

// publishKeys publishes keys that are not for what Teams sends.
func (r *rig) publishKeys() {
	for kid, edits := range map[string]map[string]any{
		"webchat": {"endorsements": []string{"webchat"}}, "unendorsed": {"endorsements": nil}, "enc": {"use": "enc", "endorsements": nil},
	} {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			r.Fatal(err)
		}
		r.teams.Identity.Publish(kid, private, edits)
	}
}

// thief is a listener of the attacker's. It counts the connections that are made to it, whatever comes by them.
type thief struct {
	url  string
	came atomic.Int64
}

func startThief(s *assault) *thief {
	g := &thief{}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, is http.ConnState) {
		if is == http.StateNew {
			g.came.Add(1)
		}
	}
	server.Start()
	s.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// otherServices has the bot answer at addresses of the attacker's: each form of address has a listener of its own.
func otherServices(s *assault) {
	r := s.open()
	forms := []struct{ kind, address string }{
		{"a host", "http://%s/%d/"}, {"a user name", "http://user@%s/%d/"}, {"https", "https://%s/%d/"},
		{"Microsoft's host as user name", "http://smba.trafficmanager.net@%s/%d/"},
		{"Microsoft's host behind a #", "http://%s/%d/#https://smba.trafficmanager.net"}, {"a query", "http://%s/%d/?x="},
	}
	n := s.many(50, 5)
	var thieves []*thief
	for _, f := range forms {
		g := startThief(s)
		thieves = append(thieves, g)
		for i := range n {
			service := fmt.Sprintf(f.address, strings.TrimPrefix(g.url, "http://"), i)
			r.teams.SendAs(r.activity("ana", fmt.Sprintf("roles %d", i), service, teamsfake.TenantID), "Bearer "+r.teams.Identity.Token(service))
		}
	}
	redirected := startThief(s)
	r.teams.Misbehave("post", teamsfake.Fault{Status: http.StatusTemporaryRedirect, Location: redirected.url + "/redirected"})
	r.teams.As(teamsfake.ObjectID("ana")).Say("roles")
	thieves = append(thieves, redirected)
	r.soon(func() bool {
		return !slices.ContainsFunc(thieves, func(g *thief) bool { return g.came.Load() == 0 })
	})
	for i, f := range forms {
		for k := range n {
			s.triedAs(f.kind, int64(k) < thieves[i].came.Load(), "the bot came %d times", thieves[i].came.Load())
		}
	}
	s.triedAs("a redirect", redirected.came.Load() > 0, "the bot followed it")
}

// bigBody is more than any set of keys has.
func bigBody() string { return strings.Repeat(" ", 8<<20) }
