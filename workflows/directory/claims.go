package directory

import (
	"context"
	"fmt"

	"elevate/workflows/access"
)

// claimed are the groups that the identity provider names for somebody now, or where it cannot be asked for them again, at
// their last sign-in, as long as that counts; after that a refusal.
func (l *Live) claimed(ctx context.Context, id access.PersonID, links []access.Link) ([]string, error) {
	link := l.lastSignIn(links)
	if link == nil {
		return nil, nil
	}
	groups, overage := link.Identity.Groups, link.Identity.Overage
	switch {
	case link.Identity.Offline && l.cfg.Claims != nil:
		var err error
		if groups, overage, err = l.cfg.Claims.Groups(ctx, *link); err != nil {
			return nil, err
		}
	case l.now().Sub(link.Identity.At) >= l.cfg.ClaimsFor:
		return nil, tooOld(id)
	}
	if overage {
		return nil, tooMany(id)
	}
	return groups, nil
}

// tooOld refuses somebody whose groups may have changed since the identity provider named them, and who cannot be asked about.
func tooOld(id access.PersonID) *access.Refusal {
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "groups_too_old", Text: fmt.Sprintf(
		"The groups of %s are those of their last sign-in, which is too long ago for them to count, so nothing was done. %s can type `/elevate link`, sign in again, and then have this done right away.", id, id)}
}

// tooMany refuses somebody who is in more groups than the identity provider writes down: to take them for a member of none
// would be a guess.
func tooMany(id access.PersonID) *access.Refusal {
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "groups_overage", Text: fmt.Sprintf(
		"%s is in more groups than the identity provider writes down, so Elevate cannot tell which, and nothing was done. Ask whoever looks after Elevate to have the provider name only the groups that count here (in Entra: “Groups assigned to the application”), and then type `/elevate link` again.", id)}
}

// lastClaimed are the groups of somebody as the identity provider said them last, within a day.
func (l *Live) lastClaimed(ctx context.Context, _ access.PersonID, links []access.Link) ([]string, error) {
	link := l.lastSignIn(links)
	if link == nil {
		return nil, nil
	}
	listed := max(claimsListed, l.cfg.ClaimsFor)
	var groups []string
	if l.now().Sub(link.Identity.At) < listed {
		groups = link.Identity.Groups
	}
	if !link.Identity.Offline || l.cfg.Claims == nil {
		return groups, nil
	}
	last, err := l.said.get(ctx, "", l.cfg.Claims.Last)
	if t := last[link.Chat+" "+link.Account]; !t.At.IsZero() && l.now().Sub(t.At) < listed {
		groups = t.Groups
	}
	return groups, err
}

// lastSignIn is the link by which somebody signed in last; nil where none stands.
func (l *Live) lastSignIn(links []access.Link) *access.Link {
	var last *access.Link
	for i, link := range links {
		if link.Kind == access.LinkOIDC && l.stands(link) == nil && (last == nil || link.Identity.At.After(last.Identity.At)) {
			last = &links[i]
		}
	}
	return last
}
