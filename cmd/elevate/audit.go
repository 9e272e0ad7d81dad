package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"elevate/cmd/internal/config"
	"elevate/workflows/audit"
)

func newAuditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Export and verify the audit log",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), usagef("say what to do with the audit log: export or verify"))
		},
	}
	cmd.AddCommand(newAuditExportCommand(), newAuditVerifyCommand())
	return cmd
}

// logFlags say where the audit log is.
type logFlags struct {
	config string
	dirs   []string
}

func (f *logFlags) add(cmd *cobra.Command) {
	configFlag(cmd, &f.config)
	cmd.Flags().StringArrayVar(&f.dirs, "dir", nil, "`folder` or file of the log, instead of the configuration's audit.dir; may be given several times, as for replicas with folders of their own")
}

// paths are the folders and files of the log.
func (f *logFlags) paths(errOut io.Writer) ([]string, error) {
	if len(f.dirs) > 0 {
		return f.dirs, nil
	}
	cfg, problems, err := config.Load(f.config, os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("%w; name the configuration with --config, or the log's folder with --dir", err)
	}
	if problems.Fatal() {
		for _, p := range problems {
			fmt.Fprintln(errOut, p)
		}
		fmt.Fprintln(errOut, "the log can be read without the configuration: name its folder with --dir")
		return nil, errReported
	}
	return []string{cfg.Audit.Dir}, nil
}

func newAuditExportCommand() *cobra.Command {
	var where logFlags
	var from, to, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the audit log's events to standard output",
		Long: `Write the audit log's events to standard output: as JSON lines, byte for byte as they stand in the log, which
"elevate audit verify" proves; or as CSV for a spreadsheet, in which no cell can start a formula.`,
		Example: `  elevate audit export --from 2026-10-01T00:00:00Z --to 2027-01-01T00:00:00Z --format csv > quarter.csv`,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, kind, err := exportFlags(from, to, format)
			if err != nil {
				return err
			}
			paths, err := where.paths(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			done, err := audit.Export(cmd.OutOrStdout(), paths, kind, filter)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d events, after %s, head %s\n", done.Events, done.After, done.Head)
			if done.Unreadable > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d lines are no events; run elevate audit verify\n", done.Unreadable)
				return errReported
			}
			return nil
		},
	}
	where.add(cmd)
	cmd.Flags().StringVar(&from, "from", "", "only events at or after this `time` (RFC 3339)")
	cmd.Flags().StringVar(&to, "to", "", "only events before this `time` (RFC 3339)")
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl or csv")
	return cmd
}

func exportFlags(from, to, format string) (audit.Filter, audit.Format, error) {
	var filter audit.Filter
	var errs []error
	at := func(text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is no time; write it as 2026-11-23T09:00:00Z", text))
		}
		return t
	}
	filter.From, filter.To = at(from), at(to)
	kind, err := audit.ParseFormat(format)
	if err := errors.Join(append(errs, err)...); err != nil {
		return filter, "", &usageError{err}
	}
	return filter, kind, nil
}

func newAuditVerifyCommand() *cobra.Command {
	var where logFlags
	var heads []string
	var after string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the chain of the audit log, and prove it against heads noted earlier",
		Long: `Check the chain of the audit log: every line carries the hash of the one before it. That lines were cut off the end, or
that the whole log was written anew, shows only against a head noted earlier: keep the one that this command prints
somewhere else, and give it with --head the next time.`,
		Example: "  elevate audit verify --head 18442:9f2c…",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, err := expected(heads, after)
			if err != nil {
				return err
			}
			paths, err := where.paths(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			report, err := audit.Verify(paths, known)
			if err != nil {
				return err
			}
			return printReport(cmd.OutOrStdout(), report, len(heads) > 0)
		},
	}
	where.add(cmd)
	cmd.Flags().StringArrayVar(&heads, "head", nil, "`SEQ:HASH` that the log must have, as an earlier verify printed it; may be given several times")
	cmd.Flags().StringVar(&after, "after", "", "`SEQ:HASH` before the first line, for an export or a log whose beginning was archived")
	return cmd
}

func expected(heads []string, after string) (audit.Expect, error) {
	var known audit.Expect
	for _, text := range heads {
		h, err := audit.ParseHead(text)
		if err != nil {
			return known, &usageError{fmt.Errorf("--head: %w", err)}
		}
		known.Heads = append(known.Heads, h)
	}
	if after != "" {
		h, err := audit.ParseHead(after)
		if err != nil {
			return known, &usageError{fmt.Errorf("--after: %w", err)}
		}
		known.After = h
	}
	return known, nil
}

func printReport(out io.Writer, r audit.Report, known bool) error {
	for _, p := range r.Problems {
		fmt.Fprintln(out, p)
	}
	if r.More > 0 {
		fmt.Fprintf(out, "and %d more problems\n", r.More)
	}
	fmt.Fprintf(out, "%s in %s, from %s to %s\nhead %s\n", counted(int(r.Lines), "line", "lines"), counted(r.Files, "file", "files"), r.Oldest.Format(time.RFC3339), r.Newest.Format(time.RFC3339), r.Head)
	if !r.OK() {
		fmt.Fprintln(out, "NOT PROVED: the log is not what was written, or not all of it")
		return errReported
	}
	if !known {
		fmt.Fprintln(out, "unbroken up to this head; that nothing was cut off after it, or all written anew, shows only against a head noted earlier (--head)")
		return nil
	}
	fmt.Fprintln(out, "proved: unbroken, and it has the heads that were given")
	return nil
}
