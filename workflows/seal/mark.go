package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Marker vouches for what Elevate itself wrote into a store that others may be able to write to: it marks texts with
// HMAC-SHA256 under keys of its own, made of those that lie elsewhere. A mark says nothing about when a text was written:
// an older one of the same kind stays good. It is safe for concurrent use.
type Marker struct {
	first string
	keys  map[string][]byte
}

// NewMarker makes a Marker of the keys. The first marks unless Lead says otherwise, all are believed.
func NewMarker(keys []Key) (*Marker, error) {
	if len(keys) == 0 {
		return nil, errors.New("seal: no key")
	}
	m := &Marker{first: keys[0].ID, keys: map[string][]byte{}}
	for _, k := range keys {
		raw, err := material(k.Key)
		if err == nil {
			m.keys[k.ID], err = hkdf.Key(sha256.New, raw, nil, "elevate mark", KeySize)
		}
		if err != nil {
			return nil, fmt.Errorf("seal: key %s %w", k.ID, err)
		}
	}
	return m, nil
}

// Lead has another key mark than the first. It is called before anything is marked.
func (m *Marker) Lead(id string) { m.first = id }

// Marks gives the marks of a text by each key.
func (m *Marker) Marks(kind string, text []byte) []string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(m.keys)) {
		all = append(all, m.by(id, kind, text))
	}
	return all
}

// Mark gives the mark of a text: the key's id, a colon, and letters, digits, - and _. Kind keeps texts of different use
// apart: what vouches for one does not for another.
func (m *Marker) Mark(kind string, text []byte) string {
	return m.by(m.first, kind, text)
}

func (m *Marker) by(id, kind string, text []byte) string {
	return id + ":" + base64.RawURLEncoding.EncodeToString(sum(m.keys[id], kind, text))
}

// Vouches tells whether a mark is that of the text.
func (m *Marker) Vouches(kind, mark string, text []byte) bool {
	id, want, _ := strings.Cut(mark, ":")
	key := m.keys[id]
	got, err := base64.RawURLEncoding.DecodeString(want)
	return key != nil && err == nil && hmac.Equal(got, sum(key, kind, text))
}

func sum(key []byte, kind string, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%d:%s", len(kind), kind) // the length keeps the kind apart from the text
	h.Write(text)
	return h.Sum(nil)
}
