package access_test

import (
	"strings"
	"testing"
	"time"

	"elevate/workflows/access"
)

func TestIDsAreReadBackAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	const want = access.RequestID("01kq4-m0xp9")
	for _, typed := range []string{"01kq4-m0xp9", "01KQ4-M0XP9", "01kq4m0xp9", " 01kq4 m0xp9 ", "oikq4-moxp9", "OLKQ4MOXP9"} {
		got, err := access.ParseID(typed)
		if err != nil || got != want {
			t.Errorf("ParseID(%q) = %q, %v; want %q", typed, got, err, want)
		}
	}
}

func TestWhatIsNoIDIsRefused(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"", "01kq4", "01kq4-m0xp9x", "01kq4-m0xpu", "prod-db-admin", "01kq4-m0xp9; drop", "０１kq4-m0xp9"} {
		if got, err := access.ParseID(typed); err == nil {
			t.Errorf("ParseID(%q) = %q, want an error", typed, got)
		}
	}
}

func TestIDsOfDifferentMinutesNeverMeet(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 1000 {
		id := access.NewID(noon.Add(time.Duration(i) * time.Minute))
		minute, _, ok := strings.Cut(string(id), "-")
		if !ok || seen[minute] {
			t.Fatalf("id %s repeats the minute of an earlier one", id)
		}
		seen[minute] = true
		if got, err := access.ParseID(string(id)); err != nil || got != id {
			t.Fatalf("ParseID(%s) = %s, %v", id, got, err)
		}
		if n, ok := id.Number(); !ok || access.NumberedID(n) != id {
			t.Fatalf("%s is number %d (%v), which is %s", id, n, ok, access.NumberedID(n))
		}
	}
}

// What is no id as it is made has no number, so two texts never share one.
func TestOnlyIDsAsTheyAreMadeHaveNumbers(t *testing.T) {
	t.Parallel()
	for _, id := range []access.RequestID{"", "01kq4m0xp9", "01KQ4-M0XP9", "01kq4-m0xpu", "01kq4-m0xp9x", "01kq-4m0xp9", "01kq4-m0xp\xff"} {
		if n, ok := id.Number(); ok {
			t.Errorf("%q is number %d", id, n)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"01kq4-m0xp9", "", "-", "OLKQ4MOXP9", "\x00", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := access.ParseID(s)
		if err != nil {
			return
		}
		if again, err := access.ParseID(string(id)); err != nil || again != id {
			t.Fatalf("ParseID(%q) = %q, which reads back as %q, %v", s, id, again, err)
		}
	})
}
