package main

import (
	"context"
	"fmt"
	"time"

	"elevate/bot"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

// mark has the store mark what it writes, and believe nothing else, where there are keys for it.
func (a *app) mark(c *redis.Config) error {
	if len(a.cfg.Secrets.Keys) == 0 {
		return nil
	}
	var err error
	if a.marks, err = seal.NewMarker(a.cfg.Secrets.Keys); err != nil {
		return fmt.Errorf("secrets.keys: %w", err)
	}
	c.Marks, c.Unmarked = a.marks, a.cfg.Secrets.AcceptUnmarked
	c.Forged = func(id access.RequestID) {
		if a.guard != nil {
			a.guard.Doubt(id)
		}
	}
	c.Spoiled = func() { a.metrics.CountForged("memory") }
	a.learn(a.factorLesson())
	tell := bot.TellFactor(later{a}, a.chats)
	c.Doubted = func(ctx context.Context, d factor.Doubt) {
		a.metrics.CountForged("factor")
		if err := d.Report(ctx, a.store.Append, tell, time.Now()); err != nil {
			a.log.ErrorContext(ctx, "people could not be told that a second factor was changed", "person", d.Person, "err", err)
		}
	}
	if c.Unmarked {
		a.log.Warn("what lies in the store without a mark is believed; take secrets.accept_unmarked out when all that was open has ended")
	}
	return nil
}

// later is the app's store, for those who are made before it is opened.
type later struct{ *app }

func (l later) Enqueue(ctx context.Context, chats []string, topic, key string, n workflows.Note) (bool, error) {
	return l.store.Enqueue(ctx, chats, topic, key, n)
}

// keptLinks are the links as people know them: without keys as they lie in the store, and with them believing none that is
// older than it should be.
func (a *app) keptLinks() workflows.LinkVault {
	if len(a.cfg.Secrets.Keys) == 0 {
		return a.store
	}
	guard := workflows.NewLinkGuard(workflows.LinkGuardConfig{
		Store: a.store, Chats: a.chats, Found: func() { a.metrics.CountForged("link") }, Logger: a.log,
	})
	a.learn(guard.Lesson())
	return knownLinks{guard, a.unread.why}
}

// factorLesson has the store know what the audit log tells of people's factors: their versions, and whether they were taken
// away in them.
func (a *app) factorLesson() audit.Lesson {
	return audit.Lesson{Kinds: []string{"factor_", "key_"}, Event: func(e audit.Event) {
		if k, ok := redis.KnownBy(e); ok { // others tell of enrolments
			a.store.KnowFactor(e.Person, k)
		}
	}}
}

// remark marks links anew with the first key. What goes wrong is tried again at the next start: the old keys are believed
// until then.
func (a *app) remark(ctx context.Context) error {
	if err := a.store.Remark(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "links of chat accounts could not be marked with the first key; that is tried at the next start", "err", err)
	}
	return nil
}

// guarded is the store as the workflows see it: without keys as it is, and with them believing nothing that is older than
// it should be.
func (a *app) guarded() (workflows.Store, error) {
	if len(a.cfg.Secrets.Keys) == 0 {
		return a.store, nil
	}
	anchors := workflows.NewAnchors(time.Now)
	a.learn(anchors.Lesson())
	guard, err := workflows.NewGuard(workflows.GuardConfig{
		Store: a.store, Anchors: anchors, Recover: a.recovery.Doubtful, Holder: replica(), Chats: a.chats, Found: a.metrics.CountForged, Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.guard = guard
	a.first, a.runs = append(a.first, a.readLog, guard.Run, a.stayPresent), append(a.runs, a.remark)
	return workflows.Anchored(a.store, anchors, a.unread.why, guard.Doubt), nil
}
