// Package config reads the configuration file: YAML, strict about keys, with ${NAME} taken from the environment. It
// checks everything that can be checked without asking anybody, and reports every problem of a file at once, each with
// its line and key. What a connector's own settings mean, the connector says; see Connect.
package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // digests and policies name time zones, and minimal containers have none

	"elevate/bot/api"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/policy"
	"elevate/workflows/seal"
)

// Config is a configuration file with its defaults filled in. With problems other than warnings it is good for Connect
// alone, which finds the rest of them.
type Config struct {
	Store      Store
	HTTP       HTTP
	Secrets    Secrets
	TOTP       TOTP   `yaml:"totp"`
	Slack      *Slack `yaml:"slack"` // nil: no Slack
	Teams      *Teams `yaml:"teams"` // nil: no Teams
	OIDC       *OIDC  `yaml:"oidc"`  // nil: nobody signs in
	Entra      *Entra `yaml:"entra"` // nil: no tenant is asked about people
	API        API
	People     []Person
	Groups     map[string]Group // that are kept elsewhere
	Connectors map[string]Block
	Roles      []access.Role
	Policies   []policy.Rule
	Digest     *Digest `yaml:"digest"` // nil: no digest
	Audit      Audit
	// Administrators is CEL over person: who may end anyone's grant and see everything. Empty: nobody.
	Administrators string
	// Auditors is CEL over person: who may read every request and the audit log. Empty: administrators only.
	Auditors string
	// OverdueAfter is how long a deactivation may take before people are told. Default: 1m.
	OverdueAfter time.Duration
	// NoticeBefore is how long before the end its holder is told. Default: 10m.
	NoticeBefore time.Duration
	Sweep        Sweep
	Limits       Limits
	Log          Log

	// Set is the compiled policies, Administrator and Auditor the compiled expressions (nil where they are empty).
	Set           *policy.Set              `yaml:"-"`
	Administrator func(access.Person) bool `yaml:"-"`
	Auditor       func(access.Person) bool `yaml:"-"`

	file   *document
	unread map[string]bool // keys whose value Parse could not read
}

// Store says where state lives.
type Store struct {
	// URL is redis://, rediss:// or unix://, with +sentinel or +cluster for those. Empty: the embedded store.
	URL access.Secret
	// AllowUnsafe activates also on a server that can lose or evict state.
	AllowUnsafe bool
	// Shards is the number of hash tags, 1 to 1024; fixed at first start. Zero: 16.
	Shards int
	// WaitReplicas must have an armed grant before its connector is called. Zero: none.
	WaitReplicas int
	// Prefix begins every key, for several installations on one server. Empty: "elevate:".
	Prefix string
	// Dir is the embedded store's data folder. Default: data.
	Dir string
}

// HTTP says where the program listens.
type HTTP struct {
	Listen    string // host:port; default 127.0.0.1:8080
	PublicURL string // what people's browsers reach it by, without a slash at the end; empty: no links are shown
}

// Secrets are the keys that seal what must not lie in the store in the clear, and mark what Elevate writes there.
type Secrets struct {
	// Keys, the first of which seals. The others open what was sealed with them before, until it is sealed anew.
	Keys []seal.Key
	// AcceptUnmarked believes what lies in the store without a mark, while keys are being introduced.
	AcceptUnmarked bool
}

// TOTP is how codes of authenticator apps are taken.
type TOTP struct {
	Issuer string // the name that apps show; default Elevate
	// Strict takes the code of the current 30 seconds alone, and not those beside it. Phones' clocks must be right then.
	Strict bool
}

// Slack is the connection to one workspace. AppToken turns Socket Mode on, SigningSecret the HTTP routes. With both,
// both serve, as while moving from one to the other.
type Slack struct {
	BotToken      access.Secret
	SigningSecret access.Secret
	// PreviousSigningSecret is accepted too, while Slack changes over to a new one.
	PreviousSigningSecret access.Secret
	AppToken              access.Secret
	TeamID                string // T…: the one workspace that is served
	EnterpriseID          string // E…: set for an app installed on a whole Enterprise Grid organisation
	APIURL                string `yaml:"api_url"` // default https://slack.com/api/
	Command               string // default /elevate
	// TrustEmail takes an account for that of the person whose e-mail address Slack has confirmed for it. Default false.
	TrustEmail bool
}

