package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"elevate/cmd/internal/config"
	"elevate/connectors/entra"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

// entraConfig is the part of the configuration that asks the tenant about people.
func entraConfig(cfg *config.Config) entra.DirectoryConfig {
	e := cfg.Entra
	return entra.DirectoryConfig{
		TenantID: e.TenantID, ClientID: e.ClientID, Credential: e.Credential, ClientSecret: e.ClientSecret, CertificateFile: e.CertificateFile,
		Cloud: e.Cloud, GraphURL: e.GraphURL, LoginURL: e.LoginURL, CAFile: e.CAFile, Timeout: e.Timeout, Groups: cfg.EntraGroups(),
	}
}

// askEntra has the directory ask the tenant, where there is one.
func askEntra(cfg *config.Config, c *directory.Config) error {
	if cfg.Entra == nil {
		return nil
	}
	tenant, err := entra.NewDirectory(entraConfig(cfg))
	if err != nil {
		return fmt.Errorf("entra: %w", err)
	}
	c.Tenant, c.Admits, c.ObjectChat, c.ObjectSubjects = tenant, cfg.Entra.PeopleGroup, cfg.ObjectChat(), cfg.ObjectSubjects()
	return nil
}

// entra tells what the application may do too much or too little, and which accounts and groups are not in order.
func (c *checker) entra(ctx context.Context, cfg *config.Config) {
	if cfg.Entra == nil {
		return
	}
	tenant, err := entra.NewDirectory(entraConfig(cfg))
	if err == nil {
		err = c.ask(ctx, tenant.Check)
	}
	if err != nil {
		c.problem("entra", err)
		return
	}
	before := c.problems
	c.told(ctx, "entra", "superfluous: ", tenant.Surplus)
	c.entraGroups(ctx, cfg, tenant)
	c.entraPeople(ctx, cfg, tenant)
	if c.problems == before {
		c.ok("entra", "tenant %s", cfg.Entra.TenantID)
	}
}

// entraGroups looks for every group that the tenant is asked about.
func (c *checker) entraGroups(ctx context.Context, cfg *config.Config, tenant *entra.Directory) {
	names := map[string]string{} // where a group is written, by its id
	for _, g := range cfg.LiveGroups() {
		names[g.Object] = "groups." + g.Name + ".entra"
	}
	for _, id := range cfg.EntraGroups() {
		what := names[id]
		if what == "" {
			what = "entra.people_group"
		}
		var members []access.User
		whole := false
		err := c.ask(ctx, func(ctx context.Context) (err error) {
			members, whole, err = tenant.Members(ctx, id, directory.MostListed)
			return err
		})
		switch {
		case errors.Is(err, access.ErrNotFound):
			c.problem(what, "Entra has no group with object ID "+id)
		case err != nil:
			c.problem(what, err)
		case !whole:
			c.warn(what, fmt.Sprintf("the group has more than %d members: they are recognised when they act, and nobody is asked to approve because of it", directory.MostListed))
		case len(members) == 0:
			c.warn(what, "the group has no members")
		}
	}
}

// entraPeople looks everybody up who is written down with an account in the tenant.
func (c *checker) entraPeople(ctx context.Context, cfg *config.Config, tenant *entra.Directory) {
	people := map[string]access.PersonID{} // by account
	for _, e := range cfg.Accounts() {
		people[e.Object] = e.Person.ID
	}
	delete(people, "")
	var found []access.User
	err := c.ask(ctx, func(ctx context.Context) (err error) {
		found, err = tenant.Users(ctx, slices.Sorted(maps.Keys(people)))
		return err
	})
	if err != nil {
		c.problem("entra", err)
		return
	}
	users := map[string]access.User{}
	for _, u := range found {
		users[u.ID] = u
	}
	for _, id := range slices.Sorted(maps.Keys(people)) {
		what := "people: " + string(people[id])
		switch u, there := users[id]; {
		case !there:
			c.problem(what, "Entra has no user with object ID "+id+": correct the entry, or remove it")
		case u.Disabled:
			c.warn(what, "the account is disabled in Entra: they can do nothing here")
		case u.Guest:
			c.warn(what, "the account is a guest's in Entra: they can do nothing here")
		}
	}
}
