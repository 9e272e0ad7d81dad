package activedirectory

import (
	"errors"
	"strings"
	"testing"
)

// FuzzAnswers reads what a controller may answer with. What is understood reads back from what would be written.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		"<TTL=587,CN=Ana,DC=corp,DC=test>", "<TTL=6987>,CN=Ana,DC=corp,DC=test", "CN=Ana,DC=corp,DC=test", "<TTL=>", "<TTL=-1,CN=a>", "<TTL=1",
		"<GUID=005bdd7e79d22d44a40d4ab7a5142faf>;<SID=010500>;CN=G1,DC=corp", "<GUID=00>;CN=x", "<GUID=005bdd7e79d22d44a40d4ab7a5142faf>;<SID",
		"member", "member;range=0-1499", "member;range=1500-*", "member;binary", "member;range=9-x",
		"7edd5b00-d279-442d-a40d-4ab7a5142faf", "7EDD5B00-D279-442D-A40D-4AB7A5142FAF", "7edd5b00d279442da40d4ab7a5142faf",
		"\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if seconds, dn, ok, err := parseTTL(s); ok && err == nil {
			again, same, _, err := parseTTL(withTTL(seconds, dn))
			if err != nil || again != seconds || same != dn {
				t.Errorf("%q reads as %d, %q, and back as %d, %q, %v", s, seconds, dn, again, same, err)
			}
		}
		if l, err := parseLink(s); err == nil && (strings.HasPrefix(l.dn, "<") || !strings.HasSuffix(s, l.dn)) {
			t.Errorf("%q reads as %q", s, l.dn)
		}
		if name, last, ranged := parseRange(s); !strings.HasPrefix(s, name) || last >= 0 && !ranged {
			t.Errorf("%q reads as %q, %d, %t", s, name, last, ranged)
		}
		if id, err := parseGUID(s); err == nil && id.String() != s {
			t.Errorf("%q reads back as %q", s, id)
		}
		if r, ok := parseRef(s); ok && r.String() != s {
			t.Errorf("%q reads back as %q", s, r)
		}
		if id := readSID([]byte(s)); id != "" && id.inDomain("7").rid() != "7" {
			t.Errorf("%q reads as %s", s, id)
		}
	})
}

func TestAnswersAreReadAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{"<TTL=587,CN=Ana>": 587, "<TTL=6987>,CN=Ana": 6987, "<TTL=0,CN=Ana>": 0} {
		if seconds, dn, ok, err := parseTTL(value); seconds != want || dn != "CN=Ana" || !ok || err != nil {
			t.Errorf("%q: %d, %q, %t, %v", value, seconds, dn, ok, err)
		}
	}
	for _, value := range []string{"<TTL=x,CN=Ana>", "<TTL=-5,CN=Ana>", "<TTL=5,CN=Ana", "<TTL=5>", "<TTL=99999999999999999999,CN=Ana>"} {
		if _, _, ok, err := parseTTL(value); ok || !errors.Is(err, errNoLink) {
			t.Errorf("%q passes for a membership that has an end, or for one that has none: %t, %v", value, ok, err)
		}
	}
	l, err := parseLink("<GUID=005bdd7e79d22d44a40d4ab7a5142faf>;<SID=010500>;CN=A\\,<b>,DC=corp")
	if err != nil || l.id.String() != "7edd5b00-d279-442d-a40d-4ab7a5142faf" || l.dn != `CN=A\,<b>,DC=corp` {
		t.Errorf("%s, %q, %v", l.id, l.dn, err)
	}
	raw := []byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 2, 0, 0}
	if got := readSID(raw); got != "S-1-5-21-1-2-3-512" || got.rid() != "512" || got.inDomain("513") != "S-1-5-21-1-2-3-513" {
		t.Errorf("%s", got)
	}
	if got := readSID(raw[:20]); got != "" {
		t.Errorf("part of an identifier reads as %s", got)
	}
}
