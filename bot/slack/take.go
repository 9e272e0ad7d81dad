package slack

import (
	"context"
	"errors"
	"strings"

	"github.com/slack-go/slack"

	"elevate/bot"
)

const (
	saysPending = "Elevate got this before and is still at it. Look with /elevate mine before you try again."
	saysNoForm  = "Slack did not open the form in time. Try once more, or type the request: /elevate ROLE DURATION REASON."
	saysUnsure  = "Elevate could not record your click in time. If nothing changes here within a minute, click again."
)

// take answers one payload, whichever way it came, within the time that a person's answer may take. What is still
// under way then goes on; the person is told to look.
func (s *Slack) take(ctx context.Context, p payload) reply {
	if says, first := s.paced(p); says != "" {
		return s.tooMuch(ctx, p, says, first)
	}
	return bot.Within(ctx, s.tasks, urgent(p), s.cfg.AckWithin,
		func(ctx context.Context) reply { return s.answer(ctx, p) },
		func() reply { return s.busy(p) },
		func() reply {
			s.log.Warn("an answer took too long", "kind", p.kind())
			return s.sorry(p, bot.SaysLate)
		})
}

// paced counts what an account does.
func (s *Slack) paced(p payload) (says string, first bool) {
	account, look := doer(p)
	switch {
	case account == "":
		return "", false
	case look:
		return s.cfg.Pace.Look(account, s.now())
	case urgent(p):
		return s.cfg.Pace.Urgent(account, s.now())
	}
	return s.cfg.Pace.Act(account, s.now())
}

// doer is whose act a payload is, and whether it only shows something in passing.
func doer(p payload) (account string, look bool) {
	switch p := p.(type) {
	case command:
		return p.User, false
	case action:
		return p.User.ID, p.Actions[0].Type != "button"
	case submission:
		return p.User.ID, false
	case shortcut:
		return p.User.ID, false
	case suggestion:
		return p.User.ID, true
	case homeOpened:
		return p.User, true
	}
	return "", false
}

// urgent tells whether a payload decides, takes back or ends.
func urgent(p payload) bool {
	switch p := p.(type) {
	case command:
		return bot.UrgentWords(p.Text)
	case action:
		name, ok := actionOf(p.Actions[0].Action)
		return ok && name.Urgent()
	case submission:
		form, _, ok := formOf(p.View)
		return ok && form.Urgent()
	}
	return false
}

// tooMuch refuses what an account does too fast. The first refusal is put on record, and told also where the
// acknowledgement says nothing.
func (s *Slack) tooMuch(ctx context.Context, p payload, says string, first bool) reply {
	if first {
		who, _ := doer(p)
		s.cfg.TurnedAway(ctx, who, "too_many_acts")
		if a, ok := p.(action); ok && a.Actions[0].Type == "button" {
			at := a.place(s.now())
			s.afterwards(func(ctx context.Context) error { return s.tell(ctx, at, says) })
		}
	}
	return s.sorry(p, says)
}

func (s *Slack) answer(ctx context.Context, p payload) reply {
	switch p := p.(type) {
	case command:
		return s.command(ctx, p)
	case action:
		return s.action(ctx, p)
	case submission:
		return s.submission(ctx, p)
	case suggestion:
		return s.suggestion(ctx, p)
	case shortcut:
		return s.shortcut(ctx, p)
	case homeOpened:
		if s.accounts.ours(p.Team, p.Enterprise, "") {
			publish := func() { s.publish(p.User) } // without the mark too: it says what the matter is
			s.aside(ctx, actKey("event", p.User, p.ID), publish, publish)
		}
	case challenge:
		return reply{text: p.Text}
	case unknown:
		s.log.Debug("left alone", "what", p.What)
	}
	return reply{}
}

// busy refuses what there is no room for. The acknowledgement of a button says nothing, so whoever pressed it is told
// besides.
func (s *Slack) busy(p payload) reply {
	if a, ok := p.(action); ok && a.Actions[0].Type == "button" {
		at := a.place(s.now())
		s.afterwards(func(ctx context.Context) error { return s.tell(ctx, at, bot.SaysBusy) })
	}
	return s.sorry(p, bot.SaysBusy)
}

// sorry is an answer that says why there is none.
func (s *Slack) sorry(p payload, says string) reply {
	switch p := p.(type) {
	case command:
		return private(s.render.plainly(says))
	case submission:
		if _, _, ours := formOf(p.View); ours {
			return s.problem(p.View, says)
		}
	case suggestion:
		return found(nil)
	}
	return reply{}
}

// command answers words after the slash command: in the acknowledgement, or with a form that opens after it.
func (s *Slack) command(ctx context.Context, c command) reply {
	if c.Command != s.cfg.Command {
		return reply{}
	}
	if !s.accounts.ours(c.Team, c.Enterprise, "") {
		return private(s.foreign(ctx, c.User))
	}
	r, err := s.first(ctx, actKey("command", c.User, c.Trigger, c.Text), func() reply { return s.obey(ctx, c) })
	switch {
	case errors.Is(err, errPending):
		return private(s.render.plainly(saysPending))
	case err != nil:
		return private(bot.SaysStore)
	}
	return r
}

