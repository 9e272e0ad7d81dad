package connectortest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/workflows/access"
)

// wantNotFinal checks an error of which nobody may conclude that nothing is there.
func (s *suite) wantNotFinal(op string, err error) {
	s.Helper()
	s.wantError(op, err, connectors.TooEarly, connectors.Throttled, connectors.Unavailable)
}

func leavesNoGoroutine(s *suite) {
	p, r := s.person(), s.Role(s.T)
	c, hang := s.New(s.T), s.Hang(s.T)
	before := goleak.IgnoreCurrent()
	g, receipt := s.give(c, p, r)
	s.wantMark(c, r, p, "ours")
	s.end(c, g, receipt, access.Removed)
	for _, v := range verbs(hang, g) {
		ctx, cancel := context.WithTimeout(s.Context(), impatience)
		_ = v.call(ctx, hang) // hangIsBounded looks at the error
		cancel()
	}
	if w, watches := c.(connectors.Watcher); watches {
		_, stop := s.listen(w, r)
		stop()
	}
	if err := goleak.Find(before); err != nil {
		s.Errorf("goroutines outlive the calls: %v", err)
	}
}

func refusedIsDenied(s *suite) {
	if !s.can(RefuseUs) {
		return
	}
	c := s.Refuse(s.T)
	p, r := s.person(), s.Role(s.T)
	for _, v := range verbs(c, s.grant(p, r)) {
		s.wantError(v.name+" with refused credentials", v.call(s.ctx(), c), connectors.Denied)
	}
	s.wantHolds(p, r, false)
}

func cancelledDoesNothing(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for _, v := range verbs(c, s.grant(p, r)) {
		err := s.within(v.name, func() error { return v.call(ctx, c) })
		s.wantError(v.name+" with a cancelled context", err, connectors.Unavailable)
	}
	s.wantHolds(p, r, false)
}

func hangIsBounded(s *suite) {
	c := s.Hang(s.T)
	for _, v := range verbs(c, s.grant(s.person(), s.Role(s.T))) {
		ctx, cancel := context.WithTimeout(s.Context(), impatience)
		err := s.within(v.name, func() error { return v.call(ctx, c) })
		cancel()
		s.wantError(v.name+" at a target that hangs", err, connectors.Unavailable)
	}
}

// within fails a call that does not return promptly after its context has ended.
func (s *suite) within(name string, call func() error) error {
	s.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(promptly):
		s.Fatalf("%s does not return although its context has ended", name)
		return nil
	}
}

func unknownPerson(s *suite) {
	if !s.can(UnknownPersons) {
		return
	}
	c, r := s.New(s.T), s.Role(s.T)
	for _, name := range []string{fmt.Sprintf("nobody%d", s.names.Add(1)), "public", "none", "current_user"} {
		s.refusedForGood(c, s.grant(stranger(name, r), r))
	}
}

// stranger is somebody whom the target was not told of.
func stranger(account string, r access.Role) access.Person {
	return access.Person{ID: access.PersonID(account), Accounts: map[string]string{r.Connector: account}}
}

func unknownRole(s *suite) {
	if !s.can(UnknownRoles) {
		return
	}
	c, r := s.New(s.T), s.Role(s.T)
	target := map[string]any{}
	for k, v := range r.Target {
		target[k] = v
		if text, ok := v.(string); ok {
			target[k] = text + "-missing"
		}
	}
	r.Target = target
	s.refusedForGood(c, s.grant(s.person(), r))
	if rc, ok := c.(connectors.RoleChecker); ok {
		s.wantError("CheckRole of an unknown role", rc.CheckRole(s.ctx(), r), connectors.NotFound, connectors.Invalid)
	}
}

// refusedForGood checks that a grant which cannot be given is refused with a kind that says so, and that undoing it
// does not claim to have removed anything.
func (s *suite) refusedForGood(c connectors.Connector, g access.Grant) {
	s.Helper()
	_, err := c.Activate(s.ctx(), g)
	s.wantError("Activate", err, connectors.NotFound, connectors.Invalid)
	removal, err := c.Deactivate(s.ctx(), g, access.Receipt{})
	if err != nil {
		s.wantError("Deactivate", err, connectors.NotFound, connectors.Invalid)
	} else if removal.Was != access.Absent {
		s.Errorf("Deactivate found %q where nothing can be", removal.Was)
	}
}

func hostileNames(s *suite) {
	c, r := s.New(s.T), s.Role(s.T)
	bystander := s.person()
	s.give(c, bystander, r)
	for _, name := range []string{
		`al"ice; DROP ROLE "x`, `'; SELECT pg_sleep(9); --`, `$(id)`, `../../etc/passwd`, "Ж\u202eana 🦊", "öÖ İi", `a\b%s{{.}}`,
	} {
		name = fmt.Sprintf("%s %d", name, s.names.Add(1))
		p := s.Person(s.T, name)
		g := s.grant(p, r)
		receipt, err := c.Activate(s.ctx(), g)
		if err != nil {
			s.wantError(fmt.Sprintf("Activate for %q", name), err, connectors.Invalid, connectors.NotFound)
			s.wantHolds(p, r, false)
			continue
		}
		s.wantHolds(p, r, true)
		s.end(c, g, receipt, access.Removed)
		s.wantHolds(p, r, false)
	}
	for _, name := range []string{"", "\x00", "ana\x00x", "ana\n", "\xff\xfe"} {
		_, err := c.Activate(s.ctx(), s.grant(stranger(name, r), r))
		s.wantError(fmt.Sprintf("Activate for %q", name), err, connectors.Invalid)
	}
	s.wantHolds(bystander, r, true)
}

// longNames looks for a target that cuts a name, and so gives the role to somebody else.
func longNames(s *suite) {
	if s.LongestAccount == 0 {
		return
	}
	c, r := s.New(s.T), s.Role(s.T)
	longest := fmt.Sprintf("%d-%s", s.names.Add(1), strings.Repeat("x", s.LongestAccount))[:s.LongestAccount]
	victim := s.Person(s.T, longest)
	name := longest + "y"
	s.refusedForGood(c, s.grant(stranger(name, r), r))
	s.wantHolds(victim, r, false)
	s.give(c, victim, r)
}

func manyAtOnce(s *suite) {
	c, r := s.New(s.T), s.Role(s.T)
	people := make([]access.Person, crowd)
	grants := make([]access.Grant, crowd)
	for i := range people {
		people[i] = s.person()
		grants[i] = s.grant(people[i], r)
	}
	receipts := make([]access.Receipt, crowd)
	s.atOnce(crowd, func(i int) error {
		var err error
		receipts[i], err = c.Activate(s.ctx(), grants[i])
		return err
	})
	for _, p := range people {
		s.wantHolds(p, r, true)
	}
	s.atOnce(crowd/2, func(i int) error {
		_, err := c.Deactivate(s.ctx(), grants[i], receipts[i])
		return err
	})
	for i, p := range people {
		s.wantHolds(p, r, i >= crowd/2)
	}
}

func (s *suite) atOnce(n int, f func(int) error) {
	s.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			s.Errorf("call %d of %d at once: %v", i+1, n, err)
		}
	}
}
