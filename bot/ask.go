package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// draft is a request as far as somebody has filled it in.
type draft struct {
	role          access.RoleID
	duration      time.Duration
	durationText  string // where what was typed is no duration
	justification string
	ticket        string
	code          access.Secret
	note          []Span // said on top of the form: what is missing or wrong
}

// values are those that the form would have.
func (d draft) values() map[string]string {
	v := map[string]string{"role": string(d.role), "justification": d.justification, "ticket": d.ticket}
	if d.duration > 0 {
		v["duration"] = typed(d.duration)
	}
	return v
}

// keyNeeded says what comes after a form.
func keyNeeded() Part {
	return Text{Small: true, Spans: say("This takes your security key: a page opens for it when you have sent this.")}
}

// sameAsk is how long an equal request, still open, is taken for the same one delivered twice.
const sameAsk = 5 * time.Minute

// typedRequest submits a request typed in one line, or opens the form filled in where something is missing or wrong.
func (b *Bot) typedRequest(ctx context.Context, who Who, p access.Person, c command) (Answer, error) {
	d := draft{role: access.RoleID(c.role), duration: c.duration, justification: c.text}
	o, err := b.cfg.Service.Offer(ctx, p.ID, d.role)
	if notFound(err) {
		return b.unknownRole(ctx, p, c)
	}
	if err != nil {
		return Answer{}, err
	}
	if !o.Eligible {
		return b.private("refused", "You may not request ", roleSpans(o.Role), ". ", Mono("/elevate roles"), " lists the roles that you may request."), nil
	}
	d.ticket, d.justification = splitTicket(o.TicketPattern, c.text)
	if c.timed && c.duration <= 0 {
		d.note = say("A request needs some time: write it like ", Mono("30m"), " or ", Mono("2h"), ".")
		return requestForm(o, d), nil
	}
	if d.justification == "" {
		d.note = say("Say why you need it, and send.")
		return requestForm(o, d), nil
	}
	answer, err := b.submit(ctx, who, p, d)
	answer, err = b.orKey(ctx, who, p, Submission{Form: FormRequest, Values: d.values()}, answer, err)
	if problems := fieldsOf(err); problems != nil {
		for _, f := range slices.Sorted(maps.Keys(problems)) {
			d.note = append(d.note, Say(problems[f]+" "))
		}
		return requestForm(o, d), nil
	}
	return answer, err
}

// unknownRole answers a first word that is neither a command nor a role.
func (b *Bot) unknownRole(ctx context.Context, p access.Person, c command) (Answer, error) {
	name := clip(c.role, 100)
	if id, err := access.ParseID(c.role); err == nil {
		if answer, err := b.details(ctx, p, id); err == nil {
			return answer, nil
		}
	}
	near, err := b.nearest(ctx, p.ID, name)
	if err != nil {
		return Answer{}, err
	}
	var meant []Span
	for _, id := range near {
		meant = append(meant, Mono(string(id)))
	}
	if c.text == "" && !c.timed { // perhaps a command
		for _, v := range typedVerbs {
			if distance(name, string(v)) <= 1+len(v)/5 {
				meant = append(meant, Mono("/elevate "+string(v)))
			}
		}
		if len(meant) == 0 {
			return b.private("refused", "There is no role or command “", quotedRole(name), "”. ", Mono("/elevate roles"), " finds roles, ", Mono("/elevate help"), " lists commands."), nil
		}
		return b.private("refused", "There is no role or command “", quotedRole(name), "”. Did you mean ", or(meant), "?"), nil
	}
	note := say("There is no role “", quotedRole(name), "”. Choose one.")
	if len(meant) > 0 {
		note = say("There is no role “", quotedRole(name), "”. Did you mean ", or(meant), "?")
	}
	return b.openRequest(ctx, p, draft{duration: c.duration, justification: c.text, note: note})
}

// or joins spans as alternatives.
func or(items []Span) []Span {
	var out []Span
	for i, s := range items {
		if i > 0 {
			out = append(out, Say(" or "))
		}
		out = append(out, s)
	}
	return out
}

// splitTicket takes the ticket off the front of a justification, where the policy asks for one and the first word is
// one. A ticket further back is found too, and stays in its sentence.
func splitTicket(pattern, text string) (ticket, rest string) {
	if pattern == "" {
		return "", text
	}
	re, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil { // the policy was checked at start
		return "", text
	}
	first, rest := word(text)
	if t := strings.TrimRight(first, ":,;."); re.MatchString(t) {
		return t, strings.TrimLeft(rest, "-–—: ")
	}
	for _, w := range strings.FieldsFunc(text, blank) {
		if t := strings.Trim(w, ":,;.()[]"); re.MatchString(t) {
			return t, text
		}
	}
	return "", text
}

