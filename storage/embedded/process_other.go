//go:build !unix

package embedded

import (
	"os"
	"os/exec"
)

func detach(*exec.Cmd) {}

func alive(*os.Process) bool { return false }
