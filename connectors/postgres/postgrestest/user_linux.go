package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged makes a command run as another user where we are root, since PostgreSQL refuses to run as root, and gives
// that user the files.
func unprivileged(cmd *exec.Cmd, files ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := someUser("postgres", "nobody")
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Chown(f, int(uid), int(gid)); err != nil {
			return err
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	return nil
}

// someUser is the first of the named users that exists.
func someUser(names ...string) (uid, gid uint32, err error) {
	for _, name := range names {
		u, lookupErr := user.Lookup(name)
		if lookupErr != nil {
			err = errors.Join(err, lookupErr)
			continue
		}
		id, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		group, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		return uint32(id), uint32(group), errors.Join(uidErr, gidErr)
	}
	return 0, 0, fmt.Errorf("PostgreSQL does not run as root: %w", err)
}
