package bot

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// opened is a form within the limits.
func opened(f Form) Answer {
	intro := make([]Part, 0, len(f.Intro))
	for _, p := range f.Intro {
		if p = fitPart(p); p != nil {
			intro = append(intro, p)
		}
	}
	f.Intro = intro
	return Answer{Form: &f}
}

// openDeny opens the form for the reason of a denial, for somebody who may deny now.
func (b *Bot) openDeny(ctx context.Context, p access.Person, id access.RequestID) (Answer, error) {
	r, err := b.cfg.Service.Request(ctx, p.ID, id)
	if err != nil {
		return Answer{}, err
	}
	may := b.cfg.Service.Allowed(ctx, p.ID, r)
	if !may.Decide {
		if r.State != access.Pending {
			return b.private("stale", b.look(ctx, r).already()), nil
		}
		if may.Why == nil {
			return b.private("refused", "The policy decides this request by itself; there is nothing to deny."), nil
		}
		return Answer{}, may.Why
	}
	v := b.look(ctx, r)
	f := denyForm(id, v.called(r.Requester))
	f.Intro = []Part{v.asks(), Quote{clip(literal(r.Justification), 600)}}
	return opened(f), nil
}

func denyForm(id access.RequestID, requester string) Form {
	return Form{Name: FormDeny, Title: "Deny request", Submit: "Deny", Request: id,
		Inputs: []Input{{Name: "reason", Kind: Area, Label: "Why not?", MinLength: 1, MaxLength: 500,
			Hint: clip("Sent to "+requester+" and kept in the audit log.", 150)}}}
}

func extendForm(id access.RequestID, inputs ...Input) Form {
	return Form{Name: FormExtend, Title: "Extend access", Submit: "Extend", Request: id, Inputs: inputs}
}

// openExtend opens the form for how much longer a grant is to last.
func (b *Bot) openExtend(ctx context.Context, p access.Person, id access.RequestID) (Answer, error) {
	r, err := b.cfg.Service.Request(ctx, p.ID, id)
	if err != nil {
		return Answer{}, err
	}
	v := b.look(ctx, r)
	if r.State != access.Active || r.Ending(b.now()) {
		return b.private("stale", "Only active access can be extended. ", v.statusSpans()), nil
	}
	o, err := b.cfg.Service.Offer(ctx, r.Person, r.Role.ID)
	if err != nil {
		return Answer{}, err
	}
	in := Input{Name: "duration", Kind: Choice, Label: "How much longer?", Hint: "Counted from its end as it is now."}
	room := b.cfg.Service.Allowed(ctx, p.ID, r).Room.Truncate(time.Second) // which durations are written in
	for _, l := range ladder(0, min(o.Max, room), room) {
		in.Options = append(in.Options, Option{Value: typed(l), Label: howLong(l)})
	}
	if len(in.Options) == 0 {
		return b.private("refused", "The policy leaves no time to extend this by."), nil
	}
	in.Initial = &in.Options[0]
	intro, inputs := []Part{Text{Spans: say(v.roleSpans(), " ends ", When(r.EndsAt, DateTime), ".")}}, []Input{in}
	switch r.StepUp.Stricter(o.StepUp).Request {
	case access.TOTP:
		inputs = append(inputs, codeInput())
	case access.WebAuthn:
		intro = append(intro, keyNeeded())
	}
	f := extendForm(id, inputs...)
	f.Intro = intro
	return opened(f), nil
}

// Submit answers a form that was sent off. An answer with Errors leaves the form open.
func (b *Bot) Submit(ctx context.Context, who Who, s Submission) Answer {
	p, err := b.identify(ctx, who)
	switch {
	case errors.Is(err, access.ErrUnavailable):
		return b.keptOpen(err, who, s.Form)
	case err != nil:
		return Answer{Card: b.unidentified(err, who)}
	}
	var answer Answer
	field := "duration"
	switch s.Form {
	case FormRequest:
		return b.submitRequest(ctx, who, p, s)
	case FormDeny:
		field = "reason"
		answer, err = b.deny(ctx, who, p, s)
	case FormExtend:
		answer, err = b.submitExtend(ctx, who, p, s)
	case FormApprove:
		answer, err = b.submitApprove(ctx, who, p, s)
	case FormReplace, FormRemove, FormConfirm, FormReset:
		answer, err = b.submitFactor(ctx, who, p, s)
	default:
		return b.private("refused", "This form belongs to another version of Elevate. Open it again with ", Mono("/elevate"), ".")
	}
	answer, err = b.orKey(ctx, who, p, s, answer, err)
	switch {
	case err == nil:
		return answer
	case errors.Is(err, access.ErrInvalid):
		if fields := fieldsOf(err); fields[InputCode] != "" {
			return Answer{Errors: fields}
		}
		return Answer{Errors: map[string]string{field: Unmarked(b.excuse(err, who, string(s.Form)))}}
	case unsure(err):
		return b.keptOpen(err, who, s.Form)
	}
	return b.refused(ctx, who, p, s.Request, err, string(s.Form))
}

// keptOpen answers a form that could not be decided on just now, so that nobody fills it in twice.
func (b *Bot) keptOpen(err error, who Who, form FormName) Answer {
	field := map[FormName]string{FormRequest: "role", FormDeny: "reason", FormExtend: "duration"}[form]
	return Answer{Errors: map[string]string{cmp.Or(field, InputCode): Unmarked(b.excuse(err, who, string(form)))}}
}

