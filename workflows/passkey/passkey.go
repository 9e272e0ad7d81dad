// Package passkey is what happens between Elevate and a security key or passkey (WebAuthn): registering one, and having it
// sign. It keeps nothing: challenges and keys are given to it, and what counts once is counted elsewhere. Each signature
// needs the person's PIN, finger or face, not their touch alone.
package passkey

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"elevate/workflows/access"
)

// ErrAnswer says that what a browser sent is no answer of a key to what it was asked.
var ErrAnswer = errors.New("no answer of this key to this challenge")

// localhost is the one host that browsers take keys on without TLS.
const localhost = "localhost"

// CheckURL tells why browsers would take no key on pages below an address, or nil.
func CheckURL(publicURL string) error {
	u, err := url.Parse(publicURL)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("must be an address such as https://elevate.example.com")
	case net.ParseIP(u.Hostname()) != nil:
		return errors.New("must have a name for its host: browsers take security keys for names alone, not for addresses such as 127.0.0.1 (localhost is one)")
	case u.Scheme != "https" && u.Hostname() != localhost:
		return errors.New("must begin with https://: browsers take security keys on no other pages, but for http://localhost")
	}
	return nil
}

// Key is what is kept of a security key. The private half never leaves it.
type Key struct {
	ID         []byte   `json:"id"`
	Public     []byte   `json:"public"` // COSE
	Transports []string `json:"transports,omitempty"`
	// Synced tells that its maker copies it to other devices of the person. A key never changes that.
	Synced bool `json:"synced,omitempty"`
}

// Party is the one that keys answer to: a host, by its name. It is safe for concurrent use.
type Party struct{ ceremonies *webauthn.WebAuthn }

// New makes the Party of the pages below an address. Keys are bound to the host in it: under another, none of them works.
func New(publicURL, name string) (*Party, error) {
	if err := CheckURL(publicURL); err != nil {
		return nil, fmt.Errorf("passkey: the address %w", err)
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	required := false
	made, err := webauthn.New(&webauthn.Config{
		RPID: strings.ToLower(u.Hostname()), RPDisplayName: name, RPOrigins: []string{u.Scheme + "://" + strings.ToLower(u.Host)},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			UserVerification: protocol.VerificationRequired, ResidentKey: protocol.ResidentKeyRequirementPreferred, RequireResidentKey: &required,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &Party{made}, nil
}

// Host is the name that keys are bound to.
func (p *Party) Host() string { return p.ceremonies.Config.RPID }

// Register gives what a browser needs to make a key for a person (PublicKeyCredentialCreationOptionsJSON). Those that the
// person has already make no second one.
func (p *Party) Register(challenge []byte, who access.Person, has []Key) (options []byte, err error) {
	made, _, err := p.register(challenge, who, has)
	if err != nil {
		return nil, err
	}
	return json.Marshal(made.Response)
}

func (p *Party) register(challenge []byte, who access.Person, has []Key) (*protocol.CredentialCreation, *webauthn.SessionData, error) {
	owner := owner{who, has}
	made, session, err := p.ceremonies.BeginRegistration(owner, func(o *protocol.PublicKeyCredentialCreationOptions) error {
		o.Challenge = challenge
		return nil
	}, webauthn.WithExclusions(webauthn.Credentials(owner.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, nil, fmt.Errorf("ask for a key: %w", err)
	}
	return made, session, nil
}

// Registered is the key that a browser made for a challenge, and its counter. ErrAnswer where it made none.
func (p *Party) Registered(challenge []byte, who access.Person, has []Key, answer []byte) (Key, uint32, error) {
	_, session, err := p.register(challenge, who, has)
	if err != nil {
		return Key{}, 0, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Key{}, 0, refused(err)
	}
	made, err := p.ceremonies.CreateCredential(owner{who, has}, *session, parsed)
	if err != nil {
		return Key{}, 0, refused(err)
	}
	if slices.ContainsFunc(has, func(k Key) bool { return bytes.Equal(k.ID, made.ID) }) {
		return Key{}, 0, fmt.Errorf("%w: the person has this key already", ErrAnswer)
	}
	k := Key{ID: made.ID, Public: made.PublicKey, Synced: made.Flags.BackupEligible}
	for _, t := range made.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	return k, made.Authenticator.SignCount, nil
}

// Sign gives what a browser needs to have one of a person's keys sign a challenge (PublicKeyCredentialRequestOptionsJSON).
func (p *Party) Sign(challenge []byte, who access.Person, has []Key) (options []byte, err error) {
	asked, _, err := p.sign(challenge, who, has)
	if err != nil {
		return nil, err
	}
	return json.Marshal(asked.Response)
}

func (p *Party) sign(challenge []byte, who access.Person, has []Key) (*protocol.CredentialAssertion, *webauthn.SessionData, error) {
	asked, session, err := p.ceremonies.BeginLogin(owner{who, has}, webauthn.WithChallenge(challenge))
	if err != nil {
		return nil, nil, fmt.Errorf("ask a key to sign: %w", err)
	}
	return asked, session, nil
}

// Signed tells which of a person's keys signed a challenge, and how often it has signed so far by its own count, which
// some keys leave at 0. ErrAnswer where none did.
func (p *Party) Signed(challenge []byte, who access.Person, has []Key, answer []byte) (which int, count uint32, err error) {
	_, session, err := p.sign(challenge, who, has)
	if err != nil {
		return 0, 0, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return 0, 0, refused(err)
	}
	by, err := p.ceremonies.ValidateLogin(owner{who, has}, *session, parsed)
	if err != nil {
		return 0, 0, refused(err)
	}
	which = slices.IndexFunc(has, func(k Key) bool { return bytes.Equal(k.ID, by.ID) })
	if which < 0 {
		return 0, 0, fmt.Errorf("%w: of no key of the person", ErrAnswer)
	}
	return which, parsed.Response.AuthenticatorData.Counter, nil
}

// refused is an answer that does not count, with what the library says of it for the log.
func refused(err error) error {
	var detail *protocol.Error
	if errors.As(err, &detail) {
		return fmt.Errorf("%w: %s", ErrAnswer, strings.TrimSpace(detail.Details+" "+detail.DevInfo))
	}
	return fmt.Errorf("%w: %w", ErrAnswer, err)
}

// owner is a person with their keys, as the library asks for one.
type owner struct {
	access.Person
	keys []Key
}

// WebAuthnID is the same for all keys of a person, and tells nobody who that is.
func (o owner) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("elevate person " + string(o.ID)))
	return sum[:]
}

// WebAuthnName is what the browser lists the key by.
func (o owner) WebAuthnName() string { return string(o.ID) }

// WebAuthnDisplayName is the person's name.
func (o owner) WebAuthnDisplayName() string { return o.DisplayName() }

// WebAuthnCredentials are the keys.
func (o owner) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, len(o.keys))
	for i, k := range o.keys {
		out[i] = webauthn.Credential{ID: k.ID, PublicKey: k.Public, Flags: webauthn.CredentialFlags{BackupEligible: k.Synced}}
		for _, t := range k.Transports {
			out[i].Transport = append(out[i].Transport, protocol.AuthenticatorTransport(t))
		}
	}
	return out
}
