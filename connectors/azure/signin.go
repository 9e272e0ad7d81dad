package azure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// whereabout is where Azure is.
type whereabout struct {
	cloud    cloud.Configuration
	audience string // that a token is for
}

// whereabouts reads Cloud, ResourceManagerURL and AuthorityURL.
func whereabouts(cfg Config) (whereabout, error) {
	clouds := map[string]cloud.Configuration{
		"": cloud.AzurePublic, "public": cloud.AzurePublic, "usgovernment": cloud.AzureGovernment, "china": cloud.AzureChina,
	}
	base, known := clouds[cfg.Cloud]
	var problems []error
	if !known {
		delete(clouds, "")
		problems = append(problems, fmt.Errorf("cloud: there is none of that name; there are: %s", strings.Join(slices.Sorted(maps.Keys(clouds)), ", ")))
		base = cloud.AzurePublic
	}
	p := whereabout{cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: base.ActiveDirectoryAuthorityHost,
		Services: maps.Clone(base.Services)}}
	if cfg.AuthorityURL != "" {
		p.cloud.ActiveDirectoryAuthorityHost = cfg.AuthorityURL
		problems = append(problems, secureURL("authority_url", cfg.AuthorityURL))
	}
	if cfg.ResourceManagerURL != "" {
		at := strings.TrimSuffix(cfg.ResourceManagerURL, "/")
		p.cloud.Services[cloud.ResourceManager] = cloud.ServiceConfiguration{Audience: at, Endpoint: at}
		problems = append(problems, secureURL("resource_manager_url", at))
	}
	p.audience = strings.TrimSuffix(p.cloud.Services[cloud.ResourceManager].Audience, "/")
	return p, errors.Join(problems...)
}

func secureURL(key, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s: is no address such as https://management.azure.com", key)
	}
	return nil
}

// signIn makes the credential that the configuration names.
func signIn(cfg Config, options policy.ClientOptions) (azcore.TokenCredential, error) {
	var ways []string
	for _, w := range []struct {
		key string
		set bool
	}{
		{"client_secret", !cfg.ClientSecret.IsZero()}, {"certificate_file", cfg.CertificateFile != ""},
		{"federated_token_file", cfg.FederatedTokenFile != ""}, {"managed_identity", cfg.ManagedIdentity},
	} {
		if w.set {
			ways = append(ways, w.key)
		}
	}
	switch len(ways) {
	case 0:
		return nil, errors.New("client_secret: is missing; write it, or one of certificate_file, federated_token_file and managed_identity: true")
	case 1:
	default:
		return nil, fmt.Errorf("%s: goes not together with %s; keep one of them", ways[0], strings.Join(ways[1:], ", "))
	}
	if cfg.ManagedIdentity {
		return machine(cfg, options)
	}
	var problems []error
	for _, id := range []struct{ key, value string }{{"tenant_id", cfg.TenantID}, {"client_id", cfg.ClientID}} {
		if !isGUID(id.value) {
			problems = append(problems, fmt.Errorf("%s: is missing or no id; copy it from the application's overview in Entra, such as 0f6e8a3c-…", id.key))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return application(cfg, options)
}

// machine signs in as the identity of the machine.
func machine(cfg Config, options policy.ClientOptions) (azcore.TokenCredential, error) {
	identity := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if cfg.ClientID != "" {
		identity.ID = azidentity.ClientID(cfg.ClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(identity)
	if err != nil {
		return nil, fmt.Errorf("managed_identity: %w", err)
	}
	return credential, nil
}

// application signs in as an application of the tenant.
func application(cfg Config, options policy.ClientOptions) (azcore.TokenCredential, error) {
	own := cfg.AuthorityURL != "" // Microsoft's list of sign-in services does not know it
	switch {
	case !cfg.ClientSecret.IsZero():
		credential, err := azidentity.NewClientSecretCredential(cfg.TenantID, cfg.ClientID, cfg.ClientSecret.Reveal(),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
		if err != nil {
			return nil, errors.New("client_secret: cannot be used")
		}
		return credential, nil
	case cfg.CertificateFile != "":
		text, err := os.ReadFile(cfg.CertificateFile)
		if err != nil {
			return nil, fmt.Errorf("certificate_file: cannot be read: %w", err)
		}
		certs, key, err := azidentity.ParseCertificates(text, nil)
		if err != nil {
			return nil, fmt.Errorf("certificate_file: there is no PEM certificate with its private key, unencrypted, in %s", cfg.CertificateFile)
		}
		credential, err := azidentity.NewClientCertificateCredential(cfg.TenantID, cfg.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
		if err != nil {
			return nil, errors.New("certificate_file: the certificate cannot be used; it goes with an RSA key")
		}
		return credential, nil
	}
	read := func(context.Context) (string, error) { // each time: it is replaced every hour or so
		text, err := os.ReadFile(cfg.FederatedTokenFile)
		return strings.TrimSpace(string(text)), err
	}
	credential, err := azidentity.NewClientAssertionCredential(cfg.TenantID, cfg.ClientID, read,
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
	if err != nil {
		return nil, fmt.Errorf("federated_token_file: %w", err)
	}
	return credential, nil
}
