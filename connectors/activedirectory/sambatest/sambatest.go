// Package sambatest starts a real Active Directory domain controller for tests: Samba's, the one that Debian has. It is a
// forest of functional level 2008 R2, without Microsoft's feature of memberships that expire; Front, a proxy before it,
// emulates that feature and misbehaves on demand.
package sambatest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors/connectortest"
)

// The domain, and its administrator.
const (
	Realm         = "CORP.TEST"
	Base          = "DC=corp,DC=test"
	Administrator = "Administrator@CORP.TEST"
	Password      = "Passw0rd!test"
)

// packages are Debian's names of what a controller needs. Without samba-vfs-modules it cannot be provisioned.
const packages = "samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind"

// patience is how long a controller may take to provision, or to answer: this machine may be a busy one.
const patience = 5 * time.Minute

// Server is a domain controller on an address of its own: its ports are fixed.
type Server struct {
	// Host is the address that it listens on: 636 for LDAPS, 389 for LDAP with StartTLS.
	Host string
	// CAFile has the certificate that the controller's comes from.
	CAFile string

	dir     string
	key     authority
	admin   *ldap.Conn
	stop    io.Closer
	stopped chan error
	log     bytes.Buffer // read after stopped
}

// Start provisions a domain, starts its controller and stops it at the end of the test. Where Samba is not installed, or
// the test is not run by root, the test fails in CI (CI=true) and is skipped elsewhere.
func Start(t testing.TB) *Server {
	t.Helper()
	if err := installed(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "elevate-samba-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the domain: %v", err)
		}
	})
	s := &Server{dir: dir, CAFile: filepath.Join(dir, "tls", "ca.crt")}
	if err := s.prepare(t.Context()); err != nil {
		t.Fatalf("make a domain: %v", err)
	}
	for range 5 { // somebody else may have the ports of an address
		if err = s.start(t.Context()); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("start Samba: %v", err)
	}
	t.Cleanup(s.Close)
	if s.admin, err = s.Login(Administrator, Password); err != nil {
		t.Fatalf("log in as the administrator: %v", err)
	}
	t.Cleanup(func() { _ = s.admin.Close() }) // the tests have asked all that they wanted to
	return s
}

func installed() error {
	for _, program := range []string{"samba", "samba-tool"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("Samba's domain controller is not installed (Debian: apt-get install --no-install-recommends %s): %w", packages, err)
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("Samba's domain controller needs root: its ports are below 1024; run the test as root, as CI does")
	}
	return nil
}

// Close stops the controller.
func (s *Server) Close() {
	_ = s.stop.Close() // closing it twice is no harm
	<-s.stopped
}

// URL is where the controller speaks LDAPS.
func (s *Server) URL() string { return "ldaps://" + s.Host }

// PlainURL is where it speaks LDAP, and takes a password after StartTLS alone.
func (s *Server) PlainURL() string { return "ldap://" + s.Host }

// prepare makes the domain from the template.
func (s *Server) prepare(ctx context.Context) error {
	from, err := template(ctx)
	if err != nil {
		return err
	}
	if err := os.CopyFS(s.dir, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy the domain: %w", err)
	}
	for _, sub := range []string{"tls", "run", "run/ncalrpc", "run/ntp", "run/wb"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if s.key, err = newAuthority(); err != nil {
		return err
	}
	return os.WriteFile(s.CAFile, s.key.pem(), 0o600)
}

// environment has the databases of a domain that lives as long as a test not be synced to the disk.
func environment() []string { return append(os.Environ(), "TDB_NO_FSYNC=1") }

// smbConf leaves out everything but LDAP.
const smbConf = `[global]
	netbios name = DC1
	realm = CORP.TEST
	workgroup = CORP
	server role = active directory domain controller
	server services = ldap
	dcerpc endpoint servers = -winreg -srvsvc
	interfaces = @HOST@/8
	bind interfaces only = yes
	private dir = @DIR@/private
	state directory = @DIR@/state
	cache directory = @DIR@/cache
	lock directory = @DIR@
	pid directory = @DIR@/run
	ncalrpc dir = @DIR@/run/ncalrpc
	binddns dir = @DIR@/bind-dns
	ntp signd socket directory = @DIR@/run/ntp
	winbindd socket directory = @DIR@/run/wb
	ldap server require strong auth = yes
	disable netbios = yes
	tls enabled = yes
	tls keyfile = @DIR@/tls/dc.key
	tls certfile = @DIR@/tls/dc.crt
	tls cafile = @DIR@/tls/ca.crt
`

// start runs the controller on an address of its own of this machine's, and returns when it answers.
func (s *Server) start(ctx context.Context) error {
	s.Host = fmt.Sprintf("127.%d.%d.%d", 16+rand.N(200), rand.N(256), 1+rand.N(254))
	certificate, key, err := s.key.issue(s.Host, "dc1.corp.test")
	if err != nil {
		return err
	}
	conf := strings.NewReplacer("@DIR@", s.dir, "@HOST@", s.Host).Replace(smbConf)
	for name, content := range map[string][]byte{"etc/smb.conf": []byte(conf), "tls/dc.crt": certificate, "tls/dc.key": key} {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	// An interactive one ends when its standard input does, also when this process is killed.
	cmd := exec.Command("samba", "-s", filepath.Join(s.dir, "etc", "smb.conf"), "--interactive", "--model=single", "--debug-stdout", "-d1")
	cmd.Env = environment()
	s.log.Reset()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if s.stop, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	stopped := make(chan error, 1)
	s.stopped = stopped
	go func() {
		stopped <- cmd.Wait()
		close(stopped)
	}()
	if err := s.answers(ctx); err != nil {
		s.Close()
		return fmt.Errorf("%w: %s", err, s.log.String())
	}
	return nil
}

// answers waits for the first answer.
func (s *Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := s.Login(Administrator, Password)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case ended := <-s.stopped:
			return fmt.Errorf("it ended: %w", errors.Join(ended, err))
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// TLSFor is how a client trusts the controller, or a Front at an address.
func (s *Server) TLSFor(address string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.key.certificate)
	return &tls.Config{RootCAs: roots, ServerName: address, MinVersion: tls.VersionTLS12}
}

// Eventually waits for the domain to say something.
func (s *Server) Eventually(t connectortest.T, what string, is func() bool) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !is() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// Login opens a connection as somebody.
func (s *Server) Login(user, password string) (*ldap.Conn, error) {
	conn, err := ldap.DialURL(s.URL(), ldap.DialWithTLSConfig(s.TLSFor(s.Host)), ldap.DialWithDialer(&net.Dialer{Timeout: patience}))
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(user, password); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
