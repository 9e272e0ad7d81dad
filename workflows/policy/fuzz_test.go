package policy

import (
	"testing"

	"elevate/workflows/access"
)

// FuzzExpression holds that no text, compiled or evaluated in one of the scopes, panics, and that what does not compile
// says why.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"true", `role.labels.env == "prod"`, `role.labels["a"][0]`, `role.labels`, `has(role.labels.env)`, `"env" in role.labels`,
		`role.labels[?role.id].orValue("")`, `[role].map(role, role.labels)`, `role.target.a.b.c == 1`, `role.labels.env.env`,
		`{"role": role}.role.labels.env == ""`, `request.weekday in [1, "x"]`, `elevate.role{id: "x"} == role`, `1/0 == 1`, "\xff", "`", "role.labels.`a-b` == ''",
	} {
		for i := range 4 {
			f.Add(s, uint8(i))
		}
	}
	scopes, err := newScopes()
	if err != nil {
		f.Fatal(err)
	}
	all := []scope{scopes.match, scopes.ask, scopes.approve, scopes.people}
	f.Fuzz(func(t *testing.T, s string, i uint8) {
		e, faults := all[int(i)%len(all)].compile(s)
		if (e == nil) != (len(faults) > 0) {
			t.Fatalf("%q: expression %v, faults %q", s, e, faults)
		}
		if e == nil {
			return
		}
		for _, r := range []access.Role{db, bare} {
			if ok, err := e.holds(vars{person: &ana, requester: &ben, role: &r, request: &ask}); ok && err != nil {
				t.Fatalf("%q: true, and failed with %v", s, err)
			}
		}
	})
}
