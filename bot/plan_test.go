package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// messagesOf is what a note about a record asks for.
func messagesOf(t *testing.T, b *Bot, n workflows.Note, r *access.Record, refs map[string]string) []Message {
	t.Helper()
	messages, err := b.Plan(t.Context(), "web", n, r, refs)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// planned is what a note about a record asks for, a line each.
func planned(b *Bot, n workflows.Note, r *access.Record, refs map[string]string, t *testing.T) string {
	t.Helper()
	var out []string
	for _, m := range messagesOf(t, b, n, r, refs) {
		where := m.To.Channel
		if m.To.Thread != "" {
			where += "/" + m.To.Thread
		}
		if m.To.Person != "" {
			where = "@" + string(m.To.Person)
		}
		line := m.Name + " " + where
		if m.Update {
			line += fmt.Sprintf(" v%d", m.Version)
		}
		out = append(out, line)
	}
	return strings.Join(out, ", ")
}

func TestWhoIsToldOfWhat(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	refs := map[string]string{"request": "m1"}
	want := map[workflows.NoteKind]string{
		workflows.NoteSubmitted: "request C-production v1",
		workflows.NoteVoted:     "request C-production v4, thread/voted/4 C-production/m1",
		workflows.NoteReminder:  "request C-production v1, thread/reminder/1 C-production/m1",
		workflows.NoteApproved:  "request C-production v4, thread/approved/4 C-production/m1, told/approved/4/ana @ana",
		workflows.NoteDenied:    "request C-production v4, thread/denied/4 C-production/m1, told/denied/4/ana @ana",
		workflows.NoteCancelled: "request C-production v4, thread/cancelled/4 C-production/m1", // Ana did it herself
		workflows.NoteLapsed:    "request C-production v4, thread/lapsed/4 C-production/m1, told/lapsed/4/ana @ana",
		workflows.NoteScheduled: "request C-production v4",
		workflows.NoteRetrying:  "request C-production v4",
		workflows.NoteActive:    "request C-production v4, thread/active/4 C-production/m1, told/active/4/ana @ana",
		workflows.NoteFailed:    "request C-production v4, thread/failed/4 C-production/m1, told/failed/4/ana @ana",
		workflows.NoteEnding:    "request C-production v4",
		workflows.NoteNearEnd:   "request C-production v4, told/near_end/4/ana @ana",
		workflows.NoteExtended:  "request C-production v4, thread/extended/4 C-production/m1, told/extended/4/ana @ana",
		workflows.NoteOverdue:   "request C-production v4, thread/overdue/4 C-production/m1, told/overdue/4/ana @ana",
		workflows.NoteFound:     "request C-production v4, thread/found/4 C-production/m1, told/found/4/ana @ana",
		workflows.NoteMissing:   "request C-production v4, thread/missing/4 C-production/m1, told/missing/4/ana @ana",
		workflows.NoteRestored:  "request C-production v4, thread/restored/4 C-production/m1", // no more: there may be hundreds
		workflows.NoteForged:    "request C-production v4, thread/forged/4 C-production/m1",   // the same
		workflows.NoteEnded:     "request C-production v4, thread/ended/4 C-production/m1, told/ended/4/ana @ana",
	}
	for kind, r := range notes() {
		if got := planned(b, noteOf(kind, r), r, refs, t); got != want[kind] {
			t.Errorf("%s:\n got %s\nwant %s", kind, got, want[kind])
		}
	}
	if len(want) != len(notes()) {
		t.Errorf("%d kinds of note are listed, and there are %d", len(want), len(notes()))
	}
}

// TestWhoseEnrolmentWasChangedIsToldToBeginAnew, and not that what was there before counts.
func TestWhoseEnrolmentWasChangedIsToldToBeginAnew(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	n := factor.Notice{Event: factor.EventDoubted, Person: "ana", Enrolment: true}
	own, ok := b.ownFactorCard(t.Context(), n)
	if !ok || !strings.Contains(own.Summary, "begin anew") || strings.Contains(own.Summary, "before counts") {
		t.Errorf("told %q", own.Summary)
	}
	other, ok := b.otherFactorCard(t.Context(), n)
	if !ok || !strings.Contains(other.Summary, "the making of a second factor, or what waits for a key, of ") {
		t.Errorf("administrators are told %q", other.Summary)
	}
	n.Enrolment = false
	if own, ok = b.ownFactorCard(t.Context(), n); !ok || !strings.Contains(own.Summary, "What was there before counts") {
		t.Errorf("of a factor: %q", own.Summary)
	}
}

// TestEverybodyHearsThatAnotherFactorWaits: whoever has somebody's chat alone sets up none unnoticed.
func TestEverybodyHearsThatAnotherFactorWaits(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	n := factor.Notice{Event: factor.EventNamed, Person: "ana", By: access.Actor{Person: "ana", Via: "slack"}, Waits: true}
	if own, ok := b.ownFactorCard(t.Context(), n); !ok || !strings.Contains(own.Summary, notYours) || strings.Contains(own.Summary, "Another") {
		t.Errorf("of the first: %q", own.Summary)
	}
	n.Again = true
	if own, ok := b.ownFactorCard(t.Context(), n); !ok || !strings.Contains(own.Summary, "Another second factor") || !strings.Contains(own.Summary, notYours) {
		t.Errorf("of another: %q", own.Summary)
	}
	other, ok := b.otherFactorCard(t.Context(), n)
	if !ok || !strings.Contains(other.Summary, "in the place of the one that you were told of") || !strings.Contains(other.Summary, "/elevate mfa confirm ana WORD") {
		t.Errorf("administrators are told %q", other.Summary)
	}
}

// TestAFormToConfirmKeepsTheWordThatWasTyped, also where it has to be shown again.
func TestAFormToConfirmKeepsTheWordThatWasTyped(t *testing.T) {
	t.Parallel()
	again := Bare(Submission{Form: FormConfirm, Values: map[string]string{"for": "ana", "word": "abc-def"}})
	for _, f := range []Form{factorForm(FormConfirm, "ana", "Ana", "abc-def"), *again} {
		if len(f.Inputs) != 3 || f.Inputs[1].Name != "word" || f.Inputs[1].Text != "abc-def" {
			t.Errorf("%+v", f.Inputs)
		}
	}
	if f := factorForm(FormConfirm, "ana", "Ana", ""); len(f.Inputs) != 2 {
		t.Errorf("without a word: %+v", f.Inputs)
	}
}

// TestAResetOnTheCommandLineIsToldAsOne, and not as that of two administrators.
func TestAResetOnTheCommandLineIsToldAsOne(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	n := factor.Notice{Event: factor.EventReset, Person: "ana", By: access.Actor{Person: access.System, Via: factor.CommandLine, Account: "root"}}
	own, toldOwn := b.ownFactorCard(t.Context(), n)
	other, toldOther := b.otherFactorCard(t.Context(), n)
	for _, told := range []string{own.Summary, other.Summary} {
		if !toldOwn || !toldOther || !strings.Contains(told, "on the command line") || strings.Contains(told, "dministrators took") || strings.Contains(told, "second administrator") {
			t.Errorf("told %q", told)
		}
	}
}

func TestNotesThatWereOvertakenSayNothing(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	refs := map[string]string{"request": "m1"}
	ended, active := in(access.Ended), in(access.Active)
	moved := in(access.Active, func(r *access.Record) { r.EndsAt = r.EndsAt.Add(time.Hour) })
	for name, c := range map[string]struct {
		kind workflows.NoteKind
		of   *access.Record // as it was when the note was written
		now  *access.Record
	}{
		"ten minutes left, after the end":      {workflows.NoteNearEnd, active, ended},
		"ten minutes left, after an extension": {workflows.NoteNearEnd, active, moved},
		"a reminder, after the decision":       {workflows.NoteReminder, request(), in(access.Denied)},
		"a reminder, after the last moment":    {workflows.NoteReminder, request(), in(access.Pending, func(r *access.Record) { r.DecideBy = noon })},
		"active, after the end":                {workflows.NoteActive, active, ended},
		"extended, after the end":              {workflows.NoteExtended, active, ended},
		"restored, after the end":              {workflows.NoteRestored, active, ended},
		"overdue, after it was confirmed gone": {workflows.NoteOverdue, in(access.Deactivating), ended},
	} {
		got := planned(b, noteOf(c.kind, c.of), c.now, refs, t)
		if want := fmt.Sprintf("request C-production v%d", c.now.Version); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestARequestOnBehalfTellsBoth(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	r := in(access.Active, func(r *access.Record) { r.Person = "carol" })
	got := planned(b, noteOf(workflows.NoteActive, r), r, nil, t)
	if want := "request C-production v4, thread/active/4 C-production, told/active/4/ana @ana, told/active/4/carol @carol"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestWhatThePolicyApprovesIsToldOnce(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	r := in(access.Approved)
	n := noteOf(workflows.NoteApproved, r)
	n.Actor = access.BySystem()
	if got, want := planned(b, n, r, nil, t), "request C-production v4, thread/approved/4 C-production"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWithoutAChannelThoseWhoMayDecideAreAskedPersonally(t *testing.T) {
	t.Parallel()
	d := newDesk()
	b := d.bot(t)
	b.cfg.Channel = func(string, string) string { return "" }
	r := request()
	if got, want := planned(b, noteOf(workflows.NoteSubmitted, r), r, nil, t), "request/bob @bob v1, request/carol @carol v1"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := planned(b, noteOf(workflows.NoteReminder, r), r, nil, t), "request/bob @bob v1, request/carol @carol v1, told/reminder/1/bob @bob, told/reminder/1/carol @carol"; got != want {
		t.Errorf("got %s", got)
	}
	// Whoever has a copy keeps a true one when it is decided.
	refs := map[string]string{"request/bob": "m1", "request/bob@": "1", "request/carol": unsent}
	done := in(access.Denied)
	if got, want := planned(b, noteOf(workflows.NoteDenied, done), done, refs, t), "request/bob @bob v4, request/carol @carol v4, told/denied/4/ana @ana"; got != want {
		t.Errorf("got %s", got)
	}
	for i := range 50 {
		d.approvers = append(d.approvers, access.Person{ID: access.PersonID(fmt.Sprintf("p%02d", i))})
	}
	if got := strings.Count(planned(b, noteOf(workflows.NoteSubmitted, r), r, nil, t), "request/"); got != mentionedLater {
		t.Errorf("%d people got a personal message", got)
	}
}

func TestOnlyAFewApproversAreCalledByName(t *testing.T) {
	t.Parallel()
	d := newDesk()
	b := d.bot(t)
	mentions := func(c Card) int {
		n := 0
		for _, p := range c.Parts {
			switch p := p.(type) {
			case Text:
				for _, s := range p.Spans {
					if s.Mention {
						n++
					}
				}
			case Facts:
				for _, f := range p.Rows {
					for _, s := range f.Value {
						if s.Mention {
							n++
						}
					}
				}
			}
		}
		return n
	}
	for people, want := range map[int][2]int{2: {2, 2}, 5: {5, 5}, 6: {0, 6}, 50: {0, 10}} {
		d.approvers = nil
		for i := range people {
			d.approvers = append(d.approvers, access.Person{ID: access.PersonID(fmt.Sprintf("p%d", i)), Name: fmt.Sprintf("P %d", i)})
		}
		v := b.look(t.Context(), request())
		if got := [2]int{mentions(v.requestCard()), mentions(v.reminderCard())}; got != want {
			t.Errorf("of %d approvers the message and the reminder call %v, want %v", people, got, want)
		}
		if people > 10 && !strings.Contains(asText(v.reminderCard()), "40 more") {
			t.Errorf("the reminder does not say that there are more:\n%s", asText(v.reminderCard()))
		}
	}
}
