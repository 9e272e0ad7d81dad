package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"elevate/bot"
	"elevate/bot/signin"
	"elevate/bot/slack"
	"elevate/bot/teams"
	"elevate/cmd/internal/config"
	"elevate/connectors"
	"elevate/storage/redis"
	"elevate/workflows/access"
)

// checkTime bounds each question of check --online.
const checkTime = 15 * time.Second

func newCheckCommand() *cobra.Command {
	var path string
	var online bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, and with --online everything it names",
		Long: `Check the configuration: every problem in one run, with file, line and key. With --online, Redis, Slack, Teams, the identity
provider, Entra and every connector are asked too, and what right is missing or superfluous is said. Nothing is changed anywhere.

Exit codes: 0 nothing is wrong (warnings may be shown), 1 problems found, 2 wrong usage.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, made, err := load(path, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%s: %s, %s, %s, %s: the configuration is good\n", path, counted(len(cfg.People), "person", "people"),
				counted(len(cfg.Roles), "role", "roles"), counted(len(cfg.Policies), "policy", "policies"), counted(len(made), "connector", "connectors"))
			if !online {
				return nil
			}
			c := &checker{out: out}
			c.store(cmd.Context(), cfg)
			c.slack(cmd.Context(), cfg)
			c.teams(cmd.Context(), cfg)
			c.oidc(cmd.Context(), cfg)
			c.entra(cmd.Context(), cfg)
			c.connectors(cmd.Context(), cfg, made)
			if c.problems > 0 {
				return errReported
			}
			return nil
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&online, "online", false, "ask Redis, Slack, Teams, the identity provider, Entra and the targets too")
	return cmd
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// checker asks everything that a configuration names, and writes down what it finds.
type checker struct {
	out      io.Writer
	problems int
}

func (c *checker) ok(what, format string, args ...any) {
	fmt.Fprintf(c.out, "ok       %s: %s\n", what, fmt.Sprintf(format, args...))
}

func (c *checker) warn(what, text string) { fmt.Fprintf(c.out, "warning  %s: %s\n", what, text) }

func (c *checker) problem(what string, text any) {
	c.problems++
	fmt.Fprintf(c.out, "problem  %s: %v\n", what, text)
}

func (c *checker) store(ctx context.Context, cfg *config.Config) {
	if cfg.Store.URL.IsZero() {
		c.ok("store", "embedded, in %s; it is checked when serve starts it", cfg.Store.Dir)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	status, err := redis.Ask(ctx, redis.Config{
		URL: cfg.Store.URL.Reveal(), Prefix: cfg.Store.Prefix, Shards: cfg.Store.Shards,
		Wait: redis.Wait{Replicas: cfg.Store.WaitReplicas}, AllowUnsafe: cfg.Store.AllowUnsafe,
	})
	if err != nil {
		c.problem("store", err)
		return
	}
	for _, w := range status.Warnings {
		c.warn("store", w)
	}
	for _, p := range status.Problems {
		if cfg.Store.AllowUnsafe {
			c.warn("store", p+" (allowed by store.allow_unsafe)")
			continue
		}
		c.problem("store", p)
	}
	if len(status.Problems) == 0 {
		c.ok("store", "Redis %s, %s", status.Version, status.Class)
	}
}

func (c *checker) slack(ctx context.Context, cfg *config.Config) {
	if cfg.Slack == nil {
		return
	}
	c.chat(slack.Name, "workspace "+cfg.Slack.TeamID, func() (bot.Report, error) {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		return slack.Check(ctx, slackConfig(cfg), channels(cfg, slack.Name))
	})
}

func (c *checker) teams(ctx context.Context, cfg *config.Config) {
	if cfg.Teams == nil {
		return
	}
	c.chat(teams.Name, "tenant "+cfg.Teams.TenantID, func() (bot.Report, error) {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		return teams.Check(ctx, teamsConfig(cfg), channels(cfg, teams.Name))
	})
}

// chat tells what a look at a chat's service found.
func (c *checker) chat(name, place string, look func() (bot.Report, error)) {
	report, err := look()
	if err != nil {
		c.problem(name, err)
		return
	}
	for _, p := range report.Problems {
		c.problem(name, p)
	}
	for _, r := range report.Remarks {
		c.warn(name, r)
	}
	if len(report.Problems) == 0 {
		c.ok(name, "%s", place)
	}
}

func (c *checker) oidc(ctx context.Context, cfg *config.Config) {
	if cfg.OIDC == nil {
		return
	}
	var remarks []string
	err := c.ask(ctx, func(ctx context.Context) (err error) {
		remarks, err = signin.Check(ctx, signinConfig(cfg))
		return err
	})
	if err != nil {
		c.problem("oidc", err)
		return
	}
	for _, r := range remarks {
		c.warn("oidc", r)
	}
	c.ok("oidc", "%s", cfg.OIDC.Issuer)
}

func (c *checker) connectors(ctx context.Context, cfg *config.Config, made map[string]connectors.Connector) {
	for _, name := range slices.Sorted(maps.Keys(made)) {
		what := "connectors." + name
		if err := c.ask(ctx, made[name].Check); err != nil {
			c.problem(what, err)
			continue
		}
		before := c.problems
		c.roles(ctx, cfg, name, made[name])
		c.surplus(ctx, what, made[name])
		c.advice(ctx, what, made[name])
		if c.problems == before {
			said := cfg.Connectors[name].Type
			if connectors.Describe(made[name]).NativeExpiry {
				said += ", which ends access by itself"
			}
			c.ok(what, "%s", said)
		}
	}
}

// roles proves the connector's rights role by role, and tells what deserves care, where it can.
func (c *checker) roles(ctx context.Context, cfg *config.Config, name string, made connectors.Connector) {
	rights, proves := made.(connectors.RoleChecker)
	adviser, advises := made.(connectors.RoleAdviser)
	for _, role := range cfg.Roles {
		if role.Connector != name {
			continue
		}
		what := fmt.Sprintf("connectors.%s: role %s", name, role.ID)
		if proves {
			if err := c.ask(ctx, func(ctx context.Context) error { return rights.CheckRole(ctx, role) }); err != nil {
				c.problem(what, err)
				continue
			}
		}
		if advises {
			c.told(ctx, what, "", func(ctx context.Context) ([]string, error) { return adviser.Advise(ctx, role) })
		}
	}
}

// surplus tells of rights that the connector has and does not need, where it can.
func (c *checker) surplus(ctx context.Context, what string, made connectors.Connector) {
	if lister, ok := made.(connectors.SurplusLister); ok {
		c.told(ctx, what, "superfluous: ", lister.Surplus)
	}
}

// advice tells what is unwise at the target, where the connector can.
func (c *checker) advice(ctx context.Context, what string, made connectors.Connector) {
	if adviser, ok := made.(connectors.Adviser); ok {
		c.told(ctx, what, "", adviser.Advice)
	}
}

// told warns of what a connector tells.
func (c *checker) told(ctx context.Context, what, lead string, ask func(context.Context) ([]string, error)) {
	var lines []string
	err := c.ask(ctx, func(ctx context.Context) (err error) {
		lines, err = ask(ctx)
		return err
	})
	if err != nil {
		c.problem(what, err)
	}
	for _, line := range lines {
		c.warn(what, lead+line)
	}
}

func (c *checker) ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return question(ctx)
}

// channels are those that the configuration names for a chat.
func channels(cfg *config.Config, chat string) []string {
	var all []string
	for _, p := range cfg.Policies {
		all = append(all, p.Channel[chat])
	}
	if cfg.Digest != nil {
		all = append(all, cfg.Digest.Channel[chat])
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(c string) bool { return c == "" })
}

// teamsConfig is the adapter's part of the configuration.
func teamsConfig(cfg *config.Config) teams.Config {
	t := cfg.Teams
	return teams.Config{
		AppID: t.AppID, TenantID: t.TenantID, ClientSecret: t.ClientSecret, Cloud: t.Cloud, ServiceURLs: t.ServiceURLs,
		MetadataURL: t.OpenIDMetadataURL, TokenURL: t.TokenURL,
	}
}

// slackConfig is the adapter's part of the configuration.
func slackConfig(cfg *config.Config) slack.Config {
	c := slack.Config{
		BotToken: cfg.Slack.BotToken, AppToken: cfg.Slack.AppToken, TeamID: cfg.Slack.TeamID,
		EnterpriseID: cfg.Slack.EnterpriseID, APIURL: cfg.Slack.APIURL, Command: cfg.Slack.Command,
		TrustEmail: cfg.Slack.TrustEmail, Usergroups: cfg.Usergroups(),
	}
	for _, secret := range []access.Secret{cfg.Slack.SigningSecret, cfg.Slack.PreviousSigningSecret} {
		if !secret.IsZero() {
			c.SigningSecrets = append(c.SigningSecrets, secret)
		}
	}
	return c
}