// submitRequest keeps the form open whatever goes wrong, so that nobody types their reason twice.
func (b *Bot) submitRequest(ctx context.Context, who Who, p access.Person, s Submission) Answer {
	d, wrong := drafted(s)
	if wrong != nil {
		return Answer{Errors: wrong}
	}
	d.code = s.Code
	answer, err := b.submit(ctx, who, p, d)
	answer, err = b.orKey(ctx, who, p, s, answer, err)
	if err == nil {
		return answer
	}
	problems := fieldsOf(err)
	var one *access.Refusal
	if problems == nil {
		problems = map[string]string{"role": Unmarked(b.excuse(err, who, "request"))}
		if errors.As(err, &one) && (one.Field == "duration" || one.Field == "justification" || one.Field == "ticket") {
			problems = map[string]string{one.Field: problems["role"]}
		}
	}
	return Answer{Errors: shownAt(problems, s.Values)}
}

// shownAt moves problems with inputs that the form does not have to one that it has.
func shownAt(problems, values map[string]string) map[string]string {
	shown := map[string]string{}
	for _, field := range []string{"role", "duration", "justification", "ticket", "start", "for", "reason", InputCode, ""} {
		text, ok := problems[field]
		if !ok {
			continue
		}
		if _, asked := values[field]; !asked {
			field = "role"
		}
		shown[field] = strings.TrimSpace(shown[field] + " " + text)
	}
	return shown
}

// drafted reads the request form; wrong says what is missing, by input.
func drafted(s Submission) (d draft, wrong map[string]string) {
	d = draft{role: access.RoleID(s.Values["role"]), justification: s.Values["justification"], ticket: s.Values["ticket"]}
	wrong = map[string]string{}
	if d.role == "" {
		wrong["role"] = "Choose a role."
	}
	if text := strings.TrimSpace(s.Values["duration"]); text != "" {
		length, ok := ParseDuration(text)
		if !ok {
			wrong["duration"] = "Write a length of time like 30m, 1h30m or 2 hours."
			d.durationText = clip(oneLine(text), 40)
		}
		d.duration = length
	}
	if policy.CleanText(d.justification) == "" {
		wrong["justification"] = "Say why you need it; the approver and the audit log see it."
	}
	if len(wrong) == 0 {
		return d, nil
	}
	return d, wrong
}

// Refresh is the form as it should be after an input marked Refresh changed, with what was filled in so far.
func (b *Bot) Refresh(ctx context.Context, who Who, s Submission) Answer {
	p, sorry := b.person(ctx, who)
	if sorry != nil {
		return Answer{Card: sorry}
	}
	switch s.Form {
	case FormRequest:
	case FormApprove, FormReplace, FormRemove, FormConfirm, FormReset:
		return b.codeAgain(ctx, who, p, s)
	default:
		return b.private("refused", "This form belongs to another version of Elevate. Open it again with ", Mono("/elevate"), ".")
	}
	d, _ := drafted(s)
	answer, err := b.openRequest(ctx, p, d)
	if err != nil {
		return b.sorry(err, who, "refresh")
	}
	return answer
}

// Bare is the form of a submission as far as it is known without asking anybody, for chats in which a form is gone once it was
// sent: what was written must not be lost where nobody can be asked.
func Bare(s Submission) *Form {
	switch s.Form {
	case FormRequest:
		d, _ := drafted(s)
		return requestForm(workflows.Offer{}, d).Form
	case FormDeny:
		f := denyForm(s.Request, "the requester")
		return &f
	case FormExtend:
		f := extendForm(s.Request, Input{Name: "duration", Kind: Line, Label: "How much longer?", MaxLength: 40, Hint: "Such as 30m, 1h30m or 2 hours."})
		return &f
	case FormApprove:
		f := approveForm(s.Request)
		return &f
	}
	f := factorForm(s.Form, access.PersonID(simple(s.Values["for"])), simple(s.Values["for"]), s.Values["word"])
	return &f
}

func (b *Bot) deny(ctx context.Context, who Who, p access.Person, s Submission) (Answer, error) {
	reason := policy.CleanText(s.Values["reason"])
	if reason == "" {
		return Answer{}, &access.Refusal{Kind: access.ErrInvalid, Code: "no_reason", Field: "reason", Text: "Say why not; the requester sees it."}
	}
	if _, err := b.cfg.Service.Decide(ctx, who.actor(p), s.Request, workflows.Decision{Verdict: access.Deny, Reason: reason}); err != nil {
		return Answer{}, err
	}
	return b.private("done", "Request ", Mono(string(s.Request)), " is denied. No access was granted."), nil
}

func (b *Bot) submitExtend(ctx context.Context, who Who, p access.Person, s Submission) (Answer, error) {
	more, ok := ParseDuration(s.Values["duration"])
	if !ok {
		return Answer{}, &access.Refusal{Kind: access.ErrInvalid, Code: "bad_duration", Field: "duration", Text: "Write a length of time like 30m, 1h30m or 2 hours."}
	}
	return b.extend(ctx, who, p, s.Request, more, s.Code)
}
