package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"elevate/bot/page"
	"elevate/workflows/access"
)

// begun is a sign-in that was begun and not finished, as the store has it.
type begun struct {
	Errand
	Browser string `json:"browser"` // hash of the browser's secret
}

// What people are told of a sign-in that came to nothing.
var (
	errUnknown = errors.New("no such sign-in was begun, or it is over")
	errBrowser = errors.New("the sign-in was begun in another browser")
	errDenied  = errors.New("the provider says no")
	errNotThem = errors.New("somebody else was to sign in")
)

// maxParameter is the longest parameter that is read, in bytes. Codes have a few kilobytes at most.
const maxParameter = 8 << 10

// callback takes a browser that the provider sends back.
func (d *Desk) callback(w http.ResponseWriter, r *http.Request) {
	b, v, err := d.finish(r)
	if err != nil {
		d.sorry(w, b, v.Identity, err)
		return
	}
	token := newToken() // the browser's secret of before is no longer worth anything
	if err := d.remember(r.Context(), visitKey(token, b.Purpose), v, visitFor); err != nil {
		d.sorry(w, b, v.Identity, err)
		return
	}
	http.SetCookie(w, d.cookie(begunCookie(r.URL.Query().Get("state")), "", 0))
	http.SetCookie(w, d.cookie(visitCookie(b.Purpose), token, visitFor))
	d.log.Info("somebody signed in", "person", v.Person, "issuer", v.Identity.Issuer, "subject", v.Identity.Subject)
	page.Redirect(w, b.Back)
}

// finish makes a visit of what a browser came back with. A state is good once, whatever comes of it.
func (d *Desk) finish(r *http.Request) (b begun, v Visit, err error) {
	q := r.URL.Query()
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(q[name]) > 1 || len(q.Get(name)) > maxParameter {
			return b, v, errUnknown
		}
	}
	state := q.Get("state")
	c, err := r.Cookie(d.name(begunCookie(state)))
	if state == "" || err != nil {
		return b, v, errUnknown // and the state is not spent: this browser did not begin it
	}
	stored, err := d.cfg.Store.Redeem(r.Context(), stateKey(state))
	if err != nil {
		return b, v, fmt.Errorf("store: %w", err)
	}
	if !d.recall(stored, &b) {
		return b, v, errUnknown
	}
	secret, back, _ := strings.Cut(c.Value, ".")
	if !equal(b.Browser, hash(secret)) {
		return begun{}, v, errBrowser
	}
	if at, err := base64.RawURLEncoding.DecodeString(back); err == nil && local(string(at)) {
		b.Back = string(at)
	} else {
		return begun{}, v, errBrowser
	}
	if err := d.fromProvider(r.Context(), q.Get("iss")); err != nil {
		return b, v, err
	}
	if e := q.Get("error"); e != "" || q.Get("code") == "" {
		return b, v, fmt.Errorf("%w: %.200q", errDenied, e)
	}
	var token access.Secret
	if v.Identity, token, err = d.provider.redeem(r.Context(), q.Get("code"), derive(secret), b.Errand); err != nil {
		return b, v, err
	}
	p, err := d.cfg.Directory.ByIdentity(r.Context(), v.Identity)
	if err != nil {
		return b, v, err
	}
	if b.Person != "" && b.Person != p.ID {
		return b, v, fmt.Errorf("%w: %s, not %s", errNotThem, b.Person, p.ID)
	}
	v.Person = p.ID
	if !token.IsZero() {
		v.Sealed = d.cfg.Box.Seal(token, bound(p.ID, v.Identity)...)
	}
	return b, v, nil
}

// fromProvider refuses an answer that names another provider, or none where ours always names itself (RFC 9207).
func (d *Desk) fromProvider(ctx context.Context, said string) error {
	found, err := d.provider.discover(ctx)
	if err != nil {
		return err
	}
	if said != d.cfg.Issuer && (said != "" || found.saysIssuer) {
		return fmt.Errorf("%w: the answer is that of %.200q", errToken, said)
	}
	return nil
}

