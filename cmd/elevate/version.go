package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"elevate/cmd/internal/ops"
)

// version is set by the linker for releases (-ldflags "-X main.version=…").
var version string

// build says which program this is.
func build() ops.Build {
	b := ops.Build{Version: cmp.Or(version, "development")}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = s.Value
			}
		}
	}
	return b
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "elevate %s %s %s/%s %s\n", b.Version, cmp.Or(b.Revision, "-"), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}
