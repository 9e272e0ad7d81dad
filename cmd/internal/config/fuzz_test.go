package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad holds that no file panics or hangs the reader, that a file without problems has policies for its roles, and
// that no problem shows what the environment holds.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(connected))
	for _, w := range wrongs {
		f.Add([]byte(strings.Replace(sound, w.old, w.new, 1)))
	}
	for _, s := range []string{
		"", "---\n---\n", "&a [*a, *a]", "&a {<<: *a}", "people: &a\n  - *a", "{? [a] : b}", "x: !!binary aGk=", "roles: [{target: &t {a: *t}}]",
		"a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nroles: [{target: {x: [*b,*b,*b,*b,*b,*b,*b]}}]",
		"b: &b [*b,*b,1]\nroles: [{target: {x: [*b,*b]}}]",
		"<<: {people: [{id: ana}]}", "<<: [1, {a: 1}]", "store: ~\nslack: ~\nteams: ~", "\xff\xfe", "policies: [{match: \"\\xff\"}]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const canary = "canary-of-the-environment"
		c, found := Parse("f", text, func(string) (string, bool) { return canary, true })
		if !found.Fatal() {
			for _, r := range c.Roles {
				if c.Set.For(r.ID) == nil {
					t.Fatalf("role %q has no policy", r.ID)
				}
			}
		}
		if strings.Contains(found.Error(), canary) {
			t.Fatalf("shows a secret: %v", found)
		}
		_, more := c.Connect(make1(&stub{}, nil))
		for _, p := range append(found, more...) {
			if p.Text == "" || p.Line < 0 {
				t.Fatalf("%+v", p)
			}
		}
	})
}

func TestRepeatingAliasesAreRefusedSoon(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("x0: &x0 [1,1,1,1,1,1,1,1,1,1]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "x%d: &x%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*x%d,", i-1), 10))
	}
	b.WriteString("roles: [{target: {a: *x8}}]\n")
	if said := strings.Join(problems(t, b.String()), "\n"); !strings.Contains(said, "too many values") {
		t.Error(said)
	}
}

func BenchmarkLoad10000Roles(b *testing.B) {
	var text strings.Builder
	text.WriteString("people:\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "  - {id: p%d, name: Person %d, email: p%d@example.com, slack: U0%d, groups: [g%d, all]}\n", i, i, i, i, i%100)
	}
	text.WriteString("connectors: {one: {type: stub}}\nroles:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {id: r%d, title: Role %d, connector: one, target: {role: r%d}, labels: {env: e%d}}\n", i, i, i, i%10)
	}
	text.WriteString("policies:\n")
	for i := range 10 {
		fmt.Fprintf(&text, "  - {name: n%d, match: role.labels.env == \"e%d\", eligible: '\"all\" in person.groups', duration: {max: 1h}, auto_approve: \"true\"}\n", i, i)
	}
	file := filepath.Join(b.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, found, err := Load(file, env, "web"); err != nil || len(found) > 0 {
			b.Fatal(err, found)
		}
	}
}
