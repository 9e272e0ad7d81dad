package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// Tenant is a directory outside, Microsoft Entra ID, that people have accounts in. Errors: access.ErrNotFound (wrapped)
// where it has no such user or group.
type Tenant interface {
	// User gives an account with its groups; Users gives those of some that there are, without.
	User(ctx context.Context, id string) (access.User, error)
	Users(ctx context.Context, ids []string) ([]access.User, error)
	// Members lists the users in a group, directly or through others: all, or none where there are more than most.
	Members(ctx context.Context, group string, most int) (members []access.User, whole bool, err error)
	// ManagerOf gives the id of a user's manager; "" where there is none.
	ManagerOf(ctx context.Context, id string) (string, error)
}

const (
	// MostListed is how many members of a group are listed. Of larger ones, people are recognised when they act, and
	// nobody is asked to approve because of them.
	MostListed = 5000
	// namesFresh is how long a name is shown without asking again. Nothing is decided by it.
	namesFresh = time.Hour
	// nameTime bounds the wait for a name, which an ending would wait for, too. A card has many: after one that could not be
	// had, those that are not known are done without for namesOff.
	nameTime = 2 * time.Second
	namesOff = 10 * time.Second
	// groupsAtOnce is how many groups are listed at the same time.
	groupsAtOnce = 4
)

// tenant is the Tenant as it was a minute ago at most, with the people that are looked up there.
type tenant struct {
	cfg      Config
	log      *slog.Logger
	users    *kept[access.User]
	accounts *kept[map[string]access.User] // of the people who are written down
	members  *kept[map[string]access.User] // by group; nil where there are too many
	managers *kept[string]
	names    *kept[access.User]

	mu       sync.Mutex
	nameless time.Time // until when nobody waits for names
}

func newTenant(cfg Config) *tenant {
	cfg.Admits = strings.ToLower(cfg.Admits)
	return &tenant{
		cfg: cfg, log: cfg.Logger,
		users:    keep[access.User](wordFresh, accountsMax, cfg.Now),
		accounts: keep[map[string]access.User](wordFresh, 1, cfg.Now),
		members:  keep[map[string]access.User](wordFresh, len(cfg.Groups)+1, cfg.Now),
		managers: keep[string](wordFresh, accountsMax, cfg.Now),
		names:    keep[access.User](namesFresh, accountsMax, cfg.Now),
	}
}

// object is the one spelling of the id of an account: two spellings would be two people.
var object = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// admits tells whether an id could be that of somebody who is in the tenant alone. Whoever is written down is a person by
// that entry, and by nothing else.
func (l *Live) admits(id string) bool {
	return l.tenant != nil && l.cfg.Admits != "" && object.MatchString(id) && len(l.cfg.People.byObject[id]) == 0 &&
		l.cfg.People.byID[access.PersonID(id)].ID == ""
}

func (t *tenant) user(ctx context.Context, id string) (access.User, error) {
	return t.users.get(ctx, id, func(ctx context.Context) (access.User, error) {
		u, err := t.cfg.Tenant.User(ctx, id)
		u.Groups = slices.DeleteFunc(u.Groups, func(g string) bool { return !t.counts(g) })
		return u, err
	})
}

// counts tells whether anything depends on a group.
func (t *tenant) counts(group string) bool {
	return group == t.cfg.Admits && group != "" || slices.ContainsFunc(t.cfg.Groups, func(g Group) bool { return g.Object == group })
}

// vouched is somebody who is written down, with the groups of their account in the tenant, or a refusal.
func (t *tenant) vouched(ctx context.Context, p access.Person) (access.Person, error) {
	id := t.cfg.People.objects[p.ID]
	switch {
	case id == "":
		return p, nil
	case len(t.cfg.People.byObject[id]) > 1:
		return p, fmt.Errorf("the account of %s in Entra is that of others, too: %w", p.ID, access.ErrNotFound)
	}
	u, err := t.user(ctx, id)
	if errors.Is(err, access.ErrNotFound) {
		return p, deleted(p)
	}
	if err != nil {
		return p, fmt.Errorf("account of %s in Entra: %w", p.ID, err)
	}
	if refusal := barred(p, u); refusal != nil {
		return p, refusal
	}
	return t.grouped(p, func(g string) bool { return slices.Contains(u.Groups, g) }), nil
}

// grouped adds the groups of the tenant that somebody is in.
func (t *tenant) grouped(p access.Person, in func(group string) bool) access.Person {
	for _, g := range t.cfg.Groups {
		if g.Object != "" && in(g.Object) {
			p = joined(p, g.Name)
		}
	}
	return p
}

