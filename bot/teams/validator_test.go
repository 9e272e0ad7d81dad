package teams

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/schema"

	"elevate/bot/teams/teamsfake"
	"elevate/storage/storagetest"
)

const service = "https://smba.trafficmanager.net/emea/"

// gate is a validator that a fake Microsoft signs for, and a clock that stands until it is moved.
type gate struct {
	*validator
	id    *teamsfake.Identity
	clock *storagetest.Clock
}

func newGate(t testing.TB, edits ...func(*validatorConfig)) *gate {
	t.Helper()
	g := &gate{id: teamsfake.NewIdentity(t), clock: storagetest.NewClock()}
	g.id.Now = g.clock.Now
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	t.Cleanup(client.CloseIdleConnections)
	cfg := validatorConfig{
		AppID: teamsfake.AppID, Issuer: teamsfake.Issuer, MetadataURL: g.id.MetadataURL(), HTTP: client,
		Now: g.clock.Now, Log: slog.New(slog.DiscardHandler),
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	g.validator = newValidator(cfg)
	t.Cleanup(g.close)
	return g
}

// activity is one of Teams.
func (g *gate) activity(edit func(*schema.Activity)) schema.Activity {
	a := schema.Activity{Type: schema.Message, ChannelID: "msteams", ServiceURL: service}
	if edit != nil {
		edit(&a)
	}
	return a
}

// try gives what becomes of a header that comes with an ordinary activity.
func (g *gate) try(t testing.TB, header string) error {
	t.Helper()
	_, err := g.AuthenticateRequest(t.Context(), g.activity(nil), header, nil, "")
	return err
}

// signed makes an Authorization header. Edits replace members of a good token's header and claims; missing takes them away.
func (g *gate) signed(header, claims map[string]any) string {
	return "Bearer " + g.id.Sign(edited(g.id.Header(), header), edited(g.id.Claims(service), claims))
}

// missing is the value of what is not there.
var missing absent

type absent struct{}

func (absent) String() string { return "missing" }

func edited(good, edits map[string]any) map[string]any {
	maps.Copy(good, edits)
	maps.DeleteFunc(good, func(_ string, v any) bool { return v == missing })
	return good
}

// keys of this test: one that nobody published, and one that is too short.
var (
	strangersKey = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	shortKey     = sync.OnceValue(func() *rsa.PrivateKey { return newKey(1024) })
)

func newKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// seal signs whatever it is given as the parts of a token.
func seal(key *rsa.PrivateKey, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return "Bearer " + text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// byStranger is a good token, but that a stranger signed it.
func (g *gate) byStranger(edits map[string]any) string {
	header, err := json.Marshal(edited(g.id.Header(), edits))
	claims, err2 := json.Marshal(g.id.Claims(service))
	if err := errors.Join(err, err2); err != nil {
		panic(err)
	}
	return seal(strangersKey(), string(header), string(claims))
}

// forgery is a request that is not Microsoft's for this bot, in one way.
type forgery struct {
	name     string
	header   func(g *gate) string
	activity func(*schema.Activity)
	fetches  bool // only the keys can tell
}

func header(edits map[string]any) func(*gate) string {
	return func(g *gate) string { return g.signed(edits, nil) }
}

func claim(name string, value any) func(*gate) string {
	return func(g *gate) string { return g.signed(nil, map[string]any{name: value}) }
}

// claimAt sets a claim to a time this far from now.
func claimAt(name string, d time.Duration) func(*gate) string {
	return func(g *gate) string { return g.signed(nil, map[string]any{name: g.clock.Now().Add(d).Unix()}) }
}

// turned changes the text of a good header.
func turned(change func(good string) string) func(*gate) string {
	return func(g *gate) string { return change(g.signed(nil, nil)) }
}

func literal(text string) func(*gate) string { return func(*gate) string { return text } }

func good(g *gate) string { return g.signed(nil, nil) }

func forgeries() []forgery {
	return append(append(append(malformed(), wrongHeaders()...), wrongClaims()...), wrongKeys()...)
}

func malformed() []forgery {
	sealed := func(header, claims string) func(*gate) string {
		return func(g *gate) string {
			g.id.Publish("stranger", strangersKey(), nil)
			return seal(strangersKey(), header, claims)
		}
	}
	const plain = `{"alg":"RS256","kid":"stranger"}`
	return []forgery{
		{name: "no header", header: literal("")},
		{name: "no token", header: literal("Bearer ")},
		{name: "another scheme", header: literal("Basic ZWxldmF0ZTplbGV2YXRl")},
		{name: "token without scheme", header: turned(func(s string) string { return strings.TrimPrefix(s, "Bearer ") })},
		{name: "scheme in lower case", header: turned(func(s string) string { return "b" + s[1:] })},
		{name: "two spaces", header: turned(func(s string) string { return strings.Replace(s, " ", "  ", 1) })},
		{name: "space before", header: turned(func(s string) string { return " " + s })},
		{name: "space after", header: turned(func(s string) string { return s + " " })},
		{name: "two tokens", header: turned(func(s string) string { return s + ", " + s })},
		{name: "no token at all", header: literal("Bearer x")},
		{name: "two parts", header: turned(func(s string) string { return s[:strings.LastIndex(s, ".")] })},
		{name: "four parts", header: turned(func(s string) string { return s + ".e30" })},
		{name: "five empty parts", header: literal("Bearer ....")},
		{name: "dots", header: literal("Bearer " + strings.Repeat(".", 10_000))},
		{name: "more than 16 KiB", header: claim("padding", strings.Repeat("a", 16<<10))},
		{name: "line break in the signature", header: turned(func(s string) string { return s[:len(s)-9] + "\n" + s[len(s)-9:] })},
		{name: "padded signature", header: turned(func(s string) string { return s + "==" })},
		{name: "bits beyond the signature", header: turned(func(s string) string {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" // 256 bytes leave four bits of the last letter unused
			return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])|1])
		})},
		{name: "zero byte", header: turned(func(s string) string { return s + "\x00" })},
		{name: "header no JSON", header: sealed(`kid`, `{}`)},
		{name: "header null", header: sealed(`null`, `{}`)},
		{name: "header a list", header: sealed(`["RS256"]`, `{}`)},
		{name: "claims no JSON", header: sealed(plain, `claims`)},
		{name: "claims null", header: sealed(plain, `null`)},
		{name: "claims a list", header: sealed(plain, `[{"iss":"x"}]`)},
		{name: "claims a text", header: sealed(plain, `"iss"`)},
		{name: "claims empty", header: sealed(plain, `{}`)},
		{name: "claims nested deeply", header: sealed(plain, strings.Repeat(`{"a":`, 1500)+"1"+strings.Repeat("}", 1500))},
	}
}

