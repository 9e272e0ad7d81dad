package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// swept is the bot between a real Redis and a real PostgreSQL, sweeping often.
type swept struct {
	*testing.T
	store *e2etest.Redis
	db    *e2etest.Database
	super *pgx.Conn
	bot   *e2etest.Bot
}

func openSwept(t *testing.T) *swept {
	t.Helper()
	s := &swept{T: t, store: e2etest.StartRedis(t), db: e2etest.StartDatabase(t, "ana", "bea", "dan")}
	s.super = s.db.Connect(t, s.db.Superuser())
	config := siteConfigWith(t, s.store, `{type: postgres, dsn: "${PG_DSN}"}`, `{role: db_admin}`)
	s.bot = e2etest.StartBot(t, config+"sweep: {every: 1s}\n", s.dsn())
	s.bot.WaitReady()
	return s
}

// siteConfigWith is siteConfig with a target of another type.
func siteConfigWith(t *testing.T, store *e2etest.Redis, connector, target string) string {
	t.Helper()
	config := siteConfig(fmt.Sprintf("store: {url: %q}", store.URL()), "")
	for old, now := range map[string]string{
		fmt.Sprintf(`{target: {type: webhook, url: "", secret: %s}}`, judgeSecret): fmt.Sprintf(`{target: %s}`, connector),
		"{id: vpn, title: VPN, connector: target}":                                 fmt.Sprintf("{id: vpn, title: Target, connector: target, target: %s}", target),
	} {
		if !strings.Contains(config, old) {
			t.Fatalf("the configuration lacks %s:\n%s", old, config)
		}
		config = strings.ReplaceAll(config, old, now)
	}
	return config
}

func (s *swept) dsn() string { return "PG_DSN=" + s.db.BotDSN() }

// exec runs a statement at the database.
func (s *swept) exec(conn *pgx.Conn, sql string) {
	s.Helper()
	if _, err := conn.Exec(s.Context(), sql); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// given has somebody hold the role for an hour.
func (s *swept) given(who string) {
	s.Helper()
	ask(s.T, s.bot, who, "1h")
	eventually(s, func() error { return s.db.Use(s.Context(), who) })
}

// ask submits a request for the role and has it approved.
func ask(t *testing.T, bot *e2etest.Bot, who, duration string) access.RequestID {
	t.Helper()
	var made, approved api.Request
	status, err := call(bot, who, http.MethodPost, "/requests", map[string]string{"role": "vpn", "duration": duration, "justification": "look at it"}, &made)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("submit: %d, %v", status, err)
	}
	if status, err = call(bot, "ben", http.MethodPost, "/requests/"+string(made.ID)+"/approve", nil, &approved); err != nil || status != http.StatusOK {
		t.Fatalf("approve: %d, %v", status, err)
	}
	return made.ID
}

// found waits until sweeps have found so many things and all of them are gone, and gives them, the newest first.
func (s *swept) found(n int) []api.Request {
	s.Helper()
	var found []api.Request
	eventually(s, func() error {
		var page api.Page
		status, err := call(s.bot, "aud", http.MethodGet, "/requests", nil, &page)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("list: %d, %w", status, err)
		}
		found = nil
		for _, r := range page.Requests {
			if r.Requester == access.System && r.State == access.Ended {
				found = append(found, r)
			}
		}
		if len(found) != n {
			return fmt.Errorf("%d things were found and taken away, not %d", len(found), n)
		}
		return nil
	})
	return found
}

// Redis is emptied and the audit log is removed while the bot is dead: nobody remembers who was given what. The target
// does: what is ours goes, and what others gave stays.
func TestWithoutStoreAndLogTheTargetTellsWhatIsToBeTakenAway(t *testing.T) {
	t.Parallel()
	s := openSwept(t)
	s.exec(s.super, "GRANT db_admin TO dan")
	s.given("ana")
	s.given("bea")
	s.bot.Kill9()
	client := goredis.NewClient(&goredis.Options{Addr: strings.TrimSuffix(strings.TrimPrefix(s.store.URL(), "redis://"), "/0")})
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.bot.Dir, "audit")); err != nil {
		t.Fatal(err)
	}
	s.bot.Start(s.dsn())
	s.bot.WaitReady()
	for _, r := range s.found(2) {
		if r.Person != "ana" && r.Person != "bea" || r.Removal == nil || r.Removal.Was != access.Removed || r.VerifiedAt == nil {
			t.Errorf("what was found: %+v, removal %+v", r, r.Removal)
		}
		if err := s.db.Use(t.Context(), string(r.Person)); err == nil {
			t.Errorf("%s can still read the secret", r.Person)
		}
	}
	if err := s.db.Use(t.Context(), "dan"); err != nil {
		t.Errorf("what others gave is gone: %v", err)
	}
	// A call of a process that died is carried out by the server when nobody waits for it any more.
	s.exec(s.db.Connect(t, s.db.BotDSN()), "GRANT db_admin TO ana")
	s.found(3)
	if err := s.db.Use(t.Context(), "ana"); err == nil {
		t.Error("what came too late is still there")
	}
	s.evidence(3)
}

// evidence has the binary prove the audit log, in which every thing found begins and ends.
func (s *swept) evidence(n int) {
	s.Helper()
	s.bot.Stop()
	dir := filepath.Join(s.bot.Dir, "audit")
	out := e2etest.Elevate(s, s.bot.Dir, "audit", "verify", "--dir", dir)
	if out.Code != 0 || !strings.Contains(out.Stdout, "unbroken up to this head") {
		s.Errorf("the audit log is not proved: %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	out = e2etest.Elevate(s, s.bot.Dir, "audit", "export", "--dir", dir)
	told := 0
	for _, events := range e2etest.Events(s, out.Stdout) {
		if len(events) > 1 && events[0].Kind == string(access.Adopt) {
			told++
			if last := events[len(events)-1]; last.To != access.Ended || last.Actor.Person != access.System {
				s.Errorf("the last word on what was found is %+v", last)
			}
		}
	}
	if told != n {
		s.Errorf("the log tells of %d things found, not %d", told, n)
	}
}

// An administrator takes away by hand what a live grant gave: that is told of, and not repaired.
func TestWhatIsTakenAwayByHandIsReported(t *testing.T) {
	t.Parallel()
	s := openSwept(t)
	s.given("ana")
	s.exec(s.super, "REVOKE db_admin FROM ana")
	e2etest.Eventually(t, patient, func() error {
		if log := s.bot.Log(); !strings.Contains(log, "a live grant is missing at its target") {
			return fmt.Errorf("nothing is reported")
		}
		return nil
	})
	if err := s.db.Use(t.Context(), "ana"); err == nil {
		t.Error("it was given again")
	}
	s.bot.Stop()
	out := e2etest.Elevate(t, s.bot.Dir, "audit", "export", "--dir", filepath.Join(s.bot.Dir, "audit"))
	if n := strings.Count(out.Stdout, `"kind":"`+audit.Drift+`"`); n != 1 {
		t.Errorf("it is on record %d times", n)
	}
}
