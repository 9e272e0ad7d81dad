package entra

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
)

// pim is what Privileged Identity Management does for one kind of right. Directory roles and groups have it alike, at
// other addresses and with other types.
type pim interface {
	// held lists in which ways a principal holds the right now; everybody's for "".
	held(ctx context.Context, principal string) ([]held, error)
	// asked lists the requests for active assignments of the right, done and undone; everybody's for "".
	asked(ctx context.Context, principal string) ([]asked, error)
	// send makes a request.
	send(ctx context.Context, o order) (asked, error)
	// cancel takes a request back that Entra has not fulfilled yet.
	cancel(ctx context.Context, id string) error
	// eligible lists who may activate the right by themselves; everybody for "".
	eligible(ctx context.Context, principal string) ([]string, error)
	// rules reads what the right's own settings ask of an assignment.
	rules(ctx context.Context) (rules, error)
	// outside lists who holds the right without PIM's saying so.
	outside(ctx context.Context) ([]string, error)
}

// pim picks the kind.
func (s *session) pim(r right) pim {
	if r.group != "" {
		return &groupPIM{s, r}
	}
	return &rolePIM{s, r}
}

// held is one way in which a principal holds a right now.
type held struct {
	principal string
	schedule  string
	activated bool // by the person, from being eligible
	direct    bool // and not through a group, or from a wider scope
	above     bool // from a wider scope
	start     time.Time
	end       time.Time // zero: none
}

// rounding is how much earlier an end may be that Entra has rounded.
const rounding = 2 * time.Second

// lasts tells whether it goes on until a time by itself.
func (h held) lasts(until time.Time) bool { return h.end.IsZero() || h.end.After(until.Add(-rounding)) }

// asked is a request for an assignment.
type asked struct {
	id, schedule        string
	action, status, why string
	created             time.Time
	end                 time.Time // that it asks for; zero: none is told
	above               bool      // for a wider scope
}

// Entra's words for what a request may ask.
const (
	assign = "adminAssign"
	update = "adminUpdate"
	remove = "adminRemove"
)

// pending tells whether Entra is still at work on it.
func (a asked) pending() bool {
	return strings.HasPrefix(strings.ToLower(a.status), "pending") || strings.EqualFold(a.status, "Accepted")
}

// done tells whether Entra says that nothing is to come of it any more. Granted says no such thing: it is the word for
// what begins later, which may be soon where Elevate's clock is ahead of Entra's.
func (a asked) done() bool {
	return strings.EqualFold(a.status, "Provisioned") || strings.EqualFold(a.status, "Revoked")
}

// refused tells whether Entra will not do it.
func (a asked) refused() bool {
	switch strings.ToLower(a.status) {
	case "denied", "admindenied", "failed", "canceled", "cancelled", "invalid":
		return true
	}
	return false
}

// order is a request to be made.
type order struct {
	action    string
	principal string
	why       string
	ticket    string
	schedule  string    // that update changes
	start     time.Time // of assign and update
	end       time.Time
}

// mark begins the justification of every request of ours. It names the grant and the application, so that neither another
// installation's assignments nor an administrator's are taken for ours.
func mark(id access.RequestID, client string) string {
	return fmt.Sprintf("Elevate %s (app %s)", id, client)
}

var marked = regexp.MustCompile(`^Elevate ([0-9A-Za-z-]{1,40}) \(app ([0-9a-f-]{36})\)`)

// marking gives the grant that a request was made for, if it is ours.
func marking(why, client string) (access.RequestID, bool) {
	m := marked.FindStringSubmatch(why)
	if m == nil || m[2] != client {
		return "", false
	}
	return access.RequestID(m[1]), true
}

// longestReason is how much of a justification is passed on, in characters.
const longestReason = 300

// reason is what a request says to whoever reads PIM's own history.
func reason(g access.Grant, client string) string {
	text := mark(g.ID, client)
	if said := strings.Join(strings.Fields(g.Justification), " "); said != "" {
		if runes := []rune(said); len(runes) > longestReason {
			said = string(runes[:longestReason]) + "…"
		}
		text += ": " + said
	}
	return text
}

