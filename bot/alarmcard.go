package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

const (
	// few is how many overdue endings are told of one by one; of more the alarm speaks.
	few = 3
	// maxAlarmLines is how many of them the alarm names, the worst first.
	maxAlarmLines = 5
	// maxAlarmed bounds the administrators that are told personally.
	maxAlarmed = 20
	// staleAlarm is how late a step may come: the next one has come then.
	staleAlarm = time.Hour
)

// alarmBody is the body of an alarm's note.
type alarmBody struct {
	Connector string      `json:"connector"`
	Since     time.Time   `json:"since"`
	Over      bool        `json:"over,omitempty"`
	Next      time.Time   `json:"next,omitzero"` // when it is told again
	Count     int         `json:"count,omitempty"`
	Worst     []alarmLine `json:"worst,omitempty"`
	Error     string      `json:"error,omitempty"`
	Policies  []string    `json:"policies,omitempty"`
}

type alarmLine struct {
	Request access.RequestID `json:"request"`
	Person  access.PersonID  `json:"person"`
	Role    access.RoleID    `json:"role"`
	Due     time.Time        `json:"due"`
}

// The names of an alarm's messages: the step, and whom it was for.
const (
	refAlarm        = "alarm/"
	alarmedChannel  = "#"
	alarmedPersonal = "@"
)

// planAlarm lists the messages of an alarm: one to each administrator, and one to each channel where more are overdue than
// are told of one by one. That it is over is told to those who were told of it.
func (b *Bot) planAlarm(ctx context.Context, chat string, n workflows.Note, refs map[string]string) ([]Message, error) {
	var body alarmBody
	if err := json.Unmarshal(n.Body, &body); err != nil {
		return nil, fmt.Errorf("read the alarm's note: %w", err)
	}
	step := fmt.Sprintf("%s%d/", refAlarm, n.At.UnixMilli())
	var messages []Message
	add := func(to string, a Address, c Card) {
		messages = append(messages, Message{Name: step + to, To: a, Card: c})
	}
	if body.Over {
		card := b.alarmOverCard(n, body)
		for _, to := range alarmed(refs) {
			if who, personal := strings.CutPrefix(to, alarmedPersonal); personal {
				add(to, Address{Person: access.PersonID(who)}, card)
			} else {
				add(to, Address{Channel: strings.TrimPrefix(to, alarmedChannel)}, card)
			}
		}
		return messages, nil
	}
	if b.now().Sub(n.At) > staleAlarm {
		return nil, nil
	}
	administrators, err := b.administrators(ctx, chat)
	if err != nil {
		return nil, err
	}
	for _, p := range administrators {
		add(alarmedPersonal+string(p.ID), Address{Person: p.ID}, b.alarmCard(ctx, n, body, nil))
	}
	if body.Count > few {
		for _, channel := range b.channels(body.Policies, chat) {
			add(alarmedChannel+channel, Address{Channel: channel}, b.alarmCard(ctx, n, body, administrators))
		}
	}
	return messages, nil
}

// alarmed are those who were told of an alarm, each once.
func alarmed(refs map[string]string) []string {
	to := map[string]bool{}
	for name, ref := range refs {
		if rest, ok := strings.CutPrefix(name, refAlarm); ok && !passedOver(ref) {
			_, whom, _ := strings.Cut(rest, "/")
			to[whom] = true
		}
	}
	return slices.Sorted(maps.Keys(to))
}

// administrators are those who can be told in a chat.
func (b *Bot) administrators(ctx context.Context, chat string) ([]access.Person, error) {
	all, err := b.cfg.Administrators(ctx)
	if err != nil {
		return nil, err
	}
	var here []access.Person
	for _, p := range all {
		_, err := b.cfg.Directory.AccountOf(ctx, p.ID, chat)
		if err != nil && !notFound(err) {
			return nil, fmt.Errorf("find the account of %s: %w", p.ID, err)
		}
		if err == nil && len(here) < maxAlarmed {
			here = append(here, p)
		}
	}
	return here, nil
}

