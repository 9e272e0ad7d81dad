package bot

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with the file of a name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has changed; run with -update when that is meant\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// asText writes a card as a person would read it to another.
func asText(c Card) string {
	var b strings.Builder
	fmt.Fprintf(&b, "card: %s\ntitle: %s\nsummary: %s\n\n", c.Name, c.Title, c.Summary)
	for _, p := range c.Parts {
		b.WriteString(partText(p))
	}
	return b.String()
}

func partText(p Part) string {
	switch p := p.(type) {
	case Text:
		if p.Small {
			return "(small) " + spanText(p.Spans) + "\n"
		}
		return spanText(p.Spans) + "\n"
	case Quote:
		return "> " + strings.ReplaceAll(p.Text, "\n", "\n> ") + "\n"
	case Heading:
		return "\n# " + p.Text + "\n"
	case Divider:
		return "---\n"
	case Facts:
		out := ""
		for _, f := range p.Rows {
			out += "* " + f.Label + ": " + spanText(f.Value) + "\n"
		}
		return out
	case Item:
		return "- " + spanText(p.Spans) + "\n" + buttonText(p.Buttons)
	case Buttons:
		return buttonText(p.Buttons)
	}
	return fmt.Sprintf("?%T\n", p)
}

func buttonText(buttons []Button) string {
	out := ""
	for _, b := range buttons {
		out += fmt.Sprintf("  [%s] %s %s %s (%s)\n", b.Label, b.Action, b.Request, b.Style, b.Speak)
		if b.Confirm != nil {
			out += fmt.Sprintf("    %s | %s | %s | %s\n", b.Confirm.Title, b.Confirm.Text, b.Confirm.Yes, b.Confirm.No)
		}
	}
	return out
}

func spanText(spans []Span) string {
	var b strings.Builder
	for _, s := range spans {
		switch {
		case s.Mention:
			b.WriteString("@@" + s.Name)
		case s.Person != "":
			b.WriteString("@" + s.Name)
		case !s.Time.IsZero():
			b.WriteString("<" + s.Time.UTC().Format(map[TimeStyle]string{Clock: "15:04", DateTime: "2 Jan 15:04", Date: "2 Jan", Seconds: "15:04:05"}[s.Style]) + ">")
		case s.URL != "":
			b.WriteString("[" + s.Text + "](" + s.URL + ")")
		case s.Bold:
			b.WriteString("**" + s.Text + "**")
		case s.Code:
			b.WriteString("`" + s.Text + "`")
		default:
			b.WriteString(s.Text)
		}
	}
	return b.String()
}

// formText writes a form the same way.
func formText(f *Form) string {
	if f == nil {
		return "no form\n"
	}
	out := fmt.Sprintf("form: %s %s\ntitle: %s\n", f.Name, f.Request, f.Title)
	for _, p := range f.Intro {
		out += partText(p)
	}
	for _, in := range f.Inputs {
		out += fmt.Sprintf("? %s (%s, %s) min %d max %d optional %t refresh %t\n  %s\n", in.Label, in.Name,
			[]string{"line", "area", "choice", "search", "code"}[in.Kind], in.MinLength, in.MaxLength, in.Optional, in.Refresh, in.Hint)
		for _, o := range in.Options {
			mark := " "
			if in.Initial != nil && *in.Initial == o {
				mark = "*"
			}
			out += fmt.Sprintf("  %s %s = %s\n", mark, o.Label, o.Value)
		}
		if in.Initial != nil && len(in.Options) == 0 {
			out += fmt.Sprintf("  * %s (%s) = %s\n", in.Initial.Label, in.Initial.Detail, in.Initial.Value)
		}
		if in.Text != "" {
			out += "  | " + in.Text + "\n"
		}
	}
	return out + "[" + f.Submit + "]\n"
}