func (s *Slack) obey(ctx context.Context, c command) reply {
	at := place{User: c.User, ResponseURL: c.ResponseURL, Trigger: c.Trigger, At: s.now()}
	switch says := s.refusalSoon(ctx, c.User); {
	case says == saysUnreachable && s.afterwards(func(ctx context.Context) error { return s.obeyLater(ctx, at, c.Text) }):
		return reply{}
	case says != "":
		return private(says)
	}
	a := s.cfg.Bot.Command(ctx, who(c.User), c.Text)
	switch {
	case a.Form != nil:
		s.afterwards(func(ctx context.Context) error { return s.show(ctx, at, a) })
	case a.Card != nil:
		r := jsonReply(s.whisper(ctx, *a.Card))
		if a.Card.Once {
			r.again = ptr(private(bot.SaysOnce))
		}
		return r
	}
	return reply{}
}

// obeyLater is obey where Slack did not say in time who typed: nobody is to type their line again for that.
func (s *Slack) obeyLater(ctx context.Context, at place, words string) error {
	if says := s.refusalLater(ctx, at.User); says != "" {
		return s.tell(ctx, at, says)
	}
	return s.show(ctx, at, s.cfg.Bot.Command(ctx, who(at.User), words))
}

func ptr(r reply) *reply { return &r }

// action answers a button or an input that dispatches.
func (s *Slack) action(ctx context.Context, a action) reply {
	act := a.Actions[0]
	at := a.place(s.now())
	ours := s.accounts.ours(a.team(), a.enterprise(), a.User.Team)
	if form, id, ok := formOf(a.View); ok && strings.HasPrefix(act.Block, inputPrefix) {
		if ours {
			s.refresh(a, bot.Filled(form, id, a.View.values()))
		}
		return reply{}
	}
	name, ok := actionOf(act.Action)
	if !ok {
		s.log.Debug("left alone", "what", "action "+bot.Cut(act.Action, 40))
		return reply{}
	}
	if !ours {
		s.afterwards(func(ctx context.Context) error { return s.tell(ctx, at, s.foreign(ctx, a.User.ID)) })
		return reply{}
	}
	id, ok := requestOf(act.Value)
	if !ok {
		s.log.Warn("a button carries no request id", "action", string(name), "account", a.User.ID)
		return reply{}
	}
	c := clicked{Click: bot.Click{Action: name, Request: id, Message: at.ref()}, Place: at}
	if opens(name) {
		s.aside(ctx, actKey("click", a.User.ID, act.TS, act.Action, act.Value, a.Trigger), func() {
			s.afterwards(func(ctx context.Context) error { return s.click(ctx, c) })
		}, func() { s.tellStore(at) })
		return reply{}
	}
	s.record(ctx, c, actKey("click", a.User.ID, act.TS, act.Action, act.Value))
	return reply{}
}

// opens tells whether an action only shows something. All others change something, and are recorded first.
func opens(a bot.Action) bool {
	switch a {
	case bot.ActDeny, bot.ActDetails, bot.ActExtend, bot.ActRequest, bot.ActAgain:
		return true
	}
	return false
}

// shortcutRequest is the callback id of the manifest's global shortcut.
const shortcutRequest = "elevate_request"

func (s *Slack) shortcut(ctx context.Context, p shortcut) reply {
	if p.Callback != shortcutRequest {
		return reply{}
	}
	at := p.place(s.now())
	if !s.accounts.ours(p.team(), p.enterprise(), p.User.Team) {
		return reply{}
	}
	s.aside(ctx, actKey("shortcut", p.User.ID, p.ActionTS, p.Trigger), func() {
		c := clicked{Click: bot.Click{Action: bot.ActRequest}, Place: at}
		s.afterwards(func(ctx context.Context) error { return s.click(ctx, c) })
	}, func() { s.tellStore(at) })
	return reply{}
}

// tellStore tells a person that the store does not answer.
func (s *Slack) tellStore(at place) {
	s.afterwards(func(ctx context.Context) error { return s.tell(ctx, at, bot.SaysStore) })
}

// suggestion lists what a search finds. It changes nothing, so it may be asked again and again.
func (s *Slack) suggestion(ctx context.Context, p suggestion) reply {
	none := s.sorry(p, "")
	_, _, isForm := formOf(p.View)
	if !isForm || !s.accounts.ours(p.team(), p.enterprise(), p.User.Team) || s.refusalSoon(ctx, p.User.ID) != "" {
		return none
	}
	return found(options(s.cfg.Bot.Suggest(ctx, who(p.User.ID), p.Action, bot.Cut(p.Value, maxText))))
}

// found is the answer to a suggestion. slack-go's own leaves an empty list out, which Slack takes for a failure.
func found(all []*slack.OptionBlockObject) reply {
	if all == nil {
		all = []*slack.OptionBlockObject{}
	}
	return jsonReply(map[string]any{"options": all})
}

// refusalSoon is refusal for answers that a person waits for: it leaves time for the answer itself.
func (s *Slack) refusalSoon(ctx context.Context, user string) string {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.AckWithin*2/5)
	defer cancel()
	return s.refusal(ctx, user)
}
