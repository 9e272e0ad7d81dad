// Command elevate gives people privileged roles for a short time, from chat. This package holds flags, configuration
// and wiring, and nothing else: what a command does is in the packages that it puts together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run gives the exit code: 0 done, 1 failed or problems found, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return 1
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "elevate: %v\n", err)
		return 2
	}
	fmt.Fprintf(stderr, "elevate: %v\n", err)
	return 1
}

// errReported ends a command that has said already what is wrong.
var errReported = errors.New("problems found")

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "elevate",
		Short: "Privileged roles for a short time, from chat",
		Long: `Elevate gives people privileged roles for a short time, from chat: someone types /elevate, the right people approve,
a connector activates the role, and at the end Elevate takes it away and proves that it is gone.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), usagef("say what to do: one of the commands above"))
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	env := surroundings()
	root.AddCommand(newServeCommand(), newCheckCommand(), newAuditCommand(), newRecoverCommand(), newMFACommand(), newRequestCommand(env), newGrantsCommand(env), newBenchCommand(), newVersionCommand())
	return root
}

// configFlag adds --config.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "elevate.yaml", "configuration `file`")
}
