package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"elevate/bot/linking"
	"elevate/bot/signin"
	"elevate/bot/slack"
	"elevate/bot/teams"
	"elevate/cmd/internal/config"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/seal"
)

// openPeople makes the directory: the people of the configuration, and where others than the configuration know who they
// are, what those say.
func (a *app) openPeople() (err error) {
	written := a.cfg.Directory()
	a.people = written
	if !a.cfg.Live() {
		return nil
	}
	kept := a.keptLinks()
	var live *directory.Live // before it is there nothing changes
	links, err := workflows.NewLinks(workflows.LinkConfig{
		Store: kept, Written: written, Administrator: a.administers, Chats: a.chats, Logger: a.log, Changed: func() { live.Forget() },
	})
	if err != nil {
		return err
	}
	c := directory.Config{
		People: written, Links: kept, Ledger: links, Groups: a.cfg.LiveGroups(),
		Emails: map[string]directory.Profiles{}, Usergroups: map[string]directory.Usergroups{}, Logger: a.log,
	}
	if o := a.cfg.OIDC; o != nil {
		c.Issuer, c.TrustEmail, c.ClaimsFor = o.Issuer, o.TrustEmail, o.GroupsFor
		if err := a.openClaims(&c, links); err != nil {
			return err
		}
	}
	if a.cfg.Slack != nil {
		if a.accounts, err = slack.NewPeople(slackConfig(a.cfg)); err != nil {
			return err
		}
		c.Usergroups[slack.Name] = a.accounts
		if a.cfg.Slack.TrustEmail {
			c.Emails[slack.Name] = a.accounts
		}
	}
	if err := askEntra(a.cfg, &c); err != nil {
		return err
	}
	if live, err = directory.Open(c); err != nil {
		return err
	}
	a.people = live
	return a.openLinking(links, live)
}

// openClaims has groups asked for at the moment of the click, where the configuration lets Elevate ask while people are away.
func (a *app) openClaims(c *directory.Config, links *workflows.Links) error {
	if !a.cfg.OIDC.Offline() || len(a.cfg.Secrets.Keys) == 0 {
		return nil
	}
	sign, err := a.signinConfig()
	if err != nil {
		return err
	}
	a.claims, err = signin.NewClaims(signin.ClaimsConfig{Config: sign, Tokens: a.store, Suspend: links.Suspend, Holder: replica()})
	if err != nil {
		return err
	}
	c.Claims = a.claims
	a.runs = append(a.runs, a.resealTokens)
	return nil
}

// resealTokens seals with the first key what others sealed. What goes wrong is tried again at the next start, and at the
// next use.
func (a *app) resealTokens(ctx context.Context) error {
	links, err := a.store.Links(ctx)
	left := 0
	if err == nil {
		left, err = a.claims.Reseal(ctx, links)
	}
	if err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "refresh tokens could not be sealed with the first key; that is tried at the next start", "err", err)
	}
	if left > 0 {
		a.log.WarnContext(ctx, "refresh tokens are not sealed with the first key yet", "count", left)
	}
	return nil
}

// openLinking makes the pages on which people show whose chat account is whose.
func (a *app) openLinking(links *workflows.Links, live *directory.Live) (err error) {
	c := linking.Config{Links: links, Store: a.store, Directory: live, PublicURL: a.cfg.HTTP.PublicURL, Name: a.accountName, Command: a.command, Logger: a.log}
	if o := a.cfg.OIDC; o != nil {
		sign, err := a.signinConfig()
		if err != nil {
			return err
		}
		sign.Store, sign.Directory, sign.TurnedAway = a.store, live, a.strangerSignedIn
		if a.desk, err = signin.New(sign); err != nil {
			return err
		}
		c.Desk, c.Provider = a.desk, o.Name
	}
	a.linking, err = linking.New(c)
	return err
}

// signinConfig is the sign-in's part of the configuration, with what seals refresh tokens, where there are keys for it.
func (a *app) signinConfig() (signin.Config, error) {
	c := signinConfig(a.cfg)
	c.Logger = a.log
	if len(a.cfg.Secrets.Keys) == 0 {
		return c, nil
	}
	var err error
	if c.Box, err = seal.New(a.cfg.Secrets.Keys, "oidc"); err != nil {
		return c, fmt.Errorf("secrets.keys: %w", err)
	}
	return c, nil
}

// signinConfig is the sign-in's part of the configuration.
func signinConfig(cfg *config.Config) signin.Config {
	o := cfg.OIDC
	return signin.Config{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, PublicURL: cfg.HTTP.PublicURL, Scopes: o.Scopes,
		SubjectClaim: o.SubjectClaim, GroupsClaim: o.GroupsClaim,
	}
}

// administers tells whether somebody is an administrator now.
func (a *app) administers(ctx context.Context, id access.PersonID) (bool, error) {
	if a.cfg.Administrator == nil {
		return false, nil
	}
	p, err := a.people.Person(ctx, id)
	if errors.Is(err, access.ErrNotFound) {
		return false, nil
	}
	return err == nil && a.cfg.Administrator(p), err
}

// accountName is what Slack calls an account, for a page to show.
func (a *app) accountName(ctx context.Context, chat, account string) string {
	if chat != slack.Name || a.accounts == nil {
		return ""
	}
	seen, err := a.accounts.Profile(ctx, account)
	if err != nil {
		a.log.Warn("the name of an account could not be looked up", "chat", chat, "account", account, "err", err)
	}
	return seen.Name
}

// command is what people type in a chat to call Elevate. Where the chat is not known it is Slack's, if there is Slack: in
// Teams it is always the usual one.
func (a *app) command(chat string) string {
	if a.cfg.Slack == nil || chat == teams.Name {
		return usualCommand
	}
	return a.cfg.Slack.Command
}

const usualCommand = "/elevate"

// strangerSignedIn puts on record that somebody signed in who is nobody here, or not who was asked for.
func (a *app) strangerSignedIn(ctx context.Context, id access.Identity, code string) {
	a.service.TurnedAway(ctx, access.Actor{Via: "oidc", Account: id.Subject}, code)
}

// servePages adds the pages that people see in a browser.
func (a *app) servePages(mux *http.ServeMux) {
	if a.desk == nil {
		return
	}
	mux.Handle(signin.Prefix+"/", a.desk.Handler())
	mux.Handle(linking.Prefix+"/", a.linking.Handler())
}