// submit asks for a role and says what happens next.
func (b *Bot) submit(ctx context.Context, who Who, p access.Person, d draft) (Answer, error) {
	r, err := b.sent(ctx, p, d)
	if err != nil {
		return Answer{}, err
	}
	if r == nil {
		r, err = b.cfg.Service.Submit(ctx, who.actor(p), workflows.Ask{Role: d.role, Duration: d.duration, Justification: d.justification, Ticket: d.ticket, Proof: d.code})
		if err != nil {
			return Answer{}, err
		}
	}
	v := b.look(ctx, r)
	c := Card{Name: "sent", Title: "Request sent", Summary: v.asksPlain()}
	c.Parts = []Part{v.asks()}
	switch {
	case r.Auto:
		c.Parts = append(c.Parts, Text{Spans: say("The policy approves it by itself. You are told when it is ready.")})
	case v.unknown != nil || len(v.approvers) == 0:
		c.Parts = append(c.Parts, Text{Spans: say("You are told when it is decided.")})
	default:
		c.Parts = append(c.Parts, Text{Spans: say(listed(v.approverSpans(false), namedApprovers), " can approve it, until ", When(r.DecideBy, Clock), ". You are told when it is decided.")})
	}
	if !v.besides.IsZero() && r.Person == p.ID {
		c.Parts = append(c.Parts, Text{Spans: heldBesides(v.besides)})
	}
	c.Parts = append(c.Parts, Buttons{append(v.ownButtons(b.cfg.Service.Allowed(ctx, p.ID, r)), v.detailsButton())}, v.foot())
	return Answer{Card: ptr(fit(c))}, nil
}

// sent finds the request that this one repeats: a delivery that was handled before its handler could say so.
func (b *Bot) sent(ctx context.Context, p access.Person, d draft) (*access.Record, error) {
	open, _, err := b.cfg.Service.Requests(ctx, p.ID, workflows.Query{Open: true, Person: p.ID, Role: d.role, Since: b.now().Add(-sameAsk), Limit: 20})
	if err != nil {
		return nil, err
	}
	for _, r := range open {
		if r.Requester == p.ID && (d.duration == 0 || r.Duration == d.duration) && r.Ticket == policy.CleanText(d.ticket) && r.Justification == policy.CleanText(d.justification) {
			return r, nil
		}
	}
	return nil, nil
}

// fieldsOf are the problems of a submission by input; nil where the error is not about its inputs.
func fieldsOf(err error) map[string]string {
	var many access.Problems
	var one *access.Refusal
	switch {
	case errors.As(err, &many):
	case errors.As(err, &one) && errors.Is(one, access.ErrInvalid):
		many = access.Problems{one}
	default:
		return nil
	}
	fields := map[string]string{}
	for _, r := range many {
		fields[r.Field] = strings.TrimSpace(fields[r.Field] + " " + Unmarked(r.Text))
	}
	return fields
}

// openRequest opens the request form; for a draft with a role, as its policy asks.
func (b *Bot) openRequest(ctx context.Context, p access.Person, d draft) (Answer, error) {
	if d.role == "" {
		return requestForm(workflows.Offer{}, d), nil
	}
	o, err := b.cfg.Service.Offer(ctx, p.ID, d.role)
	if notFound(err) {
		d.note = say("The role ", Mono(quotedRole(string(d.role))), " is no longer in the catalogue. Choose another.")
		d.role = ""
		return requestForm(workflows.Offer{}, d), nil
	}
	if err != nil {
		return Answer{}, err
	}
	return requestForm(o, d), nil
}

// openAgain opens the form filled in like an earlier request. It asks for oneself, whoever that one was for.
func (b *Bot) openAgain(ctx context.Context, p access.Person, id access.RequestID) (Answer, error) {
	r, err := b.cfg.Service.Request(ctx, p.ID, id)
	if err != nil {
		return Answer{}, err
	}
	return b.openRequest(ctx, p, draft{role: r.Role.ID, duration: r.Duration, justification: r.Justification, ticket: r.Ticket})
}

// requestForm is the form for an offer; the zero offer where no role is chosen yet.
func requestForm(o workflows.Offer, d draft) Answer {
	f := Form{Name: FormRequest, Title: "Request access", Submit: "Send request"}
	if len(d.note) > 0 {
		f.Intro = append(f.Intro, Text{Spans: d.note})
	}
	role := Input{Name: "role", Kind: Search, Label: "Role", Hint: "Type part of its name.", Refresh: true}
	known := o.Role.ID != ""
	if known {
		option := roleOption(o.Role)
		role.Initial = &option
		f.Intro = append(f.Intro, offerIntro(o))
		if !o.HeldBesides.IsZero() {
			f.Intro = append(f.Intro, Text{Spans: say("⚠️ ", heldBesides(o.HeldBesides))})
		}
	}
	f.Inputs = append(f.Inputs, role, durationInput(o, d), justificationInput(o, d))
	if o.TicketPattern != "" {
		f.Inputs = append(f.Inputs, Input{Name: "ticket", Kind: Line, Label: "Ticket", Text: clip(oneLine(d.ticket), 200), MaxLength: 200,
			Hint: clip("Must match "+strings.TrimSuffix(strings.TrimPrefix(o.TicketPattern, "^"), "$")+".", 150)})
	}
	switch o.StepUp.Request {
	case access.TOTP:
		f.Inputs = append(f.Inputs, codeInput())
	case access.WebAuthn:
		f.Intro = append(f.Intro, keyNeeded())
	}
	return opened(f)
}

