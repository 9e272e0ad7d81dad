package seal

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"elevate/workflows/access"
)

const canary = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

func key(id string, first byte) Key {
	raw := make([]byte, KeySize)
	for i := range raw {
		raw[i] = first + byte(i)
	}
	return Key{ID: id, Key: access.NewSecret(base64.StdEncoding.EncodeToString(raw))}
}

func box(t *testing.T, purpose string, keys ...Key) *Box {
	t.Helper()
	b, err := New(keys, purpose)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatIsSealedOpensForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	b := box(t, "seed", key("k1", 1))
	sealed := b.Seal(access.NewSecret(canary), "ana", "f1")
	if strings.Contains(sealed, canary) || !strings.HasPrefix(sealed, "k1:") {
		t.Fatalf("sealed: %s", sealed)
	}
	if got, err := b.Open(sealed, "ana", "f1"); err != nil || got.Reveal() != canary {
		t.Errorf("opened %q, %v", got.Reveal(), err)
	}
	for name, open := range map[string]func() (access.Secret, error){
		"another person":  func() (access.Secret, error) { return b.Open(sealed, "ben", "f1") },
		"another factor":  func() (access.Secret, error) { return b.Open(sealed, "ana", "f2") },
		"names run on":    func() (access.Secret, error) { return b.Open(sealed, "anaf", "1") },
		"fewer names":     func() (access.Secret, error) { return b.Open(sealed, "ana") },
		"another purpose": func() (access.Secret, error) { return box(t, "click", key("k1", 1)).Open(sealed, "ana", "f1") },
		"another key":     func() (access.Secret, error) { return box(t, "seed", key("k1", 2)).Open(sealed, "ana", "f1") },
		"an unknown key":  func() (access.Secret, error) { return box(t, "seed", key("k2", 1)).Open(sealed, "ana", "f1") },
		"nothing":         func() (access.Secret, error) { return b.Open("", "ana", "f1") },
	} {
		if got, err := open(); !errors.Is(err, ErrSealed) || !got.IsZero() {
			t.Errorf("%s: opened %q, %v", name, got.Reveal(), err)
		}
	}
}

// Every single byte of what is sealed, changed in every bit.
func TestNoAlteredByteOpens(t *testing.T) {
	t.Parallel()
	b := box(t, "seed", key("k1", 1))
	id, text, _ := strings.Cut(b.Seal(access.NewSecret(canary), "ana"), ":")
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if _, err := b.Open(id+":"+base64.RawStdEncoding.EncodeToString(raw), "ana"); !errors.Is(err, ErrSealed) {
				t.Errorf("byte %d, bit %d: %v", i, bit, err)
			}
			raw[i] ^= 1 << bit
		}
	}
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	t.Parallel()
	old := box(t, "seed", key("k1", 1))
	sealed := old.Seal(access.NewSecret(canary), "ana")
	both := box(t, "seed", key("k2", 2), key("k1", 1))
	if got, err := both.Open(sealed, "ana"); err != nil || got.Reveal() != canary {
		t.Errorf("the old key's: %q, %v", got.Reveal(), err)
	}
	if both.Current(sealed) || !both.Current(both.Seal(access.NewSecret(canary), "ana")) || !old.Current(sealed) {
		t.Error("what the first key sealed, and nothing else, is current")
	}
}

func TestNoWeakKeyIsTaken(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]Key{
		"none":      {},
		"short":     {{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString(make([]byte, 16)))}},
		"zeros":     {{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString(make([]byte, KeySize)))}},
		"no base64": {{ID: "k1", Key: access.NewSecret(canary + "!")}},
		"no id":     {{Key: key("", 1).Key}},
		"odd id":    {{ID: "k:1", Key: key("", 1).Key}},
		"one id":    {key("k1", 1), key("k1", 2)},
	} {
		if _, err := New(keys, "seed"); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
