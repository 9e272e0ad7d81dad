package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/time/rate"

	"elevate/bot"
	"elevate/workflows/access"
)

// Token is a bearer token as it stands in the configuration: its hash, never itself. Tokens are machine-made, 256
// random bits (openssl rand -base64 32), so a plain SHA-256 keeps them: there is nothing to guess that a slow hash
// would protect.
type Token struct {
	Name   string          // says in the audit log which token was used
	Person access.PersonID // whom it speaks for
	Hash   string          // as HashToken gives it
}

// token is a Token ready to compare.
type token struct {
	name    string
	person  access.PersonID
	hash    []byte
	limiter *rate.Limiter // of all calls
	acts    *rate.Limiter // of those that change something, and leave something in the store
}

const hashPrefix = "sha256:"

// HashToken is what is kept of a token.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// CheckHash tells whether a text is what HashToken gives.
func CheckHash(hash string) error {
	digits, ok := strings.CutPrefix(hash, hashPrefix)
	if _, err := hex.DecodeString(digits); !ok || err != nil || len(digits) != 2*sha256.Size || digits != strings.ToLower(digits) {
		return fmt.Errorf("write %s and the %d lower-case hexadecimal digits that sha256sum prints for the token", hashPrefix, 2*sha256.Size)
	}
	return nil
}

func parseTokens(tokens []Token, perSecond float64, burst int) ([]token, error) {
	var out []token
	var problems []error
	names, hashes := map[string]bool{}, map[string]string{}
	for i, t := range tokens {
		err := CheckHash(t.Hash)
		switch {
		case t.Name == "" || t.Person == "":
			problems = append(problems, fmt.Errorf("token %d needs a name and a person", i+1))
		case names[t.Name]:
			problems = append(problems, fmt.Errorf("token %d: the name %q is taken by another token", i+1, t.Name))
		case err != nil:
			problems = append(problems, fmt.Errorf("token %q: hash: %w", t.Name, err))
		case hashes[t.Hash] != "":
			problems = append(problems, fmt.Errorf("token %q has the same hash as token %q", t.Name, hashes[t.Hash]))
		default:
			names[t.Name], hashes[t.Hash] = true, t.Name
			out = append(out, token{name: t.Name, person: t.Person, hash: []byte(t.Hash),
				limiter: rate.NewLimiter(rate.Limit(perSecond), burst),
				acts:    rate.NewLimiter(rate.Limit(perSecond/10), burst)})
		}
	}
	return out, errors.Join(problems...)
}

// longestToken bounds what is hashed of an Authorization header.
const longestToken = 512

// authenticate finds the token of a call. It compares the hash of what was sent with every token's, in constant time,
// so that the time of the answer says nothing of which token was close, or whether there are any.
func (a *API) authenticate(r *http.Request) (token, bool) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	credentials = strings.TrimSpace(credentials)
	well := strings.EqualFold(scheme, "Bearer") && credentials != "" && len(credentials) <= longestToken &&
		len(r.Header.Values("Authorization")) == 1
	sent := []byte(HashToken(credentials[:min(len(credentials), longestToken)]))
	found := -1
	for i, t := range a.tokens {
		if subtle.ConstantTimeCompare(t.hash, sent) == 1 {
			found = i
		}
	}
	if !well || found < 0 {
		return token{}, false
	}
	return a.tokens[found], true
}

// unauthenticated is the one answer to no token, a malformed one and an unknown one.
func unauthenticated() *response {
	res := problem(http.StatusUnauthorized, "no_token",
		"Send a valid token as “Authorization: Bearer …”. An administrator can give you one.").response()
	res.Header["WWW-Authenticate"] = `Bearer realm="elevate"`
	return res
}

// caller is who makes a call.
type caller struct {
	token  token
	person access.Person
	actor  access.Actor
}

// via is the way in, on record.
const via = "api"

// identify resolves a token to its person as the directory has them now: somebody who left cannot call any more. With
// an error, what is known of the caller is the actor.
func (a *API) identify(r *http.Request, t token) (caller, error) {
	return a.resolve(r.Context(), t, access.Actor{Person: t.person, Via: via, Account: t.name, Address: bot.RemoteAddress(r)})
}

func (a *API) resolve(ctx context.Context, t token, by access.Actor) (caller, error) {
	who := caller{token: t, actor: by}
	p, err := a.cfg.Directory.Person(ctx, t.person)
	var refused *access.Refusal
	switch {
	case errors.As(err, &refused):
		return who, refused
	case errors.Is(err, access.ErrNotFound):
		return who, &access.Refusal{Kind: access.ErrNotAllowed, Code: "unknown_person", Err: err,
			Text: "The person whom this token belongs to is not in Elevate's directory. Ask an administrator to add them, or for another token."}
	case err != nil:
		return who, &access.Refusal{Kind: access.ErrUnavailable, Code: "directory_unavailable", Err: err,
			Text: "The directory could not be asked who you are, so nothing was done. Try again in a minute."}
	}
	who.person = p
	return who, nil
}
