package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"elevate/bot/api"
	"elevate/bot/signin/oidcfake"
	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/internal/config"
	"elevate/connectors/activedirectory"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/connectors/connectortest"
	"elevate/connectors/demo"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/connectors/postgres"
	"elevate/connectors/webhook"
	"elevate/workflows/access"
)

// canaries are in every field of a configuration that holds a secret: the values by where they are. Those of Entra's
// connector, Azure and Active Directory are not those that the servers take, for errors are where secrets leak.
func canaries() map[string]string {
	return map[string]string{
		"store.url": "redis-password-canary", "slack.bot_token": slackfake.BotToken, "slack.app_token": slackfake.AppToken,
		"slack.signing_secret": slackfake.SigningSecret, "slack.previous_signing_secret": "previous-signing-canary",
		"teams.client_secret": teamsfake.ClientSecret, "oidc.client_secret": oidcfake.ClientSecret, "entra.client_secret": graphfake.Secret,
		"secrets.keys":            base64.StdEncoding.EncodeToString([]byte("sealing-canary-canary-of-32-byte")),
		"connectors.hooks.secret": judgeSecret, "connectors.pg.dsn": "dsn-password-canary", "connectors.entra.client_secret": "entra-connector-canary",
		"connectors.azure.client_secret": "azure-connector-canary", "connectors.ad.password": "domain-password-canary",
	}
}

// passing are secrets that no configuration has: what the bot is sent, and how what the provider gives it begins.
func passing() map[string]string {
	return map[string]string{
		"a token of the API": tokenOf("ana"), "another": tokenOf("lea"), "a third": tokenOf("eve"),
		"a refresh token": "refresh-canary-", "an access token": "access-canary-",
	}
}

// files writes the files that a configuration names for secrets, a private key and a token, and plants what of them must
// not get out: a line of the file, and of the key also what is secret of it by itself, in bytes and in decimals.
func (a *aviary) files() {
	a.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.Fatal(err)
	}
	a.certificate, a.token = connectortest.Certificate(a, key), filepath.Join(a.TempDir(), "token")
	const token = "federated-token-canary"
	if err := os.WriteFile(a.token, []byte(token), 0o600); err != nil {
		a.Fatal(err)
	}
	lines := strings.Fields(a.contents(a.certificate))
	a.secrets["connectors.federated.federated_token_file"] = token
	a.secrets["connectors.certified.certificate_file"] = lines[len(lines)-5] // the last whole one of the key
	a.passing["an exponent"], a.passing["an exponent in decimals"] = string(key.D.Bytes()), key.D.String()
}

// settings are what connectors are configured by: for each type, what its block is read into.
func settings() map[string]any {
	return map[string]any{
		"activedirectory": new(activedirectory.Config), "azure": new(azure.Config), "bundle": new(struct{}), "demo": new(demo.Config),
		"entra": new(entra.Config), "postgres": new(postgres.Config), "webhook": new(webhook.Config),
	}
}

