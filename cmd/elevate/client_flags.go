package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"elevate/workflows/access"
)

// clientFlags are those that every command that calls a server has.
type clientFlags struct {
	env       clientEnv
	server    string
	tokenFile string
	plain     bool
	json      bool
}

func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.server, "server", "", "address of Elevate (default: the environment variable ELEVATE_SERVER)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file that holds the token (default: the environment variable ELEVATE_TOKEN)")
	flags.BoolVar(&f.plain, "plain-http", false, "send the token over http:// to another machine, where the network is trusted")
	flags.BoolVar(&f.json, "json", false, "print the API's documents instead of sentences")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
}

// client makes the client that the flags and the environment describe.
func (f *clientFlags) client() (*client, error) {
	server, token := f.server, f.env.getenv("ELEVATE_TOKEN")
	if server == "" {
		server = f.env.getenv("ELEVATE_SERVER")
	}
	if f.tokenFile != "" {
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token: %w", err)
		}
		token = string(text)
	}
	return newClient(server, strings.TrimSpace(token), f.plain, f.env)
}

func (f *clientFlags) printer() printer { return printer{now: f.env.now, zone: f.env.zone} }

// print writes a document as JSON where that was asked for, and for people otherwise.
func (f *clientFlags) print(w io.Writer, doc any, people func(io.Writer) error) error {
	if !f.json {
		return people(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}

// usageArgs makes a complaint about arguments wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w. Usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// requestID reads an id that somebody typed.
func requestID(typed string) (access.RequestID, error) {
	id, err := access.ParseID(typed)
	if err != nil {
		return "", usagef("%q is not a request's id; ids look like 07kq4-m2xp9. `elevate grants --mine` shows yours", typed)
	}
	return id, nil
}
