package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Method is a second factor: a way in which somebody proves, for one exact act, to be there in person.
type Method string

// The methods, the weakest first.
const (
	NoFactor Method = ""
	TOTP     Method = "totp"     // a code of an authenticator app, good once
	WebAuthn Method = "webauthn" // a key or a device that signs the act itself
)

var strength = []Method{NoFactor, TOTP, WebAuthn}

// Stricter is the stronger of two methods. One that is not known counts as the strongest: nothing can prove it.
func (m Method) Stricter(other Method) Method {
	rank := func(m Method) int {
		if i := slices.Index(strength, m); i >= 0 {
			return i
		}
		return len(strength)
	}
	if rank(other) > rank(m) {
		return other
	}
	return m
}

// StepUp says which acts on a role ask for a second factor.
type StepUp struct {
	Request Method `json:"request,omitempty"` // to ask for the role, and to prolong it
	Approve Method `json:"approve,omitempty"` // to approve
}

// Stricter takes the stronger method of each act.
func (s StepUp) Stricter(other StepUp) StepUp {
	return StepUp{Request: s.Request.Stricter(other.Request), Approve: s.Approve.Stricter(other.Approve)}
}

// Act is one exact thing that somebody is about to do, for a second factor to vouch for.
type Act struct {
	Verb    string    // request, approve, extend; or what is done to a factor: replace, remove, confirm, reset
	Request RequestID // empty before it has one, and where it is of no request
	Subject string    // what it is done to: a request's digest, or a person
}

// Digest identifies the act: no two different ones have the same.
func (a Act) Digest() string { return digest(a) }

// Digest identifies what is asked for, by whom and for whom: all of the request but its id.
func (r Request) Digest() string {
	r.ID = ""
	return digest(r)
}

// Substance identifies what is asked for without when and whence: the same however often it is looked at before it is
// submitted.
func (r Request) Substance() string {
	r.SubmittedAt, r.By = time.Time{}, Actor{}
	r.Parts = slices.Clone(r.Parts)
	for i := range r.Parts {
		r.Parts[i].ID = "" // drawn anew each time
	}
	return r.Digest()
}

// digest hashes a value of this package. Its JSON is the same for equal values: map keys are sorted.
func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("a target that cannot be written as JSON was stored: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// The codes of the refusals for want of a second factor.
const (
	CodeProofMissing  = "code_missing"  // the act asks for one, and none was given: ask for it, and do the act again
	CodeProofWrong    = "code_wrong"    // it is wrong, or was used already
	CodeFactorMissing = "no_factor"     // the person has none set up
	CodeFactorLocked  = "factor_locked" // too many wrong codes
	CodeKeyMissing    = "key_missing"   // the act asks for a security key: lead the person to the page that does
)

// AsksProof tells whether an act was held up only because it came without the proof that it asks for.
func AsksProof(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Code == CodeProofMissing
}

// NeedsKey is the refusal of an act that was held up only because a security key has to vouch for it, on a page.
type NeedsKey struct {
	*Refusal
	Act Act
	// Record is what the act is done to, for the page to show; nil where the act is of no request.
	Record *Record
}

// Unwrap makes it the refusal that it is.
func (n *NeedsKey) Unwrap() error { return n.Refusal }

// AsksKey gives what an act asks of a security key; nil where the error is another.
func AsksKey(err error) *NeedsKey {
	var n *NeedsKey
	errors.As(err, &n)
	return n
}
