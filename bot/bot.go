package bot

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Verbs is what people can do, as workflows offers it; *workflows.Service is the one implementation.
type Verbs interface {
	Submit(ctx context.Context, by access.Actor, ask workflows.Ask) (*access.Record, error)
	Decide(ctx context.Context, by access.Actor, id access.RequestID, d workflows.Decision) (*access.Record, error)
	Cancel(ctx context.Context, by access.Actor, id access.RequestID) (*access.Record, error)
	End(ctx context.Context, by access.Actor, id access.RequestID, reason string) (*access.Record, error)
	Extend(ctx context.Context, by access.Actor, id access.RequestID, more time.Duration, proof access.Secret) (*access.Record, error)
	Request(ctx context.Context, viewer access.PersonID, id access.RequestID) (*access.Record, error)
	Requests(ctx context.Context, viewer access.PersonID, q workflows.Query) ([]*access.Record, string, error)
	Parts(ctx context.Context, bundle *access.Record) (map[access.RoleID]*access.Record, error)
	Waiting(ctx context.Context, person access.PersonID) ([]*access.Record, error)
	Allowed(ctx context.Context, person access.PersonID, r *access.Record) workflows.May
	Approvers(ctx context.Context, r *access.Record) ([]access.Person, error)
	Offers(ctx context.Context, person access.PersonID, words string, limit int) ([]workflows.Offer, error)
	Offer(ctx context.Context, person access.PersonID, role access.RoleID) (workflows.Offer, error)
	Digest(ctx context.Context, from, to time.Time) (*workflows.Digest, error)
}

// Config is what a Bot is made of.
type Config struct {
	Service   Verbs               // required
	Directory workflows.Directory // required
	// Factors are people's second factors, for /elevate mfa. Nil: there are none here.
	Factors Factors
	// Channel is where the messages of a policy's requests go in a chat; empty: nowhere there. Nil: nowhere.
	Channel func(policy, chat string) string
	// Chats are those that people use. Where there are several, cards say in which of them somebody decided.
	Chats []string
	// Location is the zone of times in plain text, which no chat can turn into the reader's own. Nil: UTC.
	Location *time.Location
	// Administrators are told of endings that are overdue. Nil: there are none.
	Administrators func(context.Context) ([]access.Person, error)
	// Overdue lists the records whose ending is overdue, so that people are not told of each where many are. Nil: they
	// are told of each.
	Overdue func(context.Context) ([]*access.Record, error)
	// TurnedAway is told of an account that was refused because it is linked to nobody. Nil: nobody is told.
	TurnedAway func(ctx context.Context, by access.Actor, code string)
	// Linking lets people show whose account is whose. Nil: the configuration alone says so.
	Linking Linking
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discarded
}

// Bot answers what people type, click and submit, in any chat. Its methods read and write the store and never call a
// target. It is safe for concurrent use.
type Bot struct {
	cfg Config
	log *slog.Logger
	now func() time.Time

	overdue overdueList
}

// New checks the configuration and makes a Bot.
func New(cfg Config) (*Bot, error) {
	if cfg.Service == nil || cfg.Directory == nil {
		return nil, errors.New("bot: Service and Directory are required")
	}
	if cfg.Channel == nil {
		cfg.Channel = func(string, string) string { return "" }
	}
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	if cfg.Administrators == nil {
		cfg.Administrators = func(context.Context) ([]access.Person, error) { return nil, nil }
	}
	if cfg.Overdue == nil {
		cfg.Overdue = func(context.Context) ([]*access.Record, error) { return nil, nil }
	}
	if cfg.TurnedAway == nil {
		cfg.TurnedAway = func(context.Context, access.Actor, string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Bot{cfg: cfg, log: cfg.Logger, now: cfg.Now}, nil
}
