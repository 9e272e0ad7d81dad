package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"elevate/cmd/internal/ops"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

func newMFACommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mfa",
		Short: "Reset a second factor where no administrators can",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), usagef("say what to do with second factors: reset"))
		},
	}
	cmd.AddCommand(newMFAResetCommand())
	return cmd
}

func newMFAResetCommand() *cobra.Command {
	var path string
	var dry bool
	cmd := &cobra.Command{
		Use:   "reset PERSON",
		Short: "Take away all that somebody proves things by, in whatever state it is",
		Long: `Take away all that somebody proves things by: an authenticator app and security keys, also where they are locked, switched
off or no longer what Elevate wrote. They set up others with /elevate mfa.

Two administrators do this in chat, with /elevate mfa reset. This command is for when too few are left whose own factors
work. It is on record, and the person and the administrators are told. It works beside running bots, except on
the embedded store, which only one process can open. Run it where the audit log is, as the user that Elevate runs as.`,
		Example: "  elevate mfa reset ana --dry-run",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return resetFactor(cmd.Context(), path, access.PersonID(args[0]), dry, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only print what would be taken away")
	return cmd
}

func resetFactor(ctx context.Context, path string, whose access.PersonID, dry bool, out, errOut io.Writer) (err error) {
	cfg, _, err := load(path, errOut)
	if err != nil {
		return err
	}
	if len(cfg.Secrets.Keys) == 0 || cfg.HTTP.PublicURL == "" {
		return errors.New("there are no second factors by this configuration: they need secrets.keys and http.public_url")
	}
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelError}))
	a := &app{cfg: cfg, log: log, metrics: ops.NewMetrics(build()), chats: chatsOf(cfg), unread: newUnread()}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.openStore(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := a.openPeople(); err != nil {
		return err
	}
	// What the log tells of newer versions makes the reset newer than all of them.
	if err := audit.NewStudy(cfg.Audit.Dir, a.unread.lessons).Read(ctx); err != nil {
		return fmt.Errorf("audit.dir: %w; run this as an account that can read it", err)
	}
	a.unread.set(nil)
	if err := a.openFactors(); err != nil {
		return err
	}
	was, how, err := a.factors.Clear(ctx, operator(), whose, dry)
	if err != nil {
		return explained(err)
	}
	printReset(out, whose, factorWords(was, how), dry, len(a.chats) > 0)
	return nil
}

// operator is whoever types a command where Elevate runs.
func operator() access.Actor {
	by := access.Actor{Person: access.System, Via: factor.CommandLine}
	if u, err := user.Current(); err == nil { // a container's may have no name
		by.Account = u.Username
	}
	return by
}

// explained is a refusal in its own words, with what went wrong where they tell only that something did.
func explained(err error) error {
	var refused *access.Refusal
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Err == nil:
		return errors.New(refused.Text)
	}
	return fmt.Errorf("%s (%w)", refused.Text, refused.Err)
}

// factorWords says what somebody has.
func factorWords(was factor.Stored, how string) string {
	switch {
	case how == factor.Altered:
		return "what lies in the store is not what Elevate wrote, or was marked with a key that is not configured"
	case how == factor.Older:
		return "what lies in the store is older than the audit log tells"
	case was.Doubted:
		return "switched off, because it was not what Elevate wrote last"
	}
	var has []string
	switch {
	case was.ID == "":
	case was.Disabled:
		has = append(has, "an authenticator app, switched off after too many wrong codes")
	default:
		has = append(has, "an authenticator app")
	}
	if n := len(was.Keys); n > 0 {
		has = append(has, fmt.Sprintf("security keys: %d", n))
	}
	return strings.Join(has, "; ")
}

func printReset(out io.Writer, whose access.PersonID, was string, dry, chats bool) {
	if dry {
		fmt.Fprintf(out, "The second factor of %s would be taken away (%s).\n", whose, was)
		return
	}
	fmt.Fprintf(out, "The second factor of %s is gone (%s).\n", whose, was)
	fmt.Fprintln(out, "They set a new one up with /elevate mfa; an administrator confirms it, with a factor that works.")
	fmt.Fprintln(out, "Is there no such administrator? Then reset each whose factor does not work: when none has one, the first confirmation takes no proof.")
	if chats {
		fmt.Fprintln(out, "They and the administrators are told in chat, by a bot that runs or is started within a day.")
	}
}
