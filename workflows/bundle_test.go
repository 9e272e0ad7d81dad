package workflows_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// bundled is a world with a role that is made of three others at three targets.
type bundled struct {
	*world
	third  *demo.Target
	denies atomic.Bool // the third target gives nothing
}

// denier is a target that says no to what it is asked to give.
type denier struct {
	connectors.Connector
	denies *atomic.Bool
}

func (d denier) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	if d.denies.Load() {
		return access.Receipt{}, &connectors.Error{Kind: connectors.Denied, Op: "give", Err: errors.New("the directory says no")}
	}
	return d.Connector.Activate(ctx, g)
}

func newBundled(t *testing.T) *bundled {
	t.Helper()
	return bundledAt(t, &clock{now: noon})
}

func bundledAt(t *testing.T, clock *clock, more ...access.Role) *bundled {
	t.Helper()
	b := &bundled{}
	b.world = worldAt(t, clock, func(c *workflows.Config) {
		b.third = demo.NewTarget(demo.TargetConfig{Now: c.Now})
		third, err := demo.New(demo.Config{Target: b.third})
		if err != nil {
			t.Fatal(err)
		}
		c.Connectors["dir"], c.Connectors["bundles"] = denier{third, &b.denies}, workflows.NewBundle()
		bundle := role("oncall", "bundles")
		bundle.Target = map[string]any{"roles": []any{"db-admin", "web-admin", "dir-admin"}}
		b.with(t, c, append(more, bundle, role("dir-admin", "dir"))...)
	})
	return b
}

// with adds roles to a configuration.
func (b *bundled) with(t *testing.T, c *workflows.Config, more ...access.Role) {
	t.Helper()
	_, rules := catalogue()
	c.Roles = append(c.Roles, more...)
	set, problems := policy.Compile(rules, c.Roles)
	if set == nil {
		t.Fatal(problems)
	}
	c.Policies = set
}

func (b *bundled) targets() []*demo.Target { return []*demo.Target{b.db, b.web, b.third} }

// parts gives the parts of a bundle, all of which have begun.
func (b *bundled) parts(rec *access.Record) []*access.Record {
	b.t.Helper()
	byRole, err := b.service.Parts(b.t.Context(), rec)
	if err != nil || len(byRole) != 3 {
		b.t.Fatalf("parts %v, %v", byRole, err)
	}
	var parts []*access.Record
	for _, m := range rec.Parts {
		parts = append(parts, byRole[m.Role.ID])
	}
	return parts
}

// nothing fails the test where a target still gives something, or the record of a part does not prove that it is gone.
func (b *bundled) nothing(rec *access.Record) {
	b.t.Helper()
	for i, target := range b.targets() {
		if n := len(target.Entries()); n != 0 {
			b.t.Errorf("target %d still has %v", i, target.Entries())
		}
	}
	byRole, err := b.service.Parts(b.t.Context(), rec)
	if err != nil {
		b.t.Fatal(err)
	}
	for id, p := range byRole {
		if !p.State.Terminal() || p.State == access.Ended && (p.VerifiedAt.IsZero() || p.Removal == nil) {
			b.t.Errorf("the part %s is %+v", id, p)
		}
	}
}

func TestABundleGivesAllOfItsPartsAndEndsEachOfThem(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	rec := b.active("ana", "oncall")
	for i, p := range b.parts(rec) {
		if p.State != access.Active || p.Bundle != rec.ID || !p.EndsAt.Equal(rec.EndsAt) || p.Person != "ana" || len(p.Decisions) != 1 {
			t.Errorf("part %d is %+v", i, p)
		}
		if n := len(b.targets()[i].Entries()); n != 1 {
			t.Errorf("target %d has %d entries", i, n)
		}
		if got := strings.Join(kinds(b.events(p.ID)), " "); got != "part confirm" {
			t.Errorf("part %d has the events %s", i, got)
		}
	}
	if _, err := b.service.Extend(t.Context(), by("ana"), rec.Parts[0].ID, time.Hour, access.Secret{}); err == nil {
		t.Error("a part was extended by itself")
	}
	b.clock.Advance(rec.EndsAt.Sub(b.clock.Now()))
	ended := b.reaches(rec.ID, access.Ended)
	if ended.Removal.Was != access.Removed || ended.VerifiedAt.IsZero() {
		t.Errorf("the bundle ended with %+v", ended)
	}
	b.nothing(rec)
}

