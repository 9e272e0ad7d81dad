package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// Bundle is the connector of roles that are made of others: their target lists the roles that are given and taken away
// together, {roles: [a, b]}. Each part is a grant of its own, with its own end, and is given, ended and proved at its own
// target as any other; the request for the bundle is active when all parts are, and fails when one does, after the
// others were taken back. It is of use to the service that it is configured in.
type Bundle struct{ s *Service }

// NewBundle makes one.
func NewBundle() *Bundle { return &Bundle{} }

var (
	_ connectors.Connector     = (*Bundle)(nil)
	_ connectors.Describer     = (*Bundle)(nil)
	_ connectors.TargetChecker = (*Bundle)(nil)
)

// binder is a connector that acts through the service that it is configured in.
type binder interface{ bind(*Service) error }

func (b *Bundle) bind(s *Service) error {
	b.s = s
	var problems []error
	for _, r := range s.cfg.Roles {
		if err := CheckBundle(r, s.cfg.Roles, s.cfg.Connectors); err != nil {
			problems = append(problems, fmt.Errorf("role %s: %w", r.ID, err))
		}
	}
	return errors.Join(problems...)
}

// CheckBundle tells what is wrong with a role that is made of others, beginning with the key; nil for any other role.
func CheckBundle(r access.Role, roles []access.Role, made map[string]connectors.Connector) error {
	if !bundles(made[r.Connector]) {
		return nil
	}
	ids, err := PartsOf(r.Target)
	if err != nil {
		return err
	}
	rights := map[string]access.RoleID{}
	for _, id := range ids {
		at := slices.IndexFunc(roles, func(r access.Role) bool { return r.ID == id })
		if at < 0 {
			return fmt.Errorf("target.roles: there is no role %q", id)
		}
		right := roles[at].Connector + " " + targetKey(roles[at])
		switch {
		case bundles(made[roles[at].Connector]):
			return fmt.Errorf("target.roles: %q is a bundle itself; list the roles that it is made of", id)
		case rights[right] != "":
			return fmt.Errorf("target.roles: %q and %q are the same right; leave one out", rights[right], id)
		}
		rights[right] = id
	}
	return nil
}

func bundles(c connectors.Connector) bool {
	_, ok := c.(binder)
	return ok
}

// PartsOf reads which roles a bundle's target lists. The error begins with the key.
func PartsOf(target map[string]any) ([]access.RoleID, error) {
	for key := range target {
		if key != "roles" {
			return nil, fmt.Errorf("target.%s: there is no such key here; a bundle has roles alone", key)
		}
	}
	list, ok := target["roles"].([]any)
	if !ok || len(list) < 2 {
		return nil, errors.New("target.roles: list at least two roles of the catalogue, such as [cloud-admin, db-admin]")
	}
	var ids []access.RoleID
	for _, e := range list {
		id, ok := e.(string)
		if !ok || id == "" || slices.Contains(ids, access.RoleID(id)) {
			return nil, fmt.Errorf("target.roles: %v is no id of a role, or is there twice", e)
		}
		ids = append(ids, access.RoleID(id))
	}
	return ids, nil
}

// CheckTarget checks the form of a bundle's target.
func (b *Bundle) CheckTarget(target map[string]any) error {
	_, err := PartsOf(target)
	return err
}

// Capabilities are those that every bundle has, whatever it is made of; what the parts' targets can do is told of each role.
func (b *Bundle) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{NativeExpiry: true} // so that the parts are told of a later end
}

// Check finds nothing: the parts' connectors are checked by themselves.
func (b *Bundle) Check(context.Context) error { return nil }

// Holders lists whose bundles are active.
func (b *Bundle) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	var holders []connectors.Holder
	err := b.s.each(ctx, Query{Open: true, States: []access.State{access.Active}}, func(r *access.Record) {
		if samePlace(r.Role, role) {
			holders = append(holders, connectors.Holder{Account: r.Account, Person: r.Person, Grant: r.ID, Ours: true})
		}
	})
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.Unavailable, Op: "list bundles", Err: err}
	}
	return holders, nil
}

