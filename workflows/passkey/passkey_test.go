package passkey_test

import (
	"errors"
	"testing"

	"elevate/workflows/access"
	"elevate/workflows/passkey"
	"elevate/workflows/passkey/passkeytest"
)

var ana = access.Person{ID: "ana"}

// registered is a party, and a key of Ana's with the device that holds it.
func registered(t testing.TB) (*passkey.Party, passkey.Key, *passkeytest.Device) {
	t.Helper()
	p, err := passkey.New("http://localhost:8080/below", "Elevate")
	must(t, err)
	challenge, d := []byte("0123456789abcdef0123456789abcdef"), passkeytest.New(t, "http://localhost:8080")
	options, err := p.Register(challenge, ana, nil)
	must(t, err)
	key, _, err := p.Registered(challenge, ana, nil, []byte(d.Makes(t, options)))
	must(t, err)
	return p, key, d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestASignatureIsOfOneChallengeAndOnePerson(t *testing.T) {
	t.Parallel()
	p, key, d := registered(t)
	challenge := []byte("another challenge of 32 letters.")
	options, err := p.Sign(challenge, ana, []passkey.Key{key})
	must(t, err)
	answer := []byte(d.Signs(t, options))
	if which, count, err := p.Signed(challenge, ana, []passkey.Key{key}, answer); err != nil || which != 0 || count != 1 {
		t.Fatalf("%d, %d, %v", which, count, err)
	}
	for name, err := range map[string]error{
		"another challenge": second(p.Signed([]byte("yet another one, of 32 letters.."), ana, []passkey.Key{key}, answer)),
		"a passkey that is said to be synced": func() error {
			k := key
			k.Synced = !k.Synced
			return second(p.Signed(challenge, ana, []passkey.Key{k}, answer))
		}(),
	} {
		if !errors.Is(err, passkey.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ int, _ uint32, err error) error { return err }

// Whatever a browser sends, it is no signature of a challenge that no key has signed.
func FuzzAnswersOfNoKey(f *testing.F) {
	p, key, d := registered(f)
	options, err := p.Sign([]byte("a challenge that was signed once"), ana, []passkey.Key{key})
	must(f, err)
	f.Add([]byte(d.Signs(f, options)))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		challenge := []byte("a challenge that nobody signed..")
		if _, _, err := p.Signed(challenge, ana, []passkey.Key{key}, answer); !errors.Is(err, passkey.ErrAnswer) {
			t.Errorf("signed: %v", err)
		}
		if _, _, err := p.Registered(challenge, ana, nil, answer); !errors.Is(err, passkey.ErrAnswer) {
			t.Errorf("registered: %v", err)
		}
	})
}
