package redis

import (
	"errors"
	"testing"

	"elevate/workflows/access"
)

// FuzzCursor reads cursors as callers of the API send them.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{"", "1795479560579_07kq4-m2xp9", "_", "-1_", "9223372036854775808_x", "1_a_b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseCursor(text)
		switch {
		case err != nil && !errors.Is(err, access.ErrInvalid):
			t.Fatalf("%q: %v", text, err)
		case err == nil && text != "" && p.cursor() != text:
			t.Fatalf("%q is read as %q", text, p.cursor())
		}
	})
}

// FuzzDocument reads records as somebody who can write to Redis may leave them: what can be read can be worked with.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"schema":99}`, `{"request":{"id":"07kq4-m2xp9","role":{"target":{"role":null}}},"state":"active","stages":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := (&Store{}).parse("07kq4-m2xp9", text)
		if err != nil {
			return
		}
		_, _, _, _ = r.Due(), r.Grant(), r.Right(), r.Approvals()
	})
}
