package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
	"elevate/workflows"
	"elevate/workflows/access"
)

// phonebook is a directory that knows accounts.
type phonebook map[access.PersonID]string

func (p phonebook) AccountOf(_ context.Context, id access.PersonID, _ string) (string, error) {
	switch account, ok := p[id]; {
	case !ok:
		return "", fmt.Errorf("account of %s: %w", id, access.ErrNotFound)
	case account == "":
		return "", fmt.Errorf("directory: %w", access.ErrUnavailable)
	default:
		return account, nil
	}
}

// memory is a store with the two parts that the adapter uses.
type memory struct {
	mu     sync.Mutex
	keys   map[string][]byte
	queue  []workflows.Delivery
	seen   map[string]bool
	worked int
	fail   error
	hang   chan struct{}
}

func newMemory() *memory { return &memory{keys: map[string][]byte{}, seen: map[string]bool{}} }

func (m *memory) ready(ctx context.Context) error {
	m.mu.Lock()
	hang, fail := m.hang, m.fail
	m.mu.Unlock()
	if hang != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hang:
		}
	}
	return fail
}

func (m *memory) Deliver(ctx context.Context, d workflows.Delivery) (bool, error) {
	if err := m.ready(ctx); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[d.Key] {
		return false, nil
	}
	m.seen[d.Key] = true
	m.queue = append(m.queue, d)
	return true, nil
}

func (m *memory) ClaimDeliveries(_ context.Context, _ string, limit int, _ time.Duration) ([]workflows.Delivery, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(limit, len(m.queue))
	out := m.queue[:n:n]
	m.queue = m.queue[n:]
	return out, time.Time{}, nil
}

func (m *memory) Worked(context.Context, workflows.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.worked++
	return nil
}

func (m *memory) Once(ctx context.Context, key string, value []byte, _ time.Duration) ([]byte, bool, error) {
	if err := m.ready(ctx); err != nil {
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if stored, ok := m.keys[key]; ok {
		return stored, false, nil
	}
	m.keys[key] = value
	return value, true, nil
}

func (m *memory) Put(ctx context.Context, key string, value []byte, _ time.Duration) error {
	if err := errors.Join(m.ready(ctx), ctx.Err()); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[key] = value
	return nil
}

func (m *memory) breakDown(err error, hang chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.hang = err, hang
}

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

// noon is when everything happens in these tests, until a test moves the clock.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time { return noon.Add(time.Duration(c.offset.Load())) }

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// kit is an adapter between a fake Slack and a stand-in for the bot.
type kit struct {
	fake  *slackfake.Server
	slack *Slack
	bot   *bottest.Talk
	store *memory
	clock *clock
	cfg   Config
	url   string // of the adapter
	log   *logged
	stop  func() // stops the adapter and waits for it
}

// setup starts one, served over HTTP.
func setup(t testing.TB, change ...func(*Config)) *kit {
	t.Helper()
	k := &kit{fake: slackfake.New(t), bot: &bottest.Talk{}, store: newMemory(), clock: &clock{}, log: &logged{}}
	k.fake.Now = k.clock.now
	cfg := Config{
		BotToken: access.NewSecret(slackfake.BotToken), AppToken: access.NewSecret(slackfake.AppToken),
		SigningSecrets: []access.Secret{access.NewSecret(slackfake.SigningSecret)},
		TeamID:         slackfake.Team, APIURL: k.fake.URL, Bot: k.bot, Store: k.store, Now: k.clock.now,
		Directory: phonebook{"ana": "U0ANA", "ben": "U0BEN", "cat": "U0CAT", "unreachable": "", "lost": "U0NOBODY"},
		// Tests of slowness set their own; the others must not fail on a slow machine.
		AckWithin: 10 * time.Second,
		Logger:    slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	k.cfg = cfg
	var err error
	if k.slack, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(k.slack.Handler())
	k.url = server.URL
	k.fake.OverHTTP(server.URL)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- k.slack.Run(ctx) }()
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
		k.stop()
		if t.Failed() {
			for _, line := range k.log.lines {
				t.Logf("%s", line)
			}
		}
		if n := k.log.count(slackfake.BotToken, slackfake.AppToken, slackfake.SigningSecret); n > 0 {
			t.Errorf("%d log lines hold a secret", n)
		}
	})
	return k
}

// socket serves the adapter through Socket Mode as well.
func (k *kit) socket(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- k.slack.RunSocket(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("RunSocket: %v", err)
		}
	})
	k.fake.OverSocket()
	k.fake.Await(t, "a connection", k.fake.Connected)
}

// both runs a test over HTTP and through Socket Mode.
func both(t *testing.T, test func(t *testing.T, k *kit)) {
	t.Helper()
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		test(t, setup(t))
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		k := setup(t)
		k.socket(t)
		test(t, k)
	})
}

// posted posts a request in the channel and gives it as Slack shows it.
func (k *kit) posted(t testing.TB) slackfake.Message {
	t.Helper()
	if _, err := k.slack.Post(context.Background(), bot.Address{Channel: "C0ACCESS"}, bottest.RequestCard("because")); err != nil {
		t.Fatal(err)
	}
	all := k.fake.Messages("C0ACCESS")
	return all[len(all)-1]
}

func secret(text string) access.Secret { return access.NewSecret(text) }

// ok is an acknowledgement with nothing in it.
func ok(t testing.TB, a slackfake.Ack) {
	t.Helper()
	if a.Err != nil || a.Status != http.StatusOK || len(a.Body) > 0 {
		t.Fatalf("acknowledged with %d %q %v, want 200 and nothing", a.Status, a.Body, a.Err)
	}
}

// logged keeps log lines.
type logged struct {
	mu    sync.Mutex
	lines [][]byte
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, bytes.Clone(line))
	return len(line), nil
}

// count is how many lines hold one of the words.
func (l *logged) count(words ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		for _, word := range words {
			if bytes.Contains(line, []byte(word)) {
				n++
			}
		}
	}
	return n
}
