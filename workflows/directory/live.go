package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"elevate/workflows/access"
)

const (
	// wordFresh is the longest that a chat's word on an account, an address or its groups is believed.
	wordFresh = time.Minute
	// linksFresh is the longest that links are believed to be all, where groups are looked up by them. Who an account is,
	// is asked each time.
	linksFresh = 2 * time.Second
	// claimsFor is the default of Config.ClaimsFor: no group is believed for longer than those that can be asked for.
	claimsFor = wordFresh
	// claimsListed is how long, at least, lists show groups that the identity provider named; whoever then acts is asked for anew.
	claimsListed = 24 * time.Hour
	// accountsMax bounds the memory for words on accounts.
	accountsMax = 20_000
)

// Links are the links that the store has.
type Links interface {
	Link(ctx context.Context, chat, account string) (*access.Link, error)
	LinkOf(ctx context.Context, person access.PersonID, chat string) (*access.Link, error)
	Links(ctx context.Context) ([]access.Link, error)
}

// Ledger keeps what is learned about links, and tells people.
type Ledger interface {
	// Believe keeps a link that rests on an e-mail address where the account has none, and gives what is kept.
	Believe(ctx context.Context, l access.Link) (*access.Link, error)
	// Suspend makes such a link count for nothing, because of what changed.
	Suspend(ctx context.Context, l access.Link, why string) error
}

// Profiles is a chat that is asked about its accounts. Errors: access.ErrNotFound (wrapped) where there is none.
type Profiles interface {
	Profile(ctx context.Context, account string) (access.Profile, error)
	ByEmail(ctx context.Context, email string) (access.Profile, error)
}

// Usergroups is a chat that is asked who is in its groups: the ids of accounts by the id of the group.
type Usergroups interface {
	Usergroups(ctx context.Context) (map[string][]string, error)
}

// Claims asks the identity provider for the groups of somebody who is away, by the link that they made.
type Claims interface {
	// Groups gives the groups that the person of the link is in now, or was in a minute ago at most. Overage says that these
	// are not all.
	Groups(ctx context.Context, l access.Link) (groups []string, overage bool, err error)
	// Last gives what was answered last, by "chat account", however long ago that is.
	Last(ctx context.Context) (map[string]access.Token, error)
}

// Group is a group that is kept elsewhere. Its members are beside those that the configuration names.
type Group struct {
	Name string
	// Chat and Usergroup are a chat and the id of a group of its accounts; empty: none.
	Chat, Usergroup string
	// Claim is the group's name in the claims of the identity provider; empty: none.
	Claim string
	// Object is the group's id in the tenant; empty: none. Who is in it through other groups is in it.
	Object string
}

// Config is what a Live directory is made of.
type Config struct {
	People *Directory // required
	Links  Links      // required
	Ledger Ledger     // required where Emails has any
	// Issuer is the identity provider whose links count. Empty: none does.
	Issuer string
	// TrustEmail lets somebody whom the identity provider vouches for be the person who has their confirmed address.
	TrustEmail bool
	// Claims asks for groups at the moment of the click, for links that allow it. Nil: the groups of the last sign-in count.
	Claims Claims
	// ClaimsFor is how long the groups of a sign-in count after it, where they cannot be asked for again; after that the person
	// is refused until they sign in again. Zero: a minute.
	ClaimsFor time.Duration
	// Emails are the chats in which a confirmed e-mail address counts, by name. Nil: it counts nowhere.
	Emails map[string]Profiles
	// Usergroups are the chats that groups are kept in, by name.
	Usergroups map[string]Usergroups
	Groups     []Group
	// Tenant is where people's accounts are looked up, by Entry.Object. Nil: nowhere.
	Tenant Tenant
	// Admits is the id of a group of the tenant whose members are people too, by the ids of their accounts. Empty: none is.
	Admits string
	// ObjectChat is the chat whose accounts have the ids of the tenant's; ObjectSubjects says that the identity provider calls
	// people by those ids.
	ObjectChat     string
	ObjectSubjects bool
	Now            func() time.Time // nil: time.Now
	Logger         *slog.Logger     // nil: discarded
}

// Live is the people of the configuration, with the accounts and groups that others know of, as they are now. What cannot
// be asked is an error, never a guess. It is safe for concurrent use.
type Live struct {
	cfg      Config
	now      func() time.Time
	log      *slog.Logger
	profiles *kept[access.Profile] // by chat and account
	emails   *kept[access.Profile] // by chat and address
	members  *kept[usergroups]
	links    *kept[map[access.PersonID][]access.Link]
	said     *kept[map[string]access.Token]
	tenant   *tenant // nil without one
}

