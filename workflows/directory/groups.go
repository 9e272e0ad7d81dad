package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"elevate/workflows/access"
)

// withGroups adds the groups that are kept elsewhere. Where one of them cannot be asked, nothing is known of the person's
// groups.
func (l *Live) withGroups(ctx context.Context, p access.Person, claims func(context.Context, access.PersonID, []access.Link) ([]string, error)) (access.Person, error) {
	if len(l.cfg.Groups) == 0 {
		return p, nil
	}
	members := map[string]usergroups{}
	for chat := range l.cfg.Usergroups {
		var err error
		if members[chat], err = l.members.get(ctx, chat, func(ctx context.Context) (usergroups, error) { return l.askMembers(ctx, chat) }); err != nil {
			return p, fmt.Errorf("groups of %s: %w", p.ID, err)
		}
	}
	all, err := l.links.get(ctx, "", l.allLinks) // after the members: asking for them makes links
	if err != nil {
		return p, fmt.Errorf("groups of %s: %w", p.ID, err)
	}
	var claimed []string
	if slices.ContainsFunc(l.cfg.Groups, func(g Group) bool { return g.Claim != "" }) {
		if claimed, err = claims(ctx, p.ID, all[p.ID]); err != nil {
			return p, fmt.Errorf("groups of %s: %w", p.ID, err)
		}
	}
	for _, g := range l.cfg.Groups {
		in := g.Claim != "" && slices.Contains(claimed, g.Claim)
		if !in && g.Usergroup != "" {
			in = slices.ContainsFunc(l.accountsIn(g.Chat, p.ID, all[p.ID]), func(a string) bool { return members[g.Chat][g.Usergroup][a] })
		}
		if in {
			p = joined(p, g.Name)
		}
	}
	return p, nil
}

// joined is somebody who is in a group, too.
func joined(p access.Person, group string) access.Person {
	if !slices.Contains(p.Groups, group) {
		p.Groups = append(p.Groups, group)
	}
	return p
}

// usergroups are the accounts in each group of a chat.
type usergroups map[string]map[string]bool

func (l *Live) allLinks(ctx context.Context) (map[access.PersonID][]access.Link, error) {
	links, err := l.cfg.Links.Links(ctx)
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	by := map[access.PersonID][]access.Link{}
	for _, link := range links {
		if link.Suspended.IsZero() {
			by[link.Person] = append(by[link.Person], link)
		}
	}
	return by, nil
}

// accountsIn are the accounts by which somebody is a member of a chat's groups.
func (l *Live) accountsIn(chat string, id access.PersonID, links []access.Link) []string {
	if written := l.cfg.People.accounts[id][chat]; written != "" {
		if len(l.cfg.People.byChat[chatAccount(chat, written)]) > 1 {
			return nil
		}
		return []string{written}
	}
	var accounts []string
	for _, link := range links {
		oidc := link.Kind == access.LinkOIDC && l.stands(link) == nil
		email := link.Kind == access.LinkEmail && l.cfg.Emails[chat] != nil
		if link.Chat == chat && (oidc || email) {
			accounts = append(accounts, link.Account)
		}
	}
	return accounts
}

// askMembers asks a chat who is in the groups that count. Members who have never been heard of, and whose address may say
// who they are, are looked up, so that they can be asked to approve before they have ever typed anything.
func (l *Live) askMembers(ctx context.Context, chat string) (usergroups, error) {
	groups, err := l.cfg.Usergroups[chat].Usergroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("user groups of %s: %w", chat, err)
	}
	sets := usergroups{}
	for _, g := range l.cfg.Groups {
		if g.Chat != chat || sets[g.Usergroup] != nil {
			continue
		}
		sets[g.Usergroup] = map[string]bool{}
		for _, a := range groups[g.Usergroup] {
			sets[g.Usergroup][a] = true
			if err := l.meet(ctx, chat, a); err != nil {
				return nil, fmt.Errorf("user group %s of %s: %w", g.Usergroup, chat, err)
			}
		}
	}
	return sets, nil
}

// meet finds out whose an account is, where an address may say so. That it is nobody's is no error here.
func (l *Live) meet(ctx context.Context, chat, account string) error {
	if l.cfg.Emails[chat] == nil {
		return nil
	}
	_, err := l.ownerOf(ctx, chat, account)
	var refused *access.Refusal
	if errors.Is(err, access.ErrNotFound) || errors.As(err, &refused) {
		return nil
	}
	return err
}
