// Package demo is a connector whose target is a table in memory. It grants nothing real: it is there for the playground,
// for trying a policy out, and for tests of everything that sits above a connector. The table can be told to be slow, to
// fail, to hang and to lie.
package demo

import (
	"context"
	"errors"
	"fmt"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Config sets up a Connector.
type Config struct {
	// Target is what the connector gives and takes at; nil: one of its own where every account and role exists.
	Target *Target
}

// Connector gives and takes entries in a Target's table.
type Connector struct {
	target *Target
}

var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.Describer     = (*Connector)(nil)
	_ connectors.TargetChecker = (*Connector)(nil)
	_ connectors.RoleChecker   = (*Connector)(nil)
)

// New makes a connector. It cannot fail; the error is there so that all connectors are made alike.
func New(cfg Config) (*Connector, error) {
	if cfg.Target == nil {
		cfg.Target = NewTarget(TargetConfig{})
	}
	return &Connector{target: cfg.Target}, nil
}

// Target is the table behind the connector.
func (c *Connector) Target() *Target { return c.target }

// Capabilities says that sessions end with the access, and that nothing ends by itself: the table does not look at the clock.
func (c *Connector) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{EndsSessions: true}
}

// CheckTarget accepts {role: NAME} and nothing else.
func (c *Connector) CheckTarget(target map[string]any) error {
	_, err := roleName(target)
	return err
}

func roleName(target map[string]any) (string, error) {
	return connectors.OnlyText(target, "role", "db_admin")
}

// Activate puts the person in the table.
func (c *Connector) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	const op = "give the role"
	k, err := of(g)
	if err != nil {
		return access.Receipt{}, failed(op, err)
	}
	e := Entry{Account: k.account, Role: k.role, Person: g.Person.ID, Grant: g.ID}
	var receipt access.Receipt
	err = c.target.call(ctx, e, func() error {
		if err := c.target.knows(k); err != nil {
			return err
		}
		_, standing := c.target.standing[k]
		_, ours := c.target.ours[k]
		if standing && !ours {
			receipt.Already = true
			return nil
		}
		c.target.put(c.target.ours, e)
		return nil
	})
	return receipt, failed(op, err)
}

// Deactivate takes the person out of the table and looks whether that is so.
func (c *Connector) Deactivate(ctx context.Context, g access.Grant, _ access.Receipt) (access.Removal, error) {
	const op = "take the role away"
	k, err := of(g)
	if err != nil {
		return access.Removal{}, failed(op, err)
	}
	on := Entry{Account: k.account, Role: k.role, Person: g.Person.ID, Grant: g.ID}
	removal := access.Removal{Was: access.Absent}
	err = c.target.call(ctx, on, func() error {
		if _, ok := c.target.ours[k]; ok {
			removal.Was = access.Removed
		}
		if c.target.faults.Lie {
			return nil
		}
		c.target.drop(c.target.ours, k)
		if !c.target.holds(k) && removal.Was == access.Removed {
			removal.SessionsEnded = c.target.endSessions(k)
		}
		return nil
	})
	if err != nil {
		return access.Removal{}, failed(op, err)
	}
	return c.readBack(ctx, k, removal)
}

func (c *Connector) readBack(ctx context.Context, k key, removal access.Removal) (access.Removal, error) {
	const op = "read back"
	err := c.target.call(ctx, Entry{Account: k.account, Role: k.role}, func() error {
		if _, ok := c.target.ours[k]; ok {
			return fmt.Errorf("%s still holds %s, although the demo target said that it was taken away", k.account, k.role)
		}
		if _, ok := c.target.standing[k]; ok {
			removal.Was = access.Standing
		}
		return nil
	})
	if err != nil {
		return access.Removal{}, failed(op, err)
	}
	return removal, nil
}

// Holders lists the table's entries for a role.
func (c *Connector) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	const op = "list holders"
	name, err := roleName(role.Target)
	if err != nil {
		return nil, failed(op, &connectors.Error{Kind: connectors.Invalid, Op: op, Err: err})
	}
	var out []connectors.Holder
	err = c.target.call(ctx, Entry{Role: name}, func() error {
		for _, e := range c.target.list(func(k key) bool { return k.role == name }) {
			out = append(out, connectors.Holder{Account: e.Account, Person: e.Person, Grant: e.Grant, Ours: e.Grant != ""})
		}
		return nil
	})
	return out, failed(op, err)
}

// Check asks the Target for anything at all.
func (c *Connector) Check(ctx context.Context) error {
	return failed("check", c.target.call(ctx, Entry{}, func() error { return nil }))
}

// CheckRole tells whether the role exists at the Target.
func (c *Connector) CheckRole(ctx context.Context, role access.Role) error {
	const op = "check role"
	name, err := roleName(role.Target)
	if err != nil {
		return &connectors.Error{Kind: connectors.Invalid, Op: op, Err: err}
	}
	return failed(op, c.target.call(ctx, Entry{Role: name}, func() error {
		if err := c.target.knows(key{role: name}); errors.Is(err, errNoRole) {
			return err
		}
		return nil
	}))
}

func of(g access.Grant) (key, error) {
	name, err := roleName(g.Role.Target)
	if err != nil {
		return key{}, &connectors.Error{Kind: connectors.Invalid, Op: "read target", Err: err}
	}
	account, err := connectors.Account(g)
	return key{account, name}, err
}

// failed gives an answer of the Target its kind. A nil error stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *connectors.Error
	if errors.As(err, &known) {
		return err
	}
	kind := connectors.Unavailable
	switch {
	case errors.Is(err, errRefused):
		kind = connectors.Denied
	case errors.Is(err, errNoAccount), errors.Is(err, errNoRole):
		kind = connectors.NotFound
	}
	return &connectors.Error{Kind: kind, Op: op, Err: err}
}
