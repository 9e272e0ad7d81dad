package seal

import (
	"bytes"
	"encoding/base64"
	"testing"

	"elevate/workflows/access"
)

func markKey(id string, seed byte) Key {
	raw := bytes.Repeat([]byte{seed, seed + 1}, KeySize/2)
	return Key{ID: id, Key: access.NewSecret(base64.StdEncoding.EncodeToString(raw))}
}

func marker(t *testing.T, keys ...Key) *Marker {
	t.Helper()
	m, err := NewMarker(keys)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMarkVouchesForItsOwnTextAlone(t *testing.T) {
	t.Parallel()
	m := marker(t, markKey("k1", 1))
	text := []byte(`{"state":"pending"}`)
	mark := m.Mark("record", text)
	if !m.Vouches("record", mark, text) {
		t.Fatal("the mark does not vouch for its own text")
	}
	if m.Vouches("event", mark, text) {
		t.Error("a mark of one kind vouches for another")
	}
	for i := range text {
		for bit := range 8 {
			other := bytes.Clone(text)
			other[i] ^= 1 << bit
			if m.Vouches("record", mark, other) {
				t.Fatalf("the mark vouches for a text with bit %d of byte %d changed", bit, i)
			}
		}
	}
	for i := range mark {
		other := []byte(mark)
		other[i] ^= 1
		if m.Vouches("record", string(other), text) && i != len(mark)-1 { // the last letter has two spare bits
			t.Fatalf("a mark with byte %d changed vouches", i)
		}
	}
	for _, none := range []string{"", ":", "k1:", "k1", mark[:len(mark)-2]} {
		if m.Vouches("record", none, text) {
			t.Errorf("%q vouches", none)
		}
	}
	// The kind and the text do not run into each other.
	if m.Vouches("recor", m.Mark("record", text), append([]byte("d"), text...)) {
		t.Error("a letter of the kind counts as one of the text")
	}
}

func TestMarkOutlivesItsKeyAsLongAsThatIsConfigured(t *testing.T) {
	t.Parallel()
	old, text := markKey("k1", 1), []byte("x")
	mark := marker(t, old).Mark("record", text)
	both := marker(t, markKey("k2", 5), old)
	if !both.Vouches("record", mark, text) {
		t.Error("what the old key marked is not believed beside a new key")
	}
	if fresh := both.Mark("record", text); !marker(t, markKey("k2", 5)).Vouches("record", fresh, text) {
		t.Error("the first key does not mark")
	}
	if marker(t, markKey("k2", 5)).Vouches("record", mark, text) {
		t.Error("a key that is not configured is believed")
	}
	if marker(t, markKey("k1", 9)).Vouches("record", mark, text) {
		t.Error("another key of the same name is believed")
	}
}