func TestABundleOfWhichOnePartFailsGivesNothing(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.denies.Store(true)
	b.run()
	rec := b.submit("ana", "oncall")
	b.approve("lea", rec.ID)
	failed := b.reaches(rec.ID, access.Failed)
	if !strings.Contains(failed.Reason, "dir-admin") || !strings.Contains(failed.Reason, "the directory says no") {
		t.Errorf("it failed because %q, which does not name the part and its reason", failed.Reason)
	}
	for i, p := range b.parts(rec)[:2] {
		if p.State != access.Ended || !strings.Contains(p.Reason, "dir-admin") {
			t.Errorf("part %d is %s because %q", i, p.State, p.Reason)
		}
	}
	b.nothing(rec)
}

// While one part cannot be given the others are there, and when it is clear that it will not be they go.
func TestABundleThatCannotBeGivenInTimeIsTakenBack(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.third.SetFaults(demo.Faults{UnavailableUntil: noon.Add(24 * time.Hour)})
	b.run()
	rec := b.submit("ana", "oncall")
	b.approve("lea", rec.ID)
	b.eventually("the first two are active", func() bool {
		byRole, err := b.service.Parts(t.Context(), rec)
		return err == nil && len(byRole) == 3 && byRole["db-admin"].State == access.Active && byRole["web-admin"].State == access.Active
	})
	b.clock.Advance(2 * time.Hour)
	b.eventually("the first two were taken back", func() bool { return len(b.db.Entries()) == 0 && len(b.web.Entries()) == 0 })
	b.third.SetFaults(demo.Faults{})
	b.whileTimePasses("the bundle is over", func() bool { return b.get(rec.ID).State.Terminal() })
	b.nothing(rec)
}

// nextTry waits for what takes several tries of some requests, and sets the clock to each.
func (b *bundled) nextTry(what string, holds func() bool, ids ...access.RequestID) {
	b.t.Helper()
	b.eventually(what, func() bool {
		for _, id := range ids {
			if left := b.get(id).NextTry.Sub(b.clock.Now()); left > -time.Millisecond {
				b.clock.Advance(left + time.Millisecond) // the store rounds up
			}
		}
		return holds()
	})
}

// While one part hangs, the others stay as they are; when all are there, the whole time that was asked for begins.
func TestABundleMovesItsEndOnceWhenAllOfItIsThere(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.third.SetFaults(demo.Faults{UnavailableUntil: noon.Add(24 * time.Hour)})
	b.run()
	rec := b.submit("ana", "oncall")
	b.approve("lea", rec.ID)
	armed := b.reaches(rec.ID, access.Activating).EndsAt
	b.nextTry("it was tried again", func() bool { return b.get(rec.ID).Attempts >= 2 }, rec.ID)
	b.clock.Advance(2 * time.Minute)
	if now := b.get(rec.ID); !now.EndsAt.Equal(armed) {
		t.Errorf("while it waits for a part its end moved from %s to %s", armed, now.EndsAt)
	}
	given := b.get(rec.Parts[0].ID)
	if got := strings.Join(kinds(b.events(given.ID)), " "); got != "part confirm" {
		t.Errorf("a part that was there had the events %s", got)
	}
	b.third.SetFaults(demo.Faults{})
	b.nextTry("it is active", func() bool { return b.get(rec.ID).State == access.Active }, rec.ID, rec.Parts[2].ID)
	whole := b.get(rec.ID)
	if got := whole.EndsAt.Sub(whole.ActivatedAt); got != whole.Duration {
		t.Errorf("it lasts %s from its activation, not %s", got, whole.Duration)
	}
	b.nextTry("the parts end with it", func() bool {
		for _, p := range b.parts(rec) {
			if !p.EndsAt.Equal(whole.EndsAt) {
				return false
			}
		}
		return b.get(rec.ID).NextTry.IsZero()
	}, rec.ID)
	b.clock.Advance(whole.EndsAt.Sub(b.clock.Now()) + time.Second)
	b.reaches(rec.ID, access.Ended)
	b.nothing(rec)
}

