package bot

import (
	"fmt"

	"elevate/workflows"
	"elevate/workflows/access"
)

// threadCard is the answer below a request's message about one thing that happened; false for what is not worth
// reading, because the message itself shows it.
func (v view) threadCard(n workflows.Note) (Card, bool) {
	if n.Kind == workflows.NoteReminder {
		return v.reminderCard(), true
	}
	parts := v.threadParts(n)
	if len(parts) == 0 {
		return Card{}, false
	}
	return fit(Card{Name: "thread-" + string(n.Kind), Summary: v.summed(parts), Parts: parts}), true
}

func (v view) threadParts(n workflows.Note) []Part {
	switch n.Kind {
	case workflows.NoteVoted:
		return told(n.Reason, "Approved by ", v.who(n.Actor.Person), v.where(n.Actor), ". More approvals are needed.")
	case workflows.NoteApproved:
		if n.Actor.Person == access.System {
			return told("", "Approved by ", v.approver(n.Actor.Person), ".")
		}
		return told(n.Reason, "Approved by ", v.who(n.Actor.Person), v.where(n.Actor), ".")
	case workflows.NoteDenied:
		return told(n.Reason, "Denied by ", v.who(n.Actor.Person), v.where(n.Actor), ". No access was granted.")
	case workflows.NoteCancelled:
		return told(n.Reason, "Cancelled by ", v.who(n.Actor.Person), v.where(n.Actor), ". No access was granted.")
	case workflows.NoteLapsed:
		return told("", "Lapsed: ", v.lapsedWhy(), " No access was granted. ", v.who(v.Requester), " can ask again.")
	case workflows.NoteActive:
		return told("", v.who(v.Person), " holds the role now, until ", When(n.EndsAt, DateTime), ".")
	case workflows.NoteFailed:
		return told(n.Reason, "The target did not give the access; nothing was granted.")
	case workflows.NoteExtended:
		return told("", "Extended by ", v.who(n.Actor.Person), v.where(n.Actor), ", until ", When(n.EndsAt, DateTime), ".")
	case workflows.NoteRestored:
		return told("", "Elevate lost its memory of this and rebuilt it from its audit log. The access ends as promised, at ", When(n.EndsAt, DateTime), ".")
	case workflows.NoteForged:
		return append(told("", "🚨 ", Strong("Somebody has changed this request behind Elevate's back."), " Its record or its timers in the store were not what Elevate wrote. ",
			"They were put back from the audit log, and nothing was granted by the change. Find out who can write to Redis, and take that away."), v.callAdministrators()...)
	case workflows.NoteOverdue:
		return append(v.overdueParts(), v.callForHelp()...)
	case workflows.NoteFound:
		return told("", v.who(v.Person), " holds the role by Elevate's own grant at the target, and no live grant explains it. It is being taken away.")
	case workflows.NoteMissing:
		return told("", "⚠️ ", Strong("The access is missing."), " The target does not list what ", v.who(v.Person), " was given until ", When(n.EndsAt, DateTime),
			". If nobody took it away there on purpose, look at the connector ", Mono(v.Role.Connector), ". Elevate does not give it again.")
	case workflows.NoteEnded:
		if v.Found() {
			return told("", v.statusSpans())
		}
		return told(v.why(), "Ended", v.endedBy(), ". ", v.proof())
	}
	return nil
}

// told is a line of ours and the reason that somebody gave, where there is one.
func told(reason string, spans ...any) []Part {
	parts := []Part{Text{Spans: say(spans...)}}
	if reason != "" {
		parts = append(parts, Quote{clip(reason, 600)})
	}
	return parts
}

// summed is the first line as plain text, for the notification.
func (v view) summed(parts []Part) string {
	if t, ok := parts[0].(Text); ok {
		return v.plainly(t.Spans)
	}
	return ""
}

func (v view) lapsedWhy() string {
	if v.ApprovedAt.IsZero() {
		return "nobody decided in time."
	}
	return "it was approved, but could not be started in time."
}

// reminderCard calls those who may decide. More than a few are not called by name: that would be noise.
func (v view) reminderCard() Card {
	spans := say("Still waiting for a decision")
	if called := v.approverSpans(true); len(called) > 0 {
		spans = say(spans, ": ", listed(called, mentionedLater), ", please approve or deny")
	}
	spans = say(spans, ". ", v.who(v.Requester), "'s request lapses at ", When(v.DecideBy, Clock), ".")
	return fit(Card{
		Name:    "reminder",
		Summary: fmt.Sprintf("Still waiting: %s It lapses at %s.", v.asksPlain(), v.plainly(say(When(v.DecideBy, Clock)))),
		Parts:   []Part{Text{Spans: spans}},
	})
}

// overdueParts say in clear words that access did not end.
func (v view) overdueParts() []Part {
	parts := []Part{
		Text{Spans: say("🚨 ", Strong("Access has not ended."), " ", v.who(v.Person), "'s access to ", v.roleSpans(), " was due to end ",
			When(v.EndingAt, DateTime), ", and the target has not confirmed that it is gone. It may still be usable.")},
		Text{Spans: say("Elevate keeps trying and will say when it is gone. An administrator should look at the connector ", Mono(v.Role.Connector),
			" now, and take the role away at the target by hand if it does not answer.")},
	}
	if v.LastError != "" {
		parts = append(parts, Text{Spans: say("The target's last answer:")}, Quote{clip(v.LastError, 600)})
	}
	return parts
}