// Activate begins the parts that have not begun, and moves the ends of those that end too early. It does not wait for
// them, so that no bundle keeps the others from their turn: until all are active it is too early, and the last one wakes
// the bundle. Where one will not be, the others are taken back, and then the error is final.
func (b *Bundle) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	parent, err := b.parent(ctx, g)
	if err != nil {
		return access.Receipt{}, err
	}
	lost, err := b.lost(ctx, parent)
	if err != nil {
		return access.Receipt{}, err
	}
	err = b.look(ctx, "give the parts", parent, func(m access.Member, p *access.Record) (bool, error) {
		switch {
		case lost != nil:
			return true, nil
		case p == nil && parent.State != access.Activating:
			return true, nil // it was given back, and is not given anew
		case p == nil:
			return false, b.arm(ctx, parent, m, g.End)
		case p.State == access.Activating:
			return false, nil
		case p.State == access.Active && p.EndsAt.Before(g.End):
			return true, b.prolong(ctx, p, g.End)
		case p.State != access.Active && parent.State == access.Activating:
			lost = p
		}
		return true, nil
	})
	if err == nil && lost == nil {
		return access.Receipt{NativeEnd: g.End}, nil
	}
	if lost == nil {
		return access.Receipt{}, err
	}
	refused := &connectors.Error{Kind: connectors.Denied, Op: fmt.Sprintf("give %s (request %s)", lost.Role.ID, lost.ID), Err: errors.New(fault(lost))}
	if _, err := b.takeBack(ctx, parent, string(lost.Role.ID)+takenBack); err != nil {
		return access.Receipt{}, fmt.Errorf("%v; the others are taken back: %w", refused, err) // tried again, so not of its kind yet
	}
	return access.Receipt{}, refused
}

// Deactivate ends the parts that have not ended. Until all have it is too early, and the last one wakes the bundle.
func (b *Bundle) Deactivate(ctx context.Context, g access.Grant, _ access.Receipt) (access.Removal, error) {
	parent, err := b.parent(ctx, g)
	if err != nil {
		return access.Removal{}, err
	}
	parts, err := b.takeBack(ctx, parent, "the bundle has ended")
	if err != nil {
		return access.Removal{}, err
	}
	sum := access.Removal{Was: access.Absent}
	for _, p := range parts {
		if p.Removal == nil {
			continue // nothing was given
		}
		sum.SessionsEnded += p.Removal.SessionsEnded
		sum.Tail = max(sum.Tail, p.Removal.Tail)
		if was := p.Removal.Was; sum.Was == access.Absent || was == access.Removed {
			sum.Was = was
		}
	}
	return sum, nil
}

// takeBack ends every part, and gives them when all have ended.
func (b *Bundle) takeBack(ctx context.Context, parent *access.Record, reason string) (parts []*access.Record, err error) {
	err = b.look(ctx, "end the parts", parent, func(_ access.Member, p *access.Record) (bool, error) {
		switch {
		case p == nil:
			return true, nil // it will not begin: see begins
		case p.State.Terminal():
			parts = append(parts, p)
			return true, nil
		case p.Ending(b.s.now()):
			return false, nil
		}
		t, err := b.s.finish(p, access.BySystem(), reason)
		if err == nil {
			err = b.s.take(ctx, t)
		}
		return false, err
	})
	return parts, err
}

func (b *Bundle) parent(ctx context.Context, g access.Grant) (*access.Record, error) {
	parent, err := b.s.cfg.Store.Get(ctx, g.ID)
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.Unavailable, Op: "load the bundle", Err: err}
	}
	return parent, nil
}

// look looks at each part once, nil for one that is not there; it is too early where one is not done. What is lost to
// somebody else's arrow is looked at again.
func (b *Bundle) look(ctx context.Context, op string, parent *access.Record, done func(access.Member, *access.Record) (bool, error)) error {
	var left []string
	var failed error
	for _, m := range parent.Parts {
		ok := false
		var err error
		for range attempts {
			var p *access.Record
			if p, err = b.s.part(ctx, parent.ID, m); err == nil {
				ok, err = done(m, p)
			}
			if !errors.Is(err, ErrStale) {
				break
			}
		}
		if err != nil && !errors.Is(err, ErrStale) && failed == nil { // the other parts have their turn all the same
			failed = &connectors.Error{Kind: connectors.Unavailable, Op: fmt.Sprintf("%s: %s", op, m.Role.ID), Err: err}
		}
		if !ok || err != nil {
			left = append(left, fmt.Sprintf("%s (request %s)", m.Role.ID, m.ID))
		}
	}
	if failed != nil || len(left) == 0 {
		return failed
	}
	return &connectors.Error{Kind: connectors.TooEarly, Op: op, Err: fmt.Errorf("not done yet: %s", strings.Join(left, ", "))}
}

