package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// tone is how the people of an office write.
type tone struct {
	name          string
	person        string // a name of a person, with a number in it
	role          string
	justification string
	reason        string
	ticket        string
	count         int // of approvers, roles and requests
}

// hostile is text that means something to Slack, to a terminal or to a reader's eye.
const hostile = "*bold* _italic_ ~gone~ `code` ```block``` <!channel> <!here> <@U0BEN> <#C0ACCESS> <https://evil.example|approved> " +
	"&amp; & < > :tada: @here #general [x](https://evil.example) \u202egnp.exe\u202c 🧑‍🚒👩🏽‍💻 שלום עולם مرحبا e\u0301\u0301\u0301 \"quoted\" \\ \x00 > quote"

func tones() []tone {
	long := strings.Repeat(hostile+"\n", 20)
	return []tone{
		{name: "plain", person: "Ana Lima %d", role: "Production database admin", justification: "INC-4711: restart the stuck payment workers",
			reason: "not during the freeze", ticket: "INC-4711", count: 3},
		{name: "hostile", person: hostile + " %d", role: hostile, justification: string([]rune(long)[:2000]), reason: string([]rune(long)[:500]),
			ticket: hostile, count: 50},
		{name: "right to left", person: "عائشة بنت أحمد %d", role: "מנהל מסד נתונים", justification: strings.Repeat("يحتاج الخادم إلى إعادة تشغيل. ", 60),
			reason: "לא עכשיו", ticket: "INC-٤٧١١", count: 50},
		{name: "emoji", person: "👩🏽‍🚒🏳️‍🌈 %d", role: "🔥🔑 " + strings.Repeat("🗝️", 60), justification: strings.Repeat("🧯", 2000), reason: strings.Repeat("🙅🏿‍♀️", 100),
			ticket: "🎫", count: 10},
		{name: "all escapes", person: strings.Repeat("&", 80) + "%d", role: strings.Repeat("<", 120), justification: strings.Repeat("\"\\", 1000),
			reason: strings.Repeat("&", 500), ticket: strings.Repeat("`", 100), count: 50},
	}
}

// office answers for workflows and directory with people who write in one tone.
type office struct {
	tone
	records []*access.Record
	may     workflows.May
	offers  int
}

var (
	_ bot.Verbs           = (*office)(nil)
	_ workflows.Directory = (*office)(nil)
)

