package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// noon is when everything happens in these tests.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// desk answers for workflows and directory from what a test put into it.
type desk struct {
	people    []access.Person
	accounts  map[string]access.PersonID // chat/account
	records   []*access.Record
	offers    []workflows.Offer
	approvers []access.Person
	may       workflows.May
	fail      error // of every verb that changes something
	lost      error // of the look at a request
	asked     []workflows.Ask
	did       []string

	mu     sync.Mutex
	lookup error // of the directory; see away
}

// away makes the directory answer with an error; nil: makes it well again.
func (d *desk) away(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookup = err
}

func (d *desk) awayWith() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lookup
}

var (
	_ Verbs               = (*desk)(nil)
	_ Verbs               = (*workflows.Service)(nil)
	_ workflows.Directory = (*desk)(nil)
)

// newDesk knows Ana, who asks, and Bob and Carol, who approve.
func newDesk() *desk {
	d := &desk{
		people: []access.Person{{ID: "ana", Name: "Ana Lima"}, {ID: "bob", Name: "Bob Stone"}, {ID: "carol", Name: "Carol Díaz"}},
		accounts: map[string]access.PersonID{
			"web/ana": "ana", "web/bob": "bob", "web/carol": "carol",
		},
		offers: []workflows.Offer{offer("prod-db-admin", "Production database admin"), offer("staging-db-admin", "Staging database admin")},
	}
	d.approvers = []access.Person{d.people[1], d.people[2]}
	return d
}

func offer(id access.RoleID, title string) workflows.Offer {
	return workflows.Offer{
		Role:     access.Role{ID: id, Title: title, Connector: "pg-prod", Labels: map[string]string{"risk": "high", "env": "prod"}},
		Eligible: true, Default: time.Hour, Max: 4 * time.Hour, TicketPattern: "^(INC|CHG)-[0-9]+$", MinLength: 10, MaxLength: 2000,
		Stages:       []access.Stage{{Count: 1, Within: 30 * time.Minute}},
		Capabilities: connectors.Capabilities{EndsSessions: true},
	}
}

