package bot

import (
	"fmt"
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// namedApprovers is how many approvers a card names; mentionedAtFirst how few they must be to be called at once.
const (
	namedApprovers   = 5
	mentionedAtFirst = 5
	mentionedLater   = 10
)

// requestCard is the message of a request as everybody sees it.
func (v view) requestCard() Card {
	c := v.message(v.sharedButtons())
	c.Request, c.Viewers = v.ID, v.viewers()
	return c
}

// requestCardFor is the message of a request as one person sees it: with the buttons that are theirs.
func (v view) requestCardFor(may workflows.May) Card {
	c := v.message(append(v.ownButtons(may), v.detailsButton()))
	c.Request = v.ID
	return c
}

// viewers are those whose buttons are others than everybody's.
func (v view) viewers() []access.PersonID {
	if v.State.Terminal() {
		return nil
	}
	people := []access.PersonID{v.Requester, v.Person}
	for _, p := range v.approvers {
		people = append(people, p.ID)
	}
	slices.Sort(people)
	return slices.DeleteFunc(slices.Compact(people), func(p access.PersonID) bool { return p == access.System })
}

// message is true in every state: what is asked for, where it stands, who may decide.
func (v view) message(buttons []Button) Card {
	c := Card{
		Name:    "request",
		Title:   v.title("Access request "),
		Summary: v.asksPlain() + " " + v.plainly(v.statusSpans()),
		Parts:   []Part{v.status(), v.asks(), Quote{v.Justification}},
	}
	c.Parts = append(c.Parts, v.reasons()...)
	c.Parts = append(c.Parts, v.facts(true), Buttons{buttons}, v.foot())
	return fit(c)
}

// title names the record; what nobody asked for is no request.
func (v view) title(request string) string {
	if v.Found() {
		return "Access found " + string(v.ID)
	}
	return request + string(v.ID)
}

// reasons quotes why the request stands where it does, and what the target said.
func (v view) reasons() []Part {
	var parts []Part
	if why := v.why(); why != "" {
		lead := "The reason given:"
		if v.State == access.Failed {
			lead = "What went wrong:"
		}
		parts = append(parts, Text{Spans: say(lead)}, Quote{clip(why, 600)})
	}
	if trouble := v.trouble(); trouble != "" {
		parts = append(parts, Text{Spans: say("The target's last answer:")}, Quote{clip(trouble, 600)})
	}
	return parts
}

// facts are the labelled values of a request, those that decide first. Only the message that everybody sees calls
// approvers.
func (v view) facts(shared bool) Facts {
	var f Facts
	add := func(label string, value ...any) {
		if spans := say(value...); len(spans) > 0 {
			f.Rows = append(f.Rows, Fact{label, spans})
		}
	}
	add("Ticket", v.Ticket)
	add("Risk", oneLine(v.Role.Labels["risk"]))
	if v.State == access.Pending && !v.Auto {
		add("Can approve", v.canApprove(shared))
		add("Needed", v.needed())
		add("Decide by", When(v.DecideBy, DateTime))
		if !v.besides.IsZero() {
			add("Held already", v.who(v.Person), " holds it by other means, as seen ", When(v.besides, DateTime))
		}
	}
	for i, m := range v.Parts {
		label := "Gives"
		if i > 0 {
			label = "and"
		}
		add(label, v.partSpans(m))
	}
	if v.State == access.Active {
		add("Since", When(v.ActivatedAt, DateTime))
	}
	if n := len(v.Extensions); n > 0 {
		last := v.Extensions[n-1]
		add("Extended", count(n, "time"), ", last by ", v.who(last.By.Person), " for ", howLong(last.To.Sub(last.From)), " more")
	}
	if shared && v.target != nil && !v.State.Terminal() {
		add("At the end", atTheEnd(*v.target))
	}
	add("Labels", v.labels())
	return f
}

// partSpans are one role of a bundle, and where it stands once it has begun.
func (v view) partSpans(m access.Member) []Span {
	spans := say(Mono(string(m.Role.ID)), " at ", oneLine(m.Role.Connector))
	p := v.parts[m.Role.ID]
	if p == nil {
		return spans
	}
	word := map[access.State]string{access.Activating: "being set up", access.Active: "active", access.Deactivating: "being taken away",
		access.Ended: "taken away, read back", access.Failed: "not given"}[p.State]
	if p.Overdue {
		word = "overdue"
	}
	return say(spans, ": ", word, " · ", Mono(string(p.ID)))
}

// canApprove names those who may decide now. A few are called by the message itself; many are not.
func (v view) canApprove(call bool) []Span {
	switch {
	case v.unknown != nil:
		return say("the directory could not be asked just now")
	case len(v.approvers) == 0:
		return say("nobody at the moment; ask an administrator to look at policy “" + oneLine(v.Policy) + "”")
	}
	return listed(v.approverSpans(call && len(v.approvers) <= mentionedAtFirst), namedApprovers)
}

func (v view) approverSpans(mention bool) []Span {
	people := make([]Span, len(v.approvers))
	for i, p := range v.approvers {
		people[i] = Span{Person: p.ID, Name: clip(oneLine(p.DisplayName()), maxName), Mention: mention}
	}
	return people
}

// needed says what the policy asks of them.
func (v view) needed() string {
	stage := v.stage()
	said := fmt.Sprintf("%s by policy “%s”", count(stage.Count, "approval"), oneLine(v.Policy))
	if len(v.Stages) > 1 {
		said += fmt.Sprintf(", stage %d of %d", v.Stage+1, len(v.Stages))
	}
	return said
}

// sharedButtons are those of a message that many people see. What a click may do is decided when it comes.
func (v view) sharedButtons() []Button {
	switch {
	case v.State == access.Pending && !v.Auto:
		return []Button{v.approveButton(), v.denyButton(), v.detailsButton()}
	case v.State == access.Active && !v.endingNow():
		return []Button{v.endButton(), v.detailsButton()}
	}
	return []Button{v.detailsButton()}
}

func (v view) approveButton() Button {
	who := v.called(v.Person)
	return Button{
		Action: ActApprove, Request: v.ID, Label: "Approve", Style: Primary,
		Speak: clip("Approve "+v.role()+" for "+who, maxSpeak),
		Confirm: &Confirm{
			Title: "Grant this access?",
			Text: fmt.Sprintf("%s gets %s at %s for %s.", clip(who, 60), clip(v.role(), 90), clip(oneLine(v.Role.Connector), 60),
				howLong(v.Duration)),
			Yes: "Grant access", No: "Go back",
		},
	}
}

func (v view) denyButton() Button {
	return Button{Action: ActDeny, Request: v.ID, Label: "Deny…", Style: Danger,
		Speak: clip("Deny "+v.role()+" for "+v.called(v.Person), maxSpeak)}
}

func (v view) detailsButton() Button {
	return Button{Action: ActDetails, Request: v.ID, Label: "Details", Speak: "Details of request " + string(v.ID)}
}

func (v view) cancelButton() Button {
	return Button{
		Action: ActCancel, Request: v.ID, Label: "Cancel request", Speak: "Cancel request " + string(v.ID),
		Confirm: &Confirm{Title: "Cancel this request?", Text: v.asksPlain() + " Nothing has been granted.", Yes: "Cancel request", No: "Go back"},
	}
}

func (v view) endButton() Button {
	return Button{
		Action: ActEnd, Request: v.ID, Label: "End now", Style: Danger,
		Speak: clip("End "+v.role()+" for "+v.called(v.Person)+" now", maxSpeak),
		Confirm: &Confirm{
			Title: "End this access now?",
			Text:  fmt.Sprintf("%s loses %s at once. Otherwise it ends by itself when its time is over.", clip(v.called(v.Person), 80), clip(v.role(), 120)),
			Yes:   "End access", No: "Go back",
		},
	}
}

func (v view) extendButton() Button {
	return Button{Action: ActExtend, Request: v.ID, Label: "Extend…", Speak: clip("Extend "+v.role(), maxSpeak)}
}

// againButtons are for whoever would get the role again: the form asks for oneself.
func (v view) againButtons(reader access.PersonID) []Button {
	if reader != v.Person || v.Found() {
		return nil
	}
	return []Button{{Action: ActAgain, Request: v.ID, Label: "Request again…", Speak: clip("Request "+v.role()+" again", maxSpeak)}}
}

// left is how long the grant still lasts, in whole minutes where there are any.
func (v view) left() string {
	d := v.EndsAt.Sub(v.now)
	if d >= time.Minute {
		d = d.Round(time.Minute)
	}
	return howLong(max(d, time.Second))
}