// sorry is the page of a sign-in that came to nothing.
func (d *Desk) sorry(w http.ResponseWriter, b begun, id access.Identity, err error) {
	status, p := http.StatusForbidden, page.Page{Title: "You are not signed in", Tone: page.Bad}
	code := ""
	switch {
	case errors.Is(err, errUnknown), errors.Is(err, errBrowser):
		status = http.StatusBadRequest
		p.Lead = "This sign-in was begun in another browser, was used already, or took too long. Open the link that you were given again, in this browser."
	case errors.Is(err, errDenied):
		p.Lead = "The sign-in was not completed, so nothing was done."
	case errors.Is(err, errNotThem):
		code = "other_person"
		p.Lead = "You signed in as somebody else than the link is for, so nothing was done. Sign out there, and sign in with your own account."
	case errors.Is(err, access.ErrNotFound):
		code = "unknown_identity"
		p.Lead = "You are signed in, but Elevate does not know who you are. Give this to whoever looks after Elevate here:"
		p.Facts = []page.Fact{{Label: "Subject", Value: id.Subject}}
	case errors.Is(err, errToken), errors.Is(err, errRefused):
		p.Lead = "The identity provider's answer does not hold, so nothing was done. Open the link again; if it goes on, tell whoever looks after Elevate here."
	default:
		status = http.StatusServiceUnavailable
		p.Lead = "The sign-in could not be checked just now, so nothing was done. Try again in a minute."
	}
	if code != "" {
		d.cfg.TurnedAway(context.Background(), id, code)
	}
	if b.Back != "" {
		p.Foot = "Open the link that you were given again to have another try."
	}
	d.log.Warn("a sign-in came to nothing", "purpose", b.Purpose, "issuer", d.cfg.Issuer, "err", err)
	page.Write(w, status, p)
}

// derive makes the secrets of a sign-in from that of the browser.
func derive(secret string) secrets {
	return secrets{nonce: keyed(secret, "nonce"), verifier: keyed(secret, "verifier")}
}

func keyed(secret, what string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// newToken is 256 bits that nobody guesses.
func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// The store knows no state and no cookie, only their hashes.
func stateKey(state string) string { return "signin:state:" + hash(state) }

func visitKey(token, purpose string) string { return "signin:visit:" + hash(token+"\x00"+purpose) }

// Each sign-in has cookies of its own, so that two in two tabs do not get into each other's way.
func begunCookie(state string) string { return "elevate-signin-" + hash(state)[:16] }

func visitCookie(purpose string) string { return "elevate-visit-" + hash(purpose)[:16] }

// name is a cookie's name as the browser holds it to: with TLS, nobody but this very host can have set it.
func (d *Desk) name(cookie string) string {
	if d.secure {
		return "__Host-" + cookie
	}
	return cookie
}

// cookie is sent with links that lead here (Lax), as the provider's does, and with nothing else that other sites do.
func (d *Desk) cookie(name, value string, lives time.Duration) *http.Cookie {
	c := &http.Cookie{Name: d.name(name), Value: value, Path: "/", MaxAge: int(lives.Seconds()), Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode} //nolint:gosec // not secure on loopback alone
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// remembered is what the store keeps of a sign-in. It says itself until when it counts: whoever can write to the store could
// keep it there, or put it back.
type remembered struct {
	Until time.Time       `json:"until"`
	What  json.RawMessage `json:"what"`
}

func (d *Desk) remember(ctx context.Context, key string, v any, ttl time.Duration) error {
	text, err := json.Marshal(v)
	if err == nil {
		text, err = json.Marshal(remembered{d.cfg.Now().Add(ttl).UTC(), text})
	}
	if err == nil {
		err = d.cfg.Store.Put(ctx, key, text, ttl)
	}
	if err != nil {
		return fmt.Errorf("remember a sign-in: %w", err)
	}
	return nil
}

// recall reads what was remembered, as the store gave it; false where that is nothing, or is over.
func (d *Desk) recall(stored []byte, into any) bool {
	var r remembered
	return stored != nil && json.Unmarshal(stored, &r) == nil && d.cfg.Now().Before(r.Until) && json.Unmarshal(r.What, into) == nil
}
