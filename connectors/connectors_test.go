package connectors_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk full")
	err := fmt.Errorf("outer: %w", &connectors.Error{Kind: connectors.Throttled, Op: "grant role", RetryAfter: time.Second, Err: cause})
	if !errors.Is(err, cause) || err.Error() != "outer: grant role: throttled: disk full" {
		t.Errorf("the error is %q", err)
	}
	if got := (&connectors.Error{Kind: connectors.Denied, Op: "check"}).Error(); got != "check: denied" {
		t.Errorf("an error without a cause is %q", got)
	}
	for want, err := range map[connectors.Kind]error{connectors.Throttled: err, connectors.Unavailable: cause} {
		if got := connectors.KindOf(err); got != want {
			t.Errorf("the kind of %v is %q, want %q", err, got, want)
		}
	}
	for kind, final := range map[connectors.Kind]bool{
		connectors.Denied: true, connectors.Invalid: true, connectors.NotFound: true,
		connectors.TooEarly: false, connectors.Throttled: false, connectors.Unavailable: false,
	} {
		if kind.Final() != final {
			t.Errorf("%q is final: %t", kind, kind.Final())
		}
	}
}

// plain is a connector that declares nothing.
type plain struct{}

func (plain) Activate(context.Context, access.Grant) (access.Receipt, error) {
	return access.Receipt{}, nil
}
func (plain) Deactivate(context.Context, access.Grant, access.Receipt) (access.Removal, error) {
	return access.Removal{}, nil
}
func (plain) Holders(context.Context, access.Role) ([]connectors.Holder, error) { return nil, nil }
func (plain) Check(context.Context) error                                       { return nil }

// telling is one that declares.
type telling struct{ plain }

func (telling) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{Tail: time.Minute}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	if got := connectors.Describe(plain{}); got != (connectors.Capabilities{}) {
		t.Errorf("a connector that declares nothing has %+v", got)
	}
	if got := connectors.Describe(telling{}); got.Tail != time.Minute {
		t.Errorf("a connector that declares has %+v", got)
	}
}

func TestAccountIsWrittenAsItArrives(t *testing.T) {
	t.Parallel()
	role := access.Role{Connector: "pg"}
	for name, ok := range map[string]bool{
		"ana": true, `al"ice; DROP`: true, "Ж 🦊": true, "ana@example.com": true,
		"": false, "ana\n": false, "a\x00b": false, "\xff": false, "a\u0085b": false,
	} {
		g := access.Grant{Person: access.Person{ID: access.PersonID(name)}, Role: role}
		got, err := connectors.Account(g)
		if ok && (err != nil || got != name) || !ok && connectors.KindOf(err) != connectors.Invalid {
			t.Errorf("%q becomes %q, %v", name, got, err)
		}
	}
	g := access.Grant{Person: access.Person{ID: "ana", Accounts: map[string]string{"pg": "alima"}}, Role: role}
	if got, err := connectors.Account(g); got != "alima" || err != nil {
		t.Errorf("the account of the connector is %q, %v", got, err)
	}
}

func TestOnlyTextListsEveryProblem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target map[string]any
		want   string // the text; empty: an error that begins the lines as given
		lines  []string
	}{
		"good":          {map[string]any{"role": "x"}, "x", nil},
		"nothing":       {nil, "", []string{"target.role: "}},
		"a number":      {map[string]any{"role": 1}, "", []string{"target.role: "}},
		"a key more":    {map[string]any{"role": "x", "b": 1, "a": 2}, "", []string{"target.a: ", "target.b: "}},
		"another key":   {map[string]any{"rolle": "x"}, "", []string{"target.rolle: ", "target.role: "}},
		"an empty text": {map[string]any{"role": ""}, "", []string{"target.role: "}},
	} {
		got, err := connectors.OnlyText(test.target, "role", "db_admin")
		if test.want != "" {
			if got != test.want || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			continue
		}
		lines := strings.Split(fmt.Sprint(err), "\n")
		if len(lines) != len(test.lines) {
			t.Errorf("%s: %v, want lines that begin with %q", name, err, test.lines)
			continue
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, test.lines[i]) {
				t.Errorf("%s: line %q does not begin with %q", name, line, test.lines[i])
			}
		}
	}
}
