package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"elevate/workflows"
	"elevate/workflows/audit"
)

func newRecoverCommand() *cobra.Command {
	var path string
	var dry bool
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Give the store back what it lost, from the audit log",
		Long: `Give the store back what it lost, from the audit log: requests that are open by the log, with what was decided and when
their access ends, and the last word on those that a store which went back to an older copy believes to be open.

A running bot does this by itself, at its start and within seconds of a loss. The command is for looking (--dry-run), and
for logs of several replicas brought together in one folder. It bears repetition and works beside running bots, except
on the embedded store, which only one process can open.`,
		Example: "  elevate recover --dry-run",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return recoverStore(cmd.Context(), path, dry, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only print what would be restored")
	return cmd
}

func recoverStore(ctx context.Context, path string, dry bool, out, errOut io.Writer) (err error) {
	cfg, _, err := load(path, errOut)
	if err != nil {
		return err
	}
	if err := requireLog(cfg.Audit.Dir); err != nil {
		return err
	}
	// What the recovery logs is printed below, in a form for people.
	a := &app{cfg: cfg, log: slog.New(slog.DiscardHandler), chats: chatsOf(cfg), unread: newUnread()}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.openStore(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	told := 0
	recovery, err := workflows.NewRecovery(workflows.RecoveryConfig{
		Store: a.store, Paths: []string{cfg.Audit.Dir}, DryRun: dry, OverdueAfter: cfg.OverdueAfter,
		Tell: func(r workflows.Restoration) {
			if told++; told == 1 {
				fmt.Fprintln(table, "REQUEST\tPERSON\tROLE\tSTATE\tENDS\tTHE STORE HAD")
			}
			fmt.Fprintln(table, restorationRow(r))
		},
	})
	if err != nil {
		return err
	}
	done, err := recovery.Run(ctx, audit.Head{})
	return errors.Join(err, table.Flush(), printRecovered(out, done, dry, err == nil))
}

// requireLog refuses a folder without an audit log: there is nothing to recover from, and an empty answer would look as
// if nothing had been lost.
func requireLog(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return fmt.Errorf("audit.dir: %w", err)
	}
	if len(files) > 0 {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("audit.dir: there is no folder %s, so there is no audit log to recover from; run this where the log is, or copy the log's files there", dir)
	}
	return fmt.Errorf("audit.dir: there is no file audit-*.jsonl in %s, so there is no audit log to recover from; run this where the log is, or copy the log's files there", dir)
}

func restorationRow(r workflows.Restoration) string {
	ends, had := "-", "nothing"
	if !r.Record.EndsAt.IsZero() {
		ends = r.Record.EndsAt.UTC().Format(time.RFC3339)
	}
	if r.Had > 0 {
		had = fmt.Sprintf("version %d of %d", r.Had, r.Record.Version)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", r.Record.ID, r.Record.Person, r.Record.Role.ID, r.Record.State, ends, had)
}

// printRecovered sums up; the error is errReported where something is not as it should be.
func printRecovered(out io.Writer, done workflows.Recovered, dry, complete bool) error {
	for _, p := range done.Log.Problems {
		fmt.Fprintln(out, p)
	}
	if done.Log.More > 0 {
		fmt.Fprintf(out, "and %d more problems\n", done.Log.More)
	}
	if n := len(done.Log.Problems) + done.Log.More; n > 0 {
		fmt.Fprintln(out, "The log is not what was written; run elevate audit verify. What can be read of it was used.")
	}
	if done.Log.Missing > 0 {
		fmt.Fprintf(out, "%d lines of the chain are not here: they were archived, or stand in other replicas' folders.\n", done.Log.Missing)
	}
	for _, id := range done.Unknown {
		fmt.Fprintf(out, "%s is open by the log, which does not say what it is: its lines were written by an early version, or are in another replica's folder.\n", id)
	}
	if complete {
		verb := "restored"
		if dry {
			verb = "would be restored"
		}
		fmt.Fprintf(out, "%d requests %s, %d of them live access; %d lines read in %s\n", done.Restored, verb, done.Live, done.Log.Lines, done.Took.Round(time.Millisecond))
	}
	if len(done.Log.Problems)+done.Log.More+len(done.Unknown) > 0 {
		return errReported
	}
	return nil
}
