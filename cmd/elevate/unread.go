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

// readOn is how often what was written since is read. An event is in the files half a second after it happened.
const readOn = time.Second

// readSoon is how long people are kept waiting at a start for the audit log to be read: most logs are by then, and whoever
// comes first is refused nothing. Chats wait three seconds for an answer.
const readSoon = time.Second

// unread is what the audit log has to teach, and why not all of it is known. With keys the log says what the newest
// versions of requests, factors and links are. Before it was read, and where it cannot be, an older one may have been put
// back: then nothing is activated, no second factor vouches for anything, and no link counts. Access ends all the same.
type unread struct {
	lessons []audit.Lesson
	tried   chan struct{} // closed when all of the log was read, or could not be
	known   chan struct{} // closed when all of it was read

	mu  sync.Mutex
	err error
}

func newUnread() *unread { return &unread{tried: make(chan struct{}), known: make(chan struct{})} }

// why tells why not all that the log says is known, or nil.
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

// wait waits for the log to be read, or not for long.
func (u *unread) wait(ctx context.Context) {
	if u.why() == nil {
		return
	}
	late := time.NewTimer(readSoon)
	defer late.Stop()
	select {
	case <-ctx.Done():
	case <-u.tried:
	case <-late.C:
	}
}

// learn has the log teach somebody, once it is read.
func (a *app) learn(lesson audit.Lesson) {
	a.unread.lessons = append(a.unread.lessons, lesson)
	a.unread.set(audit.ErrReading)
}

// onceRead runs something when all of the audit log was read.
func (a *app) onceRead(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-a.unread.known:
			return run(ctx)
		}
	}
}

// readLog reads the audit log beside everything else: all of it, as soon as it can be read, and then what is written to it,
// so that each replica knows what the others wrote last.
func (a *app) readLog(ctx context.Context) error {
	study, began := audit.NewStudy(a.cfg.Audit.Dir, a.unread.lessons), time.Now()
	known := sync.OnceFunc(func() { close(a.unread.known) })
	var err error
	for first := true; ; first = false {
		before, wait := err, readOn
		if err = study.Read(ctx); ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil:
			wait = readAgain
			err = fmt.Errorf("audit.dir: %w; let Elevate's account read it, or bring its disk back: it is tried again every %s", err, readAgain)
			if before == nil {
				a.log.Error("the audit log cannot be read: access ends as it should, and nothing is activated, no second factor is taken and no link counts until it can be", "err", err)
			}
		case first:
			took := time.Since(began)
			a.log.Info("the audit log was read", "lines", study.Lines(), "took", took.Round(time.Millisecond),
				"lines_per_second", int64(float64(study.Lines())/took.Seconds()))
		case before != nil:
			a.log.Info("all of the audit log could be read; what waited for it goes on")
		}
		a.unread.set(err)
		if first {
			close(a.unread.tried)
		}
		if err == nil {
			known()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
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
	return workflows.NotKnown(err, "whether somebody has changed who is who, or your second factor", "Access that somebody holds ends as it should.")
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
