package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// Factors are people's second factors, as factor offers them; *factor.Factors is the one implementation.
type Factors interface {
	Keys
	HasKeys() bool
	Status(ctx context.Context, p access.PersonID) (factor.Status, error)
	Begin(ctx context.Context, by access.Actor, proof access.Secret) (link access.Secret, err error)
	Name(ctx context.Context, by access.Actor, word string) (set bool, err error)
	Remove(ctx context.Context, by access.Actor, which string, proof access.Secret) error
	Confirm(ctx context.Context, by access.Actor, whose access.PersonID, word string, proof access.Secret) error
	Reset(ctx context.Context, by access.Actor, whose access.PersonID, proof access.Secret) (gone bool, err error)
}

// codeInput asks for a code.
func codeInput() Input {
	return Input{Name: InputCode, Kind: Code, Label: "Code of your authenticator app", MinLength: 6, MaxLength: 7,
		Hint: "The six digits that it shows for Elevate now. Each code counts once."}
}

// openApprove opens the form for the code that an approval takes, with all that it approves.
func (b *Bot) openApprove(ctx context.Context, p access.Person, id access.RequestID) (Answer, error) {
	r, err := b.cfg.Service.Request(ctx, p.ID, id)
	if err != nil {
		return Answer{}, err
	}
	v := b.look(ctx, r)
	f := approveForm(id)
	f.Intro = []Part{v.asks(), Quote{clip(literal(r.Justification), 600)}}
	return opened(f), nil
}

func approveForm(id access.RequestID) Form {
	return Form{Name: FormApprove, Title: "Approve request", Submit: "Approve", Request: id, Inputs: []Input{codeInput()}}
}

func (b *Bot) submitApprove(ctx context.Context, who Who, p access.Person, s Submission) (Answer, error) {
	r, err := b.cfg.Service.Decide(ctx, who.actor(p), s.Request, workflows.Decision{Verdict: access.Approve, Proof: s.Code})
	if err != nil {
		return Answer{}, err
	}
	v := b.look(ctx, r)
	return b.private("done", "You approved. ", v.statusSpans()), nil
}

// The words after /elevate mfa. Any other one is the word of a page.
const (
	mfaNew     = "new"
	mfaReplace = "replace"
	mfaRemove  = "remove"
	mfaConfirm = "confirm"
	mfaReset   = "reset"
)

// mfa answers /elevate mfa.
func (b *Bot) mfa(ctx context.Context, who Who, p access.Person, text string) (Answer, error) {
	if b.cfg.Factors == nil {
		return b.private("missing", "Second factors are not set up here, and no role asks for one. ", Mono("/elevate help"), " lists what there is."), nil
	}
	first, rest := word(text)
	switch verb := simple(first); verb {
	case "":
		return b.factorStatus(ctx, who, p)
	case mfaNew:
		return b.withCode(ctx, who, p, FormReplace, "", "")
	case mfaReplace, mfaRemove:
		which, _ := word(rest)
		return b.withCode(ctx, who, p, FormName("mfa-"+verb), access.PersonID(simple(which)), "")
	case mfaConfirm, mfaReset:
		whose, shown := word(rest)
		if whose = simple(whose); whose == "" {
			return b.private("refused", "Whose? Write their id, as in ", Mono("/elevate mfa "+verb+" ana"), "."), nil
		}
		return b.withCode(ctx, who, p, FormName("mfa-"+verb), access.PersonID(whose), simple(shown))
	}
	if _, ok := factor.Word(text); !ok {
		return b.private("refused", "That is no word of a page, and no code is ever typed here. ", Mono("/elevate mfa"), " shows how you stand."), nil
	}
	set, err := b.cfg.Factors.Name(ctx, who.actor(p), text)
	switch {
	case err != nil:
		return Answer{}, err
	case set:
		return b.private("done", "Your second factor counts from now on."), nil
	}
	return b.private("done", "That is the word. Now an administrator has to say that it is you: they were told, and type ",
		Mono("/elevate mfa confirm "+string(p.ID)), ". Keep the word until then: they may ask you for it. You are told when it counts."), nil
}

// factorStatus says how somebody stands, and begins where there is nothing yet.
func (b *Bot) factorStatus(ctx context.Context, who Who, p access.Person) (Answer, error) {
	s, err := b.cfg.Factors.Status(ctx, p.ID)
	if err != nil {
		return Answer{}, err
	}
	var lines [][]Span
	if !s.Since.IsZero() {
		lines = append(lines, appStatus(p.ID, s))
	}
	for _, k := range s.Keys {
		lines = append(lines, keyStatus(k))
	}
	switch {
	case s.Step == factor.Named:
		lines = append(lines, say("It waits for an administrator to say that it is yours: they type ", Mono("/elevate mfa confirm "+string(p.ID)), ". ",
			Mono("/elevate mfa new"), " begins again."))
	case len(lines) == 0:
		return b.withCode(ctx, who, p, FormReplace, "", "")
	}
	c := Card{Name: "mfa", Title: "Your second factor", Summary: plainly(lines[0], b.cfg.Location)}
	for _, line := range lines {
		c.Parts = append(c.Parts, Text{Spans: line})
	}
	if len(lines) > 0 && (!s.Since.IsZero() || len(s.Keys) > 0) {
		c.Parts = append(c.Parts, b.factorCommands(p.ID, s)...)
	}
	return Answer{Card: ptr(fit(c))}, nil
}

