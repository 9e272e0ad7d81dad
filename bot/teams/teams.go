package teams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/core"

	"elevate/bot"
	"elevate/workflows"
	"elevate/workflows/access"
)

// Name is the word for this chat in configuration, queues and the audit log.
const Name = "teams"

// askBox is the inbox of what neither decides nor ends anything.
const askBox = Name + ".asks"

// Conversation answers people; *bot.Bot is the one implementation. Its methods must not call a target.
type Conversation interface {
	Command(ctx context.Context, who bot.Who, text string) bot.Answer
	Click(ctx context.Context, who bot.Who, c bot.Click) bot.Answer
	Submit(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Refresh(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Suggest(ctx context.Context, who bot.Who, input, typed string) []bot.Option
	View(ctx context.Context, who bot.Who, id access.RequestID) (view *bot.Card, excuse string)
	Home(ctx context.Context, who bot.Who) bot.Card
}

// Store is what the adapter needs of the store: the inbox for what people do, and the memory of where they are found.
type Store interface {
	workflows.Inbox
	Recall(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// Directory finds people's Teams accounts: their object ids in the tenant.
type Directory interface {
	AccountOf(ctx context.Context, id access.PersonID, chat string) (string, error)
}

// Codes seals what must not lie in the store in the clear.
type Codes interface {
	Seal(text access.Secret, whose ...string) string
	Open(sealed string, whose ...string) (access.Secret, error)
}

// Config is what a Teams is made of.
type Config struct {
	AppID        string        // the bot's application id, a GUID; required
	TenantID     string        // the one tenant that is served, a GUID; required
	ClientSecret access.Secret // of the application; required
	// ServiceURLs are origins beside Microsoft's that the bot's token may be sent to, as in https://teams.example.com; a
	// loopback address may be http. Nil: Microsoft's alone.
	ServiceURLs []string
	Cloud       string // public, usgov or china; empty: public
	MetadataURL string // empty: the cloud's
	TokenURL    string // empty: the cloud's

	Bot       Conversation // required
	Store     Store        // required
	Directory Directory    // required

	// Codes seals the codes that people type into forms, between their record and their use. Nil: codes are dropped.
	Codes Codes

	// TurnedAway is told of an account that was refused for what it is: of another tenant, or of none. Nil: nobody is told.
	TurnedAway func(ctx context.Context, account, code string)
	// Pace bounds what one account does. Nil: nothing does.
	Pace *bot.Pace
	// Observe is told how long each acknowledgement took, by kind of request. Nil: nobody is.
	Observe func(kind string, took time.Duration)
	// Timeout is the longest that one call to Microsoft may take. Zero: 10 seconds.
	Timeout time.Duration
	// AckWithin is how long the answer to a request may be worked on before it is acknowledged without one. Teams waits
	// for 10 to 15 seconds. Zero: 700 milliseconds.
	AckWithin time.Duration
	Now       func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: discarded
}

// Teams is the adapter. It is safe for concurrent use.
type Teams struct {
	cfg       Config
	cloud     Cloud
	log       *slog.Logger
	now       func() time.Time
	http      *http.Client
	adapter   *core.BotFrameworkAdapter
	validator *validator
	connector *connector
	render    renderer
	known     *acquaintances
	waiting   waiting
	tasks     *bot.Tasks
	worker    *bot.Worker // of what decides, takes back and ends
	asks      *bot.Worker // of all else, which must not keep that waiting
	health    health
}

var _ bot.Chat = (*Teams)(nil)

// New checks the configuration and makes a Teams. It calls nobody.
func New(cfg Config) (*Teams, error) {
	err := cfg.complete()
	if cfg.Bot == nil || cfg.Store == nil || cfg.Directory == nil {
		err = errors.Join(err, errors.New("teams: Bot, Store and Directory are required"))
	}
	if err != nil {
		return nil, err
	}
	t := &Teams{cfg: cfg, cloud: Clouds()[cfg.Cloud], log: cfg.Logger, now: cfg.Now, tasks: bot.NewTasks()}
	if t.http, t.connector, err = connect(cfg); err != nil {
		return nil, err
	}
	t.validator = newValidator(validatorConfig{
		AppID: cfg.AppID, Issuer: t.cloud.Issuer, MetadataURL: cfg.MetadataURL, HTTP: t.http, Now: cfg.Now, Log: cfg.Logger,
	})
	t.adapter = &core.BotFrameworkAdapter{
		AdapterSetting: core.AdapterSetting{CredentialProvider: auth.SimpleCredentialProvider{AppID: cfg.AppID}},
		TokenValidator: t.validator,
	}
	t.render = renderer{account: t.accountOf}
	t.known = &acquaintances{store: cfg.Store, log: cfg.Logger}
	for box, worker := range map[string]**bot.Worker{Name: &t.worker, askBox: &t.asks} {
		*worker, err = bot.NewWorker(bot.WorkerConfig{Store: cfg.Store, Chat: box, Handle: t.handle, Now: cfg.Now, Logger: cfg.Logger})
		if err != nil {
			return nil, fmt.Errorf("teams: worker: %w", err)
		}
	}
	return t, nil
}

// connect makes the clients of one configuration. It calls nobody.
func connect(cfg Config) (*http.Client, *connector, error) {
	client := direct(&http.Client{Timeout: cfg.Timeout})
	cloud := Clouds()[cfg.Cloud]
	hosts, err := newHosts(cloud, cfg.ServiceURLs)
	if err != nil {
		return nil, nil, fmt.Errorf("teams: service_urls: %w", err)
	}
	tokens := newTokens(tokenConfig{URL: cfg.TokenURL, AppID: cfg.AppID, Secret: cfg.ClientSecret, Scope: cloud.Scope, HTTP: client, Timeout: cfg.Timeout, Now: cfg.Now})
	return client, newConnector(connectorConfig{Hosts: hosts, Tokens: tokens, HTTP: client, Timeout: cfg.Timeout, Now: cfg.Now}), nil
}

func (cfg *Config) complete() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("teams: "+what+" is required"))
		}
	}
	need(cfg.AppID != "", "app_id")
	need(cfg.TenantID != "", "tenant_id")
	need(!cfg.ClientSecret.IsZero(), "client_secret")
	if cfg.Cloud == "" {
		cfg.Cloud = "public"
	}
	cloud, known := Clouds()[cfg.Cloud]
	if !known {
		errs = append(errs, fmt.Errorf("teams: there is no cloud %q", cfg.Cloud))
	}
	if cfg.MetadataURL == "" {
		cfg.MetadataURL = cloud.Metadata
	}
	if cfg.TokenURL == "" {
		cfg.TokenURL = cloud.Login + "/" + cfg.TenantID + "/oauth2/v2.0/token"
	}
	cfg.defaults()
	return errors.Join(errs...)
}

