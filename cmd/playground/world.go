package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/bot"
	"elevate/bot/web"
	"elevate/cmd/internal/config"
	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

//go:embed demo.yaml
var demoConfig []byte

//go:embed page
var pageFiles embed.FS

// How the playground differs from elevate serve: it looks more often, because its time can leap; it waits less for a
// target, because somebody is watching; and its leases outlast a call also where time runs 60 times as fast.
const (
	nap         = 50 * time.Millisecond
	callTimeout = 2 * time.Second
	lease       = 3 * time.Minute
)

// world is the product, wired to a store and a target in memory.
type world struct {
	clock    *clock
	server   *embedded.Server
	store    *redis.Store
	service  *workflows.Service
	runner   *workflows.Runner
	sweeper  *workflows.Sweeper
	courier  *bot.Courier
	alarm    *bot.Alarm
	digester *bot.Digester
	daily    *config.Digest
	drainer  *audit.Drainer
	evidence string // folder of the audit log, removed at the end
	panel    *panel
	orders   http.Handler // what the panel's buttons do
	page     *web.Server
}

// newWorld makes everything; at is where the clock starts, zero for the real time. The caller closes it.
func newWorld(ctx context.Context, at time.Time, log *slog.Logger) (_ *world, err error) {
	cfg, problems := config.Parse("demo.yaml", demoConfig, os.LookupEnv, web.Name)
	if len(problems) > 0 {
		return nil, problems
	}
	w := &world{clock: newClock(time.Now, at), daily: cfg.Digest}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := w.openStore(ctx, log); err != nil {
		return nil, err
	}
	if err := w.openEvidence(log); err != nil {
		return nil, err
	}
	return w, w.wire(cfg, log)
}

func (w *world) openStore(ctx context.Context, log *slog.Logger) (err error) {
	if w.server, err = embedded.Start(ctx, embedded.Config{Memory: true, Clock: w.clock.Now, Log: log}); err != nil {
		return err
	}
	w.store, err = redis.Open(ctx, w.server.Connect(redis.Config{
		Chats: []string{web.Name}, AllowUnsafe: true, Now: w.clock.Now, Log: log, // nothing here is worth keeping
	}))
	return err
}

func (w *world) openEvidence(log *slog.Logger) (err error) {
	if w.evidence, err = os.MkdirTemp("", "elevate-playground-"); err != nil {
		return fmt.Errorf("folder for the audit log: %w", err)
	}
	w.drainer, err = audit.NewDrainer(audit.DrainConfig{
		Dir: w.evidence, Holder: "playground", Interval: nap, Log: audit.Config{Logger: log},
	}, w.store)
	return err
}

// wire puts the product together as elevate serve does.
func (w *world) wire(cfg *config.Config, log *slog.Logger) error {
	target := demo.NewTarget(demo.TargetConfig{Now: w.clock.Now})
	plant(target)
	made, problems := cfg.Connect(map[string]config.ConnectorType{
		"demo": func(config.Block) (connectors.Connector, error) { return demo.New(demo.Config{Target: target}) },
	})
	if len(problems) > 0 {
		return problems
	}
	directory := cfg.Directory()
	var err error
	w.service, err = workflows.New(workflows.Config{
		Store: w.store, Directory: directory, Policies: cfg.Set, Roles: cfg.Roles, Connectors: made,
		Administrator: cfg.Administrator, Auditor: cfg.Auditor, AuditHealthy: w.drainer.Healthy,
		OverdueAfter: cfg.OverdueAfter, NoticeBefore: cfg.NoticeBefore, Now: w.clock.Now, Logger: log,
	})
	if err != nil {
		return err
	}
	w.runner = workflows.NewRunner(w.service, workflows.RunnerConfig{Lease: lease, CallTimeout: callTimeout, MaxSleep: nap, Grace: time.Second})
	if w.sweeper, err = workflows.NewSweeper(w.service, workflows.SweeperConfig{
		Every: cfg.Sweep.Every, CallTimeout: callTimeout, Lease: lease, MaxSleep: nap, Grace: nap, Holder: "playground", Chats: []string{web.Name},
	}); err != nil {
		return err
	}
	talk, err := bot.New(bot.Config{
		Service: w.service, Directory: directory, Channel: channelOf(cfg), Location: cfg.Digest.Location,
		Administrators: w.service.Administrators, Overdue: w.store.Overdue, Now: w.clock.Now, Logger: log,
	})
	if err != nil {
		return err
	}
	chat := web.NewChat(cast(cfg.People), channels(), w.clock.Now)
	if w.courier, err = bot.NewCourier(bot.CourierConfig{
		Bot: talk, Store: w.store, Chat: chat, Poll: nap, Send: lease, Now: w.clock.Now, Logger: log,
	}); err != nil {
		return err
	}
	if w.alarm, err = bot.NewAlarm(bot.AlarmConfig{
		Store: w.store, Chats: []string{web.Name}, Poll: nap, Now: w.clock.Now, Logger: log,
	}); err != nil {
		return err
	}
	if w.digester, err = bot.NewDigester(bot.DigestConfig{
		At: cfg.Digest.At, Location: cfg.Digest.Location, Channels: cfg.Digest.Channel, Service: w.service, Store: w.store,
		Poll: time.Second, Now: w.clock.Now, Logger: log,
	}); err != nil {
		return err
	}
	return w.openPage(cfg, talk, chat, target, log)
}

