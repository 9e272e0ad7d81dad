package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Message is one thing to send about a note.
type Message struct {
	// Name is the key of its reference among those of its topic. A message of a name is posted once.
	Name string
	To   Address
	Card Card
	// Update says that the card shows how things are now: it replaces what was posted under the name, and one sending
	// does for all the notes up to Version.
	Update  bool
	Version int64
}

// The names under which a topic's references are kept. A personal copy of the request's message is refCopy and the
// person; other messages are named after the note that they tell of.
const (
	refRequest = "request"
	refCopy    = "request/"
	refDigest  = "digest"
	// Two words stand for a reference where a message will not be sent: nobody is there to read it, or the chat refused it
	// for good.
	unsent  = "-"
	refused = "!"
)

// passedOver tells whether there is a message behind a reference.
func passedOver(ref string) bool { return ref == unsent || ref == refused }

// old is how late a digest may come: the next one is due then.
const old = 20 * time.Hour

// Plan lists the messages that a note about a record asks for in a chat, in order. Refs are those of the messages
// sent before on the topic. An error means that it is not known now whom to tell.
func (b *Bot) Plan(ctx context.Context, chat string, n workflows.Note, r *access.Record, refs map[string]string) ([]Message, error) {
	v := b.look(ctx, r)
	if n.Kind == workflows.NoteForged {
		b.callAdministrators(ctx, &v)
	}
	channel := b.cfg.Channel(r.Policy, chat)
	if passedOver(refs[refRequest]) {
		channel = "" // the channel refused the message: those who may decide are told personally
	}
	// Without a channel nobody else would be told. A policy that has changed since leaves nobody who may decide.
	if v.unknown != nil && channel == "" && !errors.Is(v.unknown, access.ErrConflict) {
		return nil, fmt.Errorf("find those who may decide request %s: %w", r.ID, v.unknown)
	}
	answers, readers := v.answers(n, channel, refs), v.readers(n)
	if n.Kind == workflows.NoteOverdue { // of many at once the alarm tells
		many, manyOf := b.crowded(ctx, r)
		if many {
			answers = nil
		}
		readers = slices.DeleteFunc(readers, manyOf)
	}
	messages := append(v.copies(channel, refs), answers...)
	for _, to := range readers {
		// Each has buttons of their own.
		card, ok := v.personalCard(n, to, b.cfg.Service.Allowed(ctx, to, r))
		if !ok {
			continue
		}
		m := Message{Name: "told/" + name(n) + "/" + string(to), To: Address{Person: to}, Card: card}
		messages = append(messages, m)
		if refs[m.Name] == refused && channel != "" {
			messages = append(messages, Message{Name: m.Name + "/instead", To: Address{Channel: channel, Thread: refs[refRequest]}, Card: v.insteadCard(to, card)})
		}
	}
	return messages, nil
}

// insteadCard calls somebody below the request's message whom the chat would not take a personal message to.
func (v view) insteadCard(to access.PersonID, personal Card) Card {
	who := v.who(to)
	who.Mention = true
	buttons := slices.DeleteFunc(slices.Clone(personal.Parts), func(p Part) bool { _, ok := p.(Buttons); return !ok })
	parts := []Part{
		Text{Spans: say(who, ": ", Strong(personal.Title), ".")},
		Text{Small: true, Spans: say("Elevate could not tell you so personally here. Add its app for yourself, and it will; ", Mono("/elevate mine"), " shows what you hold.")},
	}
	return fit(Card{Name: "instead", Summary: v.called(to) + ": " + personal.Title + ".", Parts: append(parts, buttons...)})
}

// name tells one note of a topic from another: the same kind may come again.
func name(n workflows.Note) string { return fmt.Sprintf("%s/%d", n.Kind, n.Version) }