func (a *aviary) config(listen string) string {
	secret, ana, azureCA := a.secrets, teamsfake.ObjectID("ana"), a.azure.CAFile(a)
	return fmt.Sprintf(`store: {url: "redis://:${REDIS_PASSWORD}@%s"}
http: {listen: %q, public_url: "http://%s"}
log: {level: debug}
secrets: {keys: [{id: k1, key: %q}]}
slack: {bot_token: "${SLACK_BOT_TOKEN}", signing_secret: %s, previous_signing_secret: %s, app_token: %s, team_id: %s, api_url: %q}
`, strings.TrimPrefix(a.store.URL(), "redis://"), listen, listen, secret["secrets.keys"],
		secret["slack.signing_secret"], secret["slack.previous_signing_secret"], secret["slack.app_token"], slackfake.Team, a.slack.URL) +
		fmt.Sprintf(`teams: {app_id: %s, tenant_id: %s, client_secret: %s, service_urls: [%q], openid_metadata_url: %q, token_url: %q}
oidc: {issuer: %q, client_id: %s, client_secret: %s, scopes: [offline_access]}
entra: {tenant_id: %s, client_id: %s, client_secret: %q, graph_url: %q, login_url: %q, ca_file: %q}
`, teamsfake.AppID, teamsfake.TenantID, secret["teams.client_secret"], a.teams.URL, a.teams.Identity.MetadataURL(), a.teams.Identity.TokenURL(),
			a.provider.URL, oidcfake.ClientID, secret["oidc.client_secret"],
			graphfake.TenantID, graphfake.ClientID, secret["entra.client_secret"], a.entra.URL, a.entra.URL, a.entra.ca) +
		fmt.Sprintf(`api: {tokens: [{name: ana, person: ana, hash: %q}, {name: lea, person: lea, hash: %q}, {name: eve, person: eve, hash: %q}, {name: aud, person: aud, hash: %q}]}
people:
  - {id: ana, name: ana, slack: U0ANA, teams: %s, oidc: 00u-ana, groups: [sre], accounts: {entra: &object %s, azure: *object, certified: *object, certain: *object, federated: *object}}
  - {id: lea, name: lea, slack: U0LEA, groups: [leads]}
  - {id: eve, name: eve, entra: %s}
  - {id: aud, kind: service}
`, api.HashToken(tokenOf("ana")), api.HashToken(tokenOf("lea")), api.HashToken(tokenOf("eve")), api.HashToken(tokenOf("aud")), ana, ana, teamsfake.ObjectID("eve")) +
		fmt.Sprintf(`connectors:
  hooks: {type: webhook, url: %q, secret: %s}
  pg: {type: postgres, dsn: "postgres://elevate:%s@127.0.0.1:1/app?connect_timeout=1"}
  entra: {type: entra, tenant_id: %s, client_id: %s, client_secret: %s, graph_url: %q, login_url: %q, ca_file: %q}
  azure: {type: azure, tenant_id: %s, client_id: %s, client_secret: %s, resource_manager_url: %q, authority_url: %q, ca_file: %q}
  certified: {type: entra, tenant_id: %s, client_id: %s, certificate_file: %q, graph_url: %q, login_url: %q, ca_file: %q}
  certain: {type: azure, tenant_id: %s, client_id: %s, certificate_file: %q, resource_manager_url: %q, authority_url: %q, ca_file: %q}
  federated: {type: azure, tenant_id: %s, client_id: %s, federated_token_file: %q, resource_manager_url: %q, authority_url: %q, ca_file: %q}
  ad: {type: activedirectory, controllers: [%q], bind: svc-elevate@corp.test, password: %s, groups: [%s], ca_file: %q, timeout: 1s} # TLS, and no LDAP
`, a.judge.url+"a", secret["connectors.hooks.secret"], secret["connectors.pg.dsn"],
			graphfake.TenantID, graphfake.ClientID, secret["connectors.entra.client_secret"], a.entra.URL, a.entra.URL, a.entra.ca,
			armfake.Tenant, armfake.Client, secret["connectors.azure.client_secret"], a.azure.URL, a.azure.URL, azureCA,
			graphfake.TenantID, armfake.Client, a.certificate, a.entra.URL, a.entra.URL, a.entra.ca, // Graph does not know this application
			armfake.Tenant, armfake.Client, a.certificate, a.azure.URL, a.azure.URL, azureCA,
			armfake.Tenant, armfake.Client, a.token, a.azure.URL, a.azure.URL, azureCA,
			strings.Replace(a.entra.URL, "https", "ldaps", 1), secret["connectors.ad.password"], ana, a.entra.ca) +
		fmt.Sprintf(`roles:
  - {id: vpn, title: VPN, connector: hooks}
  - {id: db, title: Database, connector: pg, target: {role: db_admin}}
  - {id: user-admin, title: User administrator, connector: entra, target: {role: %s, scope: /}}
  - {id: contributor, title: Contributor, connector: azure, target: {scope: %s, role: %s}}
  - {id: certified, title: User administrator, connector: certified, target: {role: %s, scope: /}}
  - {id: certain, title: Contributor, connector: certain, target: {scope: %s, role: %s}}
  - {id: federated, title: Contributor, connector: federated, target: {scope: %s, role: %s}}
  - {id: admins, title: Admins, connector: ad, target: {group: %s}}
policies:
  - {name: all, match: "true", eligible: '"sre" in person.groups', duration: {max: 1h}, approve: [{by: '"leads" in person.groups'}], channel: {slack: C0ACCESS, teams: %q}}
auditors: person.id == "aud"
`, userAdministrator.Role, azureScope, armfake.Contributor, userAdministrator.Role, azureScope, armfake.Contributor, azureScope, armfake.Contributor, ana, teamsfake.Access)
}

