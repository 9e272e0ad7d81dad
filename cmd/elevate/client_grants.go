package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"elevate/bot"
	"elevate/bot/api"
)

// grantsFlags are the flags of `elevate grants`.
type grantsFlags struct {
	clientFlags
	mine, waiting, all bool
	person, role       string
	states             []string
	limit              int
}

func newGrantsCommand(env clientEnv) *cobra.Command {
	f := &grantsFlags{clientFlags: clientFlags{env: env}}
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "List requests and grants, and end, extend or decide them",
		Long: `List requests and grants that have not come to their end: everybody's for administrators and auditors, your own
otherwise. The subcommands show, end, extend, cancel and decide one.

The token (ELEVATE_TOKEN, or --token-file) says who you are. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.`,
		Example: `  elevate grants --mine
  elevate grants --role prod-db-admin --state active,deactivating --json
  elevate grants end 07kq4-m2xp9`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.list(cmd) },
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.mine, "mine", false, "only those that you asked for or are to hold")
	flags.BoolVar(&f.waiting, "waiting", false, "those that wait for your decision")
	flags.StringVar(&f.person, "person", "", "only those that this person asked for or is to hold")
	flags.StringVar(&f.role, "role", "", "only this role")
	flags.StringSliceVar(&f.states, "state", nil, "only these states, separated by commas")
	flags.BoolVar(&f.all, "all", false, "also those that have come to their end")
	flags.IntVar(&f.limit, "limit", 100, "how many at most")
	cmd.AddCommand(f.show(), f.end(), f.extend(), f.cancel(), f.approve(), f.deny(), f.roles())
	return cmd
}

// pageSize is how many requests are asked for at once.
const pageSize = 200

func (f *grantsFlags) list(cmd *cobra.Command) error {
	switch {
	case f.limit < 1:
		return usagef("--limit takes a number from 1")
	case f.mine && f.person != "":
		return usagef("--mine and --person exclude each other")
	case f.waiting && (f.mine || f.all || f.person != "" || f.role != "" || len(f.states) > 0):
		return usagef("--waiting takes no other filter beside it")
	}
	c, err := f.client()
	if err != nil {
		return err
	}
	all, err := f.fetch(cmd.Context(), c)
	if err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), all, func(out io.Writer) error {
		if len(all.Requests) == 0 {
			_, err := fmt.Fprintln(out, "There are none. `elevate grants --all` also lists those that have ended; `elevate request` makes a new one.")
			return err
		}
		if err := f.printer().table(out, all.Requests); err != nil {
			return err
		}
		if all.Next != nil {
			_, err := fmt.Fprintf(out, "There are more than %d; --limit shows them.\n", f.limit)
			return err
		}
		return nil
	})
}

// fetch reads pages until there are as many as asked for, or no more.
func (f *grantsFlags) fetch(ctx context.Context, c *client) (api.Page, error) {
	all := api.Page{Requests: []api.Request{}}
	query := f.query()
	for {
		if !f.waiting {
			query.Set("limit", strconv.Itoa(min(pageSize, f.limit-len(all.Requests))))
		}
		var page api.Page
		if err := c.get(ctx, "requests", query, &page); err != nil {
			return all, err
		}
		all.Requests, all.Next = append(all.Requests, page.Requests...), page.Next
		if page.Next == nil || len(all.Requests) >= f.limit {
			return all, nil
		}
		query.Set("cursor", *page.Next)
	}
}

func (f *grantsFlags) query() url.Values {
	if f.waiting {
		return url.Values{"waiting": {"true"}}
	}
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("person", f.person)
	set("role", f.role)
	set("state", strings.Join(f.states, ","))
	if f.mine {
		set("mine", "true")
	}
	if !f.all && len(f.states) == 0 {
		set("open", "true")
	}
	return query
}

func (f *grantsFlags) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one request and what became of it",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := requestID(args[0])
			if err != nil {
				return err
			}
			c, err := f.client()
			if err != nil {
				return err
			}
			var r api.Request
			if err := c.get(cmd.Context(), "requests/"+string(id), nil, &r); err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), r, func(out io.Writer) error { return f.printer().details(out, r) })
		},
	}
}

// act does something to a request and says where it stands then.
func (f *grantsFlags) act(cmd *cobra.Command, typed, verb string, in map[string]string) error {
	id, err := requestID(typed)
	if err != nil {
		return err
	}
	c, err := f.client()
	if err != nil {
		return err
	}
	for name, value := range in {
		if value == "" {
			delete(in, name)
		}
	}
	var r api.Request
	if err := c.post(cmd.Context(), "requests/"+string(id)+"/"+verb, in, &r); err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), r, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "Request %s (%s for %s): %s\n", r.ID, printable(string(r.Role)), printable(string(r.Person)), f.printer().status(r))
		return err
	})
}

// reasoned is a subcommand that takes an id and perhaps a reason.
func (f *grantsFlags) reasoned(verb, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.act(cmd, args[0], verb, map[string]string{"reason": reason})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (f *grantsFlags) end() *cobra.Command {
	return f.reasoned("end", "End access before its time")
}

func (f *grantsFlags) approve() *cobra.Command {
	var reason, code string
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Approve a request that waits for you",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.act(cmd, args[0], "approve", map[string]string{"reason": reason, "code": code})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	codeFlag(cmd, &code)
	return cmd
}

// codeFlag takes a code of a second factor. Each is good once, so that it does no harm in the shell's history.
func codeFlag(cmd *cobra.Command, code *string) {
	cmd.Flags().StringVar(code, "code", "", "six digits of your authenticator app, where the policy asks for them")
}

func (f *grantsFlags) deny() *cobra.Command {
	return f.reasoned("deny", "Deny a request that waits for you")
}

func (f *grantsFlags) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID",
		Short: "Take back a request that has not begun",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.act(cmd, args[0], "cancel", map[string]string{})
		},
	}
}

func (f *grantsFlags) extend() *cobra.Command {
	var code string
	cmd := &cobra.Command{
		Use:   "extend ID DURATION",
		Short: "Move the end of active access",
		Args:  usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			more, ok := bot.ParseDuration(args[1])
			if !ok {
				return usagef("%q is not a duration; it should look like 30m or 1h", args[1])
			}
			return f.act(cmd, args[0], "extend", map[string]string{"duration": more.String(), "code": code})
		},
	}
	codeFlag(cmd, &code)
	return cmd
}

func (f *grantsFlags) roles() *cobra.Command {
	return &cobra.Command{
		Use:   "roles [WORDS…]",
		Short: "List the roles that can be requested",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client()
			if err != nil {
				return err
			}
			var found roleList
			if err := c.get(cmd.Context(), "roles", url.Values{"q": {strings.Join(args, " ")}}, &found); err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), found, func(out io.Writer) error {
				if len(found.Roles) == 0 {
					_, err := fmt.Fprintln(out, "No role matches. `elevate grants roles` without words lists all.")
					return err
				}
				return f.printer().roles(out, found.Roles)
			})
		},
	}
}
