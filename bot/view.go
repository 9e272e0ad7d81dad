package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// view is a record with all that a card says about it, read at one moment, so that building the card is pure.
type view struct {
	*access.Record
	now  time.Time
	zone *time.Location // of times in plain text
	// several tells that people use more than one chat.
	several bool
	names   map[access.PersonID]string
	// approvers may decide now; unknown is why they could not be listed.
	approvers []access.Person
	unknown   error
	// administrators are called where its end is overdue, or somebody has changed it in the store.
	administrators []access.Person
	// parts are those of a bundle that have begun, by role.
	parts map[access.RoleID]*access.Record
	// target is what the target of the role can do; nil where the role is no longer in the catalogue.
	target *connectors.Capabilities
	// besides is when the person was last seen to hold the role by other means; zero: not at all.
	besides time.Time
}

// look reads what cards say about a record. What cannot be read is left out and not waited for: a card that says less
// is better than none.
func (b *Bot) look(ctx context.Context, r *access.Record) view {
	v := view{Record: r, now: b.now(), zone: b.cfg.Location, several: len(b.cfg.Chats) > 1, names: map[access.PersonID]string{}}
	ids := []access.PersonID{r.Requester, r.Person}
	for _, d := range r.Decisions {
		ids = append(ids, d.By.Person)
	}
	for _, e := range r.Extensions {
		ids = append(ids, e.By.Person)
	}
	if r.Closed != nil {
		ids = append(ids, r.Closed.Person)
	}
	for _, id := range ids {
		if _, done := v.names[id]; !done && id != access.System {
			v.names[id] = b.name(ctx, id)
		}
	}
	if r.State == access.Pending {
		approvers, err := b.cfg.Service.Approvers(ctx, r)
		if err != nil {
			b.log.Warn("the approvers of a request could not be listed", "request_id", r.ID, "err", err)
			v.unknown = err
		}
		v.approvers = approvers
	}
	if r.Overdue {
		b.callAdministrators(ctx, &v)
	}
	if len(r.Parts) > 0 {
		var err error
		if v.parts, err = b.cfg.Service.Parts(ctx, r); err != nil {
			b.log.Warn("the parts of a bundle could not be looked up", "request_id", r.ID, "err", err)
		}
	}
	if o, err := b.cfg.Service.Offer(ctx, r.Person, r.Role.ID); err == nil {
		v.target, v.besides = &o.Capabilities, o.HeldBesides
	}
	return v
}

// callAdministrators has the view call the administrators.
func (b *Bot) callAdministrators(ctx context.Context, v *view) {
	var err error
	if v.administrators, err = b.cfg.Administrators(ctx); err != nil {
		b.log.Warn("the administrators could not be listed", "request_id", v.ID, "err", err)
	}
}

// name is the directory's name for somebody, fit to stand in a sentence.
func (b *Bot) name(ctx context.Context, id access.PersonID) string {
	p, err := workflows.Known(ctx, b.cfg.Directory, id)
	if err != nil {
		if !errors.Is(err, access.ErrNotFound) {
			b.log.Warn("a person's name could not be looked up", "person", id, "err", err)
		}
		return clip(oneLine(string(id)), maxName)
	}
	return clip(oneLine(p.DisplayName()), maxName)
}

// who is a person of the record in a card.
func (v view) who(id access.PersonID) Span {
	if id == access.System {
		return Say("Elevate")
	}
	return Span{Person: id, Name: cmp.Or(v.names[id], string(id))}
}

// identified is a person of the record with their id in the directory, where that is another word: two may have one name,
// or names that look the same.
func (v view) identified(id access.PersonID) []Span {
	who := v.who(id)
	if who.Person == "" || who.Name == string(id) {
		return []Span{who}
	}
	return say(who, " (", Mono(clip(oneLine(string(id)), maxName)), ")")
}

// called is a person of the record in plain text.
func (v view) called(id access.PersonID) string {
	if id == access.System {
		return "Elevate"
	}
	return isolate(cmp.Or(v.names[id], string(id)))
}

// role is the role's title in plain text.
func (v view) role() string { return isolate(clip(oneLine(v.Role.DisplayTitle()), maxRole)) }

// roleSpans name the role: its title, and its id where that is another word.
func (v view) roleSpans() []Span { return roleSpans(v.Role) }

func roleSpans(r access.Role) []Span {
	title := clip(oneLine(r.DisplayTitle()), maxRole)
	if title == string(r.ID) {
		return []Span{Strong(title)}
	}
	return []Span{Strong(title), Say(" ("), Mono(clip(string(r.ID), maxRole)), Say(")")}
}

// plainly is a line of spans as plain text, with times in the zone of the view.
func (v view) plainly(spans []Span) string { return plainly(spans, v.zone) }