// The parts have roles of their own, whose policies have other approvers.
func TestWhoMayApproveABundleMaySeeAndEndItsParts(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	mixed := role("mixed", "bundles")
	mixed.Target = map[string]any{"roles": []any{"db-owner", "web-admin"}} // db-owner takes three approvals by itself
	b.with(t, &b.config, mixed)
	var err error
	if b.service, err = workflows.New(b.config); err != nil {
		t.Fatal(err)
	}
	b.run()
	rec := b.active("ana", "mixed")
	part := rec.Parts[0].ID
	if _, err := b.service.Request(t.Context(), "eve", part); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("somebody who may not approve the bundle sees a part: %v", err)
	}
	if _, err := b.service.End(t.Context(), by("eve"), part, "no"); !errors.Is(err, access.ErrNotAllowed) {
		t.Errorf("somebody who may not approve the bundle ends a part: %v", err)
	}
	if got, err := b.service.Request(t.Context(), "leo", part); err != nil || got.ID != part {
		t.Errorf("an approver does not see a part: %v", err)
	}
	if !b.service.Allowed(t.Context(), "leo", b.get(part)).End {
		t.Error("an approver is not offered to end a part")
	}
	if _, err := b.service.End(t.Context(), by("leo"), part, "not needed"); err != nil {
		t.Errorf("an approver cannot end a part: %v", err)
	}
}

func TestABundleThatIsEndedEarlyEndsItsParts(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	rec := b.active("ana", "oncall")
	if _, err := b.service.End(t.Context(), by("ana"), rec.ID, "done"); err != nil {
		t.Fatal(err)
	}
	b.reaches(rec.ID, access.Ended)
	b.nothing(rec)
}

func TestABundleHasNotEndedBeforeAllOfItsPartsHave(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	rec := b.active("ana", "oncall")
	b.web.SetFaults(demo.Faults{UnavailableUntil: noon.Add(48 * time.Hour)})
	b.clock.Advance(rec.EndsAt.Sub(b.clock.Now()))
	b.eventually("the others have ended", func() bool { return len(b.db.Entries()) == 0 && len(b.third.Entries()) == 0 })
	b.eventually("the bundle is being ended", func() bool { return b.get(rec.ID).State == access.Deactivating })
	b.whileTimePasses("people are told", func() bool { return b.get(rec.ID).Overdue && b.get(rec.Parts[1].ID).Overdue })
	if got := b.get(rec.ID); !strings.Contains(got.LastError, "web-admin") {
		t.Errorf("the last error, %q, does not name the part", got.LastError)
	}
	b.web.SetFaults(demo.Faults{})
	b.whileTimePasses("the bundle has ended", func() bool { return b.get(rec.ID).State == access.Ended })
	b.nothing(rec)
}

func TestABundleIsExtendedWithItsParts(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	rec := b.active("ana", "oncall")
	later := extend(t, b.world, rec.ID)
	b.eventually("all parts end later", func() bool {
		for _, p := range b.parts(rec) {
			if !p.EndsAt.Equal(later.EndsAt) {
				return false
			}
		}
		return b.get(rec.ID).NextTry.IsZero()
	})
	b.clock.Advance(later.EndsAt.Sub(b.clock.Now()))
	b.reaches(rec.ID, access.Ended)
	b.nothing(rec)
}

// What somebody gives back early is not given again, and does not take the rest away.
func TestAPartThatWasGivenBackLeavesTheOthers(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	rec := b.active("ana", "oncall")
	if _, err := b.service.End(t.Context(), by("ana"), rec.Parts[1].ID, "not needed"); err != nil {
		t.Fatal(err)
	}
	b.reaches(rec.Parts[1].ID, access.Ended)
	later := extend(t, b.world, rec.ID)
	b.eventually("the others end later", func() bool {
		return b.get(rec.Parts[0].ID).EndsAt.Equal(later.EndsAt) && b.get(rec.Parts[2].ID).EndsAt.Equal(later.EndsAt)
	})
	if n := len(b.web.Entries()); n != 0 || b.get(rec.ID).State != access.Active {
		t.Errorf("%d entries of the part that was given back; the bundle is %s", n, b.get(rec.ID).State)
	}
}

// A grant of the same right outside of the bundle keeps it.
func TestAPartSharesItsRightWithOtherGrants(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	alone := b.active("ana", "db-admin")
	rec := b.active("ana", "oncall")
	if _, err := b.service.End(t.Context(), by("ana"), rec.ID, "done"); err != nil {
		t.Fatal(err)
	}
	b.reaches(rec.ID, access.Ended)
	if p := b.get(rec.Parts[0].ID); p.Removal.Was != access.Shared || len(b.db.Entries()) == 0 {
		t.Errorf("the shared part ended with %+v, and the target has %v", p.Removal, b.db.Entries())
	}
	if b.get(alone.ID).State != access.Active {
		t.Error("the other grant is gone")
	}
}