// states are the request in each state that its message has words for.
func states() map[string]*access.Record {
	overdue := func(r *access.Record) { r.Overdue, r.LastError = true, "revoke role: unavailable: connection refused" }
	was := func(w access.Removal) func(*access.Record) { return func(r *access.Record) { r.Removal = &w } }
	early := func(r *access.Record) {
		r.Closed, r.Reason = &access.Actor{Person: "ana", Via: "web"}, "done"
	}
	found := func(r *access.Record) {
		r.Requester, r.By, r.Duration, r.Stages, r.Decisions = access.System, access.BySystem(), 0, nil, nil
		r.ActivatedAt, r.ApprovedAt, r.Closed, r.Receipt = time.Time{}, time.Time{}, &r.By, nil
		r.SubmittedAt, r.EndsAt, r.ClosedAt = r.EndingAt, r.EndingAt, r.EndingAt
		r.Justification = "Found at the target; no live grant explains it."
		r.Reason = r.Justification
	}
	bundle := func(r *access.Record) {
		r.Parts = []access.Member{
			{ID: "07kq4-p1111", Role: access.Role{ID: "db-admin", Connector: "pg-prod"}},
			{ID: "07kq4-p2222", Role: access.Role{ID: "web-admin", Connector: "hooks"}},
			{ID: "07kq4-p3333", Role: access.Role{ID: "dir-admin", Connector: "corp-ad"}},
		}
	}
	return map[string]*access.Record{
		"bundle_active":  in(access.Active, bundle),
		"bundle_overdue": in(access.Deactivating, bundle, overdue),
		"bundle_ended":   in(access.Ended, bundle),
		"found":          in(access.Deactivating, found),
		"found_overdue":  in(access.Deactivating, found, overdue),
		"found_ended":    in(access.Ended, found),
		"found_shared":   in(access.Ended, found, was(access.Removal{Was: access.Shared})),
		"pending":        request(),
		"pending_two_stages": in(access.Pending, func(r *access.Record) {
			r.Stages = []access.Stage{{Count: 1}, {Count: 2}}
			r.Stage = 1
			r.Decisions = []access.Decision{{Verdict: access.Approve, By: access.Actor{Person: "carol"}, At: noon, Stage: 0},
				{Verdict: access.Approve, By: access.Actor{Person: "bob"}, At: noon, Stage: 1}}
		}),
		"pending_auto":      in(access.Pending, func(r *access.Record) { r.Auto, r.Stages = true, nil }),
		"pending_on_behalf": in(access.Pending, func(r *access.Record) { r.Person, r.Start = "carol", noon.Add(2*time.Hour) }),
		"approved":          in(access.Approved),
		"scheduled":         in(access.Scheduled),
		"activating":        in(access.Activating),
		"activating_again": in(access.Activating, func(r *access.Record) {
			r.Attempts, r.LastError = 2, "grant role: unavailable: i/o timeout"
		}),
		"active": in(access.Active),
		"active_extended": in(access.Active, func(r *access.Record) {
			r.Extensions = []access.Extension{{By: r.By, At: noon, From: r.EndsAt, To: r.EndsAt.Add(time.Hour)}}
			r.EndsAt, r.Receipt = r.EndsAt.Add(time.Hour), &access.Receipt{Already: true}
		}),
		"deactivating":       in(access.Deactivating),
		"deactivating_early": in(access.Deactivating, early),
		"deactivating_undo": in(access.Deactivating, func(r *access.Record) {
			r.ActivatedAt, r.Reason = time.Time{}, "the target could not be reached in time: grant role: unavailable"
		}),
		"overdue":     in(access.Deactivating, overdue),
		"ending":      in(access.Active, func(r *access.Record) { r.EndsAt = noon.Add(-10 * time.Second) }),
		"ended":       in(access.Ended),
		"ended_early": in(access.Ended, early),
		"ended_late":  in(access.Ended, func(r *access.Record) { r.EndedAt = r.EndingAt.Add(3 * time.Minute); r.VerifiedAt = r.EndedAt }),
		"ended_undone": in(access.Ended, was(access.Removal{Was: access.Absent}), func(r *access.Record) {
			r.ActivatedAt, r.Reason = time.Time{}, "the target could not be reached in time: grant role: unavailable"
		}),
		"ended_absent":   in(access.Ended, was(access.Removal{Was: access.Absent})),
		"ended_standing": in(access.Ended, was(access.Removal{Was: access.Standing})),
		"ended_shared":   in(access.Ended, was(access.Removal{Was: access.Shared})),
		"ended_tail":     in(access.Ended, was(access.Removal{Was: access.Removed, Tail: 5 * time.Minute})),
		"denied":         in(access.Denied),
		"cancelled":      in(access.Cancelled),
		"lapsed":         in(access.Lapsed),
		"lapsed_approved": in(access.Lapsed, func(r *access.Record) {
			r.ApprovedAt = noon.Add(-20 * time.Minute)
		}),
		"failed": in(access.Failed),
	}
}