// sight is what PIM says of one principal and one right.
type sight struct {
	ours    *held             // what we gave and is there
	grant   access.RequestID  // that it was given for
	shared  bool              // what we gave at a wider scope is there, and ends with the grant that it was given for
	others  []held            // what is none of ours
	pending []asked           // what we asked for, Entra is still at work on, and may come true
	refused map[string]string // what Entra did not give for a grant of ours: its status by grant
	gave    map[string]bool   // the grants of ours whose request was done, whatever became of it
}

// look reads how a principal holds a right. known is a schedule that a receipt says is ours.
func (s *session) look(ctx context.Context, p pim, principal, known string) (sight, error) {
	// In this order: what comes true between the two is seen as held, and not as nothing.
	requests, err := p.asked(ctx, principal)
	if err != nil {
		return sight{}, fmt.Errorf("look what was asked for: %w", err)
	}
	slices.SortStableFunc(requests, func(a, b asked) int { return a.created.Compare(b.created) })
	holding, err := p.held(ctx, principal)
	if err != nil {
		return sight{}, fmt.Errorf("look who holds it: %w", err)
	}
	seen := sight{refused: map[string]string{}, gave: map[string]bool{}}
	grants := s.ourSchedules(requests)
	var open []asked
	for _, a := range requests {
		grant, ours := marking(a.why, s.cfg.ClientID)
		switch {
		case a.above: // it counts there; here it tells alone that what it made is ours
		case a.action == remove && a.done():
			open = nil // what was asked for before it has come true, and is gone
		case !ours || a.action == remove:
		case a.pending():
			seen.pending = append(seen.pending, a)
		case a.refused():
			if a.action == assign { // a later end that was refused once may be asked for again
				seen.refused[string(grant)] = a.status
			}
		default:
			seen.gave[string(grant)] = true
			if !a.done() && (a.end.IsZero() || a.end.After(s.cfg.Now())) {
				open = append(open, a)
			}
		}
	}
	for _, a := range open {
		if !slices.ContainsFunc(holding, func(h held) bool { return h.schedule == a.schedule }) {
			seen.pending = append(seen.pending, a)
		}
	}
	for _, h := range holding {
		grant, ours := grants[h.schedule]
		switch {
		case h.direct && !h.activated && (ours || h.schedule != "" && h.schedule == known):
			seen.ours, seen.grant = &h, grant
		case h.above && ours:
			seen.shared = true
		case s.unexplained(h, requests):
			return sight{}, later(listedWait, "Entra lists a new assignment, and not yet the request that made it")
		default:
			seen.others = append(seen.others, h)
		}
	}
	return seen, nil
}

// unexplained tells whether an assignment may be ours although no request says so: the list of requests may be older than
// it. Ours have an end, and five minutes are much longer than lists lag.
func (s *session) unexplained(h held, requests []asked) bool {
	return h.direct && !h.activated && !h.end.IsZero() && s.cfg.Now().Sub(h.start) < shortest &&
		!slices.ContainsFunc(requests, func(a asked) bool { return a.schedule == h.schedule })
}

// ourSchedules gives the grants by the schedules that our requests made.
func (s *session) ourSchedules(requests []asked) map[string]access.RequestID {
	grants := map[string]access.RequestID{}
	for _, a := range requests {
		grant, ours := marking(a.why, s.cfg.ClientID)
		if _, known := grants[a.schedule]; ours && a.schedule != "" && (a.action == assign || a.action == update && !known) {
			grants[a.schedule] = grant
		}
	}
	return grants
}

// stands tells whether the person holds the right by something that is none of ours. What the person activated for a
// while does not count: it is nobody's gift.
func (seen sight) stands() bool {
	for _, h := range seen.others {
		if !h.activated {
			return true
		}
	}
	return false
}

// enough tells whether what others gave lasts until a time, or leaves no room for an assignment of ours beside it.
func (seen sight) enough(until time.Time) bool {
	for _, h := range seen.others {
		if !h.activated && (h.direct || h.lasts(until)) {
			return true
		}
	}
	return false
}
