package bot

import (
	"context"
	"fmt"
	"strings"

	"elevate/workflows"
	"elevate/workflows/access"
)

// maxDigestLines keeps each list of the digest short enough for a phone.
const maxDigestLines = 5

// digestCard sums up a day for a channel, counts first.
func (b *Bot) digestCard(ctx context.Context, d *workflows.Digest) Card {
	when := d.To.In(b.cfg.Location)
	who := func(p access.PersonID) Span { return Span{Person: p, Name: b.name(ctx, p)} }
	held := func(g workflows.DigestGrant) []Span {
		return say(who(g.Person), ": ", Strong(clip(string(g.Role), maxRole)), " ", Mono(string(g.Request)))
	}
	s := newSheet(Card{Name: "digest", Title: "Access on " + when.Format("Monday, 2 January"), Summary: digestSummary(d)}, digestRoom)
	s.add(Text{Spans: say(When(d.From, DateTime), " to ", When(d.To, DateTime), ": ", outcomes(d.Outcomes), ".")})
	if quiet(d) {
		s.add(Text{Spans: say("A quiet day: nobody asked, nobody holds anything, and nothing is late.")})
		return fitTo(s.Card, digestRoom)
	}
	grants := func(title string, list []workflows.DigestGrant, line func(workflows.DigestGrant) []Span) {
		s.list(title, len(list), maxDigestLines, func(i int) Part { return Text{Spans: line(list[i])} })
	}
	grants("🚨 Overdue: access that has not ended", d.Overdue, func(g workflows.DigestGrant) []Span {
		return say(held(g), ", due ", When(g.EndsAt, DateTime), ", ", howLong(g.Lateness), " late so far")
	})
	grants("Ended late", d.Late, func(g workflows.DigestGrant) []Span {
		return say(held(g), ", due ", When(g.EndsAt, DateTime), ", ", howLong(g.Lateness), " late")
	})
	grants("Found at targets without a live grant, and taken away", d.Found, func(g workflows.DigestGrant) []Span {
		return say(held(g), ", found ", When(g.EndsAt, DateTime))
	})
	grants("Held now", d.Holding, func(g workflows.DigestGrant) []Span {
		if !d.To.Before(g.EndsAt) {
			return say(held(g), " is being taken away, due ", When(g.EndsAt, DateTime))
		}
		return say(held(g), " until ", When(g.EndsAt, DateTime))
	})
	s.list("Approvers", len(d.Approvers), maxDigestLines, func(i int) Part {
		a := d.Approvers[i]
		return Text{Spans: say(who(a.Person), fmt.Sprintf(" decided %s, typically within %s", count(a.Decisions, "request"), howLong(a.Median)))}
	})
	s.list("Standing access, given by others than Elevate", len(d.Standing), maxDigestLines, func(i int) Part {
		return Text{Spans: standingSpans(d.Standing[i])}
	})
	return fitTo(s.Card, digestRoom)
}

// namedAccounts is how many accounts that came or went a line of the digest names.
const namedAccounts = 3

// standingSpans say how many hold a role by other means, and who came and went.
func standingSpans(st workflows.DigestStanding) []Span {
	spans := say(Strong(clip(string(st.Role), maxRole)), ": "+count(st.Holders, "holder"))
	for _, change := range []struct {
		word     string
		accounts []string
	}{{"new", st.New}, {"gone", st.Gone}} {
		if len(change.accounts) == 0 {
			continue
		}
		names := make([]Span, len(change.accounts))
		for i, a := range change.accounts {
			names[i] = Mono(clip(oneLine(a), maxName))
		}
		spans = say(spans, ", "+change.word+": ", listed(names, namedAccounts))
	}
	return say(spans, ", seen ", When(st.At, DateTime))
}

// quiet tells whether there is nothing to tell.
func quiet(d *workflows.Digest) bool {
	return len(d.Outcomes)+len(d.Holding)+len(d.Late)+len(d.Overdue)+len(d.Approvers)+len(d.Found)+len(d.Standing) == 0
}

// outcomes counts requests by what became of them, in the order of their life.
func outcomes(counts map[access.State]int) string {
	total := 0
	var said []string
	for _, s := range access.States() {
		if n := counts[s]; n > 0 {
			total += n
			said = append(said, fmt.Sprintf("%d %s", n, outcome(s)))
		}
	}
	if total == 0 {
		return "no requests"
	}
	return count(total, "request") + ": " + strings.Join(said, ", ")
}

func outcome(s access.State) string {
	switch s {
	case access.Pending:
		return "waiting"
	case access.Activating:
		return "being set up"
	case access.Deactivating:
		return "being taken away"
	}
	return string(s)
}

func digestSummary(d *workflows.Digest) string {
	if quiet(d) {
		return "A quiet day."
	}
	said := fmt.Sprintf("Since yesterday %s; %d held now", outcomes(d.Outcomes), len(d.Holding))
	if n := len(d.Overdue); n > 0 {
		said += fmt.Sprintf("; %d overdue", n)
	}
	if n := len(d.Found); n > 0 {
		said += fmt.Sprintf("; %d found without a grant", n)
	}
	return said + "."
}
