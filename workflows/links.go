package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// What is said of a word that somebody typed.
var (
	// ErrWrongWord says that it is not the word, and that another may be tried.
	ErrWrongWord = errors.New("not the word")
	// ErrNoTries says that too many wrong ones were tried.
	ErrNoTries = errors.New("too many wrong words")
	// ErrNoOffer says that nothing waits for a word, or not any more.
	ErrNoOffer = errors.New("nothing waits for a word")
)

// NoteLink tells of a link between a chat account and a person; its body is a LinkChange.
const NoteLink NoteKind = "link"

// LinkChange is what became of a link.
type LinkChange struct {
	Kind string      `json:"kind"` // as in the audit log: linked, link_suspended, link_confirmed, unlinked
	Link access.Link `json:"link"`
}

// LinkStore keeps links.
type LinkStore interface {
	// Link gives the link of a chat account; nil where there is none.
	Link(ctx context.Context, chat, account string) (*access.Link, error)
	// LinkOf gives the link of a person in a chat; nil where there is none.
	LinkOf(ctx context.Context, person access.PersonID, chat string) (*access.Link, error)
	// Relink replaces the link of an account and puts the event on record with it; before and after are nil for none.
	// ErrStale where it is not as before any more, ErrTaken where the person has another account in the chat.
	Relink(ctx context.Context, before, after *access.Link, e audit.Event) error
	Append(ctx context.Context, e audit.Event) error
	Enqueue(ctx context.Context, chats []string, topic, key string, n Note) (bool, error)
}

// LinkConfig is what Links are made of.
type LinkConfig struct {
	Store LinkStore // required
	// Written is whose account the configuration says that this one is, and which account it gives a person; "" for none.
	// Links leave alone what is written there. Required.
	Written interface {
		OwnerOf(chat, account string) access.PersonID
		WrittenAccount(id access.PersonID, chat string) string
	}
	// Administrator tells whether somebody may confirm and remove the links of others. Required.
	Administrator func(ctx context.Context, id access.PersonID) (bool, error)
	Chats         []string         // that tell people
	Changed       func()           // is called when a link was changed here; nil: nothing is
	Now           func() time.Time // nil: time.Now
	Logger        *slog.Logger     // nil: discarded
}

// Links are the verbs about which chat account is whose. Whoever asks the directory is not among them: it only learns
// from what is kept here. It is safe for concurrent use.
type Links struct {
	cfg LinkConfig
	now func() time.Time
	log *slog.Logger
}

