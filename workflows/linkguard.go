package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// LinkDoubted and LinksLost are what is told of links that are not what Elevate wrote last; kinds of a LinkChange beside
// those of the audit log. LinksLost is told once an hour, however many the store has lost.
const (
	LinkDoubted = "link_doubted"
	LinksLost   = "links_lost"
)

// LinkVault is what a LinkGuard needs of the store. Its links are those that lie there.
type LinkVault interface {
	LinkStore
	Links(ctx context.Context) ([]access.Link, error)
	// KeptLink gives what is kept of a chat account: its link, or one without a person, of the version at which the link
	// was taken away; nil for neither.
	KeptLink(ctx context.Context, chat, account string) (*access.Link, error)
	// ReplaceLink puts a link, or what is kept of one, in the place of whatever lies there for its account, with its event.
	ReplaceLink(ctx context.Context, after *access.Link, e audit.Event) error
}

// LinkGuardConfig is what a LinkGuard is made of.
type LinkGuardConfig struct {
	Store LinkVault        // required
	Chats []string         // that tell people
	Found func()           // is told of each link that was changed. Nil: nobody is.
	Now   func() time.Time // nil: time.Now
	// Logger is told what nobody else is. Nil: nothing is logged.
	Logger *slog.Logger
}

// LinkGuard is a store of links that believes none that is older than this replica knows of, or that is gone and that
// nobody took away. What it knows in full it puts back; other links are suspended, until their person signs in again.
// It is safe for concurrent use.
type LinkGuard struct {
	LinkVault
	cfg LinkGuardConfig

	mu    sync.Mutex
	known map[string]knownLink // by "chat account"
}

// knownLink is the newest of a link that this replica knows of.
type knownLink struct {
	version int64
	link    *access.Link // nil: there is none
	whole   bool         // it is all of it; the audit log does not tell what a sign-in said
}

func linkName(chat, account string) string { return chat + " " + account }