// The process dies at any time; what has begun ends all the same.
func TestABundleSurvivesRestarts(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	stop := b.run()
	rec := b.submit("ana", "oncall")
	b.third.SetFaults(demo.Faults{UnavailableUntil: noon.Add(time.Minute)})
	b.approve("lea", rec.ID)
	b.eventually("one part is active", func() bool { return len(b.db.Entries()) == 1 })
	stop()
	b.clock.Advance(2 * time.Minute) // leases end
	stop = b.run()
	rec = b.reaches(rec.ID, access.Active)
	stop()
	b.clock.Advance(rec.EndsAt.Sub(b.clock.Now()) + time.Minute)
	b.run()
	b.reaches(rec.ID, access.Ended)
	b.nothing(rec)
}

// A process that was paused begins a part of a bundle that is over by now.
func TestAPartThatBeginsLateIsNotGiven(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	stop := b.run()
	rec := b.active("ana", "oncall")
	if _, err := b.service.End(t.Context(), by("ana"), rec.ID, "done"); err != nil {
		t.Fatal(err)
	}
	b.reaches(rec.ID, access.Ended)
	stop()
	part := *b.get(rec.Parts[0].ID)
	late := access.Record{Schema: access.Schema, Request: part.Request, State: access.Activating, Version: 1, StartBy: part.StartBy,
		NextTry: b.clock.Now(), EndsAt: part.EndsAt, OverdueAt: part.EndsAt.Add(time.Minute)}
	late.ID = b.store.NewID(b.clock.Now(), late.Right())
	if err := b.store.Take(t.Context(), workflows.Transition{Arrow: access.Part, Record: &late}); err != nil {
		t.Fatal(err)
	}
	b.run()
	ended := b.reaches(late.ID, access.Ended)
	if calls := len(b.db.Entries()); calls != 0 || !strings.Contains(ended.Reason, "bundle was over") {
		t.Errorf("it ended because %q with %d entries", ended.Reason, calls)
	}
}

func TestABundleIsMadeOfRolesThatAreNone(t *testing.T) {
	t.Parallel()
	for words, target := range map[string]map[string]any{
		"at least two":       {"roles": []any{"db-admin"}},
		"no such key":        {"roles": []any{"db-admin", "web-admin"}, "x": 1},
		"no id of a role":    {"roles": []any{"db-admin", 7}},
		"there twice":        {"roles": []any{"db-admin", "db-admin"}},
		`no role "gone"`:     {"roles": []any{"db-admin", "gone"}},
		"is a bundle itself": {"roles": []any{"db-admin", "oncall"}},
		"same right":         {"roles": []any{"db-admin", "db-admin-oncall"}},
	} {
		b := newBundled(t)
		bad := role("bad", "bundles")
		bad.Target = target
		b.with(t, &b.config, bad)
		if _, err := workflows.New(b.config); err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%v: %v, want %q", target, err, words)
		}
	}
	if caps := connectors.Describe(workflows.NewBundle()); !caps.NativeExpiry {
		t.Error("extensions of a bundle would not reach its parts")
	}
}

// Two bundles of one person overlap: each part shares its right, and the last one takes it away.
func TestOverlappingBundlesEndWithTheLast(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	first, second := b.active("ana", "oncall"), b.active("ana", "oncall")
	if _, err := b.service.End(t.Context(), by("ana"), first.ID, "done"); err != nil {
		t.Fatal(err)
	}
	b.reaches(first.ID, access.Ended)
	for i, target := range b.targets() {
		if len(target.Entries()) == 0 {
			t.Errorf("target %d took away what the second bundle gives", i)
		}
	}
	if _, err := b.service.End(t.Context(), by("ana"), second.ID, "done"); err != nil {
		t.Fatal(err)
	}
	b.reaches(second.ID, access.Ended)
	b.nothing(first)
	b.nothing(second)
}

func TestADigestCountsABundleOnce(t *testing.T) {
	t.Parallel()
	b := newBundled(t)
	b.run()
	b.active("ana", "oncall")
	d, err := b.service.Digest(t.Context(), noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil || len(d.Holding) != 1 || d.Outcomes[access.Active] != 1 {
		t.Errorf("the digest is %+v, %v", d, err)
	}
}
