package activedirectory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/sync/errgroup"

	"elevate/connectors"
	"elevate/workflows/access"
)

const (
	// watchesEach is how many groups one connection listens to. Active Directory takes five (MaxNotificationPerConn, which
	// administrators can change), and Samba four, although it says five.
	watchesEach = 4
	// watchedAtMost bounds the groups that are watched, and so the connections to a controller, of which it has 5,000 for
	// all. The sweep looks at the rest.
	watchedAtMost = 100
	// watchProof is how often a controller that has nothing to tell proves that it is there. It is less than 15 minutes, after
	// which one cuts connections on which nobody asks for anything (MaxConnIdleTime).
	watchProof = time.Minute
)

// Watch has a controller tell of every change of the roles' groups, and of no others: who comes into a group by another
// group that is in it is found by the sweep. Changes that are made at another controller are told of when they arrive.
func (c *Connector) Watch(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
	const op = "listen for changes"
	watched := make([]watch, 0, min(len(roles), watchedAtMost))
	for _, role := range roles[:min(len(roles), watchedAtMost)] {
		id, err := groupID(role.Target)
		if err != nil {
			return failed(op, refuse(connectors.Invalid, "%w", err))
		}
		watched = append(watched, watch{group: id, changed: func() { changed(role) }})
	}
	// One connection tries the login first: many at once would be many wrong passwords to whoever counts them.
	if err := c.onFirst(ctx, op, (*session).mustTell); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for some := range slices.Chunk(watched, watchesEach) {
		g.Go(func() error { return c.watchFirst(ctx, some) })
	}
	return failed(op, g.Wait())
}

// watch is one group to hear of.
type watch struct {
	group   guid
	changed func()
}

// watchFirst listens at the first controller that can be reached, until that ends.
func (c *Connector) watchFirst(ctx context.Context, some []watch) error {
	var unreached []error
	for _, at := range c.controllers {
		err := c.watchAt(ctx, at, some)
		if !errors.Is(err, errUnreached) {
			return err
		}
		unreached = append(unreached, err)
	}
	return errors.Join(unreached...)
}

// watchAt listens at one controller, on a connection of its own that lasts as long as that.
func (c *Connector) watchAt(ctx context.Context, at controller, some []watch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(c.timeout, cancel) // a call's time is for getting there alone
	return c.on(ctx, at, func(s *session) error {
		if err := s.mustTell(); err != nil {
			return err
		}
		if !late.Stop() {
			return ctx.Err()
		}
		g, ctx := errgroup.WithContext(ctx)
		for _, w := range some {
			answers := s.subscribe(ctx, w.group)
			g.Go(func() error { return hear(ctx, w, answers) })
		}
		g.Go(func() error { return s.prove(ctx, some) })
		return g.Wait()
	})
}

// mustTell refuses a controller that tells of no changes.
func (s *session) mustTell() error {
	if s.tells {
		return nil
	}
	return refuse(connectors.Invalid, "%w: it does not know the control %s", connectors.ErrNeverTells, notification)
}

// subscribe asks for an answer at each change of a group, until ctx ends. Every object is the only filter that is taken.
func (s *session) subscribe(ctx context.Context, group guid) ldap.Response {
	return s.conn.SearchAsync(ctx, ldap.NewSearchRequest(group.dn(), ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, everyObject,
		[]string{"1.1"}, []ldap.Control{ldap.NewControlMicrosoftNotification()}), 0)
}

// hear waits for changes of one group, until ctx ends.
func hear(ctx context.Context, w watch, answers ldap.Response) error {
	for answers.Next() {
		w.changed()
	}
	err := answers.Err()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject): // deleted, or not to be seen any more: of the others there is still to hear
		w.changed()
		return nil
	case err == nil:
		err = errors.New("the controller has ended it")
	}
	return fmt.Errorf("hear of changes of the group %s: %w", w.group, err)
}

// prove asks the controller something now and then, and gives up one that does not answer. When it has begun to tell it does
// not say: the first answer stands for that, and the second, because a question can overtake what was asked just before.
func (s *session) prove(ctx context.Context, some []watch) error {
	again := time.NewTicker(watchProof)
	defer again.Stop()
	for answers := 1; ; answers++ {
		late := time.AfterFunc(s.c.timeout, func() { _ = s.conn.Close() })
		_, err := s.read("", "dnsHostName")
		if !late.Stop() || err != nil {
			return fmt.Errorf("ask whether the controller is there: %w", errors.Join(err, ctx.Err()))
		}
		for _, w := range some {
			if answers <= 2 {
				w.changed()
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
