package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/bot"
	"elevate/bot/api"
	"elevate/bot/linking"
	"elevate/bot/signin"
	"elevate/bot/slack"
	"elevate/bot/teams"
	"elevate/cmd/internal/config"
	"elevate/cmd/internal/ops"
	"elevate/connectors"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

// app is the product, put together from a configuration.
type app struct {
	cfg     *config.Config
	log     *slog.Logger
	metrics *ops.Metrics
	class   redis.Class
	chats   []string
	handler http.Handler

	embedded *embedded.Server // nil where store.url names a server
	store    *redis.Store
	factors  *factor.Factors // nil without keys to seal them with, or a page to set them up on
	people   workflows.Directory
	accounts *slack.People   // nil without Slack, or where the configuration alone says who people are
	desk     *signin.Desk    // nil without oidc
	claims   *signin.Claims  // nil where groups are those of the last sign-in
	linking  *linking.Office // nil where the configuration alone says who people are
	service  *workflows.Service
	talk     *bot.Bot // nil without a chat
	runner   *workflows.Runner
	drainer  *audit.Drainer
	recovery *workflows.Recovery
	guard    *workflows.Guard // nil without keys to mark with
	marks    *seal.Marker     // nil without keys
	holder   keyholder        // this replica, as the others know it
	unread   *unread
	slack    *slack.Slack                  // nil without Slack
	teams    *teams.Teams                  // nil without Teams
	spoken   []spoken                      // those of the two that are there
	first    []func(context.Context) error // what runs from the start, whatever is not known yet: access must end
	runs     []func(context.Context) error // what people see, and what can wait
}

// spoken is a chat at work.
type spoken interface {
	bot.Chat
	Run(ctx context.Context) error
	Healthy() error
}

// assemble makes everything and starts nothing but the embedded store. The caller closes it.
func assemble(ctx context.Context, cfg *config.Config, made map[string]connectors.Connector, log *slog.Logger) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, metrics: ops.NewMetrics(build()), chats: chatsOf(cfg), unread: newUnread()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err := a.openStore(ctx); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := a.openPeople(); err != nil {
		return nil, err
	}
	if err := a.openEvidence(); err != nil {
		return nil, fmt.Errorf("audit.dir: %w", err)
	}
	if err := a.openFactors(); err != nil {
		return nil, err
	}
	if err := a.openService(made); err != nil {
		return nil, err
	}
	if err := a.openChats(); err != nil {
		return nil, err
	}
	return a, a.openHTTP()
}

// chatsOf are the chats that are configured.
func chatsOf(cfg *config.Config) []string {
	var chats []string
	if cfg.Slack != nil {
		chats = append(chats, slack.Name)
	}
	if cfg.Teams != nil {
		chats = append(chats, teams.Name)
	}
	return chats
}

func (a *app) openStore(ctx context.Context) (err error) {
	c := redis.Config{
		URL: a.cfg.Store.URL.Reveal(), Prefix: a.cfg.Store.Prefix, Shards: a.cfg.Store.Shards, Chats: a.chats,
		Wait: redis.Wait{Replicas: a.cfg.Store.WaitReplicas}, AllowUnsafe: a.cfg.Store.AllowUnsafe, Log: a.log,
	}
	if c.URL == "" {
		if a.embedded, err = embedded.Start(ctx, embedded.Config{Dir: a.cfg.Store.Dir, Log: a.log}); err != nil {
			return err
		}
		c = a.embedded.Connect(c)
	}
	if err := a.mark(&c); err != nil {
		return err
	}
	if a.store, err = redis.Open(ctx, c); err != nil {
		return err
	}
	if err := a.meet(ctx); err != nil {
		return err
	}
	status, err := a.store.Status(ctx)
	if err != nil {
		return err
	}
	a.class = status.Class
	for _, p := range status.Problems {
		a.log.Error("nothing will be activated on this store until it is safe; endings go on", "problem", p)
	}
	for _, w := range status.Warnings {
		a.log.Warn("the store could be safer", "warning", w)
	}
	return nil
}

