package bot

import (
	"context"
	"strings"
	"testing"

	"elevate/workflows"
	"elevate/workflows/access"
)

// TestSeveralChatsSayWhereSomebodyDecided: one request is shown in each chat, and decided in one of them.
func TestSeveralChatsSayWhereSomebodyDecided(t *testing.T) {
	t.Parallel()
	in := func(s access.State, via string) *access.Record {
		r := in(s)
		r.Decisions[0].By = access.Actor{Person: "bob", Via: via}
		if r.Closed != nil {
			r.Closed = &access.Actor{Person: "bob", Via: via}
		}
		return r
	}
	for _, c := range []struct {
		chats  []string
		record *access.Record
		kind   workflows.NoteKind
		want   string
	}{
		{[]string{"slack", "teams"}, in(access.Active, "teams"), workflows.NoteApproved, "Approved by Bob Stone in Teams"},
		{[]string{"slack", "teams"}, in(access.Active, "slack"), workflows.NoteApproved, "Approved by Bob Stone in Slack"},
		{[]string{"slack", "teams"}, in(access.Active, "api"), workflows.NoteApproved, "Approved by Bob Stone"},
		{[]string{"slack", "teams"}, in(access.Denied, "teams"), workflows.NoteDenied, "Denied by Bob Stone in Teams"},
		{[]string{"slack"}, in(access.Active, "slack"), workflows.NoteApproved, "Approved by Bob Stone"},
	} {
		b := newDesk().bot(t)
		b.cfg.Chats = c.chats
		v := b.look(t.Context(), c.record)
		n := noteOf(c.kind, c.record)
		n.Actor = c.record.Decisions[0].By
		thread, _ := v.threadCard(n)
		for what, text := range map[string]string{"message": asText(v.requestCard()), "thread": asText(thread)} {
			if !strings.Contains(text, c.want) || strings.Contains(text, " in Slack") != strings.Contains(c.want, " in Slack") || strings.Contains(text, " in Teams") != strings.Contains(c.want, " in Teams") {
				t.Errorf("the %s of %v does not say %q alone:\n%s", what, c.chats, c.want, text)
			}
		}
	}
}

func TestApproversOfSeveralChatsAreNamedWithTheirs(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	b.cfg.Chats = []string{"slack", "teams"}
	r := in(access.Active)
	r.Decisions = []access.Decision{
		{Verdict: access.Approve, By: access.Actor{Person: "bob", Via: "slack"}, At: noon},
		{Verdict: access.Approve, By: access.Actor{Person: "carol", Via: "teams"}, At: noon},
	}
	if text := asText(b.look(t.Context(), r).requestCard()); !strings.Contains(text, "Approved by Bob Stone in Slack and Carol Díaz in Teams") {
		t.Errorf("the message says:\n%s", text)
	}
}

// seen is a request's message as somebody sees it; nil where they may not.
func seen(b *Bot, who Who, id access.RequestID) *Card {
	card, excuse := b.View(context.Background(), who, id)
	if excuse != "" {
		return ptr(Card{Summary: excuse})
	}
	return card
}

// TestAMessageAsOnePersonSeesItHasTheirButtons: chats that can, show each viewer their own.
func TestAMessageAsOnePersonSeesItHasTheirButtons(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.records = []*access.Record{request()}
	b := d.bot(t)
	ana := Who{Chat: "web", Account: "ana"}
	labels := func(c *Card) (out []string) {
		for _, p := range c.Parts {
			if row, ok := p.(Buttons); ok {
				for _, b := range row.Buttons {
					out = append(out, b.Label)
				}
			}
		}
		return out
	}
	d.may = workflows.May{Cancel: true}
	if got := strings.Join(labels(seen(b, ana, "07kq4-m2xp9")), ", "); got != "Cancel request, Details" {
		t.Errorf("the requester sees %s", got)
	}
	d.may = workflows.May{Decide: true}
	if got := strings.Join(labels(seen(b, ana, "07kq4-m2xp9")), ", "); got != "Approve, Deny…, Details" {
		t.Errorf("an approver sees %s", got)
	}
	shared := b.look(t.Context(), d.records[0]).requestCard()
	if got := shared.Viewers; shared.Request != "07kq4-m2xp9" || len(got) != 3 || got[0] != "ana" || got[1] != "bob" || got[2] != "carol" {
		t.Errorf("%s has viewers %v, want the requester and the approvers", shared.Request, got)
	}
	if ended := b.look(t.Context(), in(access.Ended)).requestCard(); len(ended.Viewers) > 0 {
		t.Errorf("what is over looks alike to everybody, and has viewers %v", ended.Viewers)
	}
	for what, c := range map[string]*Card{
		"somebody unknown":         seen(b, Who{Chat: "web", Account: "mallory"}, "07kq4-m2xp9"),
		"a request that is not":    seen(b, ana, "00000-00000"),
		"a request that is no one": seen(b, ana, ""),
	} {
		if c != nil {
			t.Errorf("%s is shown:\n%s", what, asText(*c))
		}
	}
}

// TestWhoeverCannotBeToldPersonallyIsCalledInTheChannel: somebody who never added the app hears of their access all the
// same, and how to hear of it personally.
func TestWhoeverCannotBeToldPersonallyIsCalledInTheChannel(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	r := in(access.Active)
	n := noteOf(workflows.NoteActive, r)
	refs := map[string]string{"request": "m1", "told/active/4/ana": refused}
	want := "request C-production v4, thread/active/4 C-production/m1, told/active/4/ana @ana, told/active/4/ana/instead C-production/m1"
	if got := planned(b, n, r, refs, t); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, m := range messagesOf(t, b, n, r, refs) {
		if text := asText(m.Card); strings.HasSuffix(m.Name, "/instead") && (!strings.Contains(text, "Ana Lima") || !strings.Contains(text, "Access is active") || !strings.Contains(text, "Add its app for yourself")) {
			t.Errorf("the channel is told:\n%s", text)
		}
	}
	refs["told/active/4/ana"] = unsent // no account here: there is nobody to call
	if got := planned(b, n, r, refs, t); strings.Contains(got, "instead") {
		t.Errorf("got %s", got)
	}
	refs = map[string]string{"request": refused, "told/active/4/ana": refused}
	if got := planned(b, n, r, refs, t); strings.Contains(got, "instead") {
		t.Errorf("a channel that takes nothing is told: %s", got)
	}
}