func wrongHeaders() []forgery {
	more := func(name string, value any) forgery {
		return forgery{name: fmt.Sprintf("%s %v", name, value), header: header(map[string]any{name: value})}
	}
	alg := func(value any) forgery { return more("alg", value) }
	list := []forgery{
		alg("none"), alg("None"), alg(""), alg(missing), alg(256), alg([]string{"RS256"}), alg("rs256"),
		alg("HS256"), alg("HS512"), alg("RS384"), alg("RS512"), alg("PS256"), alg("ES256"), alg("EdDSA"),
		more("kid", missing), more("kid", ""), more("kid", nil), more("kid", 1), more("kid", []string{"fake-key-1"}),
		more("crit", []string{"exp"}), more("jku", "https://evil.example/keys"), more("x5u", "https://evil.example/key"),
		more("x5c", []string{"MII"}), more("crit", nil),
		more("jwk", map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
	}
	return append(list, forgery{name: "its own key in its header", header: func(g *gate) string {
		n := base64.RawURLEncoding.EncodeToString(strangersKey().N.Bytes())
		return g.byStranger(map[string]any{"jwk": map[string]any{"kty": "RSA", "kid": "fake-key-1", "e": "AQAB", "n": n}})
	}})
}

func wrongClaims() []forgery {
	of := func(name string, values ...any) (list []forgery) {
		for _, v := range values {
			list = append(list, forgery{name: fmt.Sprintf("%s %v", name, v), header: claim(name, v)})
		}
		return list
	}
	app := teamsfake.AppID
	list := of("iss", missing, nil, "", 5, []string{teamsfake.Issuer}, teamsfake.Issuer+"/", "https://api.botframework.us",
		"https://sts.windows.net/"+teamsfake.TenantID+"/", strings.ToUpper(teamsfake.Issuer))
	list = append(list, of("aud", missing, nil, "", 5, true, "00000000-0000-4000-8000-000000000000", strings.ToUpper(app), " "+app,
		[]string{}, []string{app, "https://graph.microsoft.com"}, []string{app, app}, []any{app, 5}, map[string]any{app: app})...)
	list = append(list, of("exp", missing, nil, 0, "2000000000", true, -1, -1e300, []int{2_000_000_000})...)
	list = append(list, of("nbf", "0", true, map[string]any{}, 9e9)...)
	list = append(list, of("serviceurl", missing, nil, "", "/", 5, []string{service}, map[string]any{}, "https://smba.trafficmanager.net",
		"https://smba.trafficmanager.net/amer/", service+"v3", "http://smba.trafficmanager.net/emea/", strings.ToUpper(service))...)
	at := func(service string) func(*schema.Activity) {
		return func(a *schema.Activity) { a.ServiceURL = service }
	}
	channel := func(name string) func(*schema.Activity) {
		return func(a *schema.Activity) { a.ChannelID = name }
	}
	return append(list,
		forgery{name: "expired", header: claimAt("exp", -5*time.Minute)},
		forgery{name: "expired long ago", header: claimAt("exp", -24*time.Hour)},
		forgery{name: "not good yet", header: claimAt("nbf", 5*time.Minute+time.Second)},
		forgery{name: "activity of another service URL", header: good, activity: at("https://evil.example/")},
		forgery{name: "activity without service URL", header: good, activity: at("")},
		forgery{name: "no service URL on either side", header: claim("serviceurl", ""), activity: at("")},
		forgery{name: "only slashes as service URLs", header: claim("serviceurl", "/"), activity: at("/")},
		forgery{name: "activity of another channel", header: good, activity: channel("facebook")},
		forgery{name: "activity without channel", header: good, activity: channel("")},
		forgery{name: "channel in capitals", header: good, activity: channel("MSTeams")},
	)
}

func wrongKeys() []forgery {
	published := func(private func() *rsa.PrivateKey, edits map[string]any) func(*gate) string {
		return func(g *gate) string {
			g.id.Publish("odd", private(), edits)
			return g.signed(map[string]any{"kid": "odd"}, nil)
		}
	}
	list := []forgery{
		{name: "unknown key", header: header(map[string]any{"kid": "fake-key-99"})},
		{name: "key id in capitals", header: header(map[string]any{"kid": "FAKE-KEY-1"})},
		{name: "a stranger's key", header: func(g *gate) string { return g.byStranger(nil) }},
		{name: "another published key's id", header: func(g *gate) string {
			token := strings.Split(g.signed(nil, nil), ".")
			g.id.Rotate()
			token[0] = strings.Split(g.signed(nil, nil), ".")[0]
			return strings.Join(token, ".")
		}},
		{name: "other claims", header: turned(func(s string) string {
			token := strings.Split(s, ".")
			claims, _ := base64.RawURLEncoding.DecodeString(token[1])
			token[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), `"nbf"`, `"iat"`, 1)))
			return strings.Join(token, ".")
		})},
		{name: "no signature", header: turned(func(s string) string { return s[:strings.LastIndex(s, ".")+1] })},
		{name: "signature of zeros", header: turned(func(s string) string {
			return s[:strings.LastIndex(s, ".")+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
		})},
		{name: "signature cut", header: turned(func(s string) string { return s[:len(s)-2] })},
		{name: "signature turned", header: turned(func(s string) string {
			at := strings.LastIndex(s, ".") + 1
			return s[:at] + s[at+4:at+8] + s[at:at+4] + s[at+8:]
		})},
		{name: "key for another channel", header: published(strangersKey, map[string]any{"endorsements": []string{"facebook"}})},
		{name: "key for a channel that sounds alike", header: published(strangersKey, map[string]any{"endorsements": []string{"msteams2"}})},
		{name: "key for no channel", header: published(strangersKey, map[string]any{"endorsements": []string{}})},
		{name: "key without endorsements", header: published(strangersKey, map[string]any{"endorsements": nil})},
		{name: "key with one word of endorsement", header: published(strangersKey, map[string]any{"endorsements": "msteams"})},
		{name: "key of 1024 bits", header: published(shortKey, nil)},
		{name: "key for encryption", header: published(strangersKey, map[string]any{"use": "enc"})},
		{name: "key without use", header: published(strangersKey, map[string]any{"use": nil})},
		{name: "key of another type", header: published(strangersKey, map[string]any{"kty": "EC"})},
		{name: "key for another algorithm", header: published(strangersKey, map[string]any{"alg": "RS512"})},
		{name: "key without id", header: published(strangersKey, map[string]any{"kid": nil})},
	}
	for i := range list {
		list[i].fetches = true
	}
	return list
}