// appStatus says how somebody stands with their app.
func appStatus(p access.PersonID, s factor.Status) []Span {
	switch {
	case s.Disabled:
		return say("⚠️ It is switched off after too many wrong codes. Two administrators can reset it: each types ", Mono("/elevate mfa reset "+string(p)), ".")
	case !s.LockedUntil.IsZero():
		return say("⚠️ It is locked after too many wrong codes, until ", When(s.LockedUntil, Clock), ". If they were not yours, tell an administrator now.")
	}
	return say("You have one, since ", When(s.Since, Date), ". Where a role asks for it, forms ask for a code of your authenticator app.")
}

// keyStatus says how somebody stands with a security key.
func keyStatus(k factor.KeyStatus) []Span {
	line := say("Security key ", Mono(k.Name))
	if k.Label != "" {
		line = say(line, " “", k.Label, "”")
	}
	if k.Suspended {
		return say("⚠️ ", line, " is switched off: it counted backwards, as a copy of it would. Tell an administrator.")
	}
	return say(line, ", since ", When(k.Since, Date), ".")
}

// factorCommands are what somebody can type who has a second factor.
func (b *Bot) factorCommands(p access.PersonID, s factor.Status) []Part {
	if len(s.Keys) == 0 && !b.cfg.Factors.HasKeys() {
		return []Part{
			Item{Spans: say(Mono("/elevate mfa replace"), " – a new phone; takes a code of the old one")},
			Item{Spans: say(Mono("/elevate mfa remove"), " – take it away; takes a code")},
			Item{Spans: say(Mono("/elevate mfa reset "+string(p)), " – lost it: two administrators type this")},
		}
	}
	which := factor.App
	if len(s.Keys) > 0 {
		which = s.Keys[0].Name
	}
	return []Part{
		Item{Spans: say(Mono("/elevate mfa new"), " – one more security key, or another app in the place of yours")},
		Item{Spans: say(Mono("/elevate mfa remove "+which), " – take one away")},
		Item{Spans: say(Mono("/elevate mfa reset "+string(p)), " – lost it: two administrators type this, and all of it goes")},
	}
}

// withCode does what a form of /elevate mfa does, where it takes no code, or else opens the form. shown is the word of a page,
// where an administrator typed one.
func (b *Bot) withCode(ctx context.Context, who Who, p access.Person, form FormName, whose access.PersonID, shown string) (Answer, error) {
	answer, err := b.changeFactor(ctx, who, p, form, whose, shown, access.Secret{})
	answer, err = b.orKey(ctx, who, p, Submission{Form: form, Values: map[string]string{"for": string(whose), "word": shown}}, answer, err)
	if !access.AsksProof(err) {
		return answer, err
	}
	return opened(factorForm(form, whose, b.name(ctx, whose), shown)), nil
}

// factorForm is a form of /elevate mfa that takes a code; whose is a person, name what they are called, and shown the word
// of their page.
func factorForm(form FormName, whose access.PersonID, name, shown string) Form {
	f := Form{Name: form, Inputs: []Input{codeInput()}}
	subject := Input{Name: "for", Kind: Line, Label: "Whose", Text: clip(string(whose), 127), MinLength: 1, MaxLength: 127, Hint: "The id of the person."}
	switch form {
	case FormReplace:
		f.Title, f.Submit = "A new second factor", "Go on"
		f.Intro = []Part{Text{Spans: say("The old one counts until the new one does. Prove it with one of its codes.")}}
	case FormRemove:
		f.Title, f.Submit = "Remove second factor", "Remove"
		f.Intro = []Part{Text{Spans: say("Without one, you cannot do what asks for it.")}}
	case FormConfirm:
		f.Title, f.Submit, f.Inputs = "Confirm second factor", "Confirm", []Input{subject, codeInput()}
		if shown != "" {
			f.Inputs = slices.Insert(f.Inputs, 1, Input{Name: "word", Kind: Line, Label: "Word of their page", Text: clip(shown, 40), MinLength: 1, MaxLength: 40, Hint: "As they told you."})
		}
		f.Intro = []Part{Text{Spans: say("Speak to ", Strong(name), " first, face to face or on a call: whoever took over their chat account could have set this up. Confirm only what they told you themselves. The code is your own: it proves that it is you who confirms.")}}
	case FormReset:
		f.Title, f.Submit, f.Inputs = "Reset second factor", "Reset", []Input{subject, codeInput()}
		f.Intro = []Part{Text{Spans: say("Speak to ", Strong(name), " first, face to face or on a call. Their second factor is taken away when two administrators have asked for it within an hour.")}}
	}
	return f
}

