package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// maxTimeline is how many events the details list; the first and the last are the ones that matter.
const maxTimeline = 14

// detailsCard is everything about a request, for one person alone, with the buttons that are theirs.
func (v view) detailsCard(may workflows.May) Card {
	c := Card{
		Name:    "details",
		Title:   v.title("Request "),
		Summary: v.asksPlain() + " " + v.plainly(v.statusSpans()),
		Parts:   []Part{v.status(), v.asks(), Quote{v.Justification}},
	}
	c.Parts = append(c.Parts, v.reasons()...)
	c.Parts = append(c.Parts, v.facts(false), v.more(), Heading{"What happened"})
	c.Parts = append(c.Parts, v.timeline()...)
	if buttons := v.ownButtons(may); len(buttons) > 0 {
		c.Parts = append(c.Parts, Buttons{buttons})
	}
	if may.Why != nil && v.State == access.Pending {
		c.Parts = append(c.Parts, Text{Small: true, Spans: refusalSpans(may.Why)})
	}
	c.Parts = append(c.Parts, v.foot())
	return fit(c)
}

// more are the facts that only the details have room for.
func (v view) more() Facts {
	var rows []Fact
	if !v.Found() {
		rows = append(rows, Fact{"Duration", say(howLong(v.Duration))})
	}
	rows = append(rows,
		Fact{"Policy", say(oneLine(v.Policy))},
		Fact{"Target", say(oneLine(v.Role.Connector), ", account ", Mono(clip(oneLine(v.Account), maxName)))},
	)
	if v.target == nil {
		return Facts{rows}
	}
	rows = append(rows,
		Fact{"Ends by itself at the target", say(yes(v.target.NativeExpiry, "yes, a little after Elevate's own end", "no, Elevate takes it away"))},
		Fact{"Open sessions at the end", say(yes(v.target.EndsSessions, "are ended", "are not ended"))},
	)
	if v.target.Tail > 0 {
		rows = append(rows, Fact{"May live on after removal", say("up to ", howLong(v.target.Tail))})
	}
	return Facts{rows}
}

func yes(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// moment is a line of the timeline.
type moment struct {
	at    time.Time
	spans []Span
	quote string
}

// moments are what happened to the request, in order, as far as the record tells.
func (v view) moments() []moment {
	word := "Requested by "
	if v.Found() {
		word = "Found at the target by "
	}
	m := []moment{{at: v.SubmittedAt, spans: say(word, v.who(v.Requester), viaFactor(v.By, string(v.Method)))}}
	for _, d := range v.Decisions {
		word := "Approved by "
		if d.Verdict == access.Deny {
			word = "Denied by "
		}
		stage := ""
		if len(v.Stages) > 1 {
			stage = fmt.Sprintf(", stage %d of %d", d.Stage+1, len(v.Stages))
		}
		quote := d.Reason
		if d.By.Person == access.System {
			quote = ""
		}
		m = append(m, moment{d.At, say(word, v.approver(d.By.Person), stage, viaFactor(d.By, d.Method)), quote})
	}
	if !v.ActivatedAt.IsZero() {
		word := "Active: the target gave the access"
		if v.Receipt != nil && v.Receipt.Already {
			word = "Active: the access was there already and is left as it is"
		}
		m = append(m, moment{at: v.ActivatedAt, spans: say(word)})
	}
	for _, e := range v.Extensions {
		m = append(m, moment{at: e.At, spans: say("Extended by ", v.who(e.By.Person), viaFactor(access.Actor{}, string(e.Method)), " by ", howLong(e.To.Sub(e.From)), ", to ", When(e.To, DateTime))})
	}
	if v.Closed != nil && v.State != access.Denied && !v.Found() {
		word := map[access.State]string{access.Cancelled: "Cancelled by ", access.Lapsed: "Lapsed, seen by ", access.Failed: "Failed, seen by "}[v.State]
		if word == "" {
			word = "End begun by "
		}
		m = append(m, moment{at: v.ClosedAt, spans: say(word, v.who(v.Closed.Person), via(*v.Closed))})
	}
	if !v.EndedAt.IsZero() {
		m = append(m, moment{at: v.EndedAt, spans: v.proof()})
	}
	slices.SortStableFunc(m, func(a, b moment) int { return a.at.Compare(b.at) })
	return m
}

// via says which way somebody came.
func via(a access.Actor) string {
	switch a.Via {
	case "", "elevate":
		return ""
	case "api":
		return " (API)"
	}
	return " (" + oneLine(a.Via) + ")"
}

// viaFactor says which way somebody came, and what vouched for them beside it.
func viaFactor(a access.Actor, method string) string {
	factor := map[access.Method]string{access.TOTP: "code of an authenticator app", access.WebAuthn: "security key"}[access.Method(method)]
	way := strings.TrimSuffix(strings.TrimPrefix(via(a), " ("), ")")
	switch {
	case factor == "":
		return via(a)
	case way == "":
		return " (with a " + factor + ")"
	}
	return " (" + way + ", with a " + factor + ")"
}

func (v view) timeline() []Part {
	moments := v.moments()
	var parts []Part
	for i, m := range moments {
		if left := len(moments) - maxTimeline; left > 0 && i >= maxTimeline/2 && i < maxTimeline/2+left {
			if i == maxTimeline/2 {
				parts = append(parts, Text{Small: true, Spans: say(fmt.Sprintf("… and %d more; the audit log has them all.", left))})
			}
			continue
		}
		parts = append(parts, Text{Spans: append([]Span{When(m.at, DateTime), Say("  ")}, m.spans...)})
		if m.quote != "" {
			parts = append(parts, Quote{clip(m.quote, 300)})
		}
	}
	return parts
}

// ownButtons are those that the person may use now.
func (v view) ownButtons(may workflows.May) []Button {
	var out []Button
	if may.Decide {
		out = append(out, v.approveButton(), v.denyButton())
	}
	if may.Extend {
		out = append(out, v.extendButton())
	}
	if may.End {
		out = append(out, v.endButton())
	}
	if may.Cancel {
		out = append(out, v.cancelButton())
	}
	return out
}
