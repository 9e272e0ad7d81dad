package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// look is how often the panel looks whether anything changed, and resend how often it says so even if nothing did, so
// that the page's clock stays true.
const (
	look   = 200 * time.Millisecond
	resend = 5 * time.Second
)

// mostOpen bounds the requests that the panel looks at.
const mostOpen = 200

// panel is what stands beside the chat: the target, the timers and the evidence as they really are, and the clock.
type panel struct {
	clock   *clock
	store   workflows.Store
	service *workflows.Service
	target  *demo.Target
	roles   []access.Role
	trail   *trail
	faults  *faults
	digests func() int // how many were posted on demand
}

// document is the panel as the page reads it; page/aside.js is its reader.
type document struct {
	Clock    reading       `json:"clock"`
	Target   targetView    `json:"target"`
	Timers   []timerView   `json:"timers"`
	Requests []requestView `json:"requests"`
	Ended    int           `json:"ended"`
	Digests  int           `json:"digests"`
	Trail    []eventView   `json:"trail"`
	Chain    chainView     `json:"chain"`
}

type targetView struct {
	Mode  string     `json:"mode"`
	Roles []roleView `json:"roles"`
}

type roleView struct {
	ID      access.RoleID `json:"id"`
	Title   string        `json:"title"`
	Holders []holderView  `json:"holders"`
}

type holderView struct {
	Account string           `json:"account"`
	Person  access.PersonID  `json:"person"`
	Grant   access.RequestID `json:"grant,omitempty"`
	State   access.State     `json:"state,omitempty"`
	Begins  time.Time        `json:"begins,omitzero"`
	Ends    time.Time        `json:"ends,omitzero"`
}

type timerView struct {
	At      time.Time        `json:"at"`
	Request access.RequestID `json:"request"`
	What    string           `json:"what"`
}

type requestView struct {
	ID       access.RequestID  `json:"id"`
	State    access.State      `json:"state"`
	Person   access.PersonID   `json:"person"`
	Role     access.RoleID     `json:"role"`
	Deciders []access.PersonID `json:"deciders"`
}

// feed sends the document whenever it changed, until ctx ends.
func (p *panel) feed(ctx context.Context) <-chan json.RawMessage {
	out := make(chan json.RawMessage)
	go func() {
		defer close(out)
		tick := time.NewTicker(look)
		defer tick.Stop()
		var last []byte
		var sent time.Time
		for {
			if body, same, err := p.render(ctx); err == nil && (!bytes.Equal(same, last) || time.Since(sent) > resend) {
				select {
				case out <- body:
					last, sent = same, time.Now()
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// render gives the document, and what tells it from another: all of it but the time.
func (p *panel) render(ctx context.Context) (body, same []byte, err error) {
	d, err := p.document(ctx)
	if err != nil {
		return nil, nil, err
	}
	if body, err = json.Marshal(d); err != nil {
		return nil, nil, err
	}
	d.Clock.Now = time.Time{}
	same, err = json.Marshal(d)
	return body, same, err
}

func (p *panel) document(ctx context.Context) (*document, error) {
	entries := p.target.Entries() // before the records: whoever holds a role has an end on record by then
	open, _, err := p.store.List(ctx, workflows.Query{Open: true, Limit: mostOpen})
	if err != nil {
		return nil, err
	}
	ended, _, err := p.store.List(ctx, workflows.Query{States: []access.State{access.Ended}, Limit: 1})
	if err != nil {
		return nil, err
	}
	d := &document{
		Clock:    p.clock.read(),
		Target:   p.targetView(entries, open, p.clock.Now()),
		Timers:   timers(open, p.clock.Now()),
		Requests: p.requests(ctx, open),
		Ended:    len(ended),
		Digests:  p.digests(),
	}
	d.Trail, d.Chain, err = p.trail.read()
	return d, err
}

// targetView shows what the target itself says of who holds what; the records only add until when.
func (p *panel) targetView(entries []demo.Entry, open []*access.Record, now time.Time) targetView {
	grants := map[access.RequestID]*access.Record{}
	for _, r := range open {
		grants[r.ID] = r
	}
	view := targetView{Mode: p.faults.mode()}
	for _, role := range p.roles {
		rv := roleView{ID: role.ID, Title: role.DisplayTitle(), Holders: []holderView{}}
		for _, e := range entries {
			if e.Role != role.Target["role"] {
				continue
			}
			h := holderView{Account: e.Account, Person: cmp.Or(e.Person, access.PersonID(e.Account)), Grant: e.Grant}
			if r := grants[e.Grant]; r != nil {
				h.State, h.Begins, h.Ends = r.State, r.ActivatedAt, r.EndsAt
				if r.Ending(now) {
					h.State = access.Deactivating
				}
				if !r.EndingAt.IsZero() {
					h.Ends = r.EndingAt
				}
			}
			rv.Holders = append(rv.Holders, h)
		}
		view.Roles = append(view.Roles, rv)
	}
	return view
}

func (p *panel) requests(ctx context.Context, open []*access.Record) []requestView {
	out := make([]requestView, 0, len(open))
	for _, r := range open {
		v := requestView{ID: r.ID, State: r.State, Person: r.Person, Role: r.Role.ID, Deciders: []access.PersonID{}}
		if r.State == access.Pending {
			people, err := p.service.Approvers(ctx, r)
			if err == nil { // the hint that needs them can wait
				for _, a := range people {
					v.Deciders = append(v.Deciders, a.ID)
				}
			}
		}
		out = append(out, v)
	}
	return out
}

// timers lists what is due, the next first. When an end counts as overdue matters once it has come.
func timers(open []*access.Record, now time.Time) []timerView {
	out := []timerView{}
	for _, r := range open {
		for t, at := range r.Due() {
			if t == access.TimerOverdue && !r.Ending(now) {
				continue
			}
			out = append(out, timerView{At: at, Request: r.ID, What: what(t, r)})
		}
	}
	slices.SortFunc(out, func(a, b timerView) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return cmp.Compare(a.What, b.What)
	})
	return out
}

// what says what a timer will do.
func what(t access.Timer, r *access.Record) string {
	role := string(r.Role.ID)
	switch t {
	case access.TimerAuto:
		return role + " approves itself"
	case access.TimerRemind:
		return "reminder to approve " + role
	case access.TimerLapse:
		if r.State == access.Pending {
			return role + " lapses undecided"
		}
		return role + " lapses unstarted"
	case access.TimerStart:
		return role + " starts"
	case access.TimerNotice:
		return "notice on " + role
	case access.TimerEnd:
		return role + " ends"
	case access.TimerOverdue:
		if r.Overdue {
			return "people are told again of " + role
		}
		return role + " counts as overdue"
	case access.TimerActivate:
		return "next try to give " + role
	default:
		return "next try to take " + role + " away"
	}
}
