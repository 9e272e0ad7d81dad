package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// The distance between two adoptions of one right grows from half the interval of the sweep to this, where a target says
// every time that it took the access away and lists it again.
const adoptAtMost = time.Hour

// adoptionsKept is how long the number of adoptions of a right is remembered.
const adoptionsKept = 24 * time.Hour

// takeAway ends what the round has found so far, each after its grace.
func (w *Sweeper) takeAway(ctx context.Context, r *round) {
	for _, found := range r.unexplained {
		if pause(ctx, w.cfg.Grace-time.Since(found.seen)) != nil {
			return
		}
		w.guard(ctx, r, found.sweepTarget, func() error { return w.takeFrom(ctx, r, found) })
	}
	r.unexplained = nil
}

// takeFrom ends what is ours at one target and has no live grant. The target is asked once more: a grant that ended
// between its first answer and our look at the store is gone by now.
func (w *Sweeper) takeFrom(ctx context.Context, r *round, found stray) error {
	again, err := w.ask(ctx, found.role)
	if err != nil {
		return fmt.Errorf("ask once more: %w", err)
	}
	ours := slices.DeleteFunc(again, func(h connectors.Holder) bool { return !h.Ours })
	// What the store has lost before it is asked, or since, would look like access without a grant.
	if err := w.believe(ctx); err != nil {
		return err
	}
	seen, err := w.sight(ctx, found.role, ours)
	if err != nil {
		return err
	}
	var failed []error
	var believed time.Time
	for _, s := range seen {
		if !found.rights[s.right] || s.explained() {
			continue
		}
		if time.Since(believed) > time.Second {
			if err := w.believe(ctx); err != nil {
				return errors.Join(append(failed, err)...)
			}
			believed = time.Now()
		}
		if err := w.adopt(ctx, r, found.role, s); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// believe waits until the store is known to have all grants: what it has lost would look like access without one.
func (w *Sweeper) believe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.CallTimeout)
	defer cancel()
	if err := w.cfg.Believe(ctx); err != nil {
		return fmt.Errorf("nothing is taken away, because nobody can tell whether the store has all grants: %w", err)
	}
	return nil
}

// adopt makes a record of access that nobody asked for, so that it ends as every grant does: alone on its right, retried
// for ever, read back, paged about when it takes too long, with evidence. A grant of the same right that begins from here
// on is not harmed: the runner looks again before it takes anything away.
func (w *Sweeper) adopt(ctx context.Context, r *round, role access.Role, s sighting) error {
	times, ours, err := w.turn(ctx, s.right)
	if err != nil || !ours {
		return err
	}
	rec := w.foundling(ctx, role, s, times)
	t, err := w.adoption(rec, s)
	if err != nil {
		return err
	}
	for range attempts {
		rec.ID = w.s.cfg.Store.NewID(rec.SubmittedAt, s.right)
		t.Record.ID, t.Event.Request = rec.ID, rec.ID
		if err = w.s.take(ctx, t); !errors.Is(err, ErrTaken) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("take away what %s holds: %w", s.Account, err)
	}
	w.cfg.Metrics.SweepFound(r.connector, times > 0)
	log := r.log.Warn
	if times > 0 {
		log = r.log.Error
	}
	log("access of ours was found that no live grant explains; it is taken away", "request_id", rec.ID, "role", role.ID,
		"account", s.Account, "grant", s.Grant, "earlier", times)
	return nil
}

// turn settles whether this right is to be adopted now, and says how often it was before.
func (w *Sweeper) turn(ctx context.Context, right string) (times int, ours bool, err error) {
	store, counter := w.s.cfg.Store, "sweep:adoptions:"+right
	stored, _, err := store.Once(ctx, counter, []byte("0"), adoptionsKept)
	if err != nil {
		return 0, false, err
	}
	if times, err = strconv.Atoi(string(stored)); err != nil {
		times = 0 // not ours to read: begin anew
	}
	distance := max(w.cfg.Every/2, time.Millisecond)
	for range min(times, 20) {
		distance = min(2*distance, max(adoptAtMost, distance))
	}
	if _, ours, err = store.Once(ctx, "sweep:adopted:"+right, []byte(w.cfg.Holder), distance); err != nil || !ours {
		return times, false, err
	}
	return times, true, store.Put(ctx, counter, []byte(strconv.Itoa(times+1)), adoptionsKept)
}

// foundling is the record of access that was found, as if it had been asked for and its time were up.
func (w *Sweeper) foundling(ctx context.Context, role access.Role, s sighting, times int) *access.Record {
	now := w.s.now().UTC()
	why := "Found at the target; no live grant explains it."
	if times > 0 {
		why = fmt.Sprintf("Found at the target again; no live grant explains it, and it was reported gone %d time(s) in the last day.", times)
	}
	rec := &access.Record{Schema: access.Schema, Request: access.Request{
		Requester: access.System, Role: role, Account: s.Account, Justification: why, SubmittedAt: now, By: access.BySystem(),
	}}
	if pol := w.s.cfg.Policies.For(role.ID); pol != nil {
		rec.Policy = pol.Name()
	}
	rec.Person, rec.Email = w.owner(ctx, role.Connector, s)
	return rec
}

// owner finds whose account it is. Where nobody has it, or the directory cannot be asked, the account stands for its
// owner; nothing waits for that.
func (w *Sweeper) owner(ctx context.Context, connector string, s sighting) (access.PersonID, string) {
	people, err := allKnown(ctx, w.s.cfg.Directory)
	if err != nil {
		w.s.log.Warn("the directory could not be asked whose account it is", "connector", connector, "account", s.Account, "err", err)
	}
	id := access.PersonID(s.Account)
	for _, p := range people {
		if p.Account(connector) == s.Account {
			return p.ID, p.Email
		}
		if p.ID == id { // somebody else's name
			id = access.PersonID(connector + ":" + s.Account)
		}
	}
	if id == access.System {
		id = access.PersonID(connector + ":" + s.Account)
	}
	return id, ""
}

// adoption is the transition that stores a foundling.
func (w *Sweeper) adoption(rec *access.Record, s sighting) (Transition, error) {
	now, by := rec.SubmittedAt, access.BySystem()
	t, err := move(rec, access.Adopt, by, now, NoteFound)
	if err != nil {
		return t, err
	}
	t.close(by, now, rec.Justification)
	t.Record.EndsAt = now
	t.ending(now, now, w.s.cfg.OverdueAfter)
	t.detail(map[string]string{"account": s.Account})
	if s.Grant != "" {
		t.Event.Detail["grant"] = string(s.Grant)
	}
	return t, nil
}