// NewLinkGuard makes a LinkGuard that knows nothing.
func NewLinkGuard(cfg LinkGuardConfig) *LinkGuard {
	if cfg.Found == nil {
		cfg.Found = func() {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &LinkGuard{LinkVault: cfg.Store, cfg: cfg, known: map[string]knownLink{}}
}

// Lesson has the guard know what the audit log tells of links.
func (g *LinkGuard) Lesson() audit.Lesson {
	kinds := []string{audit.Linked, audit.LinkSuspended, audit.LinkConfirmed, audit.Unlinked}
	return audit.Lesson{Kinds: kinds, Event: func(e audit.Event) {
		version, err := strconv.ParseInt(e.Detail["version"], 10, 64)
		if err == nil {
			l, whole := loggedLink(e, version)
			g.note(e.Detail["chat"], e.Detail["account"], knownLink{version: version, link: l, whole: whole})
		}
	}}
}

// loggedLink is a link as its last event tells it; nil for none.
func loggedLink(e audit.Event, version int64) (l *access.Link, whole bool) {
	if e.Kind == audit.Unlinked {
		return nil, true
	}
	l = &access.Link{Version: version, Chat: e.Detail["chat"], Account: e.Detail["account"], Person: e.Person, Kind: access.LinkKind(e.Detail["rests_on"]),
		At: e.At, Email: e.Detail["email"], Name: e.Detail["name"]}
	if issuer := e.Detail["issuer"]; issuer != "" {
		l.Identity = &access.Identity{Issuer: issuer, Subject: e.Detail["subject"], At: e.At}
	}
	switch e.Kind {
	case audit.LinkSuspended:
		l.Suspended, l.Why = e.At, e.Reason
	case audit.LinkConfirmed:
		l.Confirmed = e.Actor.Person
	}
	return l, l.Kind == access.LinkEmail
}

func (g *LinkGuard) note(chat, account string, k knownLink) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if have, ok := g.known[linkName(chat, account)]; !ok || k.version > have.version || k.version == have.version && k.whole {
		g.known[linkName(chat, account)] = k
	}
}

func (g *LinkGuard) of(chat, account string) knownLink {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[linkName(chat, account)]
}

// Link gives the link of a chat account as it was written last.
func (g *LinkGuard) Link(ctx context.Context, chat, account string) (*access.Link, error) {
	known := g.of(chat, account) // from before it is read: another may write a later one in between
	l, err := g.cfg.Store.KeptLink(ctx, chat, account)
	switch {
	case errors.Is(err, ErrForged) && known.version > 0:
		return g.settle(ctx, chat, account, known, "altered")
	case err != nil:
		return nil, err
	case l == nil && known.link != nil:
		return g.settle(ctx, chat, account, known, "gone")
	case l != nil && l.Version < known.version:
		return g.settle(ctx, chat, account, known, "older")
	case l != nil && l.Person == "": // taken away, here or on another replica
		g.note(chat, account, knownLink{version: l.Version, whole: true})
		return nil, nil
	case l != nil:
		g.note(chat, account, knownLink{version: l.Version, link: l, whole: true})
	}
	return l, nil
}

// gone is what is kept of a link that was taken away: a replica that missed it would put the link back otherwise.
func gone(chat, account string, version int64) *access.Link {
	return &access.Link{Version: version, Chat: chat, Account: account}
}

// LinkOf gives the link of a person in a chat.
func (g *LinkGuard) LinkOf(ctx context.Context, person access.PersonID, chat string) (*access.Link, error) {
	l, err := g.cfg.Store.LinkOf(ctx, person, chat)
	if err != nil && !errors.Is(err, ErrForged) {
		return nil, err
	}
	account := ""
	if l != nil {
		account = l.Account
	} else {
		account = g.accountOf(person, chat)
	}
	if account == "" {
		return nil, err
	}
	l, err = g.Link(ctx, chat, account)
	if l != nil && l.Person != person {
		return nil, err
	}
	return l, err
}

// accountOf is the account that somebody had when this replica last heard of it.
func (g *LinkGuard) accountOf(person access.PersonID, chat string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range g.known {
		if k.link != nil && k.link.Person == person && k.link.Chat == chat {
			return k.link.Account
		}
	}
	return ""
}

// Links gives every link as it was written last.
func (g *LinkGuard) Links(ctx context.Context) ([]access.Link, error) {
	g.mu.Lock()
	missing := maps.Clone(g.known)
	g.mu.Unlock()
	all, err := g.cfg.Store.Links(ctx)
	if err != nil {
		return nil, err
	}
	var kept []access.Link
	for _, l := range all {
		name := linkName(l.Chat, l.Account)
		if l.Version >= missing[name].version {
			g.note(l.Chat, l.Account, knownLink{version: l.Version, link: &l, whole: true})
			kept = append(kept, l)
			delete(missing, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		chat, account, _ := strings.Cut(name, " ")
		l, err := g.Link(ctx, chat, account)
		if err != nil {
			return nil, err
		}
		if l != nil {
			kept = append(kept, *l)
		}
	}
	return kept, nil
}

// Relink replaces a link, also one that somebody else wrote where there was none to know of.
func (g *LinkGuard) Relink(ctx context.Context, before, after *access.Link, e audit.Event) error {
	if after == nil {
		return g.remove(ctx, before, e)
	}
	replace := func() error { return g.cfg.Store.Relink(ctx, before, after, e) }
	if before == nil {
		kept, err := g.cfg.Store.KeptLink(ctx, after.Chat, after.Account)
		switch {
		case errors.Is(err, ErrForged):
			replace = func() error { return g.cfg.Store.ReplaceLink(ctx, after, e) }
		case err != nil:
			return err
		case kept != nil && kept.Person == "":
			before = kept
			g.note(kept.Chat, kept.Account, knownLink{version: kept.Version, whole: true})
		}
		e.Detail = maps.Clone(e.Detail)
		g.above(after, e)
	}
	if err := replace(); err != nil {
		return err
	}
	noted := *after
	noted.Token = nil // it is used by the time that the link is put back
	g.note(after.Chat, after.Account, knownLink{version: after.Version, link: &noted, whole: true})
	return nil
}

// above has a new link, and its event, be newer than the one that was taken away, also where clocks differ.
func (g *LinkGuard) above(after *access.Link, e audit.Event) {
	if last := g.of(after.Chat, after.Account).version; after.Version <= last {
		after.Version = last + 1
		e.Detail["version"] = strconv.FormatInt(after.Version, 10)
	}
}

func (g *LinkGuard) remove(ctx context.Context, before *access.Link, e audit.Event) error {
	version, err := strconv.ParseInt(e.Detail["version"], 10, 64)
	if err != nil {
		return fmt.Errorf("version of the link that is taken away: %w", err)
	}
	if err := g.cfg.Store.Relink(ctx, before, gone(before.Chat, before.Account, version), e); err != nil {
		return err
	}
	g.note(before.Chat, before.Account, knownLink{version: version, whole: true})
	return nil
}

// settle puts what is known in the place of what is not believed, and gives it.
func (g *LinkGuard) settle(ctx context.Context, chat, account string, known knownLink, how string) (*access.Link, error) {
	at := g.cfg.Now().UTC()
	after := known.link
	if after != nil && !known.whole {
		suspended := *after
		suspended.Version, suspended.Suspended, suspended.Why = max(known.version+1, at.UnixMilli()), at, "it was changed in Elevate's store, and not by Elevate"
		if how == "gone" {
			suspended.Why = "Elevate's store has lost it"
		}
		after = &suspended
	}
	about := after
	if about == nil {
		about = gone(chat, account, known.version)
	}
	e := audit.Event{At: at, Kind: audit.Forged, Actor: access.BySystem(), Person: about.Person, Reason: "a link in the store is not what Elevate wrote last: somebody else has changed it, or the store went back",
		Detail: map[string]string{"what": "link", "how": how, "chat": chat, "account": account, "restored": strconv.FormatBool(known.whole)}}
	if err := g.cfg.Store.ReplaceLink(ctx, about, e); err != nil {
		return nil, fmt.Errorf("settle the link of %s account %q, which is %s: %w", chat, account, how, err)
	}
	if after != nil {
		g.note(chat, account, knownLink{version: after.Version, link: after, whole: true})
	}
	g.cfg.Found()
	g.cfg.Logger.ErrorContext(ctx, "A LINK IN THE STORE WAS CHANGED, AND NOT BY ELEVATE. Find out who can write to Redis",
		"chat", chat, "account", account, "person", about.Person, "how", how, "restored", known.whole)
	if err := g.tell(ctx, at, how, *about); err != nil { // it is settled, and on record
		g.cfg.Logger.ErrorContext(ctx, "people could not be told of a link", "person", about.Person, "err", err)
	}
	return after, nil
}

// tell tells the person and the administrators; of what is gone the latter alone, once an hour.
func (g *LinkGuard) tell(ctx context.Context, at time.Time, how string, l access.Link) error {
	if len(g.cfg.Chats) == 0 {
		return nil
	}
	change, topic, key := LinkChange{Kind: LinkDoubted, Link: l}, "link/"+linkName(l.Chat, l.Account), LinkDoubted+stamp(at)
	if how == "gone" {
		change, topic, key = LinkChange{Kind: LinksLost}, "link/lost", LinksLost+stamp(at.Truncate(time.Hour))
	}
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = g.cfg.Store.Enqueue(ctx, g.cfg.Chats, topic, key, Note{Kind: NoteLink, At: at, Actor: access.BySystem(), Body: body})
	return err
}
