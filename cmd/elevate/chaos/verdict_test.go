package chaos_test

import (
	"fmt"
	"slices"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// verdict is everything that is wrong with the evidence.
func (e *evidence) verdict() []string {
	return slices.Concat(e.lost(), e.lives(), e.cutShort(), e.repeats(), e.unexplained(), e.suspected())
}

// lost gives what is held although everything is over.
func (e *evidence) lost() (problems []string) {
	for h, is := range e.held {
		problems = append(problems, fmt.Sprintf("LOST: %s holds %s still, by %s since %s until %s", h.account, h.role, is.grant, is.since, is.endsAt))
	}
	return problems
}

// lives judges each request's log: every version once and in order, every step an arrow of the table, one last word, and
// that the API shows what the log says.
func (e *evidence) lives() (problems []string) {
	for id, d := range e.documents {
		problems = append(problems, judgeLife(id, e.events[id])...)
		if n := len(e.events[id]); n > 0 {
			if last := e.events[id][n-1]; last.To != d.State || last.Version != d.Version {
				problems = append(problems, fmt.Sprintf("%s: the API shows %s at version %d, and the log ends with %s at version %d", id, d.State, d.Version, last.To, last.Version))
			}
		}
	}
	for id := range e.events {
		if _, known := e.documents[id]; !known {
			problems = append(problems, fmt.Sprintf("%s: is in the log, and the API does not know it", id))
		}
	}
	return problems
}

// judgeLife judges the log of one request.
func judgeLife(id access.RequestID, events []audit.Event) (problems []string) {
	fault := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s: %s: %s", id, fmt.Sprintf(format, args...), kinds(events)))
	}
	state, version, over := access.None, int64(0), 0
	for _, e := range events {
		if e.Kind == audit.Restored {
			if e.Version != version || e.From != state || e.To != state {
				fault("was given back as %s at version %d, not as %s at version %d", e.To, e.Version, state, version)
			}
			continue
		}
		if version++; e.Version != version {
			fault("MISSING: the log has version %d where %d belongs", e.Version, version)
			return problems
		}
		next, err := access.Next(state, access.Arrow(e.Kind))
		switch {
		case err != nil:
			fault("%v", err)
		case e.From != state || e.To != next:
			fault("%s leads from %q to %q, not from %q to %q", e.Kind, state, next, e.From, e.To)
		}
		if state = e.To; state.Terminal() {
			over++
		}
	}
	if over != 1 {
		fault("ENDED %d times", over)
	}
	return problems
}

// kinds writes a log down.
func kinds(events []audit.Event) (all string) {
	for _, e := range events {
		all += fmt.Sprintf(" %d:%s(%s by %s at %s)", e.Version, e.Kind, e.To, e.Actor.Person, e.At.UTC().Format("15:04:05.000"))
	}
	return all
}

// repaired bounds for how long access may be missing that a call took away which was long on its way: the target cannot
// know that it is late, so all that can be asked is that the access is given again.
const repaired = lease

// cutShort gives every grant that the system ended before its time, or that was active while the target did not give
// what it stands for. An overlap keeps the right until its last grant ends.
func (e *evidence) cutShort() (problems []string) {
	absent := e.absences()
	for h, grants := range e.grants() {
		for _, g := range grants {
			for _, ending := range g.bySystems {
				if ending.At.Before(g.endsAt) {
					problems = append(problems, fmt.Sprintf("EARLY: %s was ended by the system %s before %s: %s", g.id, g.endsAt.Sub(ending.At), g.endsAt, kinds(e.events[g.id])))
				}
			}
			for _, a := range absent[h] {
				from, to := later(a.from, g.from), earlier(a.to, g.until)
				if from.Before(to) && (!a.late || to.Sub(from) > repaired || to.Equal(g.until)) {
					problems = append(problems, fmt.Sprintf("EARLY: %s is active until %s, and %s did not hold %s from %s on for %s: %s\n%s",
						g.id, clock(g.until), h.account, h.role, clock(from), to.Sub(from), kinds(e.events[g.id]), e.story(h, a.from, a.to)))
				}
			}
		}
	}
	return problems
}

// span is a time in which the target did not give a right.
type span struct {
	from, to time.Time
	late     bool // a call took it away that was long on its way
}

