//go:build unix

package embedded

import (
	"os"
	"os/exec"
	"syscall"
)

// detach keeps a child out of our process group, so that an interrupt at the terminal stops us first and then, cleanly,
// the child.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// alive tells whether a process runs.
func alive(p *os.Process) bool { return p.Signal(syscall.Signal(0)) == nil }
