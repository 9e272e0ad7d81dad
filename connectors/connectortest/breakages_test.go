package connectortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// breakages are the ways a connector can fail its promise, and the check that must notice.
var breakages = []struct {
	name    string
	noticed string
	do      func(*broken)
}{
	{"gives nothing and says it did", "Activate gives", func(b *broken) {
		b.activate = func(context.Context, access.Grant) (access.Receipt, error) { return access.Receipt{}, nil }
	}},
	{"takes nothing and says it did", "Deactivate takes away", func(b *broken) {
		b.deactivate = func(context.Context, access.Grant, access.Receipt) (access.Removal, error) {
			return access.Removal{Was: access.Removed}, nil
		}
	}},
	{"believes a target that lies", "a lie is found by reading back", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			if _, err := b.Connector.Deactivate(ctx, g, r); connectors.KindOf(err) != connectors.Unavailable {
				return access.Removal{}, err
			}
			return access.Removal{Was: access.Removed}, nil
		}
	}},
	{"takes standing access away", "standing access is reported and survives", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			removal, err := b.Connector.Deactivate(ctx, g, r)
			b.target.Withdraw(nameOf(g))
			return removal, err
		}
	}},
	{"takes standing access away when the receipt is lost", "standing access survives without a receipt", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			removal, err := b.Connector.Deactivate(ctx, g, r)
			if !r.Already {
				b.target.Withdraw(nameOf(g))
			}
			return removal, err
		}
	}},
	{"takes its own earlier try for standing access", "a second Activate gives the same receipt", alreadyWhenHeld},
	{"takes an overlapping grant for standing access", "another grant on the same right finds ours, not standing access", alreadyWhenHeld},
	{"draws a new reference each time", "a second Activate gives the same receipt", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			r, err := b.Connector.Activate(ctx, g)
			r.Ref = fmt.Sprint(rand.Int64())
			return r, err
		}
	}},
	{"does not look before it writes", "standing access is reported and survives", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			r, err := b.Connector.Activate(ctx, g)
			r.Already = false
			return r, err
		}
	}},
	{"keeps what it gave in its own memory", "Deactivate after a restart takes away without a receipt", remembersItself},
	{"needs the receipt", "Deactivate after a restart takes away without a receipt", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			r, err := b.Connector.Activate(ctx, g)
			r.Ref = "here"
			return r, err
		}
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			if r.Ref == "" {
				return access.Removal{Was: access.Absent}, nil
			}
			return b.Connector.Deactivate(ctx, g, r)
		}
	}},
	{"fails the second time", "Deactivate takes away", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			removal, err := b.Connector.Deactivate(ctx, g, r)
			if err == nil && removal.Was == access.Absent {
				return removal, &connectors.Error{Kind: connectors.NotFound, Op: "take"}
			}
			return removal, err
		}
	}},
	{"says it removed what was never given", "Deactivate of what was never given finds nothing", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			removal, err := b.Connector.Deactivate(ctx, g, r)
			if removal.Was == access.Absent {
				removal.Was = access.Removed
			}
			return removal, err
		}
	}},
	{"forgets others", "ending one leaves the others", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			for _, e := range b.target.Entries() {
				if _, role := nameOf(g); e.Role == role && e.Account != g.Person.Account("demo") {
					b.target.Withdraw(e.Account, e.Role)
				}
			}
			return b.Connector.Deactivate(ctx, g, r)
		}
	}},
	{"ends the person's other roles", "ending one leaves the others", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			for _, e := range b.target.Entries() {
				if account, role := nameOf(g); e.Account == account && e.Role != role {
					b.target.Withdraw(e.Account, e.Role)
				}
			}
			return b.Connector.Deactivate(ctx, g, r)
		}
	}},
	{"ends only the grant it is asked for", "the last of two grants takes all of ours away", keepsEarlierGrants},
	{"lists nobody", "Holders marks what is ours", func(b *broken) {
		b.holders = func(context.Context, access.Role) ([]connectors.Holder, error) { return nil, nil }
	}},
	{"claims standing access for itself", "Holders marks what is ours", markAll(true)},
	{"does not know its own", "Holders marks what is ours", markAll(false)},
	{"gives references that no receipt has", "Holders marks what is ours", func(b *broken) {
		b.holders = func(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
			holders, err := b.Connector.Holders(ctx, role)
			for i := range holders {
				holders[i].Ref = holders[i].Account
			}
			return holders, err
		}
	}},
	{"ignores its context", "a cancelled call does nothing", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			return b.Connector.Activate(context.WithoutCancel(ctx), g)
		}
	}},
	{"waits for a target that hangs", "a target that hangs does not hold a call", func(b *broken) {
		b.check = func(context.Context) error {
			return b.Connector.Check(b.until)
		}
	}},
	{"calls an unknown effect final", "a target that hangs does not hold a call", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			r, err := b.Connector.Activate(ctx, g)
			if err != nil {
				err = &connectors.Error{Kind: connectors.Denied, Op: "give", Err: err}
			}
			return r, err
		}
	}},
	{"gives errors of its own making", "refused credentials are Denied and leak nothing", func(b *broken) {
		b.check = func(ctx context.Context) error {
			if err := b.Connector.Check(ctx); err != nil {
				return errors.New("it did not work")
			}
			return nil
		}
	}},
	{"leaks a secret", "refused credentials are Denied and leak nothing", func(b *broken) {
		b.check = func(ctx context.Context) error {
			if err := b.Connector.Check(ctx); err != nil {
				return &connectors.Error{Kind: connectors.KindOf(err), Op: "check", Err: errors.New("postgres://bot:" + canary + "@db")}
			}
			return nil
		}
	}},
	{"hides a secret in the chain of causes", "refused credentials are Denied and leak nothing", func(b *broken) {
		b.check = func(ctx context.Context) error {
			if err := b.Connector.Check(ctx); err != nil {
				return &connectors.Error{Kind: connectors.KindOf(err), Op: "check", Err: &mumbling{canary}}
			}
			return nil
		}
	}},
	{"finds fault where there is none", "healthy credentials pass Check", func(b *broken) {
		b.check = func(context.Context) error { return &connectors.Error{Kind: connectors.Denied, Op: "check"} }
	}},
	{"accepts any target", "the target's form is checked", func(b *broken) { b.form = func(map[string]any) error { return nil } }},
	{"promises a native expiry and sets none", "capabilities are true", claims(connectors.Capabilities{NativeExpiry: true, EndsSessions: true})},
	{"ends the access when it was first told to", "a later end is kept by the target", func(b *broken) {
		b.caps = &connectors.Capabilities{NativeExpiry: true, EndsSessions: true}
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			r, err := b.Connector.Activate(ctx, g)
			r.NativeEnd = g.End.Add(time.Minute - time.Duration(g.Extensions)*24*time.Hour)
			return r, err
		}
	}},
	{"keeps quiet about ending sessions", "capabilities are true", claims(connectors.Capabilities{})},
	{"has a longer tail than it says", "capabilities are true", func(b *broken) {
		b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
			removal, err := b.Connector.Deactivate(ctx, g, r)
			removal.Tail = time.Minute
			return removal, err
		}
	}},
	{"claims to end sessions and does not", "ending ends the sessions, and no others", func(b *broken) {
		b.deactivate = func(_ context.Context, g access.Grant, _ access.Receipt) (access.Removal, error) {
			b.target.Withdraw(nameOf(g))
			return access.Removal{Was: access.Removed, SessionsEnded: 1}, nil
		}
	}},
	{"leaves a goroutine behind", "no call leaves a goroutine behind", func(b *broken) {
		b.check = func(ctx context.Context) error {
			go func() { <-b.until.Done() }()
			return b.Connector.Check(ctx)
		}
	}},
	{"cuts long names", "a name too long is refused, not cut", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			if account, _ := nameOf(g); len(account) > longest {
				g.Person.Accounts = map[string]string{"demo": account[:longest]}
			}
			return b.Connector.Activate(ctx, g)
		}
	}},
	{"drops what is not plain in a name", "a hostile name is safe or refused", func(b *broken) {
		b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
			account, _ := nameOf(g)
			g.Person.Accounts = map[string]string{"demo": plain(account)}
			return b.Connector.Activate(ctx, g)
		}
	}},
	{"loses some when many come at once", "many at once all come true", losesSome},
	{"hears nothing", "a watch tells of changes until it is to end", func(b *broken) {
		b.watch = func(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
			for _, r := range roles {
				changed(r)
			}
			<-ctx.Done()
			return &connectors.Error{Kind: connectors.Unavailable, Op: "listen", Err: ctx.Err()}
		}
	}},
	{"keeps to itself what it did not hear of", "a watch tells of changes until it is to end", func(b *broken) {
		b.watch = func(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
			return b.looks(ctx, roles[:1], changed)
		}
	}},
	{"goes on listening", "a watch tells of changes until it is to end", func(b *broken) {
		b.watch = func(_ context.Context, roles []access.Role, changed func(access.Role)) error {
			return b.looks(b.until, roles, changed)
		}
	}},
	{"ends its listening without a word why", "a watch tells of changes until it is to end", func(b *broken) {
		b.watch = func(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
			_ = b.looks(ctx, roles, changed)
			return nil
		}
	}},
	{"waits for a target that hangs before it listens", "a target that hangs does not hold a call", func(b *broken) {
		b.watch = func(_ context.Context, roles []access.Role, changed func(access.Role)) error {
			return b.looks(b.until, roles, changed)
		}
	}},
	{"does not refuse strangers", "an unknown person is refused for good", func(*broken) {}},
	{"does not refuse unknown roles", "an unknown role is refused for good", func(*broken) {}},
}

