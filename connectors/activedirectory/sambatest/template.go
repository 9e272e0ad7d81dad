package sambatest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// fresh is how long a provisioned domain is used for new ones. The administrator's password lives for 42 days.
const fresh = 7 * 24 * time.Hour

// template is a provisioned domain to copy, made where there is none or an old one: making one takes half a minute of a
// processor. It lies in the repository's .cache, and is made by one test at a time.
func template(ctx context.Context) (dir string, err error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("look for the repository: %w", err)
	}
	version, err := exec.CommandContext(ctx, "samba", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask for Samba's version: %w", err)
	}
	cache := filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	dir = filepath.Join(cache, strings.Join(strings.Fields(strings.ToLower(string(version))), "-"))
	release, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	made, err := os.Stat(dir)
	if err == nil && time.Since(made.ModTime()) < fresh {
		return dir, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	making := dir + ".making"
	if err := errors.Join(os.RemoveAll(making), os.RemoveAll(dir), os.Mkdir(making, 0o700)); err != nil {
		return "", err
	}
	if err := provision(ctx, making); err != nil {
		return "", err
	}
	return dir, os.Rename(making, dir)
}

// lock waits until no other test works on the template.
func lock(file string) (release func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), f.Close())
	}
	return f.Close, nil
}

// provision makes a domain.
func provision(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "samba-tool", "domain", "provision", "--targetdir="+dir, "--realm="+Realm, "--domain=CORP",
		"--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip=127.0.0.1", "--adminpass="+Password,
		"--option=interfaces=lo", "--option=bind interfaces only=yes",
		// In containers even root may not write the file attributes that Samba keeps permissions in.
		"--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb", "--option=xattr_tdb:file="+filepath.Join(dir, "xattr.tdb"))
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("samba-tool: %w: %s", err, out)
	}
	return nil
}