// absences are the times in which the target did not give a right, up to and after those in which it did.
func (e *evidence) absences() map[hold][]span {
	all := map[hold][]span{}
	forever := time.Unix(1<<40, 0)
	for _, c := range e.ledger {
		if c.Verb == holders {
			continue
		}
		spans := all[c.Hold]
		if len(spans) == 0 {
			spans = []span{{to: forever}}
		}
		switch last := &spans[len(spans)-1]; {
		case !c.Changed:
		case c.Verb == activate:
			last.to = c.At
		default:
			spans = append(spans, span{c.At, forever, c.Fault == held})
		}
		all[c.Hold] = spans
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000000") }

// repeats gives the calls that were made again although the one before was answered, and nothing was killed or paused
// between the two. Each disruption explains one repeat of each call.
func (e *evidence) repeats() (problems []string) {
	type key struct {
		grant access.RequestID
		verb  string
	}
	calls := map[key][]call{}
	for _, c := range e.ledger {
		if c.Verb != holders {
			k := key{c.Grant, c.Verb}
			calls[k] = append(calls[k], c)
		}
	}
	badLooks := e.badLooks()
	for k, list := range calls {
		slices.SortFunc(list, func(a, b call) int { return a.Came.Compare(b.Came) })
		used := map[int]bool{}
		undone := 0
		if k.verb == deactivate && slices.ContainsFunc(e.events[k.grant], byPerson) {
			undone = 1 + len(slices.DeleteFunc(slices.Clone(calls[key{k.grant, activate}]), func(c call) bool { return c.Fault != denied }))
		}
		if k.verb == activate { // after a late deactivation of another grant, which is on record
			undone = e.givenTwice[k.grant]
		}
		for i := 1; i < len(list); i++ {
			before, again := list[i-1], list[i]
			unread := slices.ContainsFunc(badLooks, func(c call) bool {
				return k.verb == deactivate && c.Hold.role == before.Hold.role && c.Came.After(before.Came) && c.Came.Before(again.Came)
			})
			switch {
			case !before.answered(), before.Fault == lie, unread:
			case undone > 0: // whoever was giving it takes it back too, and reads back what the target refused
				undone--
			case !e.explained(used, before.Came, again.Came):
				problems = append(problems, fmt.Sprintf("TWICE: %s of %s was called again at %s although it was answered at %s: %s\n%s",
					k.verb, k.grant, clock(again.Came), clock(before.Came), kinds(e.events[k.grant]), e.story(before.Hold, before.Came, again.Came)))
			}
		}
	}
	return problems
}

// byPerson tells whether an event is of somebody who took back what was being given at that moment.
func byPerson(e audit.Event) bool {
	return e.Kind == string(access.Undo) && e.Actor.Person != access.System
}

// badLooks are the times when the target did not list who holds a role.
func (e *evidence) badLooks() []call {
	return slices.DeleteFunc(slices.Clone(e.ledger), func(c call) bool { return c.Verb != holders || c.answered() })
}

// aftermath is for how long what was paused or came back may go on with what it had in hand.
const aftermath = lease

// explained finds a disruption between two times, or just before them, that explained nothing yet.
func (e *evidence) explained(used map[int]bool, from, to time.Time) bool {
	for i, d := range e.broken {
		if !used[i] && d.from.Before(to) && d.to.Add(aftermath).After(from) {
			used[i] = true
			return true
		}
	}
	return false
}

// unexplained gives the effects at the target that the log does not tell of: nothing is given before its arming is
// written, and nothing taken without an ending that is.
func (e *evidence) unexplained() (problems []string) {
	for _, c := range e.ledger {
		if !c.Changed {
			continue
		}
		events := e.events[c.Grant]
		written := false
		for _, ev := range events {
			switch c.Verb {
			case activate:
				written = written || ev.Kind == string(access.Arm) && !ev.At.After(c.At)
			case deactivate:
				written = written || slices.Contains([]access.State{access.Deactivating, access.Ended, access.Failed}, ev.To)
			}
		}
		if !written {
			problems = append(problems, fmt.Sprintf("NO EVIDENCE of %s of %s for %s at %s: %s", c.Verb, c.Hold.role, c.Grant, clock(c.At), kinds(events)))
		}
	}
	return problems
}

// suspected gives what the bots took for somebody else's hand in the store, where there was none but their own.
func (e *evidence) suspected() (problems []string) {
	for _, f := range e.forged {
		if !e.emptied {
			problems = append(problems, fmt.Sprintf("SUSPECTED: %s of %s at %s: %s", f.Detail["what"], f.Request, clock(f.At), f.Reason))
		}
	}
	return problems
}

// story is what the target and the faults did about a right around a time.
func (e *evidence) story(h hold, from, to time.Time) (text string) {
	from, to = from.Add(-2*lease), earlier(to, from.Add(4*lease))
	for _, c := range e.ledger {
		if c.Hold == h && c.Came.After(from) && c.Came.Before(to) {
			text += fmt.Sprintf("\t%s %s: %s of %s, changed %v, %s\n", clock(c.Came), c.Replica, c.Verb, c.Grant, c.Changed, c.Fault)
		}
	}
	for _, d := range e.broken {
		if d.from.Before(to) && d.to.After(from) {
			text += fmt.Sprintf("\t%s to %s: %s %s\n", clock(d.from), clock(d.to), d.kind, d.replica)
		}
	}
	return text
}
