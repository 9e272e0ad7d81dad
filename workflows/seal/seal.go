// Package seal keeps secrets that must lie in the store: sealed with AES-256-GCM under keys that lie elsewhere, bound to
// what they are for and whose they are, so that one moved to another place does not open there. The first key seals, all
// open, so that a key can be replaced while what the old one sealed is sealed anew.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"elevate/workflows/access"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// Key is one key as the configuration has it.
type Key struct {
	ID  string        // names the key on what it sealed; letters, digits, . _ and -
	Key access.Secret // 32 random bytes in base64
}

// ErrSealed says that something did not open: it was altered, it is somebody else's, or its key is gone.
var ErrSealed = errors.New("does not open: altered, moved, or sealed with a key that is not configured")

var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)

// CheckID tells what is wrong with the id of a key, or nil.
func CheckID(id string) error {
	if !keyID.MatchString(id) {
		return errors.New("must be up to 32 letters, digits and . _ -, such as k1")
	}
	return nil
}

// CheckKey tells what is wrong with a key, or nil. It never quotes the key.
func CheckKey(key access.Secret) error {
	_, err := material(key)
	return err
}

func material(key access.Secret) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(key.Reveal())
	if err != nil || len(raw) != KeySize {
		return nil, fmt.Errorf("must be %d random bytes in base64: make one with `openssl rand -base64 %d`", KeySize, KeySize)
	}
	if slices.Max(raw) == slices.Min(raw) {
		return nil, fmt.Errorf("is one byte over and over: make one with `openssl rand -base64 %d`", KeySize)
	}
	return raw, nil
}

// Box seals things of one purpose. It is safe for concurrent use.
type Box struct {
	purpose string
	first   string
	ciphers map[string]cipher.AEAD
}

// New makes a Box of the keys for a purpose. What one purpose sealed does not open for another.
func New(keys []Key, purpose string) (*Box, error) {
	if len(keys) == 0 {
		return nil, errors.New("seal: no key")
	}
	b := &Box{purpose: purpose, first: keys[0].ID, ciphers: map[string]cipher.AEAD{}}
	for _, k := range keys {
		if err := CheckID(k.ID); err != nil {
			return nil, fmt.Errorf("seal: the id of a key %w", err)
		}
		if b.ciphers[k.ID] != nil {
			return nil, fmt.Errorf("seal: two keys are called %s", k.ID)
		}
		aead, err := derive(k, purpose)
		if err != nil {
			return nil, fmt.Errorf("seal: key %s %w", k.ID, err)
		}
		b.ciphers[k.ID] = aead
	}
	return b, nil
}

// derive makes the purpose's own cipher of a key.
func derive(k Key, purpose string) (cipher.AEAD, error) {
	raw, err := material(k.Key)
	if err != nil {
		return nil, err
	}
	own, err := hkdf.Key(sha256.New, raw, nil, "elevate seal "+purpose, KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(own)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal closes a text up. Whose names everything that it must stay with; the same is needed to open it.
func (b *Box) Seal(text access.Secret, whose ...string) string {
	//nolint:gosec // the cipher draws its own nonce
	box := b.ciphers[b.first].Seal(nil, nil, []byte(text.Reveal()), b.bound(b.first, whose))
	return b.first + ":" + base64.RawStdEncoding.EncodeToString(box)
}

// Open gives what was sealed; ErrSealed where that does not open.
func (b *Box) Open(sealed string, whose ...string) (access.Secret, error) {
	id, text, _ := strings.Cut(sealed, ":")
	aead := b.ciphers[id]
	box, err := base64.RawStdEncoding.DecodeString(text)
	if aead == nil || err != nil {
		return access.Secret{}, ErrSealed
	}
	plain, err := aead.Open(nil, nil, box, b.bound(id, whose))
	if err != nil {
		return access.Secret{}, ErrSealed
	}
	return access.NewSecret(string(plain)), nil
}

// Current tells whether something was sealed with the key that seals now.
func (b *Box) Current(sealed string) bool {
	id, _, _ := strings.Cut(sealed, ":")
	return id == b.first
}

// bound is what a seal holds fast beside the text. Lengths keep any two lists apart.
func (b *Box) bound(id string, whose []string) []byte {
	var out strings.Builder
	for _, part := range append([]string{"elevate", b.purpose, id}, whose...) {
		fmt.Fprintf(&out, "%d:%s", len(part), part)
	}
	return []byte(out.String())
}