// offerIntro says what a request for the role leads to.
func offerIntro(o workflows.Offer) Part {
	if !o.Eligible {
		return Text{Spans: say("You may not request ", roleSpans(o.Role), ". Choose another role.")}
	}
	needs := "Needs " + approvals(o.Stages) + ". "
	if len(o.Stages) == 0 {
		needs = "The policy decides by itself. "
	}
	spans := say(needs + "At the end: " + atTheEnd(o.Capabilities))
	if d := oneLine(o.Role.Description); d != "" {
		spans = say(clip(d, 300), " ", spans)
	}
	return Text{Spans: spans, Small: true}
}

// heldBesides tells somebody that a request would give them nothing new.
func heldBesides(seen time.Time) []Span {
	return say("You held this role already when Elevate last looked at the target, ", When(seen, DateTime),
		", by other means. You ", Strong("will still have it"), " after the end: Elevate does not take away what it did not give.")
}

func durationInput(o workflows.Offer, d draft) Input {
	in := Input{Name: "duration", Label: "For how long?"}
	if o.Max <= 0 {
		in.Kind, in.Optional, in.MaxLength = Line, true, 40
		in.Hint = "Such as 30m, 1h30m or 2 hours. Left empty: what is usual for the role."
		in.Text = d.durationText
		if in.Text == "" && d.duration > 0 {
			in.Text = typed(d.duration)
		}
		return in
	}
	in.Kind, in.Hint = Choice, fmt.Sprintf("The policy allows up to %s. It counts from the moment the access is active.", howLong(o.Max))
	wanted := o.Default
	if d.duration >= max(o.Capabilities.MinDuration, 1) && d.duration <= o.Max {
		wanted = d.duration
	}
	lengths := ladder(o.Capabilities.MinDuration, o.Max, o.Default, wanted)
	for _, l := range lengths {
		in.Options = append(in.Options, Option{Value: typed(l), Label: howLong(l)})
		if l == wanted {
			in.Initial = &in.Options[len(in.Options)-1]
		}
	}
	return in
}

// rungs are the lengths of time that forms offer.
var rungs = []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 48 * time.Hour, 72 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 30 * 24 * time.Hour}

// ladder lists at most ten lengths between least and most: the ones that must be there, and rungs between them, the
// short ones first to stay.
func ladder(least, most time.Duration, must ...time.Duration) []time.Duration {
	const steps = 10
	var out []time.Duration
	add := func(d time.Duration) {
		if d > 0 && d >= least && d <= most && len(out) < steps && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	for _, d := range must {
		add(d)
	}
	add(most)
	for _, d := range rungs {
		add(d)
	}
	slices.Sort(out)
	return out
}

func justificationInput(o workflows.Offer, d draft) Input {
	in := Input{Name: "justification", Kind: Area, Label: "Why do you need it?", Hint: "Shown to the approver and kept in the audit log.",
		MinLength: max(o.MinLength, 1), MaxLength: 2000}
	if o.MaxLength > 0 {
		in.MaxLength = min(o.MaxLength, 3000)
	}
	in.MinLength = min(in.MinLength, in.MaxLength)
	in.Text = clip(literal(d.justification), in.MaxLength)
	return in
}

// Suggest lists at most 100 options for a Search input: roles that the person may request.
func (b *Bot) Suggest(ctx context.Context, who Who, input, typed string) []Option {
	p, sorry := b.person(ctx, who)
	if sorry != nil || input != "role" {
		return nil
	}
	offers, err := b.cfg.Service.Offers(ctx, p.ID, clip(typed, 200), 100)
	if err != nil {
		b.log.Error("roles could not be suggested", "person", p.ID, "err", err)
		return nil
	}
	var options []Option
	for _, o := range offers {
		if o.Eligible {
			options = append(options, roleOption(o.Role))
		}
	}
	return options
}

// roleOption is a role to choose: its id is the value, and must be short enough to be one.
func roleOption(r access.Role) Option {
	title := oneLine(r.DisplayTitle())
	o := Option{Value: string(r.ID), Label: clip(title, maxOption)}
	if title != string(r.ID) {
		o.Detail = clip(string(r.ID), maxOption)
	}
	return o
}