// admitted is somebody who is in the tenant alone, and in the group that makes people of its members.
func (t *tenant) admitted(ctx context.Context, id string) (access.Person, error) {
	u, err := t.user(ctx, id)
	if err != nil {
		return access.Person{}, fmt.Errorf("account %s in Entra: %w", id, err)
	}
	if !slices.Contains(u.Groups, t.cfg.Admits) {
		return access.Person{}, fmt.Errorf("account %s is not in the group whose members are people: %w", id, access.ErrNotFound)
	}
	p := person(u)
	if refusal := barred(p, u); refusal != nil {
		return p, refusal
	}
	return t.grouped(p, func(g string) bool { return slices.Contains(u.Groups, g) }), nil
}

// person is a user as somebody who is in the tenant alone.
func person(u access.User) access.Person {
	return access.Person{ID: access.PersonID(u.ID), Name: called(u), Email: policy.CleanText(u.Email), Kind: access.Human}
}

// longestName bounds names, in characters. Entra takes 256.
const longestName = 100

// called is somebody's name at Entra as it may stand in a sentence: people change what they are called there.
func called(u access.User) string {
	name := []rune(policy.CleanText(u.Name))
	return string(name[:min(len(name), longestName)])
}

// comer is whoever a chat account of the tenant belongs to. Which account it is, is certain without asking; where the
// tenant cannot be asked whether it is somebody's here, that is left to what the account does next, for each verb asks
// again, and giving access back waits for nothing.
func (t *tenant) comer(ctx context.Context, id string) (access.Person, error) {
	p, err := t.admitted(ctx, id)
	var refused *access.Refusal
	switch {
	case err == nil, errors.Is(err, access.ErrNotFound):
		return p, err
	case !errors.As(err, &refused):
		t.log.WarnContext(ctx, "Entra could not be asked about an account", "account", id, "err", err)
		t.doWithout(ctx, err) // they have waited once
	}
	return t.named(ctx, id), nil
}

// named is somebody who is in the tenant alone with their name, or with their id where that cannot be had soon.
func (t *tenant) named(ctx context.Context, id string) access.Person {
	u, known := t.names.held(id)
	if !known && t.tellsNames() {
		waiting, cancel := context.WithTimeout(ctx, nameTime)
		defer cancel()
		var err error
		u, err = t.names.get(waiting, id, func(ctx context.Context) (access.User, error) { return t.user(ctx, id) })
		t.doWithout(ctx, err)
		known = err == nil
	}
	if !known {
		return access.Person{ID: access.PersonID(id), Kind: access.Human}
	}
	return person(u)
}

// doWithout makes nobody wait for names for a while after a failure. That somebody is not there is none, nor that whoever
// asked hung up.
func (t *tenant) doWithout(ctx context.Context, err error) {
	if err == nil || errors.Is(err, access.ErrNotFound) || ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nameless = t.cfg.Now().Add(namesOff)
}

func (t *tenant) tellsNames() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.cfg.Now().Before(t.nameless)
}

