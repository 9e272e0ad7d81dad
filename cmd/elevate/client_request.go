package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"elevate/bot"
	"elevate/bot/api"
	"elevate/workflows/access"
)

// requestFlags are the flags of `elevate request`.
type requestFlags struct {
	clientFlags
	ticket, person, start, code string
	wait                        bool
}

func newRequestCommand(env clientEnv) *cobra.Command {
	f := &requestFlags{clientFlags: clientFlags{env: env}}
	cmd := &cobra.Command{
		Use:   "request ROLE [DURATION] JUSTIFICATION…",
		Short: "Ask for a role for a short time",
		Long: `Ask for a role for a short time, as /elevate does in chat. Whoever may approve it is asked in chat.

The token (ELEVATE_TOKEN, or --token-file) says who you are. Without DURATION the policy's usual one is asked for.
Where the policy asks for a ticket and one is among the words of the justification, it is found there.

Exit codes: 0 submitted (with --wait: the role is active), 1 refused or failed (with --wait: also denied, cancelled,
lapsed or ended), 2 wrong usage.`,
		Example: `  elevate request prod-db-admin 1h INC-4711 fix replication
  elevate request prod-db-admin "nightly migration" --for svc-deploy --start 2026-03-02T22:00:00Z
  elevate request prod-db-admin 30m rotate the certificate --wait && ./rotate.sh`,
		Args: usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.ticket, "ticket", "", "ticket that the request belongs to")
	cmd.Flags().StringVar(&f.person, "for", "", "person who is to hold the role (default: you)")
	cmd.Flags().StringVar(&f.start, "start", "", "when it is to begin, such as 2026-03-02T22:00:00Z (default: once approved)")
	codeFlag(cmd, &f.code)
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until the role is active, and say what happens on the way")
	cmd.ValidArgsFunction = f.complete
	return cmd
}

func (f *requestFlags) run(cmd *cobra.Command, args []string) error {
	ask, err := f.ask(args)
	if err != nil {
		return err
	}
	c, err := f.client()
	if err != nil {
		return err
	}
	if ask["ticket"] == "" {
		ask["ticket"] = findTicket(cmd.Context(), c, ask["role"], ask["justification"])
	}
	for name, value := range ask {
		if value == "" {
			delete(ask, name)
		}
	}
	var r api.Request
	if err := c.post(cmd.Context(), "requests", ask, &r); err != nil {
		return err
	}
	if f.wait {
		return f.watch(cmd, c, r)
	}
	return f.print(cmd.OutOrStdout(), r, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "Request %s: %s for %s.\n%s\nFollow it with: elevate grants show %s\n", r.ID, r.Role, r.Duration, f.printer().status(r), r.ID)
		return err
	})
}

// ask takes the words apart: a role, a duration where the second word is one, and the rest.
func (f *requestFlags) ask(args []string) (map[string]string, error) {
	ask := map[string]string{"role": args[0], "ticket": f.ticket, "for": f.person, "code": f.code}
	words := args[1:]
	if d, ok := bot.ParseDuration(words[0]); ok {
		ask["duration"] = d.String()
		words = words[1:]
	}
	ask["justification"] = strings.Join(words, " ")
	if strings.TrimSpace(ask["justification"]) == "" {
		return nil, usagef("say after the duration what %s is needed for", args[0])
	}
	if f.start != "" {
		at, err := time.Parse(time.RFC3339, f.start)
		if err != nil {
			return nil, usagef("--start takes a time such as 2026-03-02T22:00:00Z, not %q", f.start)
		}
		ask["start"] = at.UTC().Format(time.RFC3339)
	}
	return ask, nil
}

// roleList is what GET /roles answers.
type roleList struct {
	Roles []api.Role `json:"roles"`
}

// findTicket looks among the words of a justification for the ticket that the role's policy asks for. Whatever goes
// wrong here, the submission will say better.
func findTicket(ctx context.Context, c *client, role, justification string) string {
	var found roleList
	if err := c.get(ctx, "roles", url.Values{"q": {role}}, &found); err != nil {
		return ""
	}
	for _, r := range found.Roles {
		if string(r.ID) != role || r.Justification.Ticket == nil {
			continue
		}
		whole, err := regexp.Compile(`^(?:` + *r.Justification.Ticket + `)$`)
		if err != nil {
			return ""
		}
		for _, word := range strings.Fields(justification) {
			if word = strings.Trim(word, ".,:;()"); whole.MatchString(word) {
				return word
			}
		}
	}
	return ""
}

// errNotActive ends a wait that came to nothing; what happened has been printed.
var errNotActive = errors.New("the role is not active")

// watch follows a request until it is active or closed, and prints each turn it takes.
func (f *requestFlags) watch(cmd *cobra.Command, c *client, r api.Request) error {
	ctx, p, said := cmd.Context(), f.printer(), ""
	say := func(text string) {
		if !f.json && text != said {
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", f.env.now().In(f.env.zone).Format(time.TimeOnly), text)
			said = text
		}
	}
	say(fmt.Sprintf("Request %s: %s for %s.", r.ID, r.Role, r.Duration))
	for {
		say(p.status(r))
		switch {
		case r.State == access.Active:
			return f.print(cmd.OutOrStdout(), r, func(io.Writer) error { return nil })
		case r.State.Terminal() || r.State == access.Deactivating:
			if err := f.print(cmd.OutOrStdout(), r, func(io.Writer) error { return nil }); err != nil {
				return err
			}
			return fmt.Errorf("%w: request %s is %s", errNotActive, r.ID, r.State)
		}
		select {
		case <-time.After(f.env.poll):
		case <-ctx.Done():
			return fmt.Errorf("stopped waiting; the request goes on. Take it back with: elevate grants cancel %s: %w", r.ID, ctx.Err())
		}
		if err := c.get(ctx, "requests/"+string(r.ID), nil, &r); err != nil {
			return err
		}
	}
}

// complete offers role names to the shell.
func (f *requestFlags) complete(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found roleList
	c, err := f.client()
	if err == nil {
		err = c.get(cmd.Context(), "roles", url.Values{"q": {typed}}, &found)
	}
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []cobra.Completion
	for _, r := range found.Roles {
		if r.Eligible && strings.HasPrefix(string(r.ID), typed) {
			out = append(out, cobra.CompletionWithDesc(string(r.ID), printable(r.Title)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