// channels are those of policies in a chat, each once.
func (b *Bot) channels(policies []string, chat string) []string {
	var channels []string
	for _, p := range policies {
		if c := b.cfg.Channel(p, chat); c != "" && !slices.Contains(channels, c) {
			channels = append(channels, c)
		}
	}
	return channels
}

// alarmCard says what is overdue at a connector, and what to do about it. Call are people whose help it asks for by name.
func (b *Bot) alarmCard(ctx context.Context, n workflows.Note, body alarmBody, call []access.Person) Card {
	grants := count(body.Count, "grant") + " " + has(body.Count) + " not ended"
	connector := clip(oneLine(body.Connector), maxName)
	s := newSheet(Card{
		Name: "alarm", Title: "Access at " + connector + " has not ended",
		Summary: fmt.Sprintf("%s at %s; the first was due %s ago.", grants, connector, howLong(n.At.Sub(body.Since).Round(time.Second))),
	}, messageRoom)
	s.add(Text{Spans: say("🚨 ", Strong(grants), " at ", Mono(connector), ": the time is up, and the target has not confirmed that the access is gone. "+
		"It may still be usable. The first was due ", When(body.Since, DateTime), ".")})
	for _, l := range body.Worst {
		s.add(Item{Spans: say(Span{Person: l.Person, Name: b.name(ctx, l.Person)}, ": ", Strong(clip(string(l.Role), maxRole)), ", due ",
			When(l.Due, DateTime), " · ", Mono(string(l.Request)))})
	}
	if more := body.Count - len(body.Worst); more > 0 {
		s.add(Text{Small: true, Spans: say(fmt.Sprintf("… and %d more. ", more), Mono("elevate grants --state deactivating"), " lists them.")})
	}
	if body.Error != "" {
		s.add(Text{Spans: say("The target's last answer:")})
		s.add(Quote{clip(body.Error, 600)})
	}
	s.add(Text{Spans: say("Elevate goes on trying by itself, and says so once the target was read back. Please see that ", Mono(connector),
		" answers; if that takes long, take the access away at the target by hand.")})
	if n := len(call); n > 0 && n <= mentionedAtFirst {
		s.add(Text{Spans: say(listed(mentions(call), n), ": please look.")})
	}
	s.add(Text{Small: true, Spans: say("Told again ", When(body.Next, DateTime), " if it lasts, and when it is over.")})
	return fit(s.Card)
}

// alarmOverCard says that nothing is overdue any more.
func (b *Bot) alarmOverCard(n workflows.Note, body alarmBody) Card {
	connector := clip(oneLine(body.Connector), maxName)
	return fit(Card{
		Name: "alarm-over", Title: "Access at " + connector + " has ended",
		Summary: "Nothing is overdue at " + connector + " any more.",
		Parts: []Part{Text{Spans: say("✅ ", Strong("Nothing is overdue any more"), " at ", Mono(connector), ": the target was read back, and all access whose time was up is gone. "+
			"It took from ", When(body.Since, DateTime), " to ", When(n.At, DateTime), ".")}},
	})
}

func has(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// overdueList is what is overdue, read at most once in so often however many notes are planned.
type overdueList struct {
	mu   sync.Mutex
	at   time.Time
	last []*access.Record
}

const overdueFresh = 2 * time.Second

// crowded tells whether so much is overdue at a record's connector, or of one person's there, that they are not told of
// each.
func (b *Bot) crowded(ctx context.Context, r *access.Record) (connector bool, person func(access.PersonID) bool) {
	b.overdue.mu.Lock()
	defer b.overdue.mu.Unlock()
	if now := b.now(); b.overdue.at.IsZero() || now.Sub(b.overdue.at) >= overdueFresh {
		late, err := b.cfg.Overdue(ctx)
		if err != nil {
			b.log.Warn("what is overdue could not be listed", "err", err)
			return false, func(access.PersonID) bool { return false }
		}
		b.overdue.last, b.overdue.at = late, now
	}
	all, of := 0, map[access.PersonID]int{}
	for _, o := range b.overdue.last {
		if o.Role.Connector == r.Role.Connector {
			all++
			of[o.Person]++
			if o.Requester != o.Person {
				of[o.Requester]++
			}
		}
	}
	return all > few, func(p access.PersonID) bool { return of[p] > few }
}
