package azure

import (
	"strings"
	"testing"
	"time"
)

func FuzzReadMark(f *testing.F) {
	for _, text := range []string{"Elevate 07kq4-m2xp9 assign 0: fix", "Elevate x update 17", "Elevate x remove 1", "Elevate x assign 01", "elevate", "Elevate x assign 999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := readMark(text)
		if !ok {
			return
		}
		if m.deed != assign && m.deed != update {
			t.Errorf("%q is read as %q", text, m.deed)
		}
		if again := m.justification(""); !strings.HasPrefix(text, again) {
			t.Errorf("%q is read as what would be written %q", text, again)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"P180D", "PT8H", "PT30M", "P1Y2M3W4DT5H6M7S", "P", "PT", "P1", "-P1D", "PT1.5H", "P9999Y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDuration(text)
		if err == nil && (d < 0 || !strings.HasPrefix(text, "P") || len(text) < 3) {
			t.Errorf("%q is read as %s", text, d)
		}
	})
}

func FuzzObjectID(f *testing.F) {
	for _, text := range []string{"e30.eyJvaWQiOiIzMzMzMzMzMy1hYWFhLTRiYmItOGNjYy0wMDAwMDAwMDAwMDMifQ.x", "a.b.c", "", "..", "e30.e30.e30"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := objectID(text); err == nil && !isGUID(id) {
			t.Errorf("%q is for %q", text, id)
		}
	})
}

func FuzzScope(f *testing.F) {
	for _, text := range []string{"/subscriptions/44444444-aaaa-4bbb-8ccc-000000000004/resourcegroups/p", "/providers/microsoft.management/managementgroups/x", "/", "..", "/subscriptions/44444444-aaaa-4bbb-8ccc-000000000004/providers/a.b/c/.."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkScope(text) != nil {
			return
		}
		if text != strings.ToLower(text) || strings.ContainsAny(text, "?#%\\ ") || strings.Contains(text+"/", "/../") || strings.HasSuffix(text, "/") {
			t.Errorf("%q is taken for a scope", text)
		}
		if strings.ToLower(written(text)) != text {
			t.Errorf("%q goes out as %q", text, written(text))
		}
	})
}

func TestDurationsOfPIM(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"P180D": 180 * day, "PT8H": 8 * time.Hour, "PT30M": 30 * time.Minute, "P1Y": 365 * day,
		"P6M": 180 * day, "P2W": 14 * day, "P1DT12H": 36 * time.Hour, "PT90S": 90 * time.Second, "P0D": 0} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s is read as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "P", "PT", "P1DT", "1D", "P1.5D", "P1H", "PT1D", "P9999Y"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestRolesCoverActions(t *testing.T) {
	t.Parallel()
	for pattern, test := range map[string]struct {
		action string
		want   bool
	}{
		"*":                         {"a/b/write", true},
		"*/read":                    {"a/b/read", true},
		"*/write":                   {"a/b/read", false},
		"a/*/read":                  {"a/b/c/read", true},
		"a/b/write":                 {"A/B/Write", true},
		"a/b":                       {"a/b/write", false},
		"Microsoft.Authorization/*": {needed[0], true},
	} {
		if got := covers([]*string{&pattern}, test.action); got != test.want {
			t.Errorf("%s covers %s: %t", pattern, test.action, got)
		}
	}
}