// Open checks the configuration and makes a Live. It asks nobody.
func Open(cfg Config) (*Live, error) {
	if cfg.People == nil || cfg.Links == nil || len(cfg.Emails) > 0 && cfg.Ledger == nil {
		return nil, errors.New("directory: People, Links and Ledger are required")
	}
	for _, g := range cfg.Groups {
		if g.Usergroup != "" && cfg.Usergroups[g.Chat] == nil {
			return nil, fmt.Errorf("directory: group %s is kept in %q, which is not asked", g.Name, g.Chat)
		}
	}
	for _, g := range cfg.Groups {
		if g.Object != "" && cfg.Tenant == nil {
			return nil, fmt.Errorf("directory: group %s is kept in a tenant, and there is none", g.Name)
		}
	}
	if cfg.ClaimsFor <= 0 {
		cfg.ClaimsFor = claimsFor
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Live{
		cfg: cfg, now: cfg.Now, log: cfg.Logger,
		profiles: keep[access.Profile](wordFresh, accountsMax, cfg.Now),
		emails:   keep[access.Profile](wordFresh, accountsMax, cfg.Now),
		members:  keep[usergroups](wordFresh, len(cfg.Usergroups), cfg.Now),
		links:    keep[map[access.PersonID][]access.Link](linksFresh, 1, cfg.Now),
		said:     keep[map[string]access.Token](linksFresh, 1, cfg.Now),
	}
	if cfg.Tenant != nil {
		l.tenant = newTenant(cfg)
	}
	return l, nil
}

// Forget has links be read anew: one was changed here, and whoever changed it expects to be who they are now.
func (l *Live) Forget() {
	l.links.forget("")
	l.said.forget("")
}

// Person finds somebody by id, with the groups as they are now. An *access.Refusal is for who is known and may do nothing:
// the account in the tenant is disabled, a guest's, or gone.
func (l *Live) Person(ctx context.Context, id access.PersonID) (access.Person, error) {
	p, err := l.cfg.People.Person(ctx, id)
	switch {
	case err != nil && l.admits(string(id)):
		p, err = l.tenant.admitted(ctx, string(id))
	case err == nil && l.tenant != nil:
		p, err = l.tenant.vouched(ctx, p)
	}
	if err != nil {
		return p, err
	}
	return l.withGroups(ctx, p, l.claimed)
}

// Known finds somebody by id, with the groups of the configuration alone.
func (l *Live) Known(ctx context.Context, id access.PersonID) (access.Person, error) {
	if l.admits(string(id)) {
		return l.tenant.named(ctx, string(id)), nil
	}
	return l.cfg.People.Person(ctx, id)
}

// AllKnown lists everybody, by id, with the groups of the configuration alone.
func (l *Live) AllKnown(ctx context.Context) ([]access.Person, error) {
	return l.cfg.People.People(ctx)
}

// People lists everybody, by id. The groups among their claims are those that the identity provider said last: it is not
// asked for everybody at once. Whoever then does something is asked for by Person.
func (l *Live) People(ctx context.Context) ([]access.Person, error) {
	people, err := l.cfg.People.People(ctx)
	if err == nil && l.tenant != nil {
		people, err = l.tenant.all(ctx, people)
	}
	for i := range people {
		if err == nil {
			people[i], err = l.withGroups(ctx, people[i], l.lastClaimed)
		}
	}
	if err != nil {
		return nil, err
	}
	return people, nil
}

// ByAccount finds the one person that a chat account is linked to, without the groups that are kept elsewhere. What the
// configuration says and what the store has must not differ.
func (l *Live) ByAccount(ctx context.Context, chat, id string) (access.Person, error) {
	key := chatAccount(chat, id)
	written := l.cfg.People.byChat[key]
	if len(written) > 1 {
		return l.cfg.People.ByAccount(ctx, chat, id)
	}
	if len(written) == 0 && key.chat == l.cfg.ObjectChat && l.admits(key.id) {
		return l.tenant.comer(ctx, key.id)
	}
	link, err := l.cfg.Links.Link(ctx, key.chat, key.id)
	if err != nil {
		return access.Person{}, fmt.Errorf("link of %s account %q: %w: %w", chat, id, access.ErrStore, err)
	}
	switch {
	case len(written) == 1 && link != nil && link.Person != written[0]:
		return access.Person{}, fmt.Errorf("%s account %q is linked to %s by the configuration and to %s by a link: %w", chat, id, written[0], link.Person, access.ErrNotFound)
	case len(written) == 1:
		return l.Known(ctx, written[0])
	case link != nil && link.Kind == access.LinkOIDC && !link.Suspended.IsZero() && !l.writtenOtherwise(*link):
		return access.Person{}, l.suspended(ctx, *link)
	case link != nil && link.Kind == access.LinkOIDC:
		if err := l.stands(*link); err != nil {
			return access.Person{}, fmt.Errorf("%s account %q: %w", chat, id, err)
		}
		return l.Known(ctx, link.Person)
	}
	owner, err := l.byEmail(ctx, key, link)
	if err != nil {
		return access.Person{}, err
	}
	return l.Known(ctx, owner)
}

// AccountOf is the person's account in a chat.
func (l *Live) AccountOf(ctx context.Context, id access.PersonID, chat string) (string, error) {
	none := fmt.Errorf("person %q has no %s account: %w", id, chat, access.ErrNotFound)
	if l.cfg.People.accounts[id][chat] != "" {
		return l.cfg.People.AccountOf(ctx, id, chat)
	}
	if chat == l.cfg.ObjectChat && l.admits(string(id)) {
		return string(id), nil
	}
	link, err := l.cfg.Links.LinkOf(ctx, id, chat)
	if err != nil {
		return "", fmt.Errorf("link of %s in %s: %w", id, chat, err)
	}
	account := ""
	switch {
	case link != nil:
		account = link.Account
	case l.cfg.Emails[chat] != nil:
		if account, err = l.emailed(ctx, id, chat); err != nil {
			return "", err
		}
	}
	if account == "" {
		return "", none
	}
	// What may not act for the person is not written to either.
	owner, err := l.ownerOf(ctx, chat, account)
	var refused *access.Refusal
	switch {
	case err == nil && owner == id:
		return account, nil
	case err == nil, errors.Is(err, access.ErrNotFound), errors.As(err, &refused):
		return "", none
	}
	return "", err
}

// ownerOf is who a linked account belongs to, without their groups.
func (l *Live) ownerOf(ctx context.Context, chat, id string) (access.PersonID, error) {
	key := chatAccount(chat, id)
	if owner := l.cfg.People.OwnerOf(chat, id); owner != "" {
		return owner, nil
	}
	link, err := l.cfg.Links.Link(ctx, key.chat, key.id)
	if err != nil {
		return "", fmt.Errorf("link of %s account %q: %w", chat, id, err)
	}
	if link != nil && link.Kind == access.LinkOIDC {
		return link.Person, l.stands(*link)
	}
	return l.byEmail(ctx, key, link)
}

// ByIdentity finds the one person who has signed in at the identity provider.
func (l *Live) ByIdentity(ctx context.Context, id access.Identity) (access.Person, error) {
	who, err := l.identified(id)
	if err != nil {
		return access.Person{}, err
	}
	if l.admits(string(who)) {
		return l.tenant.admitted(ctx, string(who))
	}
	return l.cfg.People.Person(ctx, who)
}

func (l *Live) identified(id access.Identity) (access.PersonID, error) {
	people, by := l.cfg.People.bySubject[id.Subject], "subject"
	if object := strings.ToLower(id.Subject); len(people) == 0 && l.cfg.ObjectSubjects && l.admits(object) {
		people = []access.PersonID{access.PersonID(object)}
	}
	if len(people) == 0 && l.cfg.TrustEmail && id.Email != "" {
		people, by = l.cfg.People.byEmail[address(id.Email)], "confirmed e-mail address"
		if len(people) == 1 && l.cfg.People.subjects[people[0]] != "" { // who is another one to the provider
			people = nil
		}
	}
	switch {
	case id.Issuer == "" || id.Issuer != l.cfg.Issuer || id.Subject == "":
		return "", fmt.Errorf("identity of %q: not the provider that counts here: %w", id.Issuer, access.ErrNotFound)
	case len(people) != 1:
		return "", fmt.Errorf("subject %q is %d people by its %s: %w", id.Subject, len(people), by, access.ErrNotFound)
	}
	return people[0], nil
}

// stands tells whether a link that somebody made by signing in still says who they are: the configuration may have
// changed since.
func (l *Live) stands(link access.Link) error {
	if link.Identity != nil && link.Suspended.IsZero() && !l.writtenOtherwise(link) {
		if id, err := l.identified(*link.Identity); err == nil && id == link.Person {
			return nil
		}
	}
	return fmt.Errorf("the configuration does not say any more that the link is %s's: %w", link.Person, access.ErrNotFound)
}

// writtenOtherwise tells whether the configuration gives the person of a link another account in its chat.
func (l *Live) writtenOtherwise(link access.Link) bool {
	return l.cfg.People.accounts[link.Person][link.Chat] != ""
}