func (cfg *Config) defaults() {
	if cfg.TurnedAway == nil {
		cfg.TurnedAway = func(context.Context, string, string) {}
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, time.Duration) {}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.AckWithin <= 0 {
		cfg.AckWithin = 700 * time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

// Name is the chat's word: teams.
func (t *Teams) Name() string { return Name }

// Run works off what people did and everything that is done after an acknowledgement, until ctx ends. It returns after
// its goroutines have.
func (t *Teams) Run(ctx context.Context) error {
	var asks sync.WaitGroup
	var asksErr error
	asks.Go(func() { asksErr = t.asks.Run(ctx) })
	err := t.worker.Run(ctx)
	asks.Wait()
	err = errors.Join(err, asksErr)
	t.tasks.Stop()
	t.validator.close()
	t.http.CloseIdleConnections()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("teams: %w", err)
	}
	return nil
}

// self is the bot as an account in Teams.
func (t *Teams) self() party { return party{ID: "28:" + t.cfg.AppID} }

// accountOf is a person's Teams account, or nothing.
func (t *Teams) accountOf(ctx context.Context, id access.PersonID) string {
	account, err := t.cfg.Directory.AccountOf(ctx, id, Name)
	if err != nil {
		return ""
	}
	return strings.ToLower(account)
}