func (o *office) bot(t testing.TB) *bot.Bot {
	t.Helper()
	b, err := bot.New(bot.Config{
		Service: o, Directory: o, Now: func() time.Time { return noon }, Channel: func(string, string) string { return "C0ACCESS" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (o *office) render() renderer {
	return renderer{account: func(ctx context.Context, id access.PersonID) string {
		account, err := o.AccountOf(ctx, id, Name)
		if err != nil {
			return ""
		}
		return account
	}}
}

func (o *office) someone(id access.PersonID) access.Person {
	return access.Person{ID: id, Name: fmt.Sprintf(o.person, len(id))}
}

func (o *office) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	return o.someone(id), nil
}

func (o *office) ByAccount(_ context.Context, _, account string) (access.Person, error) {
	return o.someone(access.PersonID(strings.ToLower(strings.TrimPrefix(account, "U0")))), nil
}

// AccountOf: every other person has an account.
func (o *office) AccountOf(_ context.Context, id access.PersonID, _ string) (string, error) {
	if len(id)%2 == 0 {
		return "", access.ErrNotFound
	}
	return "U0" + strings.ToUpper(string(id)), nil
}

func (o *office) People(context.Context) ([]access.Person, error) { return o.crowd(), nil }

func (o *office) crowd() []access.Person {
	var out []access.Person
	for i := range o.count {
		out = append(out, o.someone(access.PersonID(strings.Repeat("x", i+1))))
	}
	return out
}

func (o *office) record(id access.RequestID) (*access.Record, error) {
	i := slices.IndexFunc(o.records, func(r *access.Record) bool { return r.ID == id })
	if i < 0 {
		return nil, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request", Text: "There is no request " + string(id) + "."}
	}
	return o.records[i], nil
}

func (o *office) Submit(_ context.Context, by access.Actor, ask workflows.Ask) (*access.Record, error) {
	r := o.request(access.Pending)
	r.Requester, r.Person, r.Role.ID = by.Person, by.Person, ask.Role
	return r, nil
}

func (o *office) Decide(_ context.Context, _ access.Actor, id access.RequestID, _ workflows.Decision) (*access.Record, error) {
	return o.record(id)
}

func (o *office) Cancel(_ context.Context, _ access.Actor, id access.RequestID) (*access.Record, error) {
	return o.record(id)
}

func (o *office) End(_ context.Context, _ access.Actor, id access.RequestID, _ string) (*access.Record, error) {
	return o.record(id)
}

func (o *office) Extend(_ context.Context, _ access.Actor, id access.RequestID, _ time.Duration) (*access.Record, error) {
	return o.record(id)
}

func (o *office) Request(_ context.Context, _ access.PersonID, id access.RequestID) (*access.Record, error) {
	return o.record(id)
}

func (o *office) Requests(context.Context, access.PersonID, workflows.Query) ([]*access.Record, string, error) {
	return o.records, "", nil
}

func (o *office) Waiting(context.Context, access.PersonID) ([]*access.Record, error) {
	return o.records, nil
}

func (o *office) Allowed(context.Context, access.PersonID, *access.Record) workflows.May {
	return o.may
}

func (o *office) Approvers(context.Context, *access.Record) ([]access.Person, error) {
	return o.crowd(), nil
}

func (o *office) Offers(_ context.Context, _ access.PersonID, _ string, limit int) ([]workflows.Offer, error) {
	var out []workflows.Offer
	for i := range min(limit, o.offers) {
		out = append(out, o.offer(access.RoleID(fmt.Sprintf("role_%d", i))))
	}
	return out, nil
}

func (o *office) Offer(_ context.Context, _ access.PersonID, role access.RoleID) (workflows.Offer, error) {
	return o.offer(role), nil
}

func (o *office) offer(id access.RoleID) workflows.Offer {
	return workflows.Offer{
		Role: o.roleOf(id), Eligible: true, Default: time.Hour, Max: 8 * time.Hour, TicketPattern: "^(INC|CHG)-[0-9]+$",
		MinLength: 10, MaxLength: 2000, Stages: []access.Stage{{Count: 2, Within: 30 * time.Minute}},
		Capabilities: connectors.Capabilities{EndsSessions: true, NativeExpiry: true, Tail: time.Minute},
	}
}

func (o *office) roleOf(id access.RoleID) access.Role {
	return access.Role{
		ID: id, Title: o.role, Description: o.reason, Connector: "pg-prod",
		Labels: map[string]string{"risk": "high", "env": "prod", "team": o.role},
	}
}

func (o *office) Digest(context.Context, time.Time, time.Time) (*workflows.Digest, error) {
	return o.digest(), nil
}

func (o *office) digest() *workflows.Digest {
	d := &workflows.Digest{From: noon.Add(-24 * time.Hour), To: noon, Outcomes: map[access.State]int{}}
	for i, s := range access.States() {
		d.Outcomes[s] = i * 10
	}
	for i, p := range o.crowd() {
		line := workflows.DigestGrant{Request: bottest.Request, Person: p.ID, Role: access.RoleID(fmt.Sprintf("role_%d", i)), EndsAt: noon, Lateness: 90 * time.Second}
		d.Holding, d.Late, d.Overdue = append(d.Holding, line), append(d.Late, line), append(d.Overdue, line)
		d.Approvers = append(d.Approvers, workflows.DigestApprover{Person: p.ID, Decisions: i, Median: time.Minute})
	}
	return d
}

// request is a request in a state, as workflows would leave it.
func (o *office) request(s access.State) *access.Record {
	by, approver := access.Actor{Person: "ana", Via: Name, Account: "U0ANA"}, access.Actor{Person: "ben", Via: Name}
	r := &access.Record{
		Schema: 1, State: s, Version: 4, DecideBy: noon.Add(20 * time.Minute),
		Request: access.Request{
			ID: bottest.Request, Requester: "ana", Person: "ana", Role: o.roleOf("prod_db_admin"), Duration: time.Hour,
			Justification: o.justification, Ticket: o.ticket, SubmittedAt: noon.Add(-10 * time.Minute), By: by,
			Policy: "production", Account: "ana.lima", Stages: []access.Stage{{Count: 1, Within: 30 * time.Minute}},
		},
	}
	if s != access.Pending {
		r.Decisions = []access.Decision{{Verdict: access.Approve, By: approver, At: noon.Add(-5 * time.Minute), Reason: o.reason}}
		r.ApprovedAt, r.StartBy = noon.Add(-5*time.Minute), noon.Add(25*time.Minute)
	}
	if s == access.Scheduled {
		r.Start = noon.Add(20 * time.Hour)
	}
	if s.MayHold() || s == access.Ended {
		r.ActivatedAt, r.EndsAt, r.Receipt = noon.Add(-4*time.Minute), noon.Add(56*time.Minute), &access.Receipt{Already: true}
		r.LastError, r.Attempts = o.reason, 3
		r.Extensions = []access.Extension{{By: by, At: noon, From: noon, To: r.EndsAt}}
	}
	if s == access.Deactivating {
		r.EndingAt, r.Overdue = noon.Add(-time.Minute), true
	}
	if s.Terminal() {
		r.Closed, r.ClosedAt, r.Reason = &approver, noon.Add(-time.Minute), o.reason
	}
	if s == access.Ended {
		r.EndingAt, r.EndedAt, r.VerifiedAt = noon.Add(-3*time.Minute), noon, noon
		r.Removal = &access.Removal{Was: access.Removed, SessionsEnded: 2, Tail: time.Minute}
	}
	return r
}

// noteKinds are the notes that tell of a state.
func noteKinds(s access.State) []workflows.NoteKind {
	return map[access.State][]workflows.NoteKind{
		access.Pending:      {workflows.NoteSubmitted, workflows.NoteVoted, workflows.NoteReminder},
		access.Approved:     {workflows.NoteApproved},
		access.Scheduled:    {workflows.NoteScheduled},
		access.Activating:   {workflows.NoteRetrying},
		access.Active:       {workflows.NoteActive, workflows.NoteNearEnd, workflows.NoteExtended, workflows.NoteRestored},
		access.Deactivating: {workflows.NoteEnding, workflows.NoteOverdue, workflows.NoteRetrying},
		access.Denied:       {workflows.NoteDenied},
		access.Cancelled:    {workflows.NoteCancelled},
		access.Lapsed:       {workflows.NoteLapsed},
		access.Failed:       {workflows.NoteFailed},
		access.Ended:        {workflows.NoteEnded},
	}[s]
}

// messages are all cards that the bot sends by itself, by name.
func (o *office) messages(t testing.TB) map[string]bot.Card {
	b := o.bot(t)
	out := map[string]bot.Card{}
	for _, s := range access.States() {
		r := o.request(s)
		for _, kind := range noteKinds(s) {
			n := workflows.Note{Kind: kind, At: noon, Actor: *actorOf(r), Version: r.Version, Reason: o.reason, EndsAt: r.EndsAt}
			for _, m := range b.Plan(context.Background(), Name, n, r, map[string]string{"request": "C0ACCESS:1.1"}) {
				out[fmt.Sprintf("%s %s %s", s, kind, m.Name)] = m.Card
			}
		}
	}
	return out
}

func actorOf(r *access.Record) *access.Actor {
	if r.Closed != nil {
		return r.Closed
	}
	return &r.By
}

// answers are all answers that the bot gives, by name.
func (o *office) answers(t testing.TB) map[string]bot.Answer {
	o.records = nil
	for i := range o.count {
		r := o.request(access.States()[i%len(access.States())])
		r.ID = access.RequestID(fmt.Sprintf("07kq4-m2x%02d", i))
		o.records = append(o.records, r)
	}
	o.records = append(o.records, o.request(access.Active))
	o.may = workflows.May{Decide: true, Cancel: true, End: true, Extend: true}
	o.offers = 10_000
	b := o.bot(t)
	ctx, ana := context.Background(), bot.Who{Chat: Name, Account: "U0ANA"}
	out := map[string]bot.Answer{}
	for _, words := range []string{
		"", "help", "mine", "roles", "roles prod", "show 07kq4-m2xp9", "end 07kq4-m2xp9", "end", "extend 07kq4-m2xp9 1h",
		"extend 07kq4-m2xp9", "cancel 07kq4-m2xp9", "show 00000-00000", "review", "mfa", "approve 07kq4-m2xp9",
		"prod_db_admin 1h " + o.justification, "prod_db_admin", hostile, o.role,
	} {
		out["command "+words[:min(len(words), 24)]] = b.Command(ctx, ana, words)
	}
	for _, r := range o.records {
		for _, act := range []bot.Action{bot.ActApprove, bot.ActDeny, bot.ActDetails, bot.ActCancel, bot.ActEnd, bot.ActExtend, bot.ActRequest, bot.ActAgain, "other"} {
			out[fmt.Sprintf("click %s in %s", act, r.State)] = b.Click(ctx, ana, bot.Click{Action: act, Request: r.ID})
		}
	}
	values := map[string]string{"role": "prod_db_admin", "duration": "1h", "justification": o.justification, "ticket": o.ticket, "reason": o.reason}
	for _, f := range []bot.FormName{bot.FormRequest, bot.FormDeny, bot.FormExtend, "other"} {
		out["submit "+string(f)] = b.Submit(ctx, ana, bot.Submission{Form: f, Request: bottest.Request, Values: values})
		out["refresh "+string(f)] = b.Refresh(ctx, ana, bot.Submission{Form: f, Request: bottest.Request, Values: values})
	}
	home := b.Home(ctx, ana)
	out["home"] = bot.Answer{Card: &home}
	return out
}
