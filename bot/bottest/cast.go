package bottest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elevate/bot"
	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// Cast is people who write in one tone, with all that the bot may tell about them: it answers for workflows and for the
// directory. Renderers are tried on what the bot makes of it. Ana, who asks, and Ben, who approves, are among them, and
// every other person has no account in the chat.
type Cast struct {
	tone    Tone
	chat    string
	account func(access.PersonID) string
	records []*access.Record
	may     workflows.May
	offers  int
}

var (
	_ bot.Verbs           = (*Cast)(nil)
	_ workflows.Directory = (*Cast)(nil)
)

// noon is when everything happens to a cast.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// NewCast makes one for a chat, by its word, with the accounts that people have there.
func NewCast(tone Tone, chat string, account func(access.PersonID) string) *Cast {
	return &Cast{tone: tone, chat: chat, account: account}
}

// Bot is a bot that knows nobody else.
func (c *Cast) Bot(t T) *bot.Bot {
	t.Helper()
	b, err := bot.New(bot.Config{
		Service: c, Directory: c, Now: func() time.Time { return noon }, Channel: func(string, string) string { return "C0ACCESS" },
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

func (c *Cast) someone(id access.PersonID) access.Person {
	return access.Person{ID: id, Name: fmt.Sprintf(c.tone.Person, len(id))}
}

// Person knows everybody.
func (c *Cast) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	return c.someone(id), nil
}

// ByAccount finds Ana, Ben and those who approve.
func (c *Cast) ByAccount(_ context.Context, _, account string) (access.Person, error) {
	for _, p := range append(c.crowd(), c.someone(Ana), c.someone(Ben)) {
		if c.account(p.ID) == account {
			return p, nil
		}
	}
	return access.Person{}, access.ErrNotFound
}

// AccountOf knows an account for every other person.
func (c *Cast) AccountOf(_ context.Context, id access.PersonID, _ string) (string, error) {
	if len(id)%2 == 0 {
		return "", access.ErrNotFound
	}
	return c.account(id), nil
}

// People are those who approve.
func (c *Cast) People(context.Context) ([]access.Person, error) { return c.crowd(), nil }

func (c *Cast) crowd() []access.Person {
	var out []access.Person
	for i := range c.tone.Count {
		out = append(out, c.someone(access.PersonID(strings.Repeat("x", i+1))))
	}
	return out
}

func (c *Cast) record(id access.RequestID) (*access.Record, error) {
	i := slices.IndexFunc(c.records, func(r *access.Record) bool { return r.ID == id })
	if i < 0 {
		return nil, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request", Text: "There is no request " + string(id) + "."}
	}
	return c.records[i], nil
}

// Submit takes everything.
func (c *Cast) Submit(_ context.Context, by access.Actor, ask workflows.Ask) (*access.Record, error) {
	r := c.request(access.Pending)
	r.Requester, r.Person, r.Role.ID = by.Person, by.Person, ask.Role
	return r, nil
}

// Decide decides nothing, as the other verbs do nothing: the records stay as they are.
func (c *Cast) Decide(_ context.Context, _ access.Actor, id access.RequestID, _ workflows.Decision) (*access.Record, error) {
	return c.record(id)
}

// Cancel does nothing.
func (c *Cast) Cancel(_ context.Context, _ access.Actor, id access.RequestID) (*access.Record, error) {
	return c.record(id)
}

// End does nothing.
func (c *Cast) End(_ context.Context, _ access.Actor, id access.RequestID, _ string) (*access.Record, error) {
	return c.record(id)
}

// Extend does nothing.
func (c *Cast) Extend(_ context.Context, _ access.Actor, id access.RequestID, _ time.Duration, _ access.Secret) (*access.Record, error) {
	return c.record(id)
}

// Request is a request.
func (c *Cast) Request(_ context.Context, _ access.PersonID, id access.RequestID) (*access.Record, error) {
	return c.record(id)
}

// Requests are all there are.
func (c *Cast) Requests(context.Context, access.PersonID, workflows.Query) ([]*access.Record, string, error) {
	return c.records, "", nil
}

// Waiting are all there are.
func (c *Cast) Parts(context.Context, *access.Record) (map[access.RoleID]*access.Record, error) {
	return nil, nil // nobody's role is made of others
}

func (c *Cast) Waiting(context.Context, access.PersonID) ([]*access.Record, error) {
	return c.records, nil
}

// Allowed is the same for everybody.
func (c *Cast) Allowed(context.Context, access.PersonID, *access.Record) workflows.May {
	return c.may
}

// Approvers are the same for every request.
func (c *Cast) Approvers(context.Context, *access.Record) ([]access.Person, error) {
	return c.crowd(), nil
}

// Offers are as many as there are asked for, up to ten thousand.
func (c *Cast) Offers(_ context.Context, _ access.PersonID, _ string, limit int) ([]workflows.Offer, error) {
	var out []workflows.Offer
	for i := range min(limit, c.offers) {
		out = append(out, c.offer(access.RoleID(fmt.Sprintf("role_%d", i))))
	}
	return out, nil
}

// Offer is the same for every role.
func (c *Cast) Offer(_ context.Context, _ access.PersonID, role access.RoleID) (workflows.Offer, error) {
	return c.offer(role), nil
}

func (c *Cast) offer(id access.RoleID) workflows.Offer {
	return workflows.Offer{
		Role: c.roleOf(id), Eligible: true, Default: time.Hour, Max: 8 * time.Hour, TicketPattern: "^(INC|CHG)-[0-9]+$",
		MinLength: 10, MaxLength: 2000, Stages: []access.Stage{{Count: 2, Within: 30 * time.Minute}},
		Capabilities: connectors.Capabilities{EndsSessions: true, NativeExpiry: true, Tail: time.Minute},
	}
}

func (c *Cast) roleOf(id access.RoleID) access.Role {
	return access.Role{
		ID: id, Title: c.tone.Role, Description: c.tone.Reason, Connector: "pg-prod",
		Labels: map[string]string{"risk": "high", "env": "prod", "team": c.tone.Role},
	}
}

// Digest is of a busy day.
func (c *Cast) Digest(context.Context, time.Time, time.Time) (*workflows.Digest, error) {
	d := &workflows.Digest{From: noon.Add(-24 * time.Hour), To: noon, Outcomes: map[access.State]int{}}
	for i, s := range access.States() {
		d.Outcomes[s] = i * 10
	}
	for i, p := range c.crowd() {
		line := workflows.DigestGrant{Request: Request, Person: p.ID, Role: access.RoleID(fmt.Sprintf("role_%d", i)), EndsAt: noon, Lateness: 90 * time.Second}
		d.Holding, d.Late, d.Overdue = append(d.Holding, line), append(d.Late, line), append(d.Overdue, line)
		d.Approvers = append(d.Approvers, workflows.DigestApprover{Person: p.ID, Decisions: i, Median: time.Minute})
	}
	return d, nil
}

// request is a request in a state, as workflows would leave it.
func (c *Cast) request(s access.State) *access.Record {
	by, approver := access.Actor{Person: Ana, Via: c.chat, Account: c.account(Ana)}, access.Actor{Person: Ben, Via: c.chat}
	r := &access.Record{
		Schema: 1, State: s, Version: 4, DecideBy: noon.Add(20 * time.Minute),
		Request: access.Request{
			ID: Request, Requester: Ana, Person: Ana, Role: c.roleOf("prod_db_admin"), Duration: time.Hour,
			Justification: c.tone.Justification, Ticket: c.tone.Ticket, SubmittedAt: noon.Add(-10 * time.Minute), By: by,
			Policy: "production", Account: "ana.lima", Stages: []access.Stage{{Count: 1, Within: 30 * time.Minute}},
		},
	}
	if s != access.Pending {
		r.Decisions = []access.Decision{{Verdict: access.Approve, By: approver, At: noon.Add(-5 * time.Minute), Reason: c.tone.Reason}}
		r.ApprovedAt, r.StartBy = noon.Add(-5*time.Minute), noon.Add(25*time.Minute)
	}
	if s == access.Scheduled {
		r.Start = noon.Add(20 * time.Hour)
	}
	if s.MayHold() || s == access.Ended {
		r.ActivatedAt, r.EndsAt, r.Receipt = noon.Add(-4*time.Minute), noon.Add(56*time.Minute), &access.Receipt{Already: true}
		r.LastError, r.Attempts = c.tone.Reason, 3
		r.Extensions = []access.Extension{{By: by, At: noon, From: noon, To: r.EndsAt}}
	}
	if s == access.Deactivating {
		r.EndingAt, r.Overdue = noon.Add(-time.Minute), true
	}
	if s.Terminal() {
		r.Closed, r.ClosedAt, r.Reason = &approver, noon.Add(-time.Minute), c.tone.Reason
	}
	if s == access.Ended {
		r.EndingAt, r.EndedAt, r.VerifiedAt = noon.Add(-3*time.Minute), noon, noon
		r.Removal = &access.Removal{Was: access.Removed, SessionsEnded: 2, Tail: time.Minute}
	}
	return r
}

// noteKinds are the notes that tell of each state.
func noteKinds() map[access.State][]workflows.NoteKind {
	return map[access.State][]workflows.NoteKind{
		access.Pending:      {workflows.NoteSubmitted, workflows.NoteVoted, workflows.NoteReminder},
		access.Approved:     {workflows.NoteApproved},
		access.Scheduled:    {workflows.NoteScheduled},
		access.Activating:   {workflows.NoteRetrying},
		access.Active:       {workflows.NoteActive, workflows.NoteNearEnd, workflows.NoteExtended, workflows.NoteRestored, workflows.NoteForged},
		access.Deactivating: {workflows.NoteEnding, workflows.NoteOverdue, workflows.NoteRetrying},
		access.Denied:       {workflows.NoteDenied},
		access.Cancelled:    {workflows.NoteCancelled},
		access.Lapsed:       {workflows.NoteLapsed},
		access.Failed:       {workflows.NoteFailed},
		access.Ended:        {workflows.NoteEnded},
	}
}

// Messages are all cards about requests that the bot sends by itself, by name.
func (c *Cast) Messages(t T) map[string]bot.Card {
	b := c.Bot(t)
	out := map[string]bot.Card{}
	for _, s := range access.States() {
		r := c.request(s)
		for _, kind := range noteKinds()[s] {
			n := workflows.Note{Kind: kind, At: noon, Actor: r.By, Version: r.Version, Reason: c.tone.Reason, EndsAt: r.EndsAt}
			if r.Closed != nil {
				n.Actor = *r.Closed
			}
			messages, err := b.Plan(t.Context(), c.chat, n, r, map[string]string{"request": "C0ACCESS:1.1"})
			must(t, err)
			for _, m := range messages {
				out[fmt.Sprintf("%s %s %s", s, kind, m.Name)] = m.Card
			}
		}
	}
	return out
}

// Answers are all answers that the bot gives, by name.
func (c *Cast) Answers(t T) map[string]bot.Answer {
	c.records = nil
	for i := range c.tone.Count {
		r := c.request(access.States()[i%len(access.States())])
		r.ID = access.RequestID(fmt.Sprintf("07kq4-m2x%02d", i))
		c.records = append(c.records, r)
	}
	c.records = append(c.records, c.request(access.Active))
	c.may = workflows.May{Decide: true, Cancel: true, End: true, Extend: true, Room: 4 * time.Hour}
	c.offers = 10_000
	b := c.Bot(t)
	ana := bot.Who{Chat: c.chat, Account: c.account(Ana)}
	out := map[string]bot.Answer{}
	for _, words := range []string{
		"", "help", "mine", "roles", "roles prod", "show 07kq4-m2xp9", "end 07kq4-m2xp9", "end", "extend 07kq4-m2xp9 1h",
		"extend 07kq4-m2xp9", "cancel 07kq4-m2xp9", "show 00000-00000", "review", "mfa", "approve 07kq4-m2xp9",
		"prod_db_admin 1h " + c.tone.Justification, "prod_db_admin", Mischief, c.tone.Role, "roles " + c.tone.Role,
	} {
		out["command "+words[:min(len(words), 24)]] = b.Command(t.Context(), ana, words)
	}
	for _, r := range c.records {
		for _, act := range []bot.Action{bot.ActApprove, bot.ActDeny, bot.ActDetails, bot.ActCancel, bot.ActEnd, bot.ActExtend, bot.ActRequest, bot.ActAgain, "other"} {
			out[fmt.Sprintf("click %s in %s", act, r.State)] = b.Click(t.Context(), ana, bot.Click{Action: act, Request: r.ID})
		}
	}
	for _, r := range c.records {
		if view, _ := b.View(t.Context(), ana, r.ID); view != nil {
			out["view in "+string(r.State)] = bot.Answer{Card: view}
		}
	}
	maps.Copy(out, c.formAnswers(t, b, ana))
	home := b.Home(t.Context(), ana)
	out["home"] = bot.Answer{Card: &home}
	return out
}

// formAnswers are the answers to forms that are sent off, and to those that are asked for again.
func (c *Cast) formAnswers(t T, b *bot.Bot, who bot.Who) map[string]bot.Answer {
	out := map[string]bot.Answer{}
	values := map[string]string{"role": "prod_db_admin", "duration": "1h", "justification": c.tone.Justification, "ticket": c.tone.Ticket, "reason": c.tone.Reason}
	for _, f := range []bot.FormName{bot.FormRequest, bot.FormDeny, bot.FormExtend, "other"} {
		out["submit "+string(f)] = b.Submit(t.Context(), who, bot.Submission{Form: f, Request: Request, Values: values})
		out["refresh "+string(f)] = b.Refresh(t.Context(), who, bot.Submission{Form: f, Request: Request, Values: values})
	}
	return out
}