func TestRequestMessageInEveryState(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	for name, r := range states() {
		golden(t, "request_"+name, asText(b.look(t.Context(), r).requestCard()))
	}
}

func TestDetailsTellEverything(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.offers[0].Capabilities.Tail = 5 * time.Minute
	d.offers[0].Capabilities.NativeExpiry = true
	b := d.bot(t)
	for name, may := range map[string]workflows.May{
		"pending": {Why: &access.Refusal{Code: "own_request", Text: "You asked for this yourself; somebody else must decide."}, Cancel: true},
		"active":  {End: true, Extend: true},
		"ended":   {},
		"denied":  {},
		"found":   {},
	} {
		golden(t, "details_"+name, asText(b.look(t.Context(), states()[name]).detailsCard(may)))
	}
	d.offers[0].HeldBesides = noon.Add(-4 * time.Minute)
	golden(t, "details_pending_approver", asText(b.look(t.Context(), request()).detailsCard(workflows.May{Decide: true})))
}

// notes are each kind of note with the state that it leads to.
func notes() map[workflows.NoteKind]*access.Record {
	s := states()
	return map[workflows.NoteKind]*access.Record{
		workflows.NoteSubmitted: s["pending"], workflows.NoteVoted: s["pending_two_stages"], workflows.NoteReminder: s["pending"],
		workflows.NoteApproved: s["approved"], workflows.NoteDenied: s["denied"], workflows.NoteCancelled: s["cancelled"],
		workflows.NoteLapsed: s["lapsed"], workflows.NoteScheduled: s["scheduled"], workflows.NoteRetrying: s["activating_again"],
		workflows.NoteActive: s["active"], workflows.NoteFailed: s["failed"], workflows.NoteEnding: s["deactivating"],
		workflows.NoteNearEnd: s["active"], workflows.NoteExtended: s["active_extended"], workflows.NoteOverdue: s["overdue"],
		workflows.NoteEnded: s["ended"], workflows.NoteFound: s["found"], workflows.NoteRestored: s["active"],
		workflows.NoteMissing: s["active"], workflows.NoteForged: s["active"],
	}
}

// noteOf is the note that goes with a record.
func noteOf(k workflows.NoteKind, r *access.Record) workflows.Note {
	n := workflows.Note{Kind: k, At: noon, Actor: access.Actor{Person: "bob", Via: "web"}, Version: r.Version, Reason: r.Reason, EndsAt: r.EndsAt}
	if k == workflows.NoteCancelled {
		n.Actor = *r.Closed
	}
	return n
}

func TestMessagesAboutEveryEvent(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.may = workflows.May{End: true, Extend: true}
	b := d.bot(t)
	for k, r := range notes() {
		out := ""
		v := b.look(t.Context(), r)
		if card, ok := v.threadCard(noteOf(k, r)); ok {
			out += "THREAD\n" + asText(card)
		}
		if card, ok := v.personalCard(noteOf(k, r), "ana", d.may); ok {
			out += "PERSONAL\n" + asText(card)
		}
		golden(t, "told_"+string(k), out)
	}
	taken := b.look(t.Context(), states()["found_ended"])
	n := noteOf(workflows.NoteEnded, taken.Record)
	thread, _ := taken.threadCard(n)
	owner, _ := taken.personalCard(n, "ana", d.may)
	golden(t, "told_found_ended", asText(thread)+"\n"+asText(owner))
	active := b.look(t.Context(), in(access.Active, func(r *access.Record) { r.Person, r.Receipt.Already = "carol", true }))
	n = noteOf(workflows.NoteActive, active.Record)
	requester, _ := active.personalCard(n, "ana", d.may)
	holder, _ := active.personalCard(n, "carol", d.may)
	golden(t, "told_active_on_behalf", asText(requester)+"\n"+asText(holder))
}

