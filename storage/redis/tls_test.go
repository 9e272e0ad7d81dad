package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
)

// authority signs certificates for a test.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs a certificate, writes it and its key down, and gives both.
func (a *authority) issue(file string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(a.path(file+name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

// overTLS starts a server that wants a certificate of who calls, and gives its address.
func overTLS(t testing.TB, a *authority) string {
	t.Helper()
	a.issue("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	a.issue("client", &x509.Certificate{Subject: pkix.Name{CommonName: "elevate"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	ports := storagetest.ReservePorts(t)
	port := ports.Next()
	ports.StartListening("--tls-port", strconv.Itoa(port), "--tls-ca-cert-file", a.path("ca.pem"),
		"--tls-cert-file", a.path("server.pem"), "--tls-key-file", a.path("server.key"))
	return fmt.Sprintf("rediss://127.0.0.1:%d/0", port)
}

func TestStoreWorksOverTLS(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	address := overTLS(t, ours)
	files := url.Values{"tls_ca": {ours.path("ca.pem")}, "tls_cert": {ours.path("client.pem")}, "tls_key": {ours.path("client.key")}}
	s := open(t, redis.Config{URL: address + "?" + files.Encode()})
	r := approved(t, s)
	if got, err := s.Get(t.Context(), r.ID); err != nil || got.State != access.Approved {
		t.Errorf("got %v, %v", got, err)
	}
	for name, c := range map[string]struct{ change, value, want string }{
		"a server that another authority signed": {"tls_ca", other.path("ca.pem"), "certificate"},
		"the system's authorities":               {"tls_ca", "", "certificate"},
		"an authority that is not there":         {"tls_ca", "nowhere.pem", "tls_ca: open nowhere.pem"},
		"an authority that is none":              {"tls_ca", ours.path("ca.key"), "holds no certificate"},
		"a key that is not there":                {"tls_key", "nowhere.key", "tls_cert, tls_key: open nowhere.key"},
		"a client without a certificate":         {"tls_cert", "", "tls_cert, tls_key"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := url.Values{}
			for k := range files {
				changed.Set(k, files.Get(k))
			}
			changed.Set(c.change, c.value)
			refused(t, address+"?"+changed.Encode(), c.want)
		})
	}
	refused(t, strings.Replace(address, "rediss", "redis", 1)+"?"+files.Encode(), "begin with rediss")
	refused(t, address+"?"+url.Values{"tls_ca": files["tls_ca"]}.Encode(), "") // the server hangs up, without a word at times
}

func refused(t *testing.T, address, want string) {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Config{URL: address})
	if err == nil {
		t.Errorf("a store was opened; want an error with %q", want)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
