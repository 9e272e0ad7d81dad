package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// theAna is Ana in the web chat.
var theAna = Who{Chat: "web", Account: "ana"}

// counter is where accounts are linked, for tests.
type counter struct{ said []string }

func (c *counter) Invites() bool { return true }

func (c *counter) Invite(_ context.Context, who Who) (string, time.Duration, error) {
	c.said = append(c.said, "invited "+who.Account)
	return "https://elevate.example.com/link/TOKEN", 10 * time.Minute, nil
}

func (c *counter) Finish(_ context.Context, who Who, word string) (access.Person, error) {
	c.said = append(c.said, "finished "+who.Account+" "+word)
	if word != "7kq4-m2xp" {
		return access.Person{}, &access.Refusal{Kind: access.ErrNotAllowed, Code: "wrong_word", Text: "That is not the word. Type `/elevate link WORD`."}
	}
	return access.Person{ID: "zoe", Name: "Zoe Quist"}, nil
}

func (c *counter) Confirm(_ context.Context, by access.Actor, person access.PersonID) (access.Link, error) {
	c.said = append(c.said, fmt.Sprintf("%s confirmed %s", by.Person, person))
	return access.Link{Chat: "slack", Account: "U0ZOE", Person: person}, nil
}

func (c *counter) Remove(_ context.Context, by access.Actor, person access.PersonID) ([]access.Link, error) {
	c.said = append(c.said, fmt.Sprintf("%s removed %s", by.Person, person))
	return []access.Link{{Chat: "slack", Account: "U0ZOE", Person: person}}, nil
}

func TestLinkingIsForAccountsOfNobody(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	c := &counter{}
	b.cfg.Linking = c
	stranger := Who{Chat: "slack", Account: "U0NOBODY"}
	golden(t, "link_invited", asText(*b.Command(t.Context(), stranger, "link").Card))
	if c.said[0] != "invited U0NOBODY" {
		t.Errorf("%q", c.said)
	}
	golden(t, "link_unknown", asText(*b.Command(t.Context(), stranger, "mine").Card))
	golden(t, "link_done", asText(*b.Command(t.Context(), stranger, "link 7kq4-m2xp").Card))
	golden(t, "link_wrong_word", asText(*b.Command(t.Context(), stranger, "link abcd-efgh").Card))
	if !b.Command(t.Context(), stranger, "link").Card.Once {
		t.Error("the card with the link may be kept")
	}
	for _, words := range []string{"link confirm zoe", "link remove zoe", "link remove"} { // by somebody whom nobody knows
		if card := b.Command(t.Context(), stranger, words).Card; card.Name != "unknown" {
			t.Errorf("%s: %s", words, asText(*card))
		}
	}
	if got := strings.Join(c.said, ", "); strings.Contains(got, "confirmed") || strings.Contains(got, "removed") {
		t.Errorf("done: %s", got)
	}
	if card := b.Command(t.Context(), theAna, "link remove").Card; !strings.Contains(asText(*card), "Removed: Slack account U0ZOE") {
		t.Errorf("%s", asText(*card))
	}
	b.Command(t.Context(), theAna, "link confirm zoe")
	if got := strings.Join(c.said, ", "); !strings.HasSuffix(got, "ana removed ana, ana confirmed zoe") {
		t.Errorf("done: %s", got)
	}
}

func TestASuspendedAccountIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	b.cfg.Directory = suspended{b.cfg.Directory}
	var away []string
	b.cfg.TurnedAway = func(_ context.Context, _ access.Actor, code string) { away = append(away, code) }
	card := b.Command(t.Context(), theAna, "mine").Card
	if text := asText(*card); !strings.Contains(text, "because its name changed") || len(away) != 1 || away[0] != "link_suspended" {
		t.Errorf("%q, turned away: %q", text, away)
	}
	if card := b.Click(t.Context(), theAna, Click{Action: ActApprove, Request: "07kq4-m2xp9"}).Card; !strings.Contains(asText(*card), "because its name changed") {
		t.Errorf("a click is answered %s", asText(*card))
	}
}

type suspended struct{ workflows.Directory }

func (suspended) ByAccount(context.Context, string, string) (access.Person, error) {
	return access.Person{}, &access.Refusal{Kind: access.ErrNotAllowed, Code: "link_suspended", Text: "This account counts as Ana's no more, because its name changed."}
}

// TestPeopleAreToldOfTheirLinks: the person of every change, and the administrators where somebody must look.
func TestPeopleAreToldOfTheirLinks(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	b.cfg.Administrators = func(ctx context.Context) ([]access.Person, error) {
		return []access.Person{{ID: "bob", Name: "Bob Stone"}, {ID: "ana", Name: "Ana Lima"}}, nil
	}
	link := access.Link{Chat: "slack", Account: "U0ANA", Person: "ana", Kind: access.LinkEmail, Why: "the account's name changed", Confirmed: "bob"}
	for kind, want := range map[string]int{audit.Linked: 1, audit.LinkSuspended: 2, audit.LinkConfirmed: 1, audit.Unlinked: 1, "something new": 0} {
		body, err := json.Marshal(workflows.LinkChange{Kind: kind, Link: link})
		if err != nil {
			t.Fatal(err)
		}
		messages, err := b.planLink(t.Context(), "web", workflows.Note{Kind: workflows.NoteLink, Actor: access.Actor{Person: "bob"}, Body: body})
		if err != nil || len(messages) != want {
			t.Errorf("%s: %d messages, %v", kind, len(messages), err)
		}
		for i, m := range messages {
			if m.To.Person != []access.PersonID{"ana", "bob"}[i] {
				t.Errorf("%s: message %d is for %s", kind, i, m.To.Person)
			}
			golden(t, m.Card.Name, asText(m.Card))
		}
	}
	if _, err := b.planLink(t.Context(), "slack", workflows.Note{Body: []byte("no JSON")}); err == nil {
		t.Error("a note that cannot be read is told")
	}
}

// TestALinkAlarmIsToldEachTimeItIsRaised: its topic is the same each time, and what was told of it before is remembered.
func TestALinkAlarmIsToldEachTimeItIsRaised(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		workflows.LinkDoubted: lines("post told-link_doubted @ana", "post told-link_doubted @bob"),
		workflows.LinksLost:   "post told-links_lost @bob",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRound(t)
			r.bot.cfg.Administrators = func(context.Context) ([]access.Person, error) { return []access.Person{{ID: "bob"}}, nil }
			change := workflows.LinkChange{Kind: kind}
			if kind == workflows.LinkDoubted {
				change.Link = access.Link{Chat: "slack", Account: "U0ANA", Person: "ana"}
			}
			body, err := json.Marshal(change)
			if err != nil {
				t.Fatal(err)
			}
			r.during(t, func() {
				for n := range 2 {
					note := workflows.Note{Kind: workflows.NoteLink, At: noon.Add(time.Duration(n) * time.Hour), Body: body}
					if _, err := r.queue.Enqueue(t.Context(), []string{"web"}, "link/alarm", fmt.Sprint(n), note); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Minute)
				}
			}, r.courier(t))
			if got := r.wall.told(); got != lines(want, want) {
				t.Errorf("%s: told\n%s\nwant twice\n%s", kind, got, want)
			}
		})
	}
}
