package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Check asks the provider whether people could sign in: that it is there, is who it must be, and has keys. It changes
// nothing, and needs of the configuration only what is about the provider. The remarks are what could be better.
func Check(ctx context.Context, cfg Config) (remarks []string, err error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	p := newProvider(cfg)
	defer p.http.CloseIdleConnections()
	found, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.checkKeys(ctx, found.keys); err != nil {
		return nil, err
	}
	if len(found.methods) > 0 && !slices.Contains(found.methods, "S256") {
		remarks = append(remarks, "the provider does not say that it knows PKCE with S256: it would not notice a code that somebody else redeems")
	}
	if slices.Contains(cfg.Scopes, OfflineAccess) && len(found.offers) > 0 && !slices.Contains(found.offers, OfflineAccess) {
		remarks = append(remarks, "the provider does not say that it knows the scope offline_access: without a refresh token, groups among the claims count for oidc.groups_for after the person's last sign-in, and then nothing is done for them until they sign in again with /elevate link")
	}
	return remarks, nil
}

func (p *provider) checkKeys(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // all that was wanted of it is read by then
	var set struct {
		Keys []struct {
			Use string `json:"use"`
		} `json:"keys"`
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("jwks_uri: answered %d", resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	for _, k := range set.Keys {
		if k.Use == "" || k.Use == "sig" {
			return nil
		}
	}
	return errors.New("jwks_uri: has no key to check signatures with")
}
