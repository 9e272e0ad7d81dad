package redis

import (
	"strings"
	"testing"
)

func FuzzEventID(f *testing.F) {
	for _, seed := range []string{"1795479560579-000000.7", "-.", "1-2.-1", "18446744073709551615-18446744073709551615.0", "1-2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := parseEventID(text)
		if err != nil {
			return
		}
		again, err := parseEventID(id.String())
		if err != nil || again != id {
			t.Errorf("%q is %+v, and written again %q is %+v, %v", text, id, id, again, err)
		}
	})
}

// Ids of one request rise as texts too: they share a shard, and the number after the millisecond has room.
func TestEventIDsRiseAsTexts(t *testing.T) {
	t.Parallel()
	last := ""
	for _, id := range []eventID{{ms: 1, seq: 0}, {ms: 1, seq: 9}, {ms: 1, seq: 10}, {ms: 999999999999, seq: 0}, {ms: 1795479560579, seq: 0}, {ms: 1795479560579, seq: 999999}, {ms: 1795479560580}} {
		if text := id.String(); strings.Compare(text, last) <= 0 {
			t.Errorf("%q does not follow %q", text, last)
		} else {
			last = text
		}
	}
}