// plainly is a line of spans as plain text, which no chat turns into the reader's zone: times name their own.
func plainly(spans []Span, zone *time.Location) string {
	var b strings.Builder
	for _, s := range spans {
		switch {
		case s.Person != "":
			b.WriteString(isolate(s.Name))
		case s.Time.IsZero():
			b.WriteString(s.Text)
		default:
			b.WriteString(s.Time.In(zone).Format(s.Style.layout()))
		}
	}
	return b.String()
}

// layout is a style as plain text has it.
func (s TimeStyle) layout() string {
	switch s {
	case DateTime:
		return "2 Jan, 15:04 MST"
	case Date:
		return "2 Jan"
	case Seconds:
		return "15:04:05 MST"
	}
	return "15:04 MST"
}

// asks says who wants what: "Ana asks for X for 1 hour." Once that is settled, it is what they asked for.
func (v view) asks() Text { return Text{Spans: v.asksFor(v.roleSpans(), v.identified)} }

// asksPlain is asks without markup, and without ids.
func (v view) asksPlain() string {
	return v.plainly(v.asksFor(say(v.role()), func(id access.PersonID) []Span { return say(v.who(id)) }))
}

func (v view) asksFor(role []Span, who func(access.PersonID) []Span) []Span {
	if v.Found() {
		return say("Elevate found that ", who(v.Person), " holds ", role, ".")
	}
	verb := " asks"
	if v.State != access.Pending {
		verb = " asked"
	}
	spans := say(who(v.Requester), verb+" for ")
	if v.Requester != v.Person {
		spans = say(who(v.Requester), verb+" that ", who(v.Person), " be given ")
	}
	spans = say(spans, role, " for ", Strong(howLong(v.Duration)))
	if !v.Start.IsZero() {
		spans = say(spans, ", starting ", When(v.Start, DateTime))
	}
	return say(spans, ".")
}

// lastApproval is the decision that settled the request in its favour; nil where there is none yet.
func (v view) lastApproval() *access.Decision {
	for _, d := range slices.Backward(v.Decisions) {
		if d.Verdict == access.Approve {
			return &d
		}
	}
	return nil
}

// approvedBy says who approved: "by Bob and Carol", or "by policy".
func (v view) approvedBy() []Span {
	var by [][]Span
	seen := map[access.PersonID]bool{}
	for _, d := range v.Decisions {
		if d.Verdict == access.Approve && !seen[d.By.Person] {
			seen[d.By.Person] = true
			by = append(by, say(v.approver(d.By.Person), v.where(d.By), withFactor(access.Method(d.Method))))
		}
	}
	if len(by) == 0 {
		return []Span{Say(" by policy “" + oneLine(v.Policy) + "”")}
	}
	return append([]Span{Say(" by ")}, joined(by, 5)...)
}

// approver names somebody who approved; the program itself does so on the policy's word.
func (v view) approver(id access.PersonID) Span {
	if id == access.System {
		return Say("policy “" + oneLine(v.Policy) + "”")
	}
	return v.who(id)
}

// where says in which chat somebody acted, where there are several.
func (v view) where(a access.Actor) string {
	if place := places[a.Via]; v.several && place != "" {
		return " in " + place
	}
	return ""
}

// withFactor says what vouched for a decision beside the chat.
func withFactor(m access.Method) string {
	return map[access.Method]string{access.TOTP: " with a code", access.WebAuthn: " with a security key"}[m]
}

// places are the chats by the words of access.Actor.
var places = map[string]string{"slack": "Slack", "teams": "Teams", "web": "the web chat"}

// listed joins spans as in a sentence, at most n of them by name: "A, B and 48 more".
func listed(items []Span, n int) []Span {
	groups := make([][]Span, len(items))
	for i := range items {
		groups[i] = items[i : i+1]
	}
	return joined(groups, n)
}

// joined is listed for items of several spans.
func joined(items [][]Span, n int) []Span {
	rest := len(items) - n
	if rest > 0 {
		items = append(slices.Clone(items[:n]), say(fmt.Sprintf("%d more", rest)))
	}
	var out []Span
	for i, s := range items {
		switch {
		case i == 0:
		case i == len(items)-1:
			out = append(out, Say(" and "))
		default:
			out = append(out, Say(", "))
		}
		out = append(out, s...)
	}
	return out
}

// labels are the role's labels but the risk, which has a place of its own: "env prod, team db".
func (v view) labels() string {
	var said []string
	for _, k := range slices.Sorted(maps.Keys(v.Role.Labels)) {
		if k != "risk" {
			said = append(said, oneLine(k+" "+v.Role.Labels[k]))
		}
	}
	return strings.Join(said, ", ")
}

// atTheEnd says what taking the role away means at its target.
func atTheEnd(c connectors.Capabilities) string {
	said := "Elevate takes it away and reads the target back"
	if c.EndsSessions {
		said = "Elevate takes it away, ends open sessions and reads the target back"
	}
	if c.NativeExpiry {
		said += "; the target also ends it by itself"
	}
	if c.Tail > 0 {
		said += "; it may live on for up to " + howLong(c.Tail) + " after that"
	}
	return said + "."
}