func TestBadTokensAreRefused(t *testing.T) {
	t.Parallel()
	kinds := forgeries()
	if len(kinds) < 40 {
		t.Fatalf("only %d kinds of bad tokens", len(kinds))
	}
	for _, f := range kinds {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			bad, a := f.header(g), g.activity(f.activity)
			for range 100 {
				claims, err := g.AuthenticateRequest(t.Context(), a, bad, auth.SimpleCredentialProvider{}, "")
				if !errors.Is(err, errForged) || errors.Is(err, errKeys) || claims != nil {
					t.Fatalf("gave %v, %v for %.200q; want errForged", claims, err, bad)
				}
			}
			if n := g.id.Fetches(); (n > 0) != f.fetches || n > 1 {
				t.Errorf("made the validator fetch keys %d times", n)
			}
			if err := g.try(t, good(g)); err != nil {
				t.Errorf("a good token is refused beside it: %v", err)
			}
		})
	}
}

func TestMicrosoftsTokensAreAccepted(t *testing.T) {
	t.Parallel()
	slashed, plain := service, strings.TrimSuffix(service, "/")
	for _, test := range []struct {
		name    string
		header  func(g *gate) string
		service string
	}{
		{"as documented", good, slashed},
		{"slash in the claim alone", good, plain},
		{"slash in the activity alone", claim("serviceurl", plain), slashed},
		{"slash in neither", claim("serviceurl", plain), plain},
		{"another service URL on both sides", claim("serviceurl", "https://smba.infra.gcc.teams.microsoft.com/teams"), "https://smba.infra.gcc.teams.microsoft.com/teams/"},
		{"expired four minutes ago", claimAt("exp", -4*time.Minute), slashed},
		{"expired within five minutes", claimAt("exp", -5*time.Minute+time.Second), slashed},
		{"good in four minutes", claimAt("nbf", 4*time.Minute), slashed},
		{"good in five minutes", claimAt("nbf", 5*time.Minute), slashed},
		{"without nbf", claim("nbf", missing), slashed},
		{"expiry with a fraction", claim("exp", 4102444800.5), slashed},
		{"audience in a list of its own", claim("aud", []string{teamsfake.AppID}), slashed},
		{"more claims", func(g *gate) string {
			return g.signed(nil, map[string]any{"iat": 1, "tid": teamsfake.TenantID, "sub": nil, "xms": map[string]any{"a": []int{1}}, "jti": 5})
		}, slashed},
		{"header without typ and x5t", header(map[string]any{"typ": missing, "x5t": missing}), slashed},
		{"nearly 16 KiB", claim("padding", strings.Repeat("a", 11<<10)), slashed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			a := g.activity(func(a *schema.Activity) { a.ServiceURL = test.service })
			claims, err := g.AuthenticateRequest(t.Context(), a, test.header(g), nil, "")
			if err != nil || !claims.IsAuthenticated() || claims.GetClaimValue("iss") != teamsfake.Issuer {
				t.Errorf("gave %v, %v", claims, err)
			}
		})
	}
}

