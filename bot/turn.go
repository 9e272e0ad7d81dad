package bot

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

func (w Who) actor(p access.Person) access.Actor {
	return access.Actor{Person: p.ID, Via: w.Chat, Account: w.Account, Address: w.Address}
}

// CardUnsure is the name of answers that refuse nothing: it could not be found out, or not be done, just now.
const CardUnsure = "unsure"

// sorry answers an error: the sentences of a refusal, and for anything else a reference under which the log has more.
func (b *Bot) sorry(err error, who Who, doing string) Answer {
	excuse, name := b.excuse(err, who, doing), "refused"
	if unsure(err) {
		name = CardUnsure
	}
	return Answer{Card: ptr(fit(Card{Name: name, Summary: Unmarked(excuse), Parts: []Part{Text{Spans: marked(excuse)}}}))}
}

// excuse is what a person is told of an error.
func (b *Bot) excuse(err error, who Who, doing string) string {
	var many access.Problems
	var one *access.Refusal
	switch {
	case errors.As(err, &many):
		return strings.ReplaceAll(many.Error(), "\n", " ")
	case errors.As(err, &one):
		if one.Err != nil {
			b.log.Warn("refused", "doing", doing, "code", one.Code, "chat", who.Chat, "account", who.Account, "err", one.Err)
		}
		return one.Text
	}
	var r [4]byte
	_, _ = rand.Read(r[:]) // never fails: crypto/rand ends the program instead
	ref := hex.EncodeToString(r[:])
	b.log.Error("something went wrong", "ref", ref, "doing", doing, "chat", who.Chat, "account", who.Account, "err", err)
	return fmt.Sprintf("Something went wrong (ref %s). Try again in a minute; if it goes on, give the ref to whoever looks after Elevate here.", ref)
}

// marked turns the backticks of a sentence of ours into code.
func marked(text string) []Span {
	var out []Span
	for i, piece := range strings.Split(text, "`") {
		if piece == "" {
			continue
		}
		if i%2 == 1 {
			out = append(out, Mono(piece))
		} else {
			out = append(out, Say(piece))
		}
	}
	return out
}

// Unmarked is a sentence of ours where no code can be shown.
func Unmarked(text string) string { return strings.ReplaceAll(text, "`", "") }

func refusalSpans(r *access.Refusal) []Span { return marked(r.Text) }

// private is a short answer for one person.
func (b *Bot) private(name string, spans ...any) Answer {
	line := say(spans...)
	return Answer{Card: ptr(fit(Card{Name: name, Summary: plainly(line, b.cfg.Location), Parts: []Part{Text{Spans: line}}}))}
}

func ptr(c Card) *Card { return &c }

// Command answers the words after /elevate.
func (b *Bot) Command(ctx context.Context, who Who, text string) Answer {
	c := parse(text)
	if c.verb == verbLink {
		return b.link(ctx, who, c.text)
	}
	p, sorry := b.person(ctx, who)
	if sorry != nil {
		return Answer{Card: sorry}
	}
	answer, err := b.command(ctx, who, p, c)
	if err != nil {
		return b.refused(ctx, who, p, c.id, err, string(c.verb))
	}
	return answer
}

func (b *Bot) command(ctx context.Context, who Who, p access.Person, c command) (Answer, error) {
	switch c.verb {
	case verbForm:
		return b.openRequest(ctx, p, draft{})
	case verbRequest:
		return b.typedRequest(ctx, who, p, c)
	case verbHelp:
		return Answer{Card: ptr(helpCard(who.Chat, b.cfg.Factors != nil, b.linking()))}, nil
	case verbMine:
		return b.mineAnswer(ctx, who, p, nil)
	case verbRoles:
		card, err := b.rolesCard(ctx, p, c.text)
		return Answer{Card: &card}, err
	case verbReview:
		return b.private("missing", "Reviews are not part of this version of Elevate. ", Mono("/elevate help"), " lists what is."), nil
	case verbMFA:
		return b.mfa(ctx, who, p, c.text)
	}
	if c.id == "" {
		return b.whichRequest(ctx, who, p, c)
	}
	return b.act(ctx, who, p, c)
}

// whichRequest asks for the id that a command needs, and shows what there is to choose from.
func (b *Bot) whichRequest(ctx context.Context, who Who, p access.Person, c command) (Answer, error) {
	if c.idText == "" {
		return b.mineAnswer(ctx, who, p, say("Which request? Write its id: ", Mono("/elevate "+string(c.verb)+" ID"), ", or use a button below."))
	}
	return b.mineAnswer(ctx, who, p, say("“", clip(c.idText, 40), "” is not the id of a request. Ids look like ", Mono("07kq4-m2xp9"), "; these are yours."))
}

func (b *Bot) mineAnswer(ctx context.Context, who Who, p access.Person, lead []Span) (Answer, error) {
	card, err := b.page(ctx, who, p, Card{Name: "mine", Title: "Your access"}, messageRoom, lead)
	return Answer{Card: &card}, err
}

