package slack

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"elevate/bot"
)

// submission answers a form in the acknowledgement, which is the only way to show errors beside its inputs. The bot
// writes nothing but the store meanwhile.
//
// Two keys keep a form from being sent off twice: one for this delivery of it, and one for this version of the view,
// which is spent once it was accepted. (A person whose connection was lost presses the button again, and that is another
// delivery; a form that is opened later in the same dialog is another version.)
func (s *Slack) submission(ctx context.Context, p submission) reply {
	form, id, ok := formOf(p.View)
	if !ok {
		s.log.Debug("left alone", "what", "view "+bot.Cut(p.View.Callback, 40))
		return reply{}
	}
	if !s.accounts.ours(p.team(), p.enterprise(), p.User.Team) {
		return s.problem(p.View, s.foreign(ctx, p.User.ID))
	}
	sub := bot.Filled(form, id, p.View.values())
	filled := sub.Values // without the code: another one is another delivery by its trigger
	spent := actKey("spent", p.User.ID, p.View.ID, p.View.Hash)
	delivery := []string{"form", p.User.ID, p.View.ID, p.View.Hash, p.Trigger}
	for _, name := range slices.Sorted(maps.Keys(filled)) {
		delivery = append(delivery, name, filled[name])
	}
	if before, ok, err := s.spent(ctx, spent); err != nil || ok {
		return s.orSorry(p.View, before, err)
	}
	r, err := s.first(ctx, actKey(delivery...), func() reply {
		if says := s.refusalSoon(ctx, p.User.ID); says != "" {
			return s.problem(p.View, says)
		}
		a := s.cfg.Bot.Submit(ctx, who(p.User.ID), sub)
		r := s.result(ctx, p.View, a)
		if len(a.Errors) == 0 && a.Form == nil {
			s.remember(ctx, spent, r)
			s.publish(p.User.ID)
		}
		return r
	})
	return s.orSorry(p.View, r, err)
}

func (s *Slack) orSorry(v view, r reply, err error) reply {
	switch {
	case errors.Is(err, errPending):
		return s.problem(v, saysPending)
	case err != nil:
		return s.problem(v, bot.SaysStore)
	}
	return r
}

// result is an answer to a form as Slack takes it.
func (s *Slack) result(ctx context.Context, v view, a bot.Answer) reply {
	switch {
	case len(a.Errors) > 0:
		return s.problems(v, a.Errors)
	case a.Form != nil:
		return inPlace(s.render.form(ctx, *a.Form))
	case a.Card != nil:
		r := inPlace(s.render.modal(ctx, *a.Card))
		r.card = a.Card
		if a.Card.Once {
			r.again = ptr(inPlace(s.render.modal(ctx, sentence(bot.SaysOnce))))
		}
		return r
	}
	return reply{} // closes the form
}

// spent gives the answer that a view got when it was accepted.
func (s *Slack) spent(ctx context.Context, key string) (reply, bool, error) {
	stored, _, err := s.cfg.Store.Once(ctx, key, pending, rememberedFor)
	if err != nil {
		s.log.Error("the store did not answer", "op", "once", "err", err)
		return reply{}, false, err
	}
	var before remembered
	if err := json.Unmarshal(stored, &before); err != nil {
		return reply{}, false, errPending
	}
	return reply{body: before.Body}, before.Done, nil
}

// refresh asks for a form again after an input changed that others depend on. The view's hash keeps a slow answer from
// overwriting a newer one.
func (s *Slack) refresh(a action, sub bot.Submission) {
	at := a.place(s.now())
	s.afterwards(func(ctx context.Context) error {
		if says := s.refusal(ctx, a.User.ID); says != "" {
			return s.tell(ctx, at, says)
		}
		answer := s.cfg.Bot.Refresh(ctx, who(a.User.ID), sub)
		if answer.Form == nil {
			return s.show(ctx, at, answer)
		}
		err := s.updateView(ctx, a.View.ID, a.View.Hash, s.render.form(ctx, *answer.Form))
		if apiCode(err) == "hash_conflict" {
			return nil
		}
		return err
	})
}
