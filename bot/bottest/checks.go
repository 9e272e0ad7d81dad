package bottest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/bot"
)

// Hostile is text that means something to chats, and to a reader's eye.
const Hostile = "*bold* _italic_ ~gone~ `code` **strong** [x](https://evil.example) <https://evil.example|approved> <!channel> @here " +
	"&amp; & < > <b>b</b> :tada: 🧑‍🚒 שלום \"quoted\" \\ # heading"

func commandArrives(s *suite) {
	words := "roles " + Hostile
	s.do("type", s.Type(Ana, words))
	s.heard(fmt.Sprintf("typed %q", words))
	s.onlyTold(Ana, Ben, "You typed "+words)
}

func everyPartIsShown(s *suite) {
	at := time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)
	shown := s.post(bot.Card{Name: "all", Title: "A title", Summary: "What a notification says.", Parts: []bot.Part{
		bot.Text{Spans: []bot.Span{bot.Say("plain words, "), bot.Strong("strong words, "), bot.Mono("code"), bot.Say(", "), {Person: Ana, Name: "Ana Lima"}}},
		bot.Text{Spans: []bot.Span{bot.Say("calling "), {Person: Ben, Name: "Ben Stone", Mention: true}, bot.Say(" at "), bot.When(at, bot.DateTime)}},
		bot.Text{Spans: []bot.Span{bot.Say("open "), bot.Link("a page", "https://elevate.example.com/link/1")}},
		bot.Facts{Rows: []bot.Fact{{Label: "Ticket", Value: []bot.Span{bot.Say("INC-1")}}, {Label: "Risk", Value: []bot.Span{bot.Strong("high")}}}},
		bot.Quote{Text: "somebody's words\non two lines"},
		bot.Heading{Text: "A heading"}, bot.Divider{},
		bot.Item{Spans: []bot.Span{bot.Say("a line")}, Buttons: []bot.Button{{Action: bot.ActDetails, Request: Request, Label: "Look"}}},
		bot.Item{Spans: []bot.Span{bot.Say("another")}, Buttons: []bot.Button{{Action: bot.ActEnd, Request: Request, Label: "End"}, {Action: bot.ActExtend, Request: Request, Label: "Extend"}}},
		bot.Buttons{Buttons: []bot.Button{{Action: bot.ActAgain, Request: Request, Label: "Again"}}},
		bot.Text{Small: true, Spans: []bot.Span{bot.Say("fine print")}},
	}})
	for _, want := range []string{
		"A title", "plain words, ", "strong words, ", "code", "Ana Lima", "calling ", "Ticket", "INC-1", "Risk", "high",
		"open ", "a page", "somebody's words", "on two lines", "A heading", "a line", "another", "fine print",
	} {
		if !strings.Contains(shown.Text, want) {
			s.Errorf("not shown: %q; shown is %q", want, shown.Text)
		}
	}
	if want := []string{"Look", "End", "Extend", "Again"}; !slices.Equal(shown.Buttons, want) {
		s.Errorf("the buttons are %q, want %q", shown.Buttons, want)
	}
	if shown.Notice != "What a notification says." {
		s.Errorf("a notification says %q", shown.Notice)
	}
}

func wordsToTheLetter(s *suite) {
	card := RequestCard(Hostile + "\n" + Hostile)
	card.Parts = append(card.Parts, bot.Text{Spans: []bot.Span{bot.Say("Role " + Hostile)}},
		bot.Facts{Rows: []bot.Fact{{Label: "Ticket", Value: []bot.Span{bot.Say("T " + Hostile)}}}},
		bot.Item{Spans: []bot.Span{bot.Say("Item " + Hostile)}, Buttons: []bot.Button{{Action: bot.ActDetails, Request: Request, Label: "Look"}}},
		bot.Text{Small: true, Spans: []bot.Span{bot.Say("Small " + Hostile)}})
	shown := s.post(card)
	for _, want := range []string{Hostile + "\n" + Hostile, "Role " + Hostile, "T " + Hostile, "Item " + Hostile, "Small " + Hostile} {
		if !strings.Contains(shown.Text, want) {
			s.Errorf("not shown to the letter: %q in %q", want, shown.Text)
		}
	}
}

func longCardKeepsButtons(s *suite) {
	card := RequestCard(strings.Repeat("🧯", 2000))
	for i := range 100 {
		card.Parts = append(card.Parts, bot.Item{Spans: []bot.Span{bot.Say(fmt.Sprintf("line %d %s", i, strings.Repeat("x", 150)))}})
	}
	card.Parts = append(card.Parts, bot.Buttons{Buttons: []bot.Button{{Action: bot.ActEnd, Request: Request, Label: "End now"}}})
	shown := s.post(card)
	for _, label := range []string{"Approve", "Deny…", "End now"} {
		if !slices.Contains(shown.Buttons, label) {
			s.Errorf("the button %q is gone", label)
		}
	}
}