// act does what a command with a request's id says.
func (b *Bot) act(ctx context.Context, who Who, p access.Person, c command) (Answer, error) {
	switch c.verb {
	case verbShow:
		return b.details(ctx, p, c.id)
	case verbEnd:
		return b.end(ctx, who, p, c.id, c.text)
	case verbCancel:
		return b.cancel(ctx, who, p, c.id)
	case verbExtend:
		if !c.timed || c.duration <= 0 {
			return b.openExtend(ctx, p, c.id)
		}
		answer, err := b.extend(ctx, who, p, c.id, c.duration, access.Secret{})
		answer, err = b.orKey(ctx, who, p, Submission{Form: FormExtend, Request: c.id, Values: map[string]string{"duration": typed(c.duration)}}, answer, err)
		if access.AsksProof(err) { // a code is never typed where others might read it
			return b.openExtend(ctx, p, c.id)
		}
		return answer, err
	}
	// Approve and deny are never done from a typed line: the buttons show what is being decided.
	card, may, err := b.detailed(ctx, p, c.id)
	if err != nil {
		return Answer{}, err
	}
	if may.Decide {
		card.Parts = append([]Part{Text{Spans: say("Decide with the buttons, which show what is decided.")}}, card.Parts...)
	}
	return Answer{Card: &card}, nil
}

// Click answers a button.
func (b *Bot) Click(ctx context.Context, who Who, c Click) Answer {
	p, sorry := b.person(ctx, who)
	if sorry != nil {
		return Answer{Card: sorry}
	}
	answer, err := b.click(ctx, who, p, c)
	if err != nil {
		return b.refused(ctx, who, p, c.Request, err, string(c.Action))
	}
	return answer
}

func (b *Bot) click(ctx context.Context, who Who, p access.Person, c Click) (Answer, error) {
	if c.Action == ActRequest {
		return b.openRequest(ctx, p, draft{})
	}
	id, err := access.ParseID(string(c.Request))
	if err != nil {
		return b.private("refused", "This button no longer works. Use ", Mono("/elevate mine"), " to find the request."), nil
	}
	switch c.Action {
	case ActApprove:
		return b.approve(ctx, who, p, id, c.Message != "")
	case ActDeny:
		return b.openDeny(ctx, p, id)
	case ActDetails:
		return b.details(ctx, p, id)
	case ActCancel:
		return b.cancel(ctx, who, p, id)
	case ActEnd:
		return b.end(ctx, who, p, id, "")
	case ActExtend:
		return b.openExtend(ctx, p, id)
	case ActAgain:
		return b.openAgain(ctx, p, id)
	}
	return b.private("refused", "This button belongs to another version of Elevate. Use ", Mono("/elevate show "+string(id)), " instead."), nil
}

// refused answers an error about a request. One that is settled already is told of by who settled it and when.
func (b *Bot) refused(ctx context.Context, who Who, p access.Person, id access.RequestID, err error, doing string) Answer {
	if errors.Is(err, access.ErrConflict) && id != "" {
		deciding := doing == string(ActApprove) || doing == string(ActDeny)
		r, loadErr := b.cfg.Service.Request(ctx, p.ID, id)
		if loadErr == nil && (r.State.Terminal() || deciding && r.State != access.Pending) {
			return b.private("stale", b.look(ctx, r).already())
		}
	}
	return b.sorry(err, who, doing)
}

// already says who settled a request, and when: the answer to a click that came too late.
func (v view) already() []Span {
	switch v.State {
	case access.Denied, access.Cancelled:
		return say("Already "+string(v.State), v.closedBy(), ". Nothing was changed.")
	case access.Lapsed:
		return say("This request lapsed", v.at(v.ClosedAt), ": ", v.lapsedWhy(), " ", v.who(v.Requester), " can ask again.")
	case access.Failed:
		return say("This request failed", v.at(v.ClosedAt), ": the target did not give the access. ", v.who(v.Requester), " can ask again.")
	case access.Ended:
		return say("This access has ended already. ", v.proof())
	case access.Deactivating:
		return say("This access is being taken away already.")
	}
	d := v.lastApproval()
	if d == nil {
		return say("This request is " + string(v.State) + " already.")
	}
	return say("Already approved by ", v.approver(d.By.Person), v.where(d.By), v.at(d.At), ". Nothing was changed.")
}

func (b *Bot) details(ctx context.Context, p access.Person, id access.RequestID) (Answer, error) {
	card, _, err := b.detailed(ctx, p, id)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Card: &card}, nil
}

// detailed is all that a person may see of a request, with what they may do to it.
func (b *Bot) detailed(ctx context.Context, p access.Person, id access.RequestID) (Card, workflows.May, error) {
	r, err := b.cfg.Service.Request(ctx, p.ID, id)
	if err != nil {
		return Card{}, workflows.May{}, err
	}
	may := b.cfg.Service.Allowed(ctx, p.ID, r)
	return b.look(ctx, r).detailsCard(may), may, nil
}