// planted holds that every field that a configuration has for a secret has a canary in it, by what the program itself reads.
func (a *aviary) planted() {
	a.Helper()
	cfg, _, err := config.Load(a.bot.Config(), func(name string) (string, bool) {
		i := slices.IndexFunc(a.program.Env, func(set string) bool { return strings.HasPrefix(set, name+"=") })
		if i < 0 {
			return "", false
		}
		return strings.TrimPrefix(a.program.Env[i], name+"="), true
	})
	if err != nil {
		a.Fatal(err)
	}
	fields := map[string]string{}
	a.secretsIn("Config", reflect.ValueOf(*cfg), fields)
	known := settings()
	for _, block := range cfg.Connectors {
		if err := block.Decode(known[block.Type]); err != nil {
			a.Fatal(err)
		}
	}
	for kind := range connectorTypes() {
		if known[kind] == nil {
			a.Errorf("nobody looks for secrets in the settings of connectors of type %s", kind)
			continue
		}
		a.secretsIn("connectors of type "+kind, reflect.ValueOf(known[kind]).Elem(), fields)
	}
	// The tenant that people are looked up in is signed in to with a secret here, and one way is all that it takes. The
	// connector's certificate is read by the same code.
	delete(fields, "Config.Entra.CertificateFile")
	for field, text := range fields {
		if !has(a.secrets, func(secret string) bool { return strings.Contains(text, secret) }) {
			a.Errorf("%s holds a secret, and no canary is planted in it", field)
		}
	}
	for name, secret := range a.secrets {
		if !has(fields, func(text string) bool { return strings.Contains(text, secret) }) {
			a.Errorf("the canary of %s is in no field that holds a secret", name)
		}
	}
}

func has(texts map[string]string, is func(string) bool) bool {
	for _, text := range texts {
		if is(text) {
			return true
		}
	}
	return false
}

// secretsIn finds what the secret fields of a value hold, and the files that it names for secrets, by their names. What is
// not there counts as there and empty.
func (a *aviary) secretsIn(at string, v reflect.Value, found map[string]string) {
	if s, is := v.Interface().(access.Secret); is {
		found[at] = s.Reveal()
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		a.secretsIn(at, v.Elem(), found)
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case !f.IsExported() || f.Tag.Get("yaml") == "-" || f.Name == "CAFile": // certificates of authorities are no secret
			case strings.HasSuffix(f.Name, "File") && f.Type.Kind() == reflect.String:
				found[at+"."+f.Name] = a.contents(v.Field(i).String())
			default:
				a.secretsIn(at+"."+f.Name, v.Field(i), found)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			a.secretsIn(fmt.Sprintf("%s[%d]", at, i), v.Index(i), found)
		}
		if v.Len() == 0 {
			a.secretsIn(at+"[]", reflect.Zero(v.Type().Elem()), found)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			a.secretsIn(fmt.Sprintf("%s[%v]", at, key), v.MapIndex(key), found)
		}
		if v.Len() == 0 {
			a.secretsIn(at+"[]", reflect.Zero(v.Type().Elem()), found)
		}
	}
}

// contents is what stands in a file; nothing in one without a name.
func (a *aviary) contents(file string) string {
	a.Helper()
	if file == "" {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		a.Fatal(err)
	}
	return string(text)
}
