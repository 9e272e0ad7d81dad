//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package audit

import (
	"errors"
	"fmt"
	"os"
)

// lock refuses: two writers in one folder would break the chain, and this system has no lock that a crash releases.
func lock(f *os.File) error {
	return fmt.Errorf("lock %s: %w on this operating system", f.Name(), errors.ErrUnsupported)
}
