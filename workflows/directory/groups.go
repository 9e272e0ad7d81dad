package directory

import (
	"context"
	"fmt"
	"slices"

	"elevate/workflows/access"
)

// withGroups adds the groups that are kept elsewhere. Where one of them cannot be asked, nothing is known of the person's
// groups.
func (l *Live) withGroups(ctx context.Context, p access.Person) (access.Person, error) {
	if len(l.cfg.Groups) == 0 {
		return p, nil
	}
	all, err := l.links.get(ctx, "", l.allLinks)
	if err != nil {
		return p, fmt.Errorf("groups of %s: %w", p.ID, err)
	}
	claims := l.claims(all[p.ID])
	for _, g := range l.cfg.Groups {
		in := g.Claim != "" && slices.Contains(claims, g.Claim)
		if !in && g.Usergroup != "" {
			if in, err = l.inUsergroup(ctx, p.ID, g, all[p.ID]); err != nil {
				return p, fmt.Errorf("groups of %s: %w", p.ID, err)
			}
		}
		if in && !slices.Contains(p.Groups, g.Name) {
			p.Groups = append(p.Groups, g.Name)
		}
	}
	return p, nil
}

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

// claims are the groups that the identity provider named when the person signed in last, as long as that counts.
func (l *Live) claims(links []access.Link) []string {
	var last *access.Identity
	for _, link := range links {
		if link.Kind == access.LinkOIDC && l.stands(link) == nil && (last == nil || link.Identity.At.After(last.At)) {
			last = link.Identity
		}
	}
	if last == nil || l.now().Sub(last.At) >= l.cfg.ClaimsFor {
		return nil
	}
	return last.Groups
}

func (l *Live) inUsergroup(ctx context.Context, id access.PersonID, g Group, links []access.Link) (bool, error) {
	accounts := l.accountsIn(g.Chat, id, links)
	if len(accounts) == 0 {
		return false, nil
	}
	members, err := l.members.get(ctx, g.Chat, func(ctx context.Context) (map[string]map[string]bool, error) { return l.askMembers(ctx, g.Chat) })
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(accounts, func(a string) bool { return members[g.Usergroup][a] }), nil
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

// askMembers asks a chat who is in its groups.
func (l *Live) askMembers(ctx context.Context, chat string) (map[string]map[string]bool, error) {
	groups, err := l.cfg.Usergroups[chat].Usergroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("user groups of %s: %w", chat, err)
	}
	sets := make(map[string]map[string]bool, len(groups))
	for group, accounts := range groups {
		sets[group] = map[string]bool{}
		for _, a := range accounts {
			sets[group][a] = true
		}
	}
	return sets, nil
}
