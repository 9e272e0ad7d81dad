package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"elevate/cmd/internal/config"
	"elevate/connectors"
	"elevate/connectors/entra"
)

// load reads and checks the configuration, and makes its connectors, without asking anybody. Problems are written to
// out, every one of them; with one that is more than a warning the error is errReported.
func load(path string, out io.Writer) (*config.Config, map[string]connectors.Connector, error) {
	cfg, problems, err := config.Load(path, os.LookupEnv)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no configuration at %s: name it with --config, or start from manifests/examples/minimal.yaml", path)
	}
	if err != nil {
		return nil, nil, err
	}
	made, more := cfg.Connect(connectorTypes())
	problems = append(problems, more...)
	problems = append(problems, cfg.ConnectEntra(func() error {
		_, err := entra.NewDirectory(entraConfig(cfg))
		return err
	})...)
	problems.Sort()
	for _, p := range problems {
		fmt.Fprintln(out, p)
	}
	if problems.Fatal() {
		return nil, nil, errReported
	}
	return cfg, made, nil
}
