package connectortest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows/access"
)

// broken is a connector of which single methods are replaced.
type broken struct {
	connectors.Connector
	target     *demo.Target
	until      context.Context // the test's, for what hangs on
	activate   func(context.Context, access.Grant) (access.Receipt, error)
	deactivate func(context.Context, access.Grant, access.Receipt) (access.Removal, error)
	holders    func(context.Context, access.Role) ([]connectors.Holder, error)
	check      func(context.Context) error
	form       func(map[string]any) error
	caps       *connectors.Capabilities
	watch      func(context.Context, []access.Role, func(access.Role)) error // nil: it does not watch
}

// listening is a broken connector that watches.
type listening struct{ *broken }

func (l listening) Watch(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
	return l.watch(ctx, roles, changed)
}

// looks is a whole watch, of a target that has no other way than to be looked at again and again.
func (b *broken) looks(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	seen := make([]string, len(roles))
	for {
		for i, r := range roles {
			holders, err := b.Holders(ctx, r)
			if err != nil {
				return err
			}
			if now := fmt.Sprint("holders: ", holders); now != seen[i] {
				seen[i] = now
				changed(r)
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return &connectors.Error{Kind: connectors.Unavailable, Op: "listen", Err: ctx.Err()}
		}
	}
}

func (b *broken) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	if b.activate != nil {
		return b.activate(ctx, g)
	}
	return b.Connector.Activate(ctx, g)
}

func (b *broken) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	if b.deactivate != nil {
		return b.deactivate(ctx, g, r)
	}
	return b.Connector.Deactivate(ctx, g, r)
}

func (b *broken) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	if b.holders != nil {
		return b.holders(ctx, role)
	}
	return b.Connector.Holders(ctx, role)
}

func (b *broken) Check(ctx context.Context) error {
	if b.check != nil {
		return b.check(ctx)
	}
	return b.Connector.Check(ctx)
}

func (b *broken) CheckTarget(target map[string]any) error {
	if b.form != nil {
		return b.form(target)
	}
	return b.Connector.(connectors.TargetChecker).CheckTarget(target)
}

func (b *broken) Capabilities() connectors.Capabilities {
	if b.caps != nil {
		return *b.caps
	}
	return connectors.Describe(b.Connector)
}

func unbroken(c connectors.Connector, _ *demo.Target) connectors.Connector { return c }

// whoHears is a whole connector that watches.
func whoHears(c connectors.Connector, target *demo.Target) connectors.Connector {
	b := &broken{Connector: c, target: target}
	b.watch = b.looks
	return listening{b}
}

func nameOf(g access.Grant) (account, role string) {
	role, _ = g.Role.Target["role"].(string)
	return g.Person.Account(g.Role.Connector), role
}

func TestWholeConnectorPasses(t *testing.T) {
	for name, whole := range map[string]func(connectors.Connector, *demo.Target) connectors.Connector{
		"as it is":     unbroken,
		"and it hears": whoHears,
	} {
		h, names := newWorld(t).harness(whole), new(atomic.Int64)
		for _, c := range checks() {
			if failures := record(t, c, h, names); len(failures) > 0 {
				t.Errorf("%s, %s: %q", name, c.name, failures)
			}
		}
	}
}

func TestEveryBreakageIsNoticed(t *testing.T) {
	for _, breakage := range breakages {
		noticed := named(t, breakage.noticed)
		t.Run(breakage.name, func(t *testing.T) {
			if !noticed.alone {
				t.Parallel()
			}
			h := newWorld(t).harness(func(c connectors.Connector, target *demo.Target) connectors.Connector {
				b := &broken{Connector: c, target: target, until: t.Context()}
				breakage.do(b)
				if b.watch != nil {
					return listening{b}
				}
				return b
			})
			h.Cannot, h.LongestAccount = nil, longest
			failures := record(t, noticed, h, new(atomic.Int64))
			if len(failures) == 0 {
				t.Errorf("the check %q noticed nothing", breakage.noticed)
			}
			for _, f := range failures {
				t.Log(f)
			}
		})
	}
}

// TestEveryCheckNoticesSomething keeps a check from standing here without a connector that it fails.
func TestEveryCheckNoticesSomething(t *testing.T) {
	t.Parallel()
	for _, c := range checks() {
		found := false
		for _, b := range breakages {
			found = found || b.noticed == c.name
		}
		if !found {
			t.Errorf("no broken connector is there for the check %q", c.name)
		}
	}
}

func named(t *testing.T, name string) check {
	t.Helper()
	for _, c := range checks() {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("there is no check %q", name)
	return check{}
}