// arm makes the record of a part: its end is written before its connector is called.
func (b *Bundle) arm(ctx context.Context, parent *access.Record, m access.Member, end time.Time) error {
	now := b.s.now().UTC()
	rec := &access.Record{Schema: access.Schema, Request: parent.Request, State: access.Activating, Version: 1, Decisions: parent.Decisions,
		ApprovedAt: parent.ApprovedAt, StartBy: parent.StartBy, NextTry: now}
	rec.ID, rec.Role, rec.Account, rec.Bundle, rec.Parts = m.ID, m.Role, m.Account, parent.ID, nil
	rec.SubmittedAt, rec.Duration, rec.By = now, end.Sub(now), access.BySystem()
	t := Transition{Arrow: access.Part, From: access.None, Record: rec, Event: audit.Event{
		At: now, Kind: string(access.Part), Request: rec.ID, Version: 1, To: access.Activating, Actor: access.BySystem(),
		Person: rec.Person, Role: rec.Role.ID, Connector: rec.Role.Connector,
		Detail: map[string]string{"bundle": string(parent.ID), "ends_at": stamp(end)},
	}}
	t.until(end, b.s.cfg.OverdueAfter)
	err := b.s.take(ctx, t)
	if errors.Is(err, ErrTaken) {
		return nil // it is there by now
	}
	return err
}

// prolong moves the end of a part to that of the bundle.
func (b *Bundle) prolong(ctx context.Context, p *access.Record, end time.Time) error {
	t, err := b.s.later(p, access.BySystem(), end)
	if err == nil {
		err = b.s.take(ctx, t)
	}
	return err
}

// bundle tells whether a role is made of others.
func (s *Service) bundle(r access.Role) bool {
	return bundles(s.cfg.Connectors[r.Connector])
}

// members are the roles that a bundle gives to somebody now; none for any other role.
func (s *Service) members(r access.Role, to access.Person, now time.Time) ([]access.Member, error) {
	if !s.bundle(r) {
		return nil, nil
	}
	ids, err := PartsOf(r.Target)
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", r.ID, err)
	}
	members := make([]access.Member, len(ids))
	for i, id := range ids {
		part := s.catalogue.byID[id]
		m := access.Member{Role: part, Account: to.Account(part.Connector)}
		m.ID = s.cfg.Store.NewID(now, access.Request{Role: part, Account: m.Account}.Right())
		members[i] = m
	}
	return members, nil
}

// Parts gives the parts of a bundle that have begun, by role.
func (s *Service) Parts(ctx context.Context, bundle *access.Record) (map[access.RoleID]*access.Record, error) {
	parts := map[access.RoleID]*access.Record{}
	for _, m := range bundle.Parts {
		p, err := s.part(ctx, bundle.ID, m)
		if err != nil {
			return nil, fmt.Errorf("load %s, a part of %s: %w", m.ID, bundle.ID, err)
		}
		if p != nil {
			parts[m.Role.ID] = p
		}
	}
	return parts, nil
}

// errNotAPart says that the id of a part belongs to another request; one in thirty million does.
var errNotAPart = errors.New("the id is another request's; end the bundle and ask again")

// part loads a part; nil where it has not begun.
func (s *Service) part(ctx context.Context, bundle access.RequestID, m access.Member) (*access.Record, error) {
	p, err := s.cfg.Store.Get(ctx, m.ID)
	if errors.Is(err, access.ErrNotFound) {
		return nil, nil
	}
	if err == nil && p.Bundle != bundle {
		return nil, fmt.Errorf("request %s: %w", m.ID, errNotAPart)
	}
	return p, err
}

// begins tells why a part is not given at its target, or nil: its bundle is not being given any more.
func (s *Service) begins(ctx context.Context, part *access.Record) error {
	if part.Bundle == "" {
		return nil
	}
	parent, err := s.cfg.Store.Get(ctx, part.Bundle)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("load the bundle %s: %w", part.Bundle, err)
	}
	if err != nil || parent.State != access.Activating && parent.State != access.Active {
		return errBundleOver
	}
	return nil
}

// errBundleOver says that a part's bundle is not being given any more.
var errBundleOver = errors.New("the bundle is over")

// capabilities are what people should know of a role's target; of a bundle, what holds of all its parts.
func (s *Service) capabilities(r access.Role) connectors.Capabilities {
	caps := connectors.Describe(s.cfg.Connectors[r.Connector])
	if !s.bundle(r) {
		return caps
	}
	ids, _ := PartsOf(r.Target) // New has read it
	caps.EndsSessions = true
	for _, id := range ids {
		of := s.capabilities(s.catalogue.byID[id])
		caps.NativeExpiry = caps.NativeExpiry && of.NativeExpiry
		caps.EndsSessions = caps.EndsSessions && of.EndsSessions
		caps.Tail, caps.MinDuration = max(caps.Tail, of.Tail), max(caps.MinDuration, of.MinDuration)
	}
	return caps
}