// NewLinks checks the configuration and makes Links.
func NewLinks(cfg LinkConfig) (*Links, error) {
	if cfg.Store == nil || cfg.Written == nil || cfg.Administrator == nil {
		return nil, errors.New("workflows: links need Store, Written and Administrator")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Links{cfg: cfg, now: cfg.Now, log: cfg.Logger}, nil
}

// Claim links an account to the person who has signed in and said in the chat what the page showed them. What the same
// person had there by an e-mail address, or by signing in before, gives way; the link of another does not. Sealed is the
// refresh token that came with the sign-in; empty: none did.
func (l *Links) Claim(ctx context.Context, by access.Actor, person access.Person, id access.Identity, sealed string) error {
	if err := l.free(by, person.ID); err != nil {
		return err
	}
	before, err := l.cfg.Store.Link(ctx, by.Via, by.Account)
	if errors.Is(err, ErrForged) { // it is nobody's, and gives way
		before, err = nil, nil
	}
	if err != nil {
		return err
	}
	if before != nil && before.Person != person.ID {
		return linkRefusal("linked_already", "This %s account is linked to %s. They can remove that with `/elevate link remove`, or an administrator with `/elevate link remove %s`.", by.Via, before.Person, before.Person)
	}
	after := access.Link{Chat: by.Via, Account: by.Account, Person: person.ID, Kind: access.LinkOIDC, At: l.now().UTC(), Identity: &id}
	if sealed != "" {
		after.Token = &access.Token{Chat: by.Via, Account: by.Account, Sealed: sealed}
	}
	by.Person = person.ID
	err = l.change(ctx, by, audit.Linked, before, &after)
	if errors.Is(err, ErrTaken) {
		return linkRefusal("other_account", "%s has another %s account already. Remove that first, with `/elevate link remove` there, or ask an administrator to.", person.DisplayName(), by.Via)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", person.ID, err)
	}
	return nil
}

// Free refuses an account that the configuration links already.
func (l *Links) Free(by access.Actor) error { return l.free(by, "") }

func (l *Links) free(by access.Actor, person access.PersonID) error {
	switch owner := l.cfg.Written.OwnerOf(by.Via, by.Account); {
	case owner != "" && (owner == person || person == ""):
		return linkRefusal("written_already", "Elevate's configuration links this %s account to %s already. There is nothing to do.", by.Via, owner)
	case owner != "":
		return linkRefusal("written_already", "Elevate's configuration says that this %s account is somebody else's. Ask whoever looks after Elevate here.", by.Via)
	case person != "" && l.cfg.Written.WrittenAccount(person, by.Via) != "":
		return linkRefusal("other_account", "Elevate's configuration gives %s another %s account. Ask whoever looks after Elevate here.", person, by.Via)
	}
	return nil
}

// Believe keeps a link that rests on a confirmed e-mail address, where the account has none. It gives what is kept.
func (l *Links) Believe(ctx context.Context, after access.Link) (*access.Link, error) {
	after.Kind, after.At = access.LinkEmail, l.now().UTC()
	err := l.change(ctx, access.Actor{Person: access.System, Via: after.Chat, Account: after.Account}, audit.Linked, nil, &after)
	if errors.Is(err, ErrStale) { // two asked at once
		return l.cfg.Store.Link(ctx, after.Chat, after.Account)
	}
	if errors.Is(err, ErrTaken) {
		return nil, fmt.Errorf("%s has another %s account: %w", after.Person, after.Chat, access.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("believe the e-mail address of %s: %w", after.Person, err)
	}
	return &after, nil
}

// Suspend makes a link count for nothing, because of what changed, until the person signs in or, where it rests on an
// e-mail address, it is confirmed.
func (l *Links) Suspend(ctx context.Context, before access.Link, why string) error {
	after := before
	after.Suspended, after.Why = l.now().UTC(), why
	err := l.change(ctx, access.Actor{Person: access.System, Via: before.Chat, Account: before.Account}, audit.LinkSuspended, &before, &after)
	if errors.Is(err, ErrStale) { // whoever was first told people
		return nil
	}
	if err != nil {
		return fmt.Errorf("suspend the link of %s: %w", before.Person, err)
	}
	return nil
}

// Confirm vouches for the suspended link of somebody: the account is theirs, under the address and the name that it has
// now. Administrators may, for others.
func (l *Links) Confirm(ctx context.Context, by access.Actor, person access.PersonID, now func(ctx context.Context, chat, account string) (email, name string, err error)) (access.Link, error) {
	if by.Person == person {
		return access.Link{}, linkRefusal("own_link", "You cannot confirm your own account: type `/elevate link` there and sign in, or ask another administrator.")
	}
	if err := l.administrator(ctx, by, "confirm"); err != nil {
		return access.Link{}, err
	}
	for _, chat := range l.cfg.Chats {
		before, err := l.cfg.Store.LinkOf(ctx, person, chat)
		if err != nil {
			return access.Link{}, err
		}
		if before == nil || before.Suspended.IsZero() {
			continue
		}
		if before.Kind == access.LinkOIDC {
			return access.Link{}, linkRefusal("sign_in", "That link of %s rests on a sign-in, and nobody can vouch for that: they type `/elevate link` there and sign in again.", person)
		}
		after := *before
		if after.Email, after.Name, err = now(ctx, chat, before.Account); err != nil {
			return access.Link{}, err
		}
		after.Suspended, after.Why, after.Confirmed = time.Time{}, "", by.Person
		if err := l.change(ctx, by, audit.LinkConfirmed, before, &after); err != nil {
			return access.Link{}, fmt.Errorf("confirm the link of %s: %w", person, err)
		}
		return after, nil
	}
	return access.Link{}, linkRefusal("nothing_suspended", "No link of %s is suspended, so there is nothing to confirm.", person)
}

// Remove takes the links of a person away, in every chat: their own, or an administrator anyone's.
func (l *Links) Remove(ctx context.Context, by access.Actor, person access.PersonID) (removed []access.Link, err error) {
	if by.Person != person {
		if err := l.administrator(ctx, by, "remove"); err != nil {
			return nil, err
		}
	}
	for _, chat := range l.cfg.Chats {
		before, err := l.cfg.Store.LinkOf(ctx, person, chat)
		if err != nil {
			return removed, err
		}
		if before == nil {
			continue
		}
		if err := l.change(ctx, by, audit.Unlinked, before, nil); err != nil {
			return removed, fmt.Errorf("remove the link of %s: %w", person, err)
		}
		removed = append(removed, *before)
	}
	if len(removed) == 0 {
		return nil, linkRefusal("no_link", "%s has no link that could be removed. What the configuration links is changed there.", person)
	}
	return removed, nil
}

func (l *Links) administrator(ctx context.Context, by access.Actor, verb string) error {
	may, err := l.cfg.Administrator(ctx, by.Person)
	if err != nil {
		return err
	}
	if may {
		return nil
	}
	e := audit.Event{At: l.now().UTC(), Kind: audit.Refused, Actor: by, Reason: "not_administrator", Detail: map[string]string{"verb": "link " + verb}}
	if err := l.cfg.Store.Append(ctx, e); err != nil {
		l.log.Error("a refusal could not be put on record", "person", by.Person, "err", err)
	}
	return linkRefusal("not_administrator", "Only administrators may %s the links of others.", verb)
}

// change replaces a link, with its event, and tells people.
func (l *Links) change(ctx context.Context, by access.Actor, kind string, before, after *access.Link) error {
	link := after
	if link == nil {
		link = before
	}
	at, version := l.now().UTC(), l.now().UnixMilli()
	if before != nil {
		version = max(version, before.Version+1)
	}
	if after != nil {
		after.Version = version
	}
	e := linkEvent(at, by, kind, *link)
	e.Detail["version"] = strconv.FormatInt(version, 10)
	if err := l.cfg.Store.Relink(ctx, before, after, e); err != nil {
		return err
	}
	if l.cfg.Changed != nil {
		l.cfg.Changed()
	}
	l.log.InfoContext(ctx, "link changed", "kind", kind, "chat", link.Chat, "account", link.Account, "person", link.Person, "by", by.Person, "why", link.Why)
	if err := l.tell(ctx, e, *link); err != nil { // it counts, and is on record
		l.log.Error("people could not be told of a link", "kind", kind, "person", link.Person, "err", err)
	}
	return nil
}

func linkEvent(at time.Time, by access.Actor, kind string, link access.Link) audit.Event {
	e := audit.Event{At: at, Kind: kind, Actor: by, Person: link.Person, Reason: link.Why,
		Detail: map[string]string{"chat": link.Chat, "account": link.Account, "rests_on": string(link.Kind)}}
	if link.Identity != nil {
		e.Detail["issuer"], e.Detail["subject"] = link.Identity.Issuer, link.Identity.Subject
	}
	if link.Email != "" {
		e.Detail["email"], e.Detail["name"] = link.Email, link.Name
	}
	return e
}

func (l *Links) tell(ctx context.Context, e audit.Event, link access.Link) error {
	if len(l.cfg.Chats) == 0 {
		return nil
	}
	body, err := json.Marshal(LinkChange{e.Kind, link})
	if err != nil {
		return err
	}
	topic := fmt.Sprintf("link/%s/%s/%d", link.Chat, link.Account, e.At.UnixMilli())
	_, err = l.cfg.Store.Enqueue(ctx, l.cfg.Chats, topic, e.Kind, Note{Kind: NoteLink, At: e.At, Actor: e.Actor, Body: body})
	return err
}

func linkRefusal(code, format string, args ...any) *access.Refusal {
	return &access.Refusal{Kind: access.ErrNotAllowed, Code: code, Text: fmt.Sprintf(format, args...)}
}