func messageIsReplaced(s *suite) {
	first := s.post(RequestCard("because"))
	thread, err := s.Chat().Post(s.Context(), bot.Address{Channel: s.Channel(), Thread: first.Ref}, *Says("An answer."))
	if err != nil || thread == first.Ref {
		s.Fatalf("answer in the thread: %q, %v", thread, err)
	}
	second := s.post(*Says("Another message."))
	s.do("update", s.Chat().Update(s.Context(), first.Ref, *Says("It is decided.")))
	seen := func(ref string) Shown {
		for _, m := range s.Posted() {
			if m.Ref == ref {
				return m
			}
		}
		return Shown{}
	}
	s.await("the update", func() bool { return strings.Contains(seen(first.Ref).Text, "It is decided.") })
	if m := seen(first.Ref); len(m.Buttons) > 0 || strings.Contains(m.Text, "because") || m.Notice != "It is decided." {
		s.Errorf("something of the earlier version is left: %+v", m)
	}
	if m := seen(thread); m.Thread != first.Ref || !strings.Contains(m.Text, "An answer.") {
		s.Errorf("the answer is %+v, want it below %s", m, first.Ref)
	}
	if m := seen(second.Ref); m.Thread != "" || !strings.Contains(m.Text, "Another message.") {
		s.Errorf("another message became %+v", m)
	}
	if n := len(s.Posted()); n != 3 {
		s.Errorf("%d messages, want 3", n)
	}
}

func personalReachesOne(s *suite) {
	_, err := s.Chat().Post(s.Context(), bot.Address{Person: Ana}, *Says("For Ana's eyes."))
	s.do("post", err)
	reads := func(person string) bool {
		return slices.ContainsFunc(s.Personal(person), func(m Shown) bool { return strings.Contains(m.Text, "For Ana's eyes.") })
	}
	s.await("Ana reads it", func() bool { return reads(Ana) })
	if reads(Ben) {
		s.Errorf("Ben reads it too")
	}
	if n := len(s.Posted()); n != 0 {
		s.Errorf("%d messages in the channel", n)
	}
}

func clickCarries(s *suite) {
	s.post(*Says("Another message."))
	m := s.post(RequestCard("because"))
	s.do("press", s.Press(Ben, m, "Approve"))
	s.heard(fmt.Sprintf("clicked %s %s on %s", bot.ActApprove, Request, m.Ref))
	s.onlyTold(Ben, Ana, "You clicked approve")
	s.do("press", s.Press(Ben, m, "Details"))
	s.heard(fmt.Sprintf("clicked %s %s on %s", bot.ActDetails, Request, m.Ref))
	s.onlyTold(Ben, Ana, "You clicked details")
}

func twiceIsOnce(s *suite) {
	m := s.post(RequestCard("because"))
	what := fmt.Sprintf("clicked %s %s on %s", bot.ActApprove, Request, m.Ref)
	s.do("press", s.Press(Ben, m, "Approve"))
	s.heard(what)
	s.do("deliver again", s.Redeliver())
	s.onlyTold(Ben, Ana, "You clicked approve")
	s.do("type", s.Type(Ana, "prod-db-admin 1h because"))
	s.heard(`typed "prod-db-admin 1h because"`)
	s.do("deliver again", s.Redeliver())
	s.onlyTold(Ana, Ben, "You typed prod-db-admin")
	for _, what := range []string{what, `typed "prod-db-admin 1h because"`} {
		if n := s.talk.count(what); n != 1 {
			s.Errorf("%s: done %d times", what, n)
		}
	}
	s.do("press again", s.Press(Ben, m, "Approve"))
	s.await("a second click is another", func() bool { return s.talk.count(what) == 2 })
}

