package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"elevate/workflows"
	"elevate/workflows/access"
)

// How many lines the sections of lists have before they say how many more there are.
const (
	maxActive  = 8
	maxWaiting = 8
	maxOpen    = 8
	maxRecent  = 5
	mostRecent = 50 // looked at, parts of bundles among them
	maxRoles   = 15
)

// mine is what concerns one person.
type mine struct {
	active, open, recent, waiting []*access.Record
	moreRecent                    bool
}

// gather reads what concerns a person: what they hold, what they asked for, what waits for their word.
func (b *Bot) gather(ctx context.Context, p access.PersonID) (mine, error) {
	var m mine
	open, _, err := b.cfg.Service.Requests(ctx, p, workflows.Query{Person: p, Open: true, Limit: 100})
	if err != nil {
		return m, err
	}
	for _, r := range whole(open) {
		if r.State == access.Active || r.State == access.Deactivating {
			m.active = append(m.active, r)
		} else {
			m.open = append(m.open, r)
		}
	}
	slices.SortStableFunc(m.active, func(x, y *access.Record) int { return x.EndsAt.Compare(y.EndsAt) })
	recent, next, err := b.cfg.Service.Requests(ctx, p, workflows.Query{Person: p, Limit: mostRecent,
		States: []access.State{access.Ended, access.Denied, access.Cancelled, access.Lapsed, access.Failed}})
	if err != nil {
		return m, err
	}
	recent = whole(recent)
	m.moreRecent = next != "" || len(recent) > maxRecent
	m.recent = recent[:min(len(recent), maxRecent)]
	m.waiting, err = b.cfg.Service.Waiting(ctx, p)
	return m, err
}

// whole leaves out the parts of bundles: the bundle's own line stands for them.
func whole(records []*access.Record) []*access.Record {
	return slices.DeleteFunc(records, func(r *access.Record) bool { return r.Bundle != "" })
}

// glance is as much of a view as a line of a list needs.
func (b *Bot) glance(ctx context.Context, r *access.Record) view {
	v := view{Record: r, now: b.now(), zone: b.cfg.Location, names: map[access.PersonID]string{}}
	for _, id := range []access.PersonID{r.Requester, r.Person} {
		v.names[id] = b.name(ctx, id)
	}
	return v
}

// line is the request in a list: what, for whom where that is not the reader, and where it stands.
func (v view) line(reader access.PersonID) []Span {
	spans := v.roleSpans()
	if v.Person != reader {
		spans = say(spans, " for ", v.who(v.Person))
	}
	return say(spans, ", ", v.standing(), " · ", Mono(string(v.ID)))
}

// standing is the state in a few words.
func (v view) standing() []Span {
	switch v.State {
	case access.Pending:
		return say("waiting for approval, to be decided by ", When(v.DecideBy, Clock))
	case access.Scheduled:
		return say("approved, starts ", When(v.Start, DateTime))
	case access.Approved, access.Activating:
		return say("approved, being set up")
	case access.Active:
		if v.endingNow() {
			return say(Strong("ending now"), ", due ", When(v.EndsAt, DateTime))
		}
		return say("until ", When(v.EndsAt, DateTime))
	case access.Deactivating:
		if v.Overdue {
			return say(Strong("overdue"), " since ", When(v.EndingAt, DateTime))
		}
		return say("being taken away")
	case access.Ended:
		return say("ended ", When(v.EndedAt, DateTime))
	}
	return say(string(v.State)+" ", When(v.ClosedAt, DateTime))
}

// sheet is a card that is filled up to what a chat takes, so that lists can say what they leave out.
type sheet struct {
	Card
	left room
}

// spare is what a list leaves for what stands below it.
var spare = room{chars: 800, blocks: 4}

func newSheet(c Card, all room) *sheet {
	all.chars -= runes(c.Title) + runes(c.Summary) + runes(cutOff)
	all.blocks--
	return &sheet{Card: c, left: all}
}

func (s *sheet) add(p Part) {
	s.left, _ = s.left.less(p)
	s.Parts = append(s.Parts, p)
}

// list adds a heading and as many of n lines as there is room for, and says how many more there are.
func (s *sheet) list(title string, n, most int, line func(int) Part) {
	if n == 0 {
		return
	}
	s.add(Heading{fmt.Sprintf("%s (%d)", title, n)})
	for i := range n {
		var p Part
		after := s.left
		if i < most {
			p = fitPart(line(i))
			after, _ = s.left.less(p)
		}
		if i == most || after.chars < spare.chars || after.blocks < spare.blocks {
			s.add(Text{Small: true, Spans: say(fmt.Sprintf("… and %d more.", n-i))})
			return
		}
		s.add(p)
	}
}

