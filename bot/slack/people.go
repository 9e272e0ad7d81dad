package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/slack-go/slack"

	"elevate/workflows/access"
)

// People is Slack's word on its accounts and user groups, for the directory: asked each time, kept nowhere.
type People struct {
	organisation bool // the app is installed on one, and must say which workspace it asks about
	team         string
	http         *http.Client
	api          *slack.Client
}

// NewPeople needs of the configuration only what is about Slack itself.
func NewPeople(cfg Config) (*People, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	p := &People{organisation: cfg.EnterpriseID != "", team: cfg.TeamID}
	p.http, p.api = connect(cfg)
	return p, nil
}

// Close gives the connections back.
func (p *People) Close() { p.http.CloseIdleConnections() }

// Profile is what Slack says of an account. It needs the scope users:read.email for the address.
func (p *People) Profile(ctx context.Context, account string) (access.Profile, error) {
	u, err := p.api.GetUserInfoContext(ctx, account)
	if code := apiCode(err); code == "user_not_found" || code == "user_not_visible" {
		return access.Profile{}, fmt.Errorf("users.info of %s: %w", account, access.ErrNotFound)
	}
	if err == nil && u.ID != account {
		err = errors.New("the answer speaks of another account, or of none")
	}
	if err != nil {
		return access.Profile{}, fmt.Errorf("users.info: %w", err)
	}
	return profileOf(u), nil
}

// ByEmail finds the account that has an e-mail address; access.ErrNotFound where none has.
func (p *People) ByEmail(ctx context.Context, email string) (access.Profile, error) {
	u, err := p.api.GetUserByEmailContext(ctx, email)
	if apiCode(err) == "users_not_found" {
		return access.Profile{}, fmt.Errorf("users.lookupByEmail: %w", access.ErrNotFound)
	}
	if err == nil && u.ID == "" {
		err = errEmpty
	}
	if err != nil {
		return access.Profile{}, fmt.Errorf("users.lookupByEmail: %w", err)
	}
	return profileOf(u), nil
}

func profileOf(u *slack.User) access.Profile {
	return access.Profile{Account: u.ID, Name: u.Profile.RealName, Email: u.Profile.Email, Confirmed: u.IsEmailConfirmed}
}

// Usergroups are the members of every user group that is not disabled, by its id. It needs the scope usergroups:read.
func (p *People) Usergroups(ctx context.Context) (map[string][]string, error) {
	options := []slack.GetUserGroupsOption{slack.GetUserGroupsOptionIncludeUsers(true)}
	if p.organisation {
		options = append(options, slack.GetUserGroupsOptionTeamID(p.team))
	}
	all, err := p.api.GetUserGroupsContext(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("usergroups.list: %w", err)
	}
	out := make(map[string][]string, len(all))
	for _, g := range all {
		if g.DateDelete == 0 {
			out[g.ID] = g.Users
		}
	}
	return out, nil
}
