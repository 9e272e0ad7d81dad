package teams

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

// shelf is a store that breaks down when it is told to.
type shelf struct {
	Store

	mu   sync.Mutex
	fail error
	hang chan struct{}
}

// newShelf is one in memory.
func newShelf(t testing.TB, now func() time.Time) *shelf {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.Open(t.Context(), server.Connect(redis.Config{Chats: []string{Name}, Now: now, AllowUnsafe: true}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &shelf{Store: store}
}

// breakDown makes everything fail, or wait until hang is closed. Neither: it works again.
func (s *shelf) breakDown(fail error, hang chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.hang = fail, hang
}

func (s *shelf) ready(ctx context.Context) error {
	s.mu.Lock()
	fail, hang := s.fail, s.hang
	s.mu.Unlock()
	if hang == nil {
		return fail
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-hang:
		return fail
	}
}

func (s *shelf) Deliver(ctx context.Context, d workflows.Delivery) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	return s.Store.Deliver(ctx, d)
}

func (s *shelf) Recall(ctx context.Context, key string) ([]byte, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.Store.Recall(ctx, key)
}

func (s *shelf) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.Store.Put(ctx, key, value, ttl)
}

// account is a person's object id.
func account(person access.PersonID) string { return teamsfake.ObjectID(string(person)) }

// staff are the people of these tests: all of the fake's, and somebody whom Teams does not know.
func staff() *directory.Directory {
	var entries []directory.Entry
	for _, id := range []access.PersonID{bottest.Ana, bottest.Ben, "cat", "lost"} {
		entries = append(entries, directory.Entry{Person: access.Person{ID: id, Name: string(id)}, Chats: map[string]string{Name: account(id)}})
	}
	return directory.New(entries)
}

// kit is an adapter between a fake Teams and a stand-in for the bot.
type kit struct {
	fake  *teamsfake.Server
	teams *Teams
	bot   *bottest.Talk
	store *shelf
	clock *storagetest.Clock
	cfg   Config
	url   string        // of the adapter's /api/messages
	log   *bytes.Buffer // to be read after stop
	stop  func()        // stops the adapter and waits for it
}

// setup starts one.
func setup(t testing.TB, change ...func(*Config)) *kit {
	t.Helper()
	k := &kit{fake: teamsfake.New(t), bot: &bottest.Talk{}, clock: storagetest.NewClock(), log: &bytes.Buffer{}}
	cfg := Config{
		AppID: teamsfake.AppID, TenantID: teamsfake.TenantID, ClientSecret: access.NewSecret(teamsfake.ClientSecret),
		ServiceURLs: []string{k.fake.URL}, MetadataURL: k.fake.Identity.MetadataURL(), TokenURL: k.fake.Identity.TokenURL(),
		Bot: k.bot, Directory: staff(), Now: k.clock.Now,
		// Tests of slowness set their own; the others must not fail on a slow machine.
		AckWithin: 9 * time.Second,
		Logger:    slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Store == nil {
		k.store = newShelf(t, cfg.Now)
		cfg.Store = k.store
	}
	k.fake.Now, k.fake.Identity.Now = cfg.Now, cfg.Now
	k.fake.Identity.Life = 24 * time.Hour // oauth2 dates tokens by the true clock; these outlive the clocks of tests
	k.cfg = cfg
	var err error
	if k.teams, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	k.run(t)
	return k
}

// run runs the adapter and serves it until the end of the test.
func (k *kit) run(t testing.TB) {
	t.Helper()
	server := httptest.NewServer(k.teams.Handler())
	k.url = server.URL + "/api/messages"
	k.fake.Deliver(k.url)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- k.teams.Run(ctx) }()
	k.stop = sync.OnceFunc(func() {
		server.Close()
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		k.fake.Behave()
		k.fake.Close() // what hangs is let go, so that the adapter can stop
		k.fake.Identity.Close()
		k.stop()
		if t.Failed() {
			t.Logf("%s", k.log)
		}
		for _, secret := range []string{teamsfake.ClientSecret, "fake-bot-token", "eyJ"} {
			if bytes.Contains(k.log.Bytes(), []byte(secret)) {
				t.Errorf("the log holds a secret: %s", secret)
			}
		}
	})
}

// posted posts a request in the channel and gives it as Teams shows it.
func (k *kit) posted(t testing.TB) teamsfake.Message {
	t.Helper()
	if _, err := k.teams.Post(t.Context(), bot.Address{Channel: teamsfake.Access}, bottest.RequestCard("because")); err != nil {
		t.Fatal(err)
	}
	all := k.fake.Messages(teamsfake.Access)
	return all[len(all)-1]
}

// person is somebody who acts.
func (k *kit) person(id access.PersonID) *teamsfake.Person { return k.fake.As(account(id)) }