// requests adds a list of requests as a reader sees them.
func (b *Bot) requests(ctx context.Context, s *sheet, reader access.PersonID, title string, records []*access.Record, most int, buttons func(view) []Button) {
	s.list(title, len(records), most, func(i int) Part {
		v := b.glance(ctx, records[i])
		return Item{Spans: v.line(reader), Buttons: buttons(v)}
	})
}

// requestButton opens the empty request form.
func requestButton() Buttons {
	return Buttons{[]Button{{Action: ActRequest, Label: "Request access…", Style: Primary, Speak: "Request access to a role"}}}
}

// Home is the person's own page: what they hold, what waits for them, what they asked for.
func (b *Bot) Home(ctx context.Context, who Who) Card {
	p, sorry := b.person(ctx, who)
	if sorry != nil {
		return *sorry
	}
	c, err := b.page(ctx, who, p, Card{Name: "home", Title: "Elevate"}, homeRoom, nil)
	if err != nil {
		return *b.sorry(err, who, "home").Card
	}
	return c
}

// page fills a card with what concerns a person. Lead is said first, where there is something to say.
func (b *Bot) page(ctx context.Context, who Who, p access.Person, c Card, all room, lead []Span) (Card, error) {
	m, err := b.gather(ctx, p.ID)
	if err != nil {
		return Card{}, err
	}
	c.Summary = fmt.Sprintf("%d active, %d waiting for your decision, %s.", len(m.active), len(m.waiting), count(len(m.open), "open request"))
	s := newSheet(c, all)
	if len(lead) > 0 {
		s.add(Text{Spans: lead})
	}
	mine := func(v view) []Button {
		return append(v.ownButtons(b.cfg.Service.Allowed(ctx, p.ID, v.Record)), v.detailsButton())
	}
	b.requests(ctx, s, p.ID, "Active access", m.active, maxActive, mine)
	b.requests(ctx, s, p.ID, "Waiting for your decision", m.waiting, maxWaiting, func(v view) []Button {
		return []Button{v.approveButton(), v.denyButton(), v.detailsButton()}
	})
	b.requests(ctx, s, p.ID, "Open requests", m.open, maxOpen, mine)
	if len(m.active)+len(m.waiting)+len(m.open) == 0 {
		s.add(Text{Spans: say("You hold no access, and nothing waits for you.")})
	}
	s.add(requestButton())
	b.requests(ctx, s, p.ID, "Recent", m.recent, maxRecent, func(v view) []Button {
		return append(v.againButtons(p.ID), v.detailsButton())
	})
	if m.moreRecent {
		s.add(Text{Small: true, Spans: say("Older ones are in the audit log.")})
	}
	s.add(Text{Small: true, Spans: say("In any channel: ", Mono(calling(who.Chat)+" ROLE 1h why you need it"), ", or ", Mono(calling(who.Chat)+" help"))})
	return fitTo(s.Card, all), nil
}

// rolesCard answers /elevate roles.
func (b *Bot) rolesCard(ctx context.Context, p access.Person, words string) (Card, error) {
	offers, err := b.cfg.Service.Offers(ctx, p.ID, words, maxRoles+1)
	if err != nil {
		return Card{}, err
	}
	c := Card{Name: "roles", Title: "Roles", Summary: "The roles that you may request."}
	if words = oneLine(words); words != "" {
		c.Title = "Roles matching “" + clip(words, 80) + "”"
	}
	sh := newSheet(c, messageRoom)
	if len(offers) == 0 {
		sh.add(Text{Spans: say("No role matches. Try fewer or other words: ", Mono("/elevate roles prod"), ".")})
	}
	told := false
	for _, o := range offers[:min(len(offers), maxRoles)] {
		if !o.Eligible && !told {
			told = true
			sh.add(Heading{"You may not request these"})
		}
		sh.add(Item{Spans: offerLine(o)})
	}
	if len(offers) > maxRoles {
		sh.add(Text{Small: true, Spans: say("There are more. Type words to narrow them down: ", Mono("/elevate roles "+cmp.Or(clip(words, 80), "prod")+" db"), ".")})
	}
	sh.add(requestButton())
	return fit(sh.Card), nil
}

// offerLine is a role in a list.
func offerLine(o workflows.Offer) []Span {
	spans := roleSpans(o.Role)
	if o.Eligible {
		spans = say(spans, ", up to ", howLong(o.Max), ", ", approvals(o.Stages))
	}
	if d := oneLine(o.Role.Description); d != "" {
		spans = say(spans, ". ", clip(d, 150))
	}
	return spans
}

// approvals says how many people must agree.
func approvals(stages []access.Stage) string {
	n := 0
	for _, s := range stages {
		n += s.Count
	}
	switch {
	case n == 0:
		return "approved by policy"
	case len(stages) > 1:
		return fmt.Sprintf("%s in %d stages", count(n, "approval"), len(stages))
	}
	return count(n, "approval")
}
