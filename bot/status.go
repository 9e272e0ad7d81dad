package bot

import (
	"fmt"
	"time"

	"elevate/workflows/access"
)

// status says in a line where a request stands: a sign, a word, and what somebody who knows nothing needs to know.
func (v view) status() Text {
	return Text{Spans: say(v.mark()+" ", v.statusSpans())}
}

// mark is the sign of the state. It says nothing that the words after it do not say.
func (v view) mark() string {
	if v.endingNow() {
		return "🕓"
	}
	switch v.State {
	case access.Pending:
		return "⏳"
	case access.Active:
		return "✅"
	case access.Denied:
		return "⛔"
	case access.Failed:
		return "❌"
	case access.Cancelled, access.Lapsed:
		return "⚪"
	case access.Ended:
		return "⏹️"
	}
	switch {
	case v.Overdue:
		return "🚨"
	case v.State == access.Activating && v.Attempts > 0:
		return "⚠️"
	}
	return "🕓"
}

func (v view) statusSpans() []Span {
	switch v.State {
	case access.Pending:
		return v.pendingSpans()
	case access.Approved:
		return say(Strong("Approved"), v.approvedBy(), v.at(v.ApprovedAt), ". Access is being prepared.")
	case access.Scheduled:
		return say(Strong("Scheduled"), ": approved", v.approvedBy(), ". Starts ", When(v.Start, DateTime), ".")
	case access.Activating:
		if v.Attempts > 0 {
			return say(Strong("Granting"), ": approved", v.approvedBy(), ", but the target has not confirmed the access yet. Elevate tries again until ",
				When(v.StartBy, Clock), ".")
		}
		return say(Strong("Granting"), ": approved", v.approvedBy(), ", the access is being set up.")
	case access.Active:
		if v.endingNow() {
			return say(Strong("Ending now"), ": the time was up ", When(v.EndsAt, DateTime), ", and the access is being taken away.")
		}
		return say(Strong("Active"), " until ", When(v.EndsAt, DateTime), ". Approved", v.approvedBy(), ".")
	case access.Deactivating:
		return v.endingSpans()
	case access.Ended:
		if v.Found() {
			word := "Taken away"
			if v.Removal != nil && (v.Removal.Was == access.Shared || v.Removal.Was == access.Standing) {
				word = "Left as it is"
			}
			return say(Strong(word), ". ", v.proof())
		}
		if v.ActivatedAt.IsZero() {
			return say(Strong("Undone"), ": the access was not confirmed in time and was taken back. ", v.proof())
		}
		return say(Strong("Ended"), v.endedBy(), ". ", v.proof())
	case access.Denied:
		return say(Strong("Denied"), v.closedBy(), ".")
	case access.Cancelled:
		return say(Strong("Cancelled"), v.closedBy(), ".")
	case access.Lapsed:
		if v.ApprovedAt.IsZero() {
			return say(Strong("Lapsed"), v.at(v.ClosedAt), ": nobody decided in time.")
		}
		return say(Strong("Lapsed"), v.at(v.ClosedAt), ": it was approved, but could not be started in time.")
	case access.Failed:
		return say(Strong("Failed"), v.at(v.ClosedAt), ": the target did not give the access.")
	}
	return say(Strong(string(v.State)), ".")
}

func (v view) pendingSpans() []Span {
	if v.Auto {
		return say(Strong("Pending"), ": the policy approves this by itself.")
	}
	stage := v.stage()
	progress := fmt.Sprintf("%d of %d given", v.Approvals(), stage.Count)
	if len(v.Stages) > 1 {
		progress = fmt.Sprintf("stage %d of %d, %s", v.Stage+1, len(v.Stages), progress)
	}
	return say(Strong("Waiting for approval"), ": "+progress+".")
}

// stage is the stage being decided.
func (v view) stage() access.Stage {
	if v.Stage < len(v.Stages) {
		return v.Stages[v.Stage]
	}
	return access.Stage{Count: 1}
}

// endingNow tells whether the end of a grant has come while the first try at its target has no answer yet.
func (v view) endingNow() bool { return v.State == access.Active && v.Ending(v.now) }

