package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

// readAgain is how often an audit log that could not be read is tried again.
const readAgain = 10 * time.Second

// unread is what the audit log has to teach, and why not all of it could be read. With keys the log says what the newest
// versions of requests, factors and links are. Where it cannot be read, an older one may have been put back: then nothing
// is activated, no second factor vouches for anything, and no link counts. Access ends all the same.
type unread struct {
	lessons []func(dir string) error

	mu  sync.Mutex
	err error
}

// why tells why not all of the log could be read, or nil.
func (u *unread) why() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

func (u *unread) set(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err = err
}

// learn has somebody read the audit log, and read it anew until all of it can be read.
func (a *app) learn(lesson func(dir string) error) {
	a.unread.lessons = append(a.unread.lessons, lesson)
	if err := lesson(a.cfg.Audit.Dir); err != nil {
		err = fmt.Errorf("audit.dir: %w; let Elevate's account read it, or bring its disk back: it is tried again every %s", err, readAgain)
		a.unread.set(err)
		a.log.Error("the audit log cannot be read: access ends as it should, and nothing is activated, no second factor is taken and no link counts until it can be", "err", err)
	}
}

// learnAgain reads the log again until all of it could be read.
func (a *app) learnAgain(ctx context.Context) error {
	for a.unread.why() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(readAgain):
		}
		if a.taught() {
			a.unread.set(nil)
			a.log.Info("all of the audit log could be read; what waited for it goes on")
		}
	}
	return nil
}

// taught tells whether everybody could read all of the log now.
func (a *app) taught() bool {
	for _, lesson := range a.unread.lessons {
		if lesson(a.cfg.Audit.Dir) != nil {
			return false
		}
	}
	return true
}

// auditHealthy tells why evidence could be lost, or what it says not be known; nil: neither.
func (a *app) auditHealthy() error {
	if err := a.unread.why(); err != nil {
		return err
	}
	return a.drainer.Healthy()
}

// unknown refuses what rests on something whose newest version only the log could tell.
func unknown(why func() error) error {
	err := why()
	if err == nil {
		return nil
	}
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "audit_unreadable", Err: err,
		Text: "Elevate cannot read its audit log, so it cannot tell whether somebody has changed who is who, or your second factor, and nothing was done. Please tell whoever looks after Elevate. Access that somebody holds ends as it should."}
}

// knownFactors are those of the store, where it is known what their newest versions are. Whatever is done with a factor
// begins with one of these.
type knownFactors struct {
	factor.Store
	why func() error
}

func (f knownFactors) Factor(ctx context.Context, p access.PersonID) (factor.Stored, error) {
	if err := unknown(f.why); err != nil {
		return factor.Stored{}, err
	}
	return f.Store.Factor(ctx, p)
}

func (f knownFactors) Enrolment(ctx context.Context, p access.PersonID) (factor.Enrolment, error) {
	if err := unknown(f.why); err != nil {
		return factor.Enrolment{}, err
	}
	return f.Store.Enrolment(ctx, p)
}

func (f knownFactors) Recall(ctx context.Context, key string) ([]byte, error) {
	if err := unknown(f.why); err != nil {
		return nil, err
	}
	return f.Store.Recall(ctx, key)
}

// knownLinks are those of the store, where it is known what their newest versions are.
type knownLinks struct {
	workflows.LinkVault
	why func() error
}

func (l knownLinks) Link(ctx context.Context, chat, account string) (*access.Link, error) {
	if err := unknown(l.why); err != nil {
		return nil, err
	}
	return l.LinkVault.Link(ctx, chat, account)
}

func (l knownLinks) LinkOf(ctx context.Context, person access.PersonID, chat string) (*access.Link, error) {
	if err := unknown(l.why); err != nil {
		return nil, err
	}
	return l.LinkVault.LinkOf(ctx, person, chat)
}

func (l knownLinks) Links(ctx context.Context) ([]access.Link, error) {
	if err := unknown(l.why); err != nil {
		return nil, err
	}
	return l.LinkVault.Links(ctx)
}

func (l knownLinks) Relink(ctx context.Context, before, after *access.Link, e audit.Event) error {
	if err := unknown(l.why); err != nil {
		return err
	}
	return l.LinkVault.Relink(ctx, before, after, e)
}