// Teams is the connection to one tenant of Microsoft 365. Teams calls this program over HTTPS, at /api/messages.
type Teams struct {
	AppID        string // the bot's application (client) id, a GUID
	TenantID     string // the one tenant that is served, a GUID
	ClientSecret access.Secret
	Cloud        string // public, usgov or china; default public
	// ServiceURLs are origins that the bot's token may be sent to beside Microsoft's own; http only on loopback.
	ServiceURLs       []string `yaml:"service_urls"`
	OpenIDMetadataURL string   `yaml:"openid_metadata_url"` // default: the cloud's
	TokenURL          string   // default: the cloud's, for the tenant
}

// API is who may call the API.
type API struct {
	Tokens []api.Token
}

// Person is somebody who may ask, approve or hold.
type Person struct {
	ID       access.PersonID
	Name     string
	Email    string
	Kind     access.Kind // human or service; default human
	Groups   []string
	Accounts map[string]string // connector → account at its target; without an entry the account is the id
	// The person's accounts in the chats.
	Slack, Teams, Web string
	// OIDC is what the identity provider calls the person, in the claim oidc.subject_claim.
	OIDC string
	// Entra is the object id of the person's account in the tenant of entra.
	Entra string
}

func (p Person) person() access.Person {
	return access.Person{ID: p.ID, Name: p.Name, Email: p.Email, Kind: p.Kind, Groups: p.Groups, Accounts: p.Accounts}
}

// Digest is the daily message.
type Digest struct {
	At       string            // HH:MM
	Timezone string            // as in Europe/Lisbon; default UTC
	Channel  map[string]string // chat → channel

	Hour, Minute int            `yaml:"-"`
	Location     *time.Location `yaml:"-"`
}

// Audit says where evidence is kept.
type Audit struct {
	Dir string // default audit
}

// Sweep says how targets are compared with the grants.
type Sweep struct {
	Every time.Duration // how often each target is asked who holds its roles; default 5m
}

// Limits bound what people can put before others. Decisions and endings have Acts alone, counted apart. A limit of 0 is none.
type Limits struct {
	Person    int           // requests that one person may send off within Window; default 10
	Workspace int           // requests that may come from all people of one chat, or by the API, within Window; default 100
	Window    time.Duration // default 1m
	Pending   int           // requests of one person that may wait for a decision at the same time; default 3
	// CoolDown is how long after a denial nobody may ask for the same again. It doubles with each further denial within a
	// day, up to a day. Default 5m.
	CoolDown time.Duration
	// Acts is what one account of a chat may click, type and send off within Window; default 60.
	Acts int
}

// Log says how the program logs.
type Log struct {
	Level  string // debug, info, warn or error; default info
	Format string // json or text; default json
}

// Handler makes the handler of that log.
func (l Log) Handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: levels[l.Level]}
	if l.Format == "text" {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Load reads a file; env is os.LookupEnv or a stand-in. The chats are those that the program at hand can speak in; none
// means Slack and Teams. Problems are in the order of the file. The error is for a file that cannot be read at all.
func Load(path string, env func(string) (string, bool), chats ...string) (*Config, Problems, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	cfg, problems := Parse(path, data, env, chats...)
	return cfg, problems, nil
}

// Parse reads the text of a file; name is for problems.
func Parse(name string, text []byte, env func(string) (string, bool), chats ...string) (*Config, Problems) {
	if len(chats) == 0 {
		chats = []string{"slack", "teams"}
	}
	doc, problem := parse(name, text)
	if problem != nil {
		return &Config{file: doc}, Problems{*problem}
	}
	cfg := &Config{file: doc}
	found := newFindings(doc)
	doc.expand(env, found)
	decode(doc, doc.root, cfg, nil, found)
	c := &checker{Config: cfg, findings: found, chats: chats}
	c.check()
	cfg.unread = found.unread
	return cfg, found.sorted()
}

// Directory is the people of the file.
func (c *Config) Directory() *directory.Directory { return directory.New(c.Accounts()) }

// Accounts are the people of the file with what else they are called.
func (c *Config) Accounts() []directory.Entry {
	entries := make([]directory.Entry, len(c.People))
	for i, p := range c.People {
		entries[i] = directory.Entry{
			Person: p.person(),
			Chats:  map[string]string{"slack": p.Slack, "teams": c.teamsAccount(p), "web": p.Web}, Subject: c.subject(p), Object: c.object(p),
		}
	}
	return entries
}