// all are the people who may act now: those of the file whose accounts are in order, and those whom a group admits. Who is
// barred is left out.
func (t *tenant) all(ctx context.Context, written []access.Person) ([]access.Person, error) {
	accounts, err := t.accounts.get(ctx, "", t.askAccounts)
	if err != nil {
		return nil, fmt.Errorf("accounts in Entra: %w", err)
	}
	groups, err := t.askGroups(ctx)
	if err != nil {
		return nil, err
	}
	member := func(id string) func(group string) bool {
		return func(g string) bool { _, in := groups[g][id]; return in }
	}
	var out []access.Person
	for _, p := range written {
		id := t.cfg.People.objects[p.ID]
		u, there := accounts[id]
		switch {
		case id == "":
			out = append(out, p)
		case there && len(t.cfg.People.byObject[id]) == 1 && barred(p, u) == nil:
			out = append(out, t.grouped(p, member(id)))
		}
	}
	for id, u := range groups[t.cfg.Admits] {
		if p := person(u); len(t.cfg.People.byObject[id]) == 0 && t.cfg.People.byID[p.ID].ID == "" && barred(p, u) == nil {
			out = append(out, t.grouped(p, member(id)))
		}
	}
	slices.SortFunc(out, func(a, b access.Person) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// askAccounts asks about everybody's account who is written down.
func (t *tenant) askAccounts(ctx context.Context) (map[string]access.User, error) {
	ids := slices.Sorted(func(yield func(string) bool) {
		for id := range t.cfg.People.byObject {
			if !yield(id) {
				return
			}
		}
	})
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := t.cfg.Tenant.Users(ctx, ids)
	return byID(found), err
}

// askGroups lists the groups that count.
func (t *tenant) askGroups(ctx context.Context) (map[string]map[string]access.User, error) {
	ids := []string{t.cfg.Admits}
	for _, g := range t.cfg.Groups {
		ids = append(ids, g.Object)
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
	lists := make([]map[string]access.User, len(ids))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(groupsAtOnce)
	for i, id := range ids {
		all.Go(func() (err error) {
			lists[i], err = t.members.get(ctx, id, func(ctx context.Context) (map[string]access.User, error) { return t.askMembers(ctx, id) })
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	out := make(map[string]map[string]access.User, len(ids))
	for i, id := range ids {
		out[id] = lists[i]
	}
	return out, nil
}

func (t *tenant) askMembers(ctx context.Context, group string) (map[string]access.User, error) {
	members, whole, err := t.cfg.Tenant.Members(ctx, group, MostListed)
	if err != nil {
		return nil, fmt.Errorf("members of group %s in Entra: %w", group, err)
	}
	if !whole {
		t.log.WarnContext(ctx, "a group in Entra is too large to list: nobody is asked to approve because of it", "group", group, "most", MostListed)
		return nil, nil
	}
	return byID(members), nil
}

func byID(users []access.User) map[string]access.User {
	out := make(map[string]access.User, len(users))
	for _, u := range users {
		out[u.ID] = u
	}
	return out
}

// who names somebody with their id, where that is another word.
func who(p access.Person) string {
	if p.DisplayName() == string(p.ID) {
		return string(p.ID)
	}
	return fmt.Sprintf("%s (%s)", p.DisplayName(), p.ID)
}

// barred refuses somebody whose account may do nothing.
func barred(p access.Person, u access.User) *access.Refusal {
	switch {
	case u.Disabled:
		return bar("account_disabled", "%s can do nothing here: the account is disabled in Entra. Whoever looks after Entra can enable it.", who(p))
	case u.Guest:
		return bar("guest_account", "%s can do nothing here: the account is a guest's in Entra, and Elevate is for members.", who(p))
	}
	return nil
}

func deleted(p access.Person) *access.Refusal {
	return bar("account_deleted", "%s can do nothing here: Entra has no account with the object ID that Elevate's directory names. Ask an administrator to correct or remove the entry.", who(p))
}

func bar(code, format string, args ...any) *access.Refusal {
	return &access.Refusal{Kind: access.ErrNotAllowed, Code: code, Text: fmt.Sprintf(format, args...)}
}

// Manager is the person whom somebody reports to in the tenant. An *access.Refusal says why nobody is.
func (l *Live) Manager(ctx context.Context, id access.PersonID) (access.PersonID, error) {
	p, err := l.Known(ctx, id)
	if err != nil {
		return "", err
	}
	theirs := l.cfg.People.objects[id]
	if l.admits(string(id)) {
		theirs = string(id)
	}
	if theirs == "" || l.tenant == nil {
		return "", unmanaged("Elevate's directory does not say which account in Entra is %s's, so nobody can tell who their manager is. An administrator can add it.", who(p))
	}
	manager, err := l.tenant.managers.get(ctx, theirs, func(ctx context.Context) (string, error) {
		m, err := l.cfg.Tenant.ManagerOf(ctx, theirs)
		return strings.ToLower(m), err
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("manager of %s in Entra: %w", id, err)
	case manager == "":
		return "", unmanaged("Entra names no manager of %s. Whoever looks after Entra can add one.", who(p))
	case manager == theirs:
		return "", unmanaged("Entra names %s as their own manager. Whoever looks after Entra can correct that.", who(p))
	}
	return l.manages(ctx, p, manager)
}

// manages finds the person behind the account of somebody's manager, who must be one who may act.
func (l *Live) manages(ctx context.Context, of access.Person, manager string) (access.PersonID, error) {
	id := access.PersonID(manager)
	if written := l.cfg.People.byObject[manager]; len(written) == 1 {
		id = written[0]
	}
	_, err := l.Person(ctx, id)
	var refused *access.Refusal
	switch {
	case errors.Is(err, access.ErrNotFound):
		name := manager
		if u, err := l.tenant.user(ctx, manager); err == nil {
			name = cmp.Or(called(u), manager)
		}
		return "", unmanaged("The manager of %s in Entra is %s, who is nobody in Elevate's directory. An administrator can add them.", who(of), name)
	case errors.As(err, &refused) && errors.Is(err, access.ErrNotAllowed):
		return "", unmanaged("The manager of %s cannot decide. %s", who(of), refused.Text)
	case err != nil:
		return "", err
	}
	return id, nil
}

// unmanaged says why somebody has no manager who could decide.
func unmanaged(format string, args ...any) *access.Refusal {
	return &access.Refusal{Kind: access.ErrNotAllowed, Code: "no_manager", Text: fmt.Sprintf(format, args...)}
}
