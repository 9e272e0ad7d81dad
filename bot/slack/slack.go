package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"elevate/bot"
	"elevate/workflows"
	"elevate/workflows/access"
)

// Name is the word for this chat in configuration, queues and the audit log.
const Name = "slack"

// Conversation answers people; *bot.Bot is the one implementation. Its methods must not call a target.
type Conversation interface {
	Command(ctx context.Context, who bot.Who, text string) bot.Answer
	Click(ctx context.Context, who bot.Who, c bot.Click) bot.Answer
	Submit(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Refresh(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Suggest(ctx context.Context, who bot.Who, input, typed string) []bot.Option
	Home(ctx context.Context, who bot.Who) bot.Card
}

// Store is what the adapter needs of the store: the inbox for clicks, and the memory of what was answered already.
type Store interface {
	workflows.Inbox
	Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// Directory finds people's Slack accounts.
type Directory interface {
	AccountOf(ctx context.Context, id access.PersonID, chat string) (string, error)
}

// Config is what a Slack is made of.
type Config struct {
	BotToken access.Secret // xoxb-…; required
	// SigningSecrets verify what comes over HTTP; two while one replaces the other. Required for Handler to accept anything.
	SigningSecrets []access.Secret
	AppToken       access.Secret // xapp-…; required for RunSocket
	TeamID         string        // T…: the one workspace that is served; required
	// EnterpriseID is set for an app installed on a whole Enterprise Grid organisation: its members are served too.
	EnterpriseID string
	APIURL       string // of the Web API; empty: https://slack.com/api/
	Command      string // the slash command; empty: /elevate
	// TrustEmail and Usergroups say what else of Slack is read, for Check to see that it can be: people's e-mail addresses,
	// and these user groups.
	TrustEmail bool
	Usergroups []string

	Bot       Conversation // required
	Store     Store        // required
	Directory Directory    // required

	// TurnedAway is told of an account that was refused for what it is: a guest, a stranger, an app. Nil: nobody is told.
	TurnedAway func(ctx context.Context, account, code string)
	// Pace bounds what one account does. Nil: nothing does.
	Pace *bot.Pace
	// Observe is told how long each acknowledgement took, by kind of request. Nil: nobody is.
	Observe func(kind string, took time.Duration)
	// Timeout is the longest that one call to Slack may take. Zero: 10 seconds.
	Timeout time.Duration
	// AckWithin is how long the answer to a request may be worked on before it is acknowledged without one. Slack waits
	// for 3 seconds. Zero: 700 milliseconds.
	AckWithin time.Duration
	Now       func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: discarded
}

// Slack is the adapter. It is safe for concurrent use.
type Slack struct {
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	http     *http.Client // for response URLs and, inside api, the Web API
	api      *slack.Client
	hooks    hooks
	verifier verifier
	accounts *accounts
	render   renderer
	tasks    *bot.Tasks
	worker   *bot.Worker
	health   health
	dms      dms
	// What tests replace: the sleep between tries to connect, and how long a connection may be silent.
	wait        func(ctx context.Context, d time.Duration) error
	quiet, ping time.Duration
}

var _ bot.Chat = (*Slack)(nil)

// New checks the configuration and makes a Slack. It calls nobody.
func New(cfg Config) (*Slack, error) {
	err := cfg.complete()
	if cfg.Bot == nil || cfg.Store == nil || cfg.Directory == nil {
		err = errors.Join(err, errors.New("slack: Bot, Store and Directory are required"))
	}
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(cfg.APIURL)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("slack: api_url %q is not an http(s) address", cfg.APIURL)
	}
	s := &Slack{cfg: cfg, log: cfg.Logger, now: cfg.Now, hooks: hooks{api: base}, wait: sleep, quiet: socketQuiet, ping: socketPing}
	s.http, s.api = connect(cfg)
	s.verifier = verifier{secrets: cfg.SigningSecrets, now: cfg.Now}
	s.accounts = newAccounts(cfg, s.userInfo)
	s.render = renderer{account: s.accountOf, command: cfg.Command}
	s.tasks = bot.NewTasks()
	s.worker, err = bot.NewWorker(bot.WorkerConfig{
		Store: cfg.Store, Chat: Name, Handle: s.handleClick, Now: cfg.Now, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("slack: worker: %w", err)
	}
	return s, nil
}

// connect makes the clients of one configuration. It calls nobody.
func connect(cfg Config) (*http.Client, *slack.Client) {
	plain := &http.Client{
		Timeout: cfg.Timeout,
		// The zero Transport of http.Client is shared; one of our own can be closed without harm to others.
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return plain, slack.New(cfg.BotToken.Reveal(), slack.OptionHTTPClient(plain), slack.OptionAPIURL(cfg.APIURL),
		slack.OptionAppLevelToken(cfg.AppToken.Reveal()))
}

func (cfg *Config) complete() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("slack: "+what+" is required"))
		}
	}
	need(!cfg.BotToken.IsZero(), "bot_token")
	need(cfg.TeamID != "", "team_id")
	if len(cfg.SigningSecrets) == 0 && cfg.AppToken.IsZero() {
		errs = append(errs, errors.New("slack: signing_secret (HTTP) or app_token (Socket Mode) is required"))
	}
	for _, secret := range cfg.SigningSecrets {
		need(!secret.IsZero(), "a signing_secret that is not empty")
	}
	if cfg.APIURL == "" {
		cfg.APIURL = slack.APIURL
	}
	if !strings.HasSuffix(cfg.APIURL, "/") {
		cfg.APIURL += "/"
	}
	if cfg.Command == "" {
		cfg.Command = usual
	}
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
	return errors.Join(errs...)
}

// Name is the chat's word: slack.
func (s *Slack) Name() string { return Name }

// Run works off the clicks that were recorded and everything that is done after an acknowledgement, until ctx ends. It
// returns after its goroutines have.
func (s *Slack) Run(ctx context.Context) error {
	err := s.worker.Run(ctx)
	s.tasks.Stop()
	s.http.CloseIdleConnections()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("slack: %w", err)
	}
	return nil
}

// sleep waits for d or for ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
