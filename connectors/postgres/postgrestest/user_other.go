//go:build !linux

package postgrestest

import "os/exec"

// unprivileged changes nothing: elsewhere the tests are run by an ordinary user.
func unprivileged(*exec.Cmd, ...string) error { return nil }