// View is the message of a request as one person sees it; nil where they may not see it. The excuse is for where that could
// not be found out.
func (b *Bot) View(ctx context.Context, who Who, id access.RequestID) (view *Card, excuse string) {
	p, err := b.identify(ctx, who)
	var r *access.Record
	if err == nil {
		r, err = b.cfg.Service.Request(ctx, p.ID, id)
	}
	var refused *access.Refusal
	switch {
	case err == nil:
		return ptr(b.look(ctx, r).requestCardFor(b.cfg.Service.Allowed(ctx, p.ID, r))), ""
	case errors.As(err, &refused) && unsure(err):
		return nil, Unmarked(b.excuse(err, who, "view"))
	case errors.As(err, &refused), notFound(err):
		b.log.Debug("a message could not be shown as one person sees it", "request_id", id, "person", p.ID, "err", err)
		return nil, ""
	}
	b.log.Error("the store did not answer", "op", "view", "request_id", id, "err", err)
	return nil, SaysStore
}

// approve says nothing to the approver where the message itself will show it.
func (b *Bot) approve(ctx context.Context, who Who, p access.Person, id access.RequestID, onMessage bool) (Answer, error) {
	r, err := b.cfg.Service.Decide(ctx, who.actor(p), id, workflows.Decision{Verdict: access.Approve})
	if access.AsksProof(err) {
		return b.openApprove(ctx, p, id)
	}
	if err != nil {
		return b.orKey(ctx, who, p, Submission{Form: FormApprove, Request: id}, Answer{}, err)
	}
	if onMessage {
		return Answer{}, nil
	}
	v := b.look(ctx, r)
	return b.private("done", "You approved. ", v.statusSpans()), nil
}

func (b *Bot) cancel(ctx context.Context, who Who, p access.Person, id access.RequestID) (Answer, error) {
	r, err := b.cfg.Service.Cancel(ctx, who.actor(p), id)
	if err != nil {
		return Answer{}, err
	}
	if r.State == access.Deactivating {
		return b.private("done", "The access was being set up, so it is being taken back. You are told when it is gone."), nil
	}
	return b.private("done", "Request ", Mono(string(id)), " is cancelled. No access was granted."), nil
}

func (b *Bot) end(ctx context.Context, who Who, p access.Person, id access.RequestID, reason string) (Answer, error) {
	r, err := b.cfg.Service.End(ctx, who.actor(p), id, reason)
	if err != nil {
		return Answer{}, err
	}
	if r.State == access.Cancelled {
		return b.private("done", "Request ", Mono(string(id)), " had not begun and is cancelled. No access was granted."), nil
	}
	return b.private("done", "The access is being taken away. You are told when the target was read back."), nil
}

func (b *Bot) extend(ctx context.Context, who Who, p access.Person, id access.RequestID, more time.Duration, code access.Secret) (Answer, error) {
	r, err := b.cfg.Service.Extend(ctx, who.actor(p), id, more, code)
	if err != nil {
		return Answer{}, err
	}
	return b.private("done", "Extended by "+howLong(more)+": it now lasts until ", When(r.EndsAt, DateTime), "."), nil
}

// calling is how people call the bot in a chat. Not every client of Teams knows slash commands.
func calling(chat string) string {
	if chat == "teams" {
		return "@Elevate"
	}
	return "/elevate"
}

// helpCard lists the commands, with those of second factors and of links where there are any.
func helpCard(chat string, factors, linking bool) Card {
	c := Card{Name: "help", Title: "Elevate", Summary: "How to get a role for a short time."}
	c.Parts = []Part{Text{Spans: say("Get a role for a short time: ask, somebody approves, and it is taken away by itself.")}}
	type line struct{ command, says string }
	lines := []line{
		{"", "open the form"},
		{" ROLE 1h why you need it", "ask at once; a ticket goes before the reason"},
		{" mine", "what you hold and what you asked for"},
		{" roles prod db", "find a role"},
		{" show ID", "everything about a request"},
		{" end ID", "give access back early"},
		{" extend ID 30m", "keep it longer, as far as policy allows"},
		{" cancel ID", "take a request back"},
	}
	if factors {
		lines = append(lines, line{" mfa", "your second factor"})
	}
	for _, l := range append(lines, line{" help", "this list"}) {
		c.Parts = append(c.Parts, Item{Spans: say(Mono(calling(chat)+l.command), " – ", l.says)})
	}
	if linking {
		c.Parts = append(c.Parts, Item{Spans: say(Mono(calling(chat)+" link"), " – show by signing in that this account is yours")})
	}
	if chat == "teams" {
		c.Parts = append(c.Parts, Text{Small: true, Spans: say("Where your Teams offers ", Mono("/elevate"), ", its answers are seen by you alone. In your chat with Elevate, leave ", Mono("@Elevate"), " out.")})
	}
	c.Parts = append(c.Parts, Text{Small: true, Spans: say("Times are written like 90m, 1h30m or 2 hours. Decisions are made with the buttons of the request's message.")}, requestButton())
	return fit(c)
}

// quotedRole is a role's name as somebody typed it.
func quotedRole(name string) string { return cmp.Or(clip(oneLine(name), 60), "that") }

// notFound tells an error that speaks of something that does not exist.
func notFound(err error) bool { return errors.Is(err, access.ErrNotFound) }