// copies are the request's message, wherever it stands: in the channel, or where there is none, with each of those
// who may decide.
func (v view) copies(channel string, refs map[string]string) []Message {
	card := v.requestCard()
	if channel != "" {
		return []Message{{Name: refRequest, To: Address{Channel: channel}, Card: card, Update: true, Version: v.Version}}
	}
	names := map[string]access.PersonID{}
	for _, p := range v.approvers[:min(len(v.approvers), mentionedLater)] {
		names[refCopy+string(p.ID)] = p.ID
	}
	for ref := range refs { // whoever has a copy keeps a true one, also when no longer asked
		if p, ok := strings.CutPrefix(ref, refCopy); ok && !isVersion(ref) {
			names[ref] = access.PersonID(p)
		}
	}
	var messages []Message
	for _, n := range slices.Sorted(maps.Keys(names)) {
		messages = append(messages, Message{Name: n, To: Address{Person: names[n]}, Card: card, Update: true, Version: v.Version})
	}
	return messages
}

// answers are what is said below the request's message. Where that is not in a channel only a reminder is worth a
// message to each of those who may decide.
func (v view) answers(n workflows.Note, channel string, refs map[string]string) []Message {
	if v.expired(n) {
		return nil
	}
	card, ok := v.threadCard(n)
	switch {
	case !ok:
		return nil
	case channel != "":
		return []Message{{Name: "thread/" + name(n), To: Address{Channel: channel, Thread: refs[refRequest]}, Card: card}}
	case n.Kind != workflows.NoteReminder:
		return nil
	}
	var messages []Message
	for _, p := range v.approvers[:min(len(v.approvers), mentionedLater)] {
		messages = append(messages, Message{Name: "told/" + name(n) + "/" + string(p.ID), To: Address{Person: p.ID}, Card: card})
	}
	return messages
}

// readers are those who get a personal message about a note.
func (v view) readers(n workflows.Note) []access.PersonID {
	if v.expired(n) {
		return nil
	}
	concerned := []access.PersonID{v.Requester}
	if v.Person != v.Requester {
		concerned = append(concerned, v.Person)
	}
	if v.Found() {
		concerned = concerned[1:] // nobody asked
	}
	switch n.Kind {
	case workflows.NoteMissing:
		return []access.PersonID{v.Person}
	case workflows.NoteCancelled, workflows.NoteExtended: // whoever did it knows
		return slices.DeleteFunc(concerned, func(p access.PersonID) bool { return p == n.Actor.Person })
	case workflows.NoteRestored, workflows.NoteForged: // the channel is told; there may be hundreds
		return nil
	case workflows.NoteApproved: // what the policy approves is active at once
		if n.Actor.Person == access.System {
			return nil
		}
	}
	return concerned
}

// expired tells whether what a note says has been overtaken: it would only puzzle.
func (v view) expired(n workflows.Note) bool {
	switch n.Kind {
	case workflows.NoteReminder:
		return v.State != access.Pending || !v.now.Before(v.DecideBy)
	case workflows.NoteNearEnd:
		return v.State != access.Active || !v.EndsAt.Equal(n.EndsAt) || !v.now.Before(v.EndsAt)
	case workflows.NoteRestored:
		return v.State != access.Active && v.State != access.Activating
	case workflows.NoteOverdue:
		return v.State != access.Deactivating
	case workflows.NoteActive, workflows.NoteExtended, workflows.NoteMissing:
		return v.State != access.Active
	}
	return false
}

// The name under which the version shown by an updated message is kept.
func versionOf(ref string) string { return ref + "@" }

func isVersion(ref string) bool { return strings.HasSuffix(ref, "@") }

// digestBody is the body of a digest's note.
type digestBody struct {
	Channel string            `json:"channel"`
	Digest  *workflows.Digest `json:"digest"`
}

// planDigest is the one message of a digest's note; none where it is too old to be news.
func (b *Bot) planDigest(ctx context.Context, n workflows.Note) ([]Message, error) {
	if b.now().Sub(n.At) > old {
		return nil, nil
	}
	var body digestBody
	if err := json.Unmarshal(n.Body, &body); err != nil {
		return nil, fmt.Errorf("read the digest's note: %w", err)
	}
	return []Message{{Name: refDigest, To: Address{Channel: body.Channel}, Card: b.digestCard(ctx, body.Digest)}}, nil
}
