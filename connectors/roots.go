package connectors

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Roots reads a file of PEM certificates that a target's must come from; without a file, those of the system (nil). The
// error begins with the setting's key, ca_file.
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