func (a *app) openService(made map[string]connectors.Connector) (err error) {
	store, err := a.guarded()
	if err != nil {
		return err
	}
	a.service, err = workflows.New(workflows.Config{
		Store: workflows.Vouched(store, a.drainer.Confirm, time.Now, a.log), Directory: a.people, Policies: a.cfg.Set,
		Roles: a.cfg.Roles, Connectors: made, Factors: a.methods(),
		Administrator: a.cfg.Administrator, Auditor: a.cfg.Auditor, AuditHealthy: a.auditHealthy,
		OverdueAfter: a.cfg.OverdueAfter, NoticeBefore: a.cfg.NoticeBefore, Limits: limitsOf(a.cfg), Metrics: a.metrics, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.runner = workflows.NewRunner(a.service, workflows.RunnerConfig{ConnectorOpen: a.metrics.ConnectorOpen})
	a.first = append(a.first, a.onceCompared(a.runner.Run), a.drainer.Run)
	sweeper, err := workflows.NewSweeper(a.service, workflows.SweeperConfig{
		Every: a.cfg.Sweep.Every, Holder: replica(), Chats: a.chats, Believe: a.drainer.Confirm, Metrics: a.metrics,
	})
	if err != nil {
		return err
	}
	a.runs = append(a.runs, sweeper.Run)
	return nil
}

func limitsOf(cfg *config.Config) workflows.Limits {
	l := cfg.Limits
	return workflows.Limits{Person: l.Person, Workspace: l.Workspace, Window: l.Window, Pending: l.Pending, CoolDown: l.CoolDown}
}

func (a *app) openChats() error {
	if len(a.chats) == 0 {
		return nil
	}
	location := time.UTC
	if d := a.cfg.Digest; d != nil {
		location = d.Location
	}
	c := bot.Config{
		Service: a.service, Directory: a.people, Channel: a.cfg.Set.Channel, Chats: a.chats, Location: location,
		Administrators: a.service.Administrators, Overdue: a.store.Overdue, TurnedAway: a.service.TurnedAway, Logger: a.log,
	}
	if a.factors != nil {
		c.Factors = a.factors
	}
	if a.linking != nil {
		c.Linking = a.linking
	}
	talk, err := bot.New(c)
	if err != nil {
		return err
	}
	a.talk = talk
	if err := errors.Join(a.openSlack(talk), a.openTeams(talk)); err != nil {
		return err
	}
	for _, chat := range a.spoken {
		courier, err := bot.NewCourier(bot.CourierConfig{Bot: talk, Store: a.store, Chat: chat, Logger: a.log})
		if err != nil {
			return err
		}
		a.runs = append(a.runs, chat.Run, courier.Run)
	}
	alarm, err := bot.NewAlarm(bot.AlarmConfig{
		Store: a.store, Chats: a.chats, Connectors: slices.Collect(maps.Keys(a.cfg.Connectors)), After: a.cfg.OverdueAfter, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.runs = append(a.runs, alarm.Run)
	if d := a.cfg.Digest; d != nil {
		digester, err := bot.NewDigester(bot.DigestConfig{
			At: d.At, Location: d.Location, Channels: d.Channel, Service: a.service, Store: a.store, Logger: a.log,
		})
		if err != nil {
			return err
		}
		a.runs = append(a.runs, digester.Run)
	}
	return nil
}

func (a *app) openSlack(talk *bot.Bot) (err error) {
	if a.cfg.Slack == nil {
		return nil
	}
	c := slackConfig(a.cfg)
	c.Bot, c.Store, c.Directory, c.Logger = talk, a.store, a.people, a.log
	c.TurnedAway, c.Observe, c.Pace = a.turnedAway(slack.Name), a.observeAck(slack.Name), a.pace()
	if a.slack, err = slack.New(c); err != nil {
		return err
	}
	a.spoken = append(a.spoken, a.slack)
	if !c.AppToken.IsZero() {
		a.runs = append(a.runs, a.slack.RunSocket)
	}
	return nil
}

func (a *app) openTeams(talk *bot.Bot) (err error) {
	if a.cfg.Teams == nil {
		return nil
	}
	c := teamsConfig(a.cfg)
	c.Bot, c.Store, c.Directory, c.Logger = talk, a.store, a.people, a.log
	c.TurnedAway, c.Observe, c.Pace = a.turnedAway(teams.Name), a.observeAck(teams.Name), a.pace()
	if a.factors != nil {
		if c.Codes, err = seal.New(a.cfg.Secrets.Keys, "teams"); err != nil {
			return fmt.Errorf("secrets.keys: %w", err)
		}
	}
	if a.teams, err = teams.New(c); err != nil {
		return err
	}
	a.spoken = append(a.spoken, a.teams)
	return nil
}

// turnedAway puts an account that a chat refused on record.
func (a *app) turnedAway(chat string) func(ctx context.Context, account, code string) {
	return func(ctx context.Context, account, code string) {
		a.service.TurnedAway(ctx, access.Actor{Via: chat, Account: account}, code)
	}
}

func (a *app) pace() *bot.Pace { return bot.NewPace(a.cfg.Limits.Acts, a.cfg.Limits.Window) }

func (a *app) observeAck(chat string) func(kind string, took time.Duration) {
	return func(kind string, took time.Duration) { a.metrics.ObserveAck(chat, kind, took) }
}

func (a *app) openHTTP() error {
	calls := api.Config{Service: a.service, Store: a.store, Directory: a.people, Tokens: a.cfg.API.Tokens, Export: a.export, Logger: a.log}
	if a.factors != nil {
		calls.Keys = a.factors
	}
	programs, err := api.New(calls)
	if err != nil {
		return err
	}
	watch := ops.Config{Metrics: a.metrics, Backlog: a.backlog, StoreClass: string(a.class), Audit: a.auditHealthy, Logger: a.log}
	watch.Chats = map[string]func() error{}
	for _, chat := range a.spoken {
		watch.Chats[chat.Name()] = chat.Healthy
	}
	operators, err := ops.New(watch)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(api.Prefix+"/", programs.Handler())
	mux.Handle("/", operators.Handler())
	if a.slack != nil && !a.cfg.Slack.SigningSecret.IsZero() {
		mux.Handle("/slack/", a.slack.Handler())
	}
	if a.teams != nil {
		mux.Handle("/api/messages", a.teams.Handler())
	}
	if err := a.serveFactors(mux, programs); err != nil {
		return err
	}
	a.servePages(mux)
	a.handler = mux
	return nil
}

// export writes the audit log as this replica has it: nothing where others have kept it so far, in folders of their own.
func (a *app) export(_ context.Context, w io.Writer, from, to time.Time, format audit.Format) error {
	if _, err := os.Stat(a.cfg.Audit.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := audit.Export(w, []string{a.cfg.Audit.Dir}, format, audit.Filter{From: from, To: to})
	return err
}

// backlog is what waits in the store, for readiness and metrics.
func (a *app) backlog(ctx context.Context) (ops.Backlog, error) {
	stats, err := a.store.Stats(ctx, a.service.Lanes()...)
	if err != nil {
		return ops.Backlog{}, err
	}
	b := ops.Backlog{Overdue: stats.Overdue}
	for name, lane := range stats.Lanes {
		b.Due += lane.Due
		if !a.runner.Held(name) {
			b.Behind = max(b.Behind, lane.Behind)
		}
	}
	if b.Overdue > 0 {
		late, err := a.store.Overdue(ctx)
		if err != nil {
			return ops.Backlog{}, err
		}
		if len(late) > 0 {
			b.OverdueFor = time.Since(late[0].EndingAt)
		}
	}
	return b, nil
}

// start runs everything that goes on by itself. What people see waits until the audit log was read, though not for long.
func (a *app) start(ctx context.Context, g *errgroup.Group) {
	begin := func(run func(context.Context) error) {
		g.Go(func() error {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	for _, run := range a.first {
		begin(run)
	}
	for _, run := range a.runs {
		begin(func(ctx context.Context) error {
			a.unread.wait(ctx)
			return run(ctx)
		})
	}
}

// lastEvents bounds the time that a stop takes to write down what happened during it.
const lastEvents = 3 * time.Second

// finish writes down what happened while everything stopped. What it cannot write waits in the store.
func (a *app) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastEvents)
	defer cancel()
	if err := a.drainer.Finish(ctx); err != nil {
		a.log.Warn("audit log: the last events wait in the store, for the next start or another replica", "err", err)
	}
}

// close gives everything back that assemble took, the store last.
func (a *app) close() error {
	var errs []error
	if a.accounts != nil {
		a.accounts.Close()
	}
	if a.desk != nil {
		a.desk.Close()
	}
	if a.claims != nil {
		a.claims.Close()
	}
	if a.store != nil {
		a.leave(context.Background())
		errs = append(errs, a.store.Close())
	}
	if a.embedded != nil {
		errs = append(errs, a.embedded.Close())
	}
	return errors.Join(errs...)
}