func TestPagesAndLists(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.may = workflows.May{End: true, Extend: true, Cancel: true}
	b := d.bot(t)
	ana := Who{Chat: "web", Account: "ana"}
	golden(t, "home_empty", asText(b.Home(t.Context(), ana)))
	golden(t, "help", asText(helpCard("web", false, false)))
	golden(t, "help_teams", asText(helpCard("teams", false, false)))
	golden(t, "roles", asText(*b.Command(t.Context(), ana, "roles").Card))
	golden(t, "roles_none", asText(*b.Command(t.Context(), ana, "roles nothing such").Card))
	golden(t, "unknown", asText(b.Home(t.Context(), Who{Chat: "web", Account: "mallory"})))
	for i, s := range access.States() {
		r := in(s)
		r.ID = access.RequestID(fmt.Sprintf("07kq4-m2x%02d", i))
		d.records = append(d.records, r)
	}
	other := request()
	other.ID, other.Requester, other.Person = "07kq4-m2xq0", "bob", "bob"
	d.records = append(d.records, other)
	d.offers[1].Eligible = false
	golden(t, "home", asText(b.Home(t.Context(), ana)))
	golden(t, "mine", asText(*b.Command(t.Context(), ana, "mine").Card))
	golden(t, "roles_not_eligible", asText(*b.Command(t.Context(), ana, "roles db").Card))
}

func TestForms(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.records = []*access.Record{in(access.Active)}
	d.may = workflows.May{Decide: true}
	b := d.bot(t)
	ana, bob := Who{Chat: "web", Account: "ana"}, Who{Chat: "web", Account: "bob"}
	golden(t, "form_request_empty", formText(b.Command(t.Context(), ana, "").Form))
	golden(t, "form_request_filled", formText(b.Command(t.Context(), ana, "prod-db-admin 90m INC-4711").Form))
	golden(t, "form_request_unknown_role", formText(b.Command(t.Context(), ana, "prod-db-admn 1h fix replication").Form))
	golden(t, "form_request_again", formText(b.Click(t.Context(), ana, Click{Action: ActAgain, Request: "07kq4-m2xp9"}).Form))
	d.offers[0].HeldBesides = noon.Add(-4 * time.Minute)
	golden(t, "form_request_held", formText(b.Command(t.Context(), ana, "prod-db-admin 90m INC-4711").Form))
	golden(t, "form_extend", formText(b.Click(t.Context(), ana, Click{Action: ActExtend, Request: "07kq4-m2xp9"}).Form))
	golden(t, "form_mfa_confirm", formText(new(factorForm(FormConfirm, "ana", "Ana Lima", ""))))
	d.records[0] = request()
	golden(t, "form_deny", formText(b.Click(t.Context(), bob, Click{Action: ActDeny, Request: "07kq4-m2xp9"}).Form))
}

func TestDigest(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	day := &workflows.Digest{From: noon.Add(-24 * time.Hour), To: noon}
	golden(t, "digest_quiet", asText(b.digestCard(t.Context(), day)))
	line := workflows.DigestGrant{Request: "07kq4-m2xp9", Person: "ana", Role: "prod-db-admin", EndsAt: noon.Add(time.Hour)}
	late := line
	late.Lateness = 3 * time.Minute
	day.Outcomes = map[access.State]int{access.Ended: 3, access.Denied: 1, access.Pending: 2, access.Active: 1}
	day.Holding, day.Late, day.Overdue = []workflows.DigestGrant{line}, []workflows.DigestGrant{late}, []workflows.DigestGrant{late}
	day.Approvers = []workflows.DigestApprover{{Person: "bob", Decisions: 3, Median: 95 * time.Second}, {Person: "gone", Decisions: 1, Median: time.Hour}}
	day.Found = []workflows.DigestGrant{line}
	day.Standing = []workflows.DigestStanding{{Role: "prod-db-admin", At: noon, Holders: 3, New: []string{"dora"}, Gone: []string{"a", "b", "c", "d"}},
		{Role: "deploy", At: noon, Holders: 1}}
	golden(t, "digest", asText(b.digestCard(t.Context(), day)))
}