// callForHelp calls the administrators, where they are few, and those who gave the access: they can find somebody who
// ends it.
func (v view) callForHelp() []Part {
	var called []Span
	seen := map[access.PersonID]bool{access.System: true}
	for _, d := range v.Decisions {
		if !seen[d.By.Person] {
			seen[d.By.Person] = true
			who := v.who(d.By.Person)
			who.Mention = true
			called = append(called, who)
		}
	}
	parts := v.callAdministrators()
	if len(called) > 0 {
		parts = append(parts, Text{Spans: say(listed(called, mentionedLater), ", who approved it: please see that somebody looks.")})
	}
	return parts
}

// callAdministrators calls the administrators, where they are few.
func (v view) callAdministrators() []Part {
	n := len(v.administrators)
	if n == 0 || n > mentionedAtFirst {
		return nil
	}
	return []Part{Text{Spans: say(listed(mentions(v.administrators), n), ": please look.")}}
}

// mentions call people.
func mentions(people []access.Person) []Span {
	called := make([]Span, len(people))
	for i, p := range people {
		called[i] = Span{Person: p.ID, Name: clip(oneLine(p.DisplayName()), maxName), Mention: true}
	}
	return called
}

// personalCard is the message to one person about one thing that happened to their request; false where nothing is
// said. May is what they may do now.
func (v view) personalCard(n workflows.Note, to access.PersonID, may workflows.May) (Card, bool) {
	title, parts, buttons := v.personal(n, to, may)
	if title == "" {
		return Card{}, false
	}
	c := Card{Name: "told-" + string(n.Kind), Title: title, Summary: v.summed(parts), Parts: parts}
	c.Parts = append(c.Parts, Buttons{append(buttons, v.detailsButton())}, Text{Small: true, Spans: say("Request ", Mono(string(v.ID)))})
	return fit(c), true
}

func (v view) personal(n workflows.Note, to access.PersonID, may workflows.May) (title string, parts []Part, buttons []Button) {
	again, by := v.againButtons(to), v.who(n.Actor.Person)
	switch n.Kind {
	case workflows.NoteApproved:
		return "Approved", told("", "The request for ", v.roleSpans(), " was approved", v.approvedBy(), ". ", v.whatNext()), nil
	case workflows.NoteDenied:
		return "Denied", told(n.Reason, by, " denied the request for ", v.roleSpans(), ". No access was granted."), again
	case workflows.NoteCancelled:
		return "Cancelled", told(n.Reason, by, " cancelled the request for ", v.roleSpans(), ". No access was granted."), again
	case workflows.NoteLapsed:
		return "Lapsed", told("", "The request for ", v.roleSpans(), " lapsed: ", v.lapsedWhy(), " No access was granted."), again
	case workflows.NoteActive:
		return "Access is active", v.activeParts(to), v.runningButtons(may)
	case workflows.NoteNearEnd:
		return "Access ends soon", told("", v.roleSpans(), " ends at ", When(v.EndsAt, Clock), ", in ", v.left(),
			". Save your work, or ask for more time."), v.runningButtons(may)
	case workflows.NoteExtended:
		return "Access is extended", told("", by, " extended ", v.roleSpans(), ": it now lasts until ", When(n.EndsAt, DateTime), "."), v.runningButtons(may)
	case workflows.NoteFound:
		return "Access is being taken away", told("", "You hold ", v.roleSpans(), " with your account ", Mono(clip(oneLine(v.Account), maxName)),
			" by a grant of Elevate's that is over. If you still need it, ask for it."), nil
	case workflows.NoteMissing:
		return "Access is missing", told("", "The target does not list your access to ", v.roleSpans(), " any more, although it was given until ",
			When(n.EndsAt, DateTime), ". Somebody may have taken it away there. If you need it, ask an administrator."), nil
	case workflows.NoteEnded:
		if v.Found() {
			return "Access was taken away", told("", v.roleSpans(), ". ", v.proof()), nil
		}
		if v.ActivatedAt.IsZero() {
			return "Access could not be given", told(v.why(), "The access to ", v.roleSpans(), " was not confirmed in time, so it was taken back. ", v.proof()), again
		}
		return "Access has ended", told("", v.roleSpans(), ": ended", v.endedBy(), ". ", v.proof()), again
	case workflows.NoteFailed:
		return "Access could not be given", told(n.Reason, "The target did not give ", v.roleSpans(),
			". Nothing was granted. Show its answer to an administrator:"), again
	case workflows.NoteOverdue:
		return "Access has not ended", v.overdueParts(), nil
	}
	return "", nil, nil
}

// whatNext says what happens to an approved request.
func (v view) whatNext() []Span {
	if v.Start.After(v.now) {
		return say("It starts ", When(v.Start, DateTime), "; you are told then.")
	}
	return say("You are told when it is ready.")
}

// activeParts say until when the access lasts, and how to use it.
func (v view) activeParts(to access.PersonID) []Part {
	if to != v.Person {
		return told("", v.who(v.Person), " holds ", v.roleSpans(), " now, until ", When(v.EndsAt, DateTime), ".")
	}
	parts := []Part{
		Text{Spans: say("You hold ", v.roleSpans(), " now, until ", When(v.EndsAt, DateTime), ".")},
		Text{Spans: say("Use it at ", Strong(oneLine(v.Role.Connector)), " with your account ", Mono(clip(oneLine(v.Account), maxName)),
			". It is taken away by itself; end it here when you are done earlier.")},
	}
	if v.Receipt != nil && v.Receipt.Already {
		parts = append(parts, Text{Spans: say("You had this access before by other means, and will keep it after the end.")})
	}
	return parts
}

// runningButtons are what a holder may do with running access.
func (v view) runningButtons(may workflows.May) []Button {
	var out []Button
	if may.Extend {
		out = append(out, v.extendButton())
	}
	if may.End {
		out = append(out, v.endButton())
	}
	return out
}
