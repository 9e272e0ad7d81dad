package redis

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
)

// settingError is what is wrong with store.url, in words that quote nothing secret of it.
type settingError struct{ text string }

func (e *settingError) Error() string { return e.text }

// tlsFiles are the files that the URL names, all PEM.
type tlsFiles struct {
	ca        string // who is believed, in place of the system's authorities
	cert, key string // what we show, which redis-server asks for unless its tls-auth-clients is no
}

// takeTLSFiles takes off a URL what go-redis does not know.
func takeTLSFiles(u *url.URL) tlsFiles {
	query := u.Query()
	f := tlsFiles{ca: query.Get("tls_ca"), cert: query.Get("tls_cert"), key: query.Get("tls_key")}
	for _, name := range []string{"tls_ca", "tls_cert", "tls_key"} {
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	return f
}

// into reads the files. The configuration is nil where the URL asks for no TLS.
func (f tlsFiles) into(c *tls.Config) error {
	if f == (tlsFiles{}) {
		return nil
	}
	if c == nil {
		return &settingError{"tls_ca, tls_cert and tls_key are only for URLs that begin with rediss"}
	}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return &settingError{"tls_ca: " + err.Error()}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return &settingError{"tls_ca: " + f.ca + " holds no certificate"}
		}
	}
	if f.cert != "" || f.key != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return &settingError{"tls_cert, tls_key: " + err.Error()}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return nil
}