func (d *desk) bot(t testing.TB) *Bot {
	t.Helper()
	b, err := New(Config{
		Service: d, Directory: d, Now: func() time.Time { return noon },
		Channel: func(policy, chat string) string { return "C-" + policy },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (d *desk) record(id access.RequestID) (*access.Record, error) {
	i := slices.IndexFunc(d.records, func(r *access.Record) bool { return r.ID == id })
	if i < 0 {
		return nil, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request", Text: fmt.Sprintf("There is no request %s. Use `/elevate mine` to see yours.", id)}
	}
	return d.records[i], nil
}

func (d *desk) act(verb string, id access.RequestID) (*access.Record, error) {
	if d.fail != nil {
		return nil, d.fail
	}
	d.did = append(d.did, verb+" "+string(id))
	return d.record(id)
}

func (d *desk) Submit(_ context.Context, by access.Actor, ask workflows.Ask) (*access.Record, error) {
	if d.fail != nil {
		return nil, d.fail
	}
	d.asked = append(d.asked, ask)
	r := request()
	r.Requester, r.Person, r.By = by.Person, by.Person, by
	r.Role.ID, r.Duration, r.Justification, r.Ticket = ask.Role, cmp.Or(ask.Duration, time.Hour), ask.Justification, ask.Ticket
	d.records = append(d.records, r)
	return r, nil
}

func (d *desk) Decide(_ context.Context, _ access.Actor, id access.RequestID, dec workflows.Decision) (*access.Record, error) {
	return d.act(string(dec.Verdict)+" "+dec.Reason, id)
}

func (d *desk) Cancel(_ context.Context, _ access.Actor, id access.RequestID) (*access.Record, error) {
	return d.act("cancel", id)
}

func (d *desk) End(_ context.Context, _ access.Actor, id access.RequestID, reason string) (*access.Record, error) {
	return d.act("end "+reason, id)
}

func (d *desk) Extend(_ context.Context, _ access.Actor, id access.RequestID, more time.Duration, _ access.Secret) (*access.Record, error) {
	return d.act("extend "+more.String(), id)
}

func (d *desk) Request(_ context.Context, _ access.PersonID, id access.RequestID) (*access.Record, error) {
	if d.lost != nil {
		return nil, d.lost
	}
	return d.record(id)
}

func (d *desk) Requests(_ context.Context, _ access.PersonID, q workflows.Query) ([]*access.Record, string, error) {
	var out []*access.Record
	for _, r := range d.records {
		if q.Open && r.State.Terminal() || len(q.States) > 0 && !slices.Contains(q.States, r.State) || q.Role != "" && r.Role.ID != q.Role || r.Person != q.Person {
			continue
		}
		if out = append(out, r); len(out) == q.Limit {
			return out, "more", nil
		}
	}
	return out, "", nil
}

func (d *desk) Parts(_ context.Context, bundle *access.Record) (map[access.RoleID]*access.Record, error) {
	parts := map[access.RoleID]*access.Record{}
	for _, m := range bundle.Parts {
		if m.Role.ID == "dir-admin" {
			continue // has not begun
		}
		p := *bundle
		p.ID, p.Role, p.Bundle, p.Parts, p.Overdue = m.ID, m.Role, bundle.ID, nil, bundle.Overdue && m.Role.ID == "web-admin"
		parts[m.Role.ID] = &p
	}
	return parts, nil
}

func (d *desk) Waiting(_ context.Context, p access.PersonID) ([]*access.Record, error) {
	var out []*access.Record
	for _, r := range d.records {
		if r.State == access.Pending && r.Requester != p {
			out = append(out, r)
		}
	}
	return out, nil
}

// Allowed is may, as far as the state lets anybody do it.
func (d *desk) Allowed(_ context.Context, _ access.PersonID, r *access.Record) workflows.May {
	may, s := d.may, r.State
	may.Decide = may.Decide && s == access.Pending
	may.Cancel = may.Cancel && (s == access.Pending || s == access.Approved || s == access.Scheduled)
	may.End = may.End && (s == access.Active || s == access.Activating)
	may.Extend = may.Extend && s == access.Active
	may.Room = cmp.Or(may.Room, 4*time.Hour)
	return may
}

func (d *desk) Approvers(_ context.Context, r *access.Record) ([]access.Person, error) {
	if r.State != access.Pending {
		return nil, nil
	}
	if err := d.awayWith(); err != nil {
		return nil, err
	}
	return d.approvers, nil
}

func (d *desk) Offers(_ context.Context, _ access.PersonID, words string, limit int) ([]workflows.Offer, error) {
	var out []workflows.Offer
	for _, o := range d.offers {
		all := true
		for _, w := range strings.Fields(strings.ToLower(words)) {
			all = all && strings.Contains("-"+strings.ToLower(string(o.Role.ID)), "-"+w)
		}
		if all && len(out) < limit {
			out = append(out, o)
		}
	}
	return out, nil
}

func (d *desk) Offer(_ context.Context, _ access.PersonID, role access.RoleID) (workflows.Offer, error) {
	for _, o := range d.offers {
		if o.Role.ID == role {
			return o, nil
		}
	}
	return workflows.Offer{}, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_role", Field: "role", Text: "There is no such role."}
}

func (d *desk) Digest(_ context.Context, from, to time.Time) (*workflows.Digest, error) {
	return &workflows.Digest{From: from, To: to}, d.fail
}

func (d *desk) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	if err := d.awayWith(); err != nil {
		return access.Person{}, err
	}
	i := slices.IndexFunc(d.people, func(p access.Person) bool { return p.ID == id })
	if i < 0 {
		return access.Person{}, fmt.Errorf("person %s: %w", id, access.ErrNotFound)
	}
	return d.people[i], nil
}

func (d *desk) ByAccount(ctx context.Context, chat, account string) (access.Person, error) {
	if err := d.awayWith(); err != nil {
		return access.Person{}, err
	}
	id, ok := d.accounts[chat+"/"+account]
	if !ok {
		return access.Person{}, fmt.Errorf("account %s: %w", account, access.ErrNotFound)
	}
	return d.Person(ctx, id)
}

func (d *desk) AccountOf(_ context.Context, id access.PersonID, chat string) (string, error) {
	if err := d.awayWith(); err != nil {
		return "", err
	}
	for account, p := range d.accounts {
		if c, a, _ := strings.Cut(account, "/"); p == id && c == chat {
			return a, nil
		}
	}
	return "", fmt.Errorf("account of %s: %w", id, access.ErrNotFound)
}

func (d *desk) People(context.Context) ([]access.Person, error) { return d.people, d.awayWith() }

// request is Ana's, pending, made ten minutes ago.
func request() *access.Record {
	return &access.Record{
		Schema: 1, State: access.Pending, Version: 1,
		Request: access.Request{
			ID: "07kq4-m2xp9", Requester: "ana", Person: "ana",
			Role: access.Role{ID: "prod-db-admin", Title: "Production database admin", Connector: "pg-prod",
				Labels: map[string]string{"risk": "high", "env": "prod", "team": "data"}},
			Duration: time.Hour, Justification: "fix replication", Ticket: "INC-4711", SubmittedAt: noon.Add(-10 * time.Minute),
			By: access.Actor{Person: "ana", Via: "web", Account: "ana"}, Policy: "production", Account: "ana.lima",
			Stages: []access.Stage{{Count: 1, Within: 30 * time.Minute}},
		},
		DecideBy: noon.Add(20 * time.Minute),
	}
}

// in is the request in another state, as workflows would leave it.
func in(s access.State, more ...func(*access.Record)) *access.Record {
	r := request()
	r.State, r.Version = s, 4
	bob, ana, system := access.Actor{Person: "bob", Via: "slack"}, r.By, access.BySystem()
	approve := func() {
		r.Decisions = []access.Decision{{Verdict: access.Approve, By: bob, At: noon.Add(-5 * time.Minute), Method: "session"}}
		r.ApprovedAt, r.StartBy = noon.Add(-5*time.Minute), noon.Add(25*time.Minute)
	}
	closed := func(by access.Actor, reason string) {
		r.Closed, r.ClosedAt, r.Reason = &by, noon.Add(-time.Minute), reason
	}
	switch s {
	case access.Approved, access.Activating:
		approve()
	case access.Scheduled:
		approve()
		r.Start = noon.Add(20 * time.Hour)
	case access.Active, access.Deactivating, access.Ended:
		approve()
		r.ActivatedAt, r.EndsAt = noon.Add(-4*time.Minute), noon.Add(56*time.Minute)
		r.Receipt = &access.Receipt{}
		if s != access.Active {
			r.EndsAt = noon.Add(-time.Minute)
			r.EndingAt = r.EndsAt
			closed(system, "its time is up")
		}
		if s == access.Ended {
			r.EndedAt = r.EndingAt.Add(400 * time.Millisecond)
			r.VerifiedAt, r.Removal = r.EndedAt, &access.Removal{Was: access.Removed, SessionsEnded: 1}
		}
	case access.Denied:
		r.Decisions = []access.Decision{{Verdict: access.Deny, By: bob, At: noon.Add(-time.Minute), Reason: "not during the freeze"}}
		closed(bob, "not during the freeze")
	case access.Cancelled:
		closed(ana, "")
	case access.Lapsed:
		closed(system, "nobody decided in time")
	case access.Failed:
		approve()
		closed(system, "the target refused: grant role: denied: permission denied to grant role \"db_admin\"")
		r.LastError = "grant role: denied: permission denied"
	}
	for _, f := range more {
		f(r)
	}
	return r
}