const longest = 20

// mumbling says little, and carries a lot.
type mumbling struct{ Secret string }

func (*mumbling) Error() string { return "it did not work" }

func alreadyWhenHeld(b *broken) {
	b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
		held := b.target.Holds(nameOf(g))
		r, err := b.Connector.Activate(ctx, g)
		r.Already = held
		return r, err
	}
}

func remembersItself(b *broken) {
	var mu sync.Mutex
	given := map[access.RequestID]bool{}
	b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		given[g.ID] = true
		return b.Connector.Activate(ctx, g)
	}
	b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
		mu.Lock()
		defer mu.Unlock()
		if !given[g.ID] {
			return access.Removal{Was: access.Absent}, nil
		}
		return b.Connector.Deactivate(ctx, g, r)
	}
}

func keepsEarlierGrants(b *broken) {
	var mu sync.Mutex
	earlier := map[string]bool{}
	b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		account, role := nameOf(g)
		earlier[account+role] = b.target.Holds(account, role)
		return b.Connector.Activate(ctx, g)
	}
	b.deactivate = func(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
		mu.Lock()
		defer mu.Unlock()
		if account, role := nameOf(g); earlier[account+role] {
			return access.Removal{Was: access.Removed}, nil
		}
		return b.Connector.Deactivate(ctx, g, r)
	}
}

func markAll(ours bool) func(*broken) {
	return func(b *broken) {
		b.holders = func(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
			holders, err := b.Connector.Holders(ctx, role)
			for i := range holders {
				holders[i].Ours, holders[i].Grant = ours, ""
			}
			return holders, err
		}
	}
}

func claims(c connectors.Capabilities) func(*broken) {
	return func(b *broken) { b.caps = &c }
}

// losesSome forgets every call that finds another one under way.
func losesSome(b *broken) {
	var running atomic.Int32
	b.activate = func(ctx context.Context, g access.Grant) (access.Receipt, error) {
		first := running.Add(1) == 1
		defer running.Add(-1)
		if !first {
			return access.Receipt{}, nil
		}
		return b.Connector.Activate(ctx, g)
	}
}

func plain(s string) string {
	var out []rune
	for _, c := range s {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			out = append(out, c)
		}
	}
	return string(out)
}