// openPage makes the page: the chat, and the panel beside it.
func (w *world) openPage(cfg *config.Config, talk *bot.Bot, chat *web.Chat, target *demo.Target, log *slog.Logger) error {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return err
	}
	var digests atomic.Int64
	w.panel = &panel{
		clock: w.clock, store: w.store, service: w.service, target: target, roles: cfg.Roles,
		trail:  &trail{dir: w.evidence, head: w.drainer.Head, name: firstNames(cfg)},
		faults: &faults{target: target, now: wellBehaved}, digests: func() int { return int(digests.Load()) },
	}
	do := &doer{panel: w.panel, log: log, digest: func(ctx context.Context) error {
		err := w.digester.Now(ctx)
		if err == nil {
			digests.Add(1)
		}
		return err
	}}
	w.orders = do.handler()
	w.page, err = web.NewServer(web.Config{
		Title: "Elevate playground", Chat: chat, Talker: talk, Catalogue: w.service, Logger: log,
		Aside: &web.Aside{Files: files, Do: w.orders, Feed: w.panel.feed},
	})
	return err
}

// plant gives standing access, as every real target has some.
func plant(t *demo.Target) {
	t.Plant("greta", "prod-db-admin")
	t.Plant("omar", "audit-log-reader")
}

// firstNames gives what people call each other.
func firstNames(cfg *config.Config) func(access.PersonID) string {
	names := map[access.PersonID]string{}
	for _, p := range cfg.People {
		names[p.ID], _, _ = strings.Cut(p.Name, " ")
	}
	return func(id access.PersonID) string { return cmp.Or(names[id], string(id)) }
}

// channelOf finds where the requests under a policy are shown.
func channelOf(cfg *config.Config) func(policy, chat string) string {
	channels := map[string]map[string]string{}
	for _, p := range cfg.Policies {
		channels[p.Name] = p.Channel
	}
	return func(policy, chat string) string { return channels[policy][chat] }
}

// start sets everything going until ctx ends.
func (w *world) start(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return w.runner.Run(ctx) })
	g.Go(func() error { return w.sweeper.Run(ctx) })
	g.Go(func() error { return w.courier.Run(ctx) })
	g.Go(func() error { return w.alarm.Run(ctx) })
	g.Go(func() error { return w.drainer.Run(ctx) })
	g.Go(func() error { return w.digest(ctx) })
}

// ready waits until evidence is kept: what is asked for before that would be put off.
func (w *world) ready(ctx context.Context) error {
	tick := time.NewTicker(nap / 5)
	defer tick.Stop()
	for w.drainer.Healthy() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// digest sends the daily digest from the first hour of one on that comes after the start: there is no yesterday here.
func (w *world) digest(ctx context.Context) error {
	due := firstDigest(w.clock.Now(), w.daily)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for w.clock.Now().Before(due) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return w.digester.Run(ctx)
}

// firstDigest is the first hour of a digest after a moment.
func firstDigest(now time.Time, daily *config.Digest) time.Time {
	y, m, d := now.In(daily.Location).Date()
	due := time.Date(y, m, d, daily.Hour, daily.Minute, 0, 0, daily.Location)
	if !due.After(now) {
		due = time.Date(y, m, d+1, daily.Hour, daily.Minute, 0, 0, daily.Location)
	}
	return due
}

// close gives everything back.
func (w *world) close() error {
	var errs []error
	if w.store != nil {
		errs = append(errs, w.store.Close())
	}
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	if w.evidence != "" {
		errs = append(errs, os.RemoveAll(w.evidence))
	}
	return errors.Join(errs...)
}