func TestClaimsOfAnyTypeAreRead(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	header := g.signed(nil, map[string]any{"number": 5, "list": []string{"a"}, "null": nil, "text": "a"})
	claims, err := g.AuthenticateRequest(t.Context(), g.activity(nil), header, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"number": "", "list": "", "null": "", "none": "", "text": "a", "aud": teamsfake.AppID} {
		if got := claims.GetClaimValue(name); got != want {
			t.Errorf("the claim %s is %q, want %q", name, got, want)
		}
	}
}

func TestNobodyIsLetInWithoutConfiguration(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*validatorConfig){
		"app id":  func(cfg *validatorConfig) { cfg.AppID = "" },
		"issuer":  func(cfg *validatorConfig) { cfg.Issuer = "" },
		"neither": func(cfg *validatorConfig) { cfg.AppID, cfg.Issuer = "", "" },
	} {
		g := newGate(t, edit)
		for _, header := range []string{
			"", "Bearer x", "Basic abc", good(g), g.signed(nil, map[string]any{"aud": ""}), g.signed(nil, map[string]any{"iss": "", "aud": ""}),
			g.signed(nil, map[string]any{"aud": missing}), g.signed(nil, map[string]any{"iss": missing}),
		} {
			if claims, err := g.AuthenticateRequest(t.Context(), g.activity(nil), header, auth.SimpleCredentialProvider{}, ""); !errors.Is(err, errForged) {
				t.Errorf("without %s %.60q gives %v, %v", name, header, claims, err)
			}
		}
		if n := g.id.Fetches(); n != 0 {
			t.Errorf("without %s keys were fetched %d times", name, n)
		}
	}
}

// FuzzAuthorization tries headers, and good ones with something put into them or in the place of a piece of them.
func FuzzAuthorization(f *testing.F) {
	g := newGate(f)
	real := good(g)
	for _, forged := range forgeries() {
		if !forged.fetches {
			f.Add(forged.header(g), uint16(len(forged.name)), uint8(1), "=")
		}
	}
	for _, piece := range []string{"", "\n", "A", ".", "=", " "} {
		f.Add(real, uint16(len(real)), uint8(0), piece)
	}
	f.Fuzz(func(t *testing.T, header string, at uint16, cut uint8, piece string) {
		from := min(int(at), len(real))
		spoiled := real[:from] + piece + real[min(from+int(cut), len(real)):]
		for _, h := range []string{header, spoiled} {
			claims, err := g.AuthenticateRequest(t.Context(), g.activity(nil), h, nil, "")
			if h != real && (!errors.Is(err, errForged) || claims != nil) {
				t.Fatalf("gave %v, %v for %q", claims, err, h)
			}
			if h == real && err != nil {
				t.Fatalf("the good one is refused: %v", err)
			}
		}
	})
}
