package entra

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"elevate/connectors"
	"elevate/workflows/access"
)

// token is an access token, and the application permissions that it says it carries.
type token struct {
	text  access.Secret
	roles []string
	told  bool // its roles could be read
}

// tokens gets tokens for Graph. The credential keeps one until shortly before its end.
type tokens struct {
	credential azcore.TokenCredential
	scope      string
}

// newTokens makes the credential that the configuration names.
func newTokens(cfg Config, where cloud, roots *x509.CertPool) (tokens, error) {
	options := azcore.ClientOptions{
		Cloud:     azcloud.Configuration{ActiveDirectoryAuthorityHost: where.login},
		Transport: &http.Client{Transport: &calls{roots}},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
	options.Telemetry.Disabled = true
	own := cfg.LoginURL != "" // then there is nobody to ask whether the address is Microsoft's
	var credential azcore.TokenCredential
	var err error
	switch cfg.Credential {
	case "secret":
		credential, err = azidentity.NewClientSecretCredential(cfg.TenantID, cfg.ClientID, cfg.ClientSecret.Reveal(),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
		if err != nil {
			return tokens{}, errors.New("client_secret: cannot be used")
		}
	case "certificate":
		credential, err = newCertificate(cfg, options, own)
	case "workload":
		credential, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, ClientID: cfg.ClientID, TenantID: cfg.TenantID, DisableInstanceDiscovery: own})
		if err != nil {
			return tokens{}, errors.New("credential: says workload, but AZURE_FEDERATED_TOKEN_FILE names no file; see that the workload identity webhook sets it")
		}
	case "managed":
		credential, err = azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
			ClientOptions: options, ID: azidentity.ClientID(cfg.ClientID)})
		if err != nil {
			return tokens{}, errors.New("credential: says managed, and this machine cannot have a user-assigned managed identity")
		}
	}
	scope := *where.graph
	scope.Path = "/.default"
	return tokens{credential, scope.String()}, err
}

func newCertificate(cfg Config, options azcore.ClientOptions, own bool) (azcore.TokenCredential, error) {
	pem, err := os.ReadFile(cfg.CertificateFile)
	if err != nil {
		return nil, fmt.Errorf("certificate_file: cannot be read: %w", err)
	}
	certificates, key, err := azidentity.ParseCertificates(pem, nil)
	if err == nil {
		var credential azcore.TokenCredential
		credential, err = azidentity.NewClientCertificateCredential(cfg.TenantID, cfg.ClientID, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
		if err == nil {
			return credential, nil
		}
	}
	return nil, errors.New("certificate_file: must hold, as PEM and without a password, the application's certificate and its private key (RSA)")
}

// calls makes every request for a token on a connection of its own, which stops dialling with the request.
type calls struct{ roots *x509.CertPool }

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := newTransport(r.Context(), c.roots)
	transport.DisableKeepAlives = true
	return transport.RoundTrip(r)
}

// get gets a token. What the credential says of a refusal is long and quotes the other side; people get the number that
// Microsoft's pages explain.
func (t tokens) get(ctx context.Context) (token, error) {
	got, err := t.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.scope}})
	if err == nil {
		return readToken(got.Token), nil
	}
	if ctx.Err() != nil {
		return token{}, fmt.Errorf("get a token: %w", ctx.Err())
	}
	var refused *azidentity.AuthenticationFailedError
	if !errors.As(err, &refused) || refused.RawResponse == nil {
		return token{}, refuse(connectors.Unavailable, "get a token: no answer from the sign-in server (login)")
	}
	status := refused.RawResponse.StatusCode
	if status == http.StatusTooManyRequests {
		wait := readWait(refused.RawResponse.Header.Get("Retry-After"), time.Now())
		return token{}, &refusal{kind: connectors.Throttled, wait: wait, text: "get a token: the sign-in server answered 429"}
	}
	if status >= 500 {
		return token{}, refuse(connectors.Unavailable, "get a token: the sign-in server answered %d", status)
	}
	return token{}, refuse(connectors.Denied, "Entra refused the application's credential (%s); see that tenant_id, client_id and the secret or certificate are right and have not run out", number(refused))
}

var numbers = regexp.MustCompile(`AADSTS[0-9]+`)

func number(err error) string {
	if n := numbers.FindString(err.Error()); n != "" {
		return n
	}
	return "without a number"
}

// readToken reads what the token says that the application may do. It is Graph that decides; this is for telling people
// what is missing or superfluous.
func readToken(text string) token {
	t := token{text: access.NewSecret(text)}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return t
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return t
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return t
	}
	t.roles, t.told = claims.Roles, true
	return t
}
