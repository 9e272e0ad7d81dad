package connectors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// What connectors have in common that reach their target by HTTP.
const (
	longestHeader = 64 << 10 // bytes, of an answer
	longestWait   = time.Hour
)

// OneCall is a transport for the HTTP requests of one call: its connections end with ctx, also those that shake hands
// still, and it reads no header without end. Nothing of it outlives the call that ctx belongs to.
func OneCall(ctx context.Context, config *tls.Config) *http.Transport {
	var dialer net.Dialer
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
		TLSClientConfig:        config,
		DisableCompression:     true,
		MaxResponseHeaderBytes: longestHeader,
	}
}

// RetryAfter reads the header of that name, in seconds or as a date, an hour at most. Zero where it says nothing.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		wait = time.Duration(max(0, min(seconds, int64(longestWait/time.Second)))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, longestWait))
}

// Roots reads a file of PEM certificates that a target's certificate must come from; nil for no file, which stands for
// the system's. The error begins with the key ca_file.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: cannot be read: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: there is no PEM certificate in %s", file)
	}
	return roots, nil
}
