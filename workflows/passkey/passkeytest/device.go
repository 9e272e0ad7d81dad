// Package passkeytest is a security key in software, for tests: it does what a browser and a key do between them.
package passkeytest

import (
	"net/url"
	"testing"

	"github.com/descope/virtualwebauthn"
)

// Device is a security key that holds one credential. Its fields may be set to what an honest key would not say.
type Device struct {
	virtualwebauthn.Authenticator
	virtualwebauthn.Credential
	site virtualwebauthn.RelyingParty
}

// New makes a Device for the pages of an origin, such as https://elevate.example.com.
func New(t testing.TB, origin string) *Device {
	t.Helper()
	d := &Device{Authenticator: virtualwebauthn.NewAuthenticator(), site: At(t, origin)}
	const whole = 77 // bytes; the library leaves zeros in front of a coordinate out, and such a key is none
	for d.Key == nil || len(d.Key.AttestationData()) != whole {
		d.Credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return d
}

// At is where a browser is, as a key sees it: on a page of an origin.
func At(t testing.TB, origin string) virtualwebauthn.RelyingParty {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	return virtualwebauthn.RelyingParty{ID: u.Hostname(), Name: "Elevate", Origin: origin}
}

// Makes answers the options of a registration.
func (d *Device) Makes(t testing.TB, options []byte) string {
	t.Helper()
	asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	return virtualwebauthn.CreateAttestationResponse(d.site, d.Authenticator, d.Credential, *asked)
}

// Signs answers the options of a page that asks for a signature, and counts on.
func (d *Device) Signs(t testing.TB, options []byte) string {
	t.Helper()
	return d.SignsAt(t, options, d.site)
}

// SignsAt is Signs on a page elsewhere.
func (d *Device) SignsAt(t testing.TB, options []byte, site virtualwebauthn.RelyingParty) string {
	t.Helper()
	asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	d.Counter++
	return virtualwebauthn.CreateAssertionResponse(site, d.Authenticator, d.Credential, *asked)
}