func formConversation(s *suite) {
	s.talk.OnCommand = func(string) bot.Answer { return bot.Answer{Form: RequestForm("")} }
	s.talk.OnRefresh = func(sub bot.Submission) bot.Answer { return bot.Answer{Form: RequestForm(sub.Values["role"])} }
	s.talk.OnSuggest = func(_, typed string) []bot.Option {
		return []bot.Option{{Value: "prod-db-admin", Label: "Production database admin", Detail: typed}}
	}
	s.talk.OnSubmit = func(sub bot.Submission) bot.Answer {
		if sub.Values["ticket"] != "INC-4711" {
			return bot.Answer{Errors: map[string]string{"ticket": "Tickets look like INC-4711."}}
		}
		return bot.Answer{Card: Says("You sent it.")}
	}
	s.do("type", s.Type(Ana, ""))
	s.await("the form", func() bool { return s.Form(Ana) != nil })
	if f := s.Form(Ana); f.Title != "Request access" || !slices.Equal(f.Inputs, []string{"role", "duration", "justification"}) {
		s.Errorf("the form is %+v", f)
	}
	found, err := s.Search(Ana, "role", "prod")
	if err != nil || !slices.Equal(found, []string{"prod-db-admin"}) {
		s.Errorf("found %q, %v", found, err)
	}
	s.heard(`searched role for "prod"`)
	s.do("fill", s.Fill(Ana, "justification", Hostile))
	s.do("fill", s.Fill(Ana, "role", "prod-db-admin"))
	s.await("the form asks for a ticket", func() bool { f := s.Form(Ana); return f != nil && slices.Contains(f.Inputs, "ticket") })
	if got := s.Form(Ana).Values["justification"]; got != Hostile {
		s.Errorf("what was filled in became %q", got)
	}
	s.do("fill", s.Fill(Ana, "duration", "2h"))
	s.do("fill", s.Fill(Ana, "ticket", "INC"))
	s.do("send", s.Send(Ana))
	s.await("the complaint", func() bool { f := s.Form(Ana); return f != nil && f.Errors["ticket"] == "Tickets look like INC-4711." })
	s.do("fill", s.Fill(Ana, "ticket", "INC-4711"))
	s.do("send", s.Send(Ana))
	values := map[string]string{"role": "prod-db-admin", "duration": "2h", "justification": Hostile, "ticket": "INC-4711"}
	s.heard(fmt.Sprintf("submitted request  %v", values))
	s.onlyTold(Ana, Ben, "You sent it.")
	if s.Form(Ana) != nil {
		s.Errorf("the form is still open")
	}
}

func buttonOpensForm(s *suite) {
	s.talk.OnClick = func(bot.Click) bot.Answer { return bot.Answer{Form: DenyForm()} }
	m := s.post(RequestCard("because"))
	s.do("press", s.Press(Ben, m, "Deny…"))
	s.await("the form", func() bool { return s.Form(Ben) != nil })
	if f := s.Form(Ben); f.Title != "Deny request" || !strings.Contains(f.Text, "because of *this*") {
		s.Errorf("the form is %+v", f)
	}
	if s.Form(Ana) != nil {
		s.Errorf("the form opened for somebody else too")
	}
	s.do("fill", s.Fill(Ben, "reason", "not now"))
	s.do("send", s.Send(Ben))
	s.heard(fmt.Sprintf("submitted deny %s map[reason:not now]", Request))
	s.onlyTold(Ben, Ana, "You sent deny")
}

func ownPage(s *suite) {
	s.do("open", s.OpenHome(Ana))
	s.await("the page", func() bool { return s.Home(Ana) != nil })
	page := s.Home(Ana)
	if !strings.Contains(page.Text, "Welcome, ") || !slices.Equal(page.Buttons, []string{"Request access", "End now", "Details"}) {
		s.Errorf("the page is %+v", page)
	}
	if s.Home(Ben) != nil {
		s.Errorf("somebody else's page was shown too")
	}
	s.do("press", s.Press(Ana, *page, "End now"))
	s.heard(fmt.Sprintf("clicked %s %s on ", bot.ActEnd, Request))
	s.onlyTold(Ana, Ben, "You clicked end")
}

// failure is what a failed send must be.
func (s *suite) failure(what string, err error, final bool) {
	s.Helper()
	var failed *bot.ChatError
	switch {
	case err == nil:
		s.Errorf("%s: no error", what)
	case !errors.As(err, &failed):
		s.Errorf("%s: %T is no *bot.ChatError: %v", what, err, err)
	case failed.Final != final:
		s.Errorf("%s: final is %t, want %t: %v", what, failed.Final, final, err)
	}
}

func nobodyIsFinal(s *suite) {
	_, err := s.Chat().Post(s.Context(), bot.Address{Person: Nobody}, *Says("Is anybody there?"))
	s.failure("a message to nobody", err, true)
}

func unknownRefIsFinal(s *suite) {
	s.failure("an update of no message", s.Chat().Update(s.Context(), "", *Says("x")), true)
}

func downIsNotFinal(s *suite) {
	m := s.post(RequestCard("because"))
	s.Break(true)
	_, err := s.Chat().Post(s.Context(), bot.Address{Channel: s.Channel()}, *Says("x"))
	s.failure("a message while the chat is down", err, false)
	s.failure("an update while the chat is down", s.Chat().Update(s.Context(), m.Ref, *Says("x")), false)
	s.Break(false)
	s.do("update after it came back", s.Chat().Update(s.Context(), m.Ref, *Says("It is decided.")))
}