func (v view) endingSpans() []Span {
	if v.Overdue {
		return say(Strong("Overdue"), ": the access was due to end ", When(v.EndingAt, DateTime),
			", and the target has not confirmed that it is gone. It may still be usable. Elevate keeps trying; "+
				"somebody should look at the connector ", Mono(v.Role.Connector), " now.")
	}
	if v.Found() {
		return say(Strong("Taking away"), ": this is a grant of Elevate's that is over or lost, and it is being taken back.")
	}
	if v.ActivatedAt.IsZero() {
		return say(Strong("Undoing"), ": the activation was not confirmed, so it is being taken back.")
	}
	if v.endedEarly() {
		return say(Strong("Ending"), ": ended early", v.closedBy(), ". The access is being taken away.")
	}
	return say(Strong("Ending"), ": the time is up, and the access is being taken away.")
}

// endedEarly tells whether somebody ended the access before its time.
func (v view) endedEarly() bool {
	return v.Closed != nil && v.Closed.Person != access.System
}

// closedBy says who brought the request to its end, and when.
func (v view) closedBy() []Span {
	if v.Closed == nil {
		return nil
	}
	return say(" by ", v.who(v.Closed.Person), v.where(*v.Closed), v.at(v.ClosedAt))
}

// endedBy says who ended the access early.
func (v view) endedBy() []Span {
	if !v.endedEarly() {
		return nil
	}
	return say(" early by ", v.who(v.Closed.Person), v.where(*v.Closed))
}

// at says when something happened.
func (v view) at(t time.Time) []Span {
	if t.IsZero() {
		return nil
	}
	if v.now.Sub(t) > 12*time.Hour {
		return say(" on ", When(t, DateTime))
	}
	return say(" at ", When(t, Clock))
}

// proof says that the access is gone, and how that is known.
func (v view) proof() []Span {
	if v.Removal == nil {
		return say("It was over at ", When(v.EndedAt, Seconds), ".")
	}
	sessions, tail, late := "", "", ", "+after(v.Lateness())+"."
	if n := v.Removal.SessionsEnded; n > 0 {
		sessions = " (" + count(n, "open session") + " ended)"
	}
	if v.Removal.Tail > 0 {
		tail = " What was handed out before may live on for up to " + howLong(v.Removal.Tail) + "."
	}
	if v.endedEarly() {
		late = ", " + within(v.Lateness()) + "."
	}
	over := "The grant was over at "
	if v.Found() {
		over = "The target was read at "
	}
	switch v.Removal.Was {
	case access.Absent:
		return say("It was gone at the target already, verified at ", When(v.VerifiedAt, Seconds), late, tail)
	case access.Standing:
		return say(over, When(v.EndedAt, Seconds), ", but ", v.who(v.Person),
			" had this access before it and ", Strong("still has it"), ": Elevate does not take away what it did not give.")
	case access.Shared:
		return say(over, When(v.EndedAt, Seconds), ", but another grant gives ", v.who(v.Person),
			" the same access, and it ", Strong("stays until that one ends"), ".")
	}
	return say("Removed at ", When(v.EndedAt, Seconds), sessions, ", verified by reading the target back", late, tail)
}

// foot is the fine print: what is true at the target, in as many words.
func (v view) foot() Text {
	said := ""
	switch v.State {
	case access.Pending, access.Approved, access.Scheduled:
		said = "No access has been granted yet."
	case access.Activating:
		said = "The access has not been confirmed yet."
	case access.Denied, access.Cancelled, access.Lapsed:
		said = "No access was granted."
	case access.Failed:
		said = "Nothing was granted: the target was read back."
	case access.Active:
		if v.endingNow() {
			said = "The target has not confirmed yet that the access is gone."
			break
		}
		said = "The access ends by itself. Its holder, an approver or an administrator can end it earlier."
		if v.Receipt != nil && v.Receipt.Already {
			said = "This access was there before the request; Elevate will not take it away at the end."
		}
	}
	if said != "" {
		said += " "
	}
	return Text{Small: true, Spans: say(said+"Request ", Mono(string(v.ID)))}
}

// why is the text that explains the state, where somebody or something gave one.
func (v view) why() string {
	switch v.State {
	case access.Denied, access.Cancelled:
		return v.Reason
	case access.Deactivating, access.Ended:
		if v.Found() { // it is quoted as the justification
			return ""
		}
		if v.endedEarly() || v.ActivatedAt.IsZero() {
			return v.Reason
		}
	case access.Failed:
		return v.Reason
	}
	return ""
}

// trouble is what the target said last, while it still matters.
func (v view) trouble() string {
	switch v.State {
	case access.Activating, access.Deactivating:
		return v.LastError
	}
	return ""
}

// say joins words and spans.
func say(parts ...any) []Span {
	var out []Span
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			if p != "" {
				out = append(out, Say(p))
			}
		case Span:
			out = append(out, p)
		case []Span:
			out = append(out, p...)
		}
	}
	return out
}