func (b *Bot) submitFactor(ctx context.Context, who Who, p access.Person, s Submission) (Answer, error) {
	return b.changeFactor(ctx, who, p, s.Form, access.PersonID(simple(s.Values["for"])), s.Values["word"], s.Code)
}

// changeFactor does what a form of /elevate mfa says; whose is a person, or which of one's own factors, and shown the
// word of that person's page.
func (b *Bot) changeFactor(ctx context.Context, who Who, p access.Person, form FormName, whose access.PersonID, shown string, code access.Secret) (Answer, error) {
	if b.cfg.Factors == nil {
		return Answer{}, errors.New("a form about second factors, and there are none here")
	}
	by := who.actor(p)
	switch form {
	case FormReplace:
		link, err := b.cfg.Factors.Begin(ctx, by, code)
		if err != nil {
			return Answer{}, err
		}
		return Answer{Card: ptr(linkCard(link, b.cfg.Factors.HasKeys()))}, nil
	case FormRemove:
		if err := b.cfg.Factors.Remove(ctx, by, string(whose), code); err != nil {
			return Answer{}, err
		}
		return b.private("done", "That second factor is gone. ", Mono("/elevate mfa"), " shows what you have, or sets up another."), nil
	case FormConfirm:
		if err := b.cfg.Factors.Confirm(ctx, by, whose, shown, code); err != nil {
			return Answer{}, err
		}
		return b.private("done", "The second factor of ", Strong(b.name(ctx, whose)), " counts from now on. They are told."), nil
	}
	gone, err := b.cfg.Factors.Reset(ctx, by, whose, code)
	switch {
	case err != nil:
		return Answer{}, err
	case gone:
		return b.private("done", "The second factor of ", Strong(b.name(ctx, whose)), " is gone. They set up another with ", Mono("/elevate mfa"), "."), nil
	}
	return b.private("done", "Noted. A second administrator has to type ", Mono("/elevate mfa reset "+string(whose)), " within an hour."), nil
}

// linkCard leads to the page that sets a factor up.
func linkCard(link access.Secret, keys bool) Card {
	with := "codes of an authenticator app on your phone"
	if keys {
		with += ", or a security key or passkey"
	}
	return fit(Card{
		Name: "mfa-link", Title: "Set up your second factor", Summary: "Open the page, set up " + with + ", and come back with the word that it shows.", Once: true,
		Parts: []Part{
			Text{Spans: say("It proves that it is you, also to somebody who got into your chat account: ", with, ".")},
			Text{Spans: say("Open the page and do what it says. It shows a word then: come back and type ", Mono("/elevate mfa WORD"), ".")},
			Buttons{[]Button{{Label: "Open the page", Style: Primary, Link: link, Speak: "Open the page that sets up your second factor"}}},
			Text{Small: true, Spans: say("The link is for you alone, for ten minutes and for one visit. Do not pass it on.")},
		},
	})
}

// codeAgain opens a form that takes a code once more, after a wrong one.
func (b *Bot) codeAgain(ctx context.Context, who Who, p access.Person, s Submission) Answer {
	var answer Answer
	var err error
	if s.Form == FormApprove {
		answer, err = b.approve(ctx, who, p, s.Request, true)
	} else {
		answer, err = b.withCode(ctx, who, p, s.Form, access.PersonID(simple(s.Values["for"])), s.Values["word"])
	}
	if err != nil {
		return b.refused(ctx, who, p, s.Request, err, string(s.Form))
	}
	return answer
}

// staleFactor is how late news of a second factor may come.
const staleFactor = 24 * time.Hour

// planFactor lists the messages about what happened to a second factor: to its owner, and to the administrators where
// they have to do or to suspect something.
func (b *Bot) planFactor(ctx context.Context, chat string, n workflows.Note) ([]Message, error) {
	notice, err := readNotice(n)
	if err != nil || b.now().Sub(n.At) > staleFactor {
		return nil, err
	}
	var messages []Message
	add := func(to access.PersonID, c Card, ok bool) {
		if ok {
			messages = append(messages, Message{Name: fmt.Sprintf("factor/%s/%d/%s", notice.Event, n.At.UnixMilli(), to), To: Address{Person: to}, Card: c})
		}
	}
	card, ok := b.ownFactorCard(ctx, notice)
	add(notice.Person, card, ok)
	administrators, err := b.administrators(ctx, chat)
	if err != nil {
		return nil, err
	}
	for _, a := range administrators {
		if a.ID != notice.Person {
			card, ok := b.otherFactorCard(ctx, notice)
			add(a.ID, card, ok)
		}
	}
	return messages, nil
}
