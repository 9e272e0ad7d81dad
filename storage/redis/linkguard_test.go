package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// registry is who has which account, and somebody who can write to its Redis.
type registry struct {
	*testing.T
	*workflows.Links
	guard *workflows.LinkGuard
	url   string
	store *redis.Store
	found int
}

type nothingWritten struct{}

func (nothingWritten) OwnerOf(string, string) access.PersonID        { return "" }
func (nothingWritten) WrittenAccount(access.PersonID, string) string { return "" }

func openRegistry(t *testing.T, url, logs string) *registry {
	t.Helper()
	r := &registry{T: t, url: url, store: open(t, redis.Config{URL: url, Shards: 1, Chats: []string{"slack"}, Marks: marks(t, "k1")})}
	r.guard = workflows.NewLinkGuard(workflows.LinkGuardConfig{Store: r.store, Chats: []string{"slack"}, Found: func() { r.found++ }})
	if err := audit.NewStudy(logs, []audit.Lesson{r.guard.Lesson()}).Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	r.Links, err = workflows.NewLinks(workflows.LinkConfig{Store: r.guard, Written: nothingWritten{}, Chats: []string{"slack"},
		Administrator: func(context.Context, access.PersonID) (bool, error) { return true, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *registry) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *registry) link(account string) *access.Link {
	r.Helper()
	l, err := r.guard.Link(r.Context(), "slack", account)
	r.must(err)
	return l
}

func inSlack(account string) access.Actor { return access.Actor{Via: "slack", Account: account} }

// put has the intruder write a link, or take it away.
func (r *registry) put(account, doc string) {
	r.Helper()
	k := at("links")
	if doc == "" {
		r.must(r.store.Client().HDel(r.Context(), k, "slack "+account).Err())
		return
	}
	r.must(r.store.Client().HSet(r.Context(), k, "slack "+account, doc).Err())
}

// logged writes what has happened into an audit log, and gives its folder.
func (r *registry) logged() string {
	r.Helper()
	events, err := r.store.Undrained(r.Context(), 1000)
	r.must(err)
	dir := r.TempDir()
	log, err := audit.Open(dir, audit.Config{})
	r.must(err)
	r.must(log.Append(events))
	r.must(log.Close())
	return dir
}

// TestLinksThatSomebodyPutBackAreNotBelieved: a link that was suspended, replaced or taken away stays so, whatever is
// written into Redis, on a replica that was there and on one that has the audit log.
func TestLinksThatSomebodyPutBackAreNotBelieved(t *testing.T) {
	t.Parallel()
	signedIn := func(r *registry) {
		r.must(r.Claim(r.Context(), inSlack("U1"), access.Person{ID: "ana"}, access.Identity{Issuer: "https://login.example.com", Subject: "00u-ana", Groups: []string{"sre"}, At: time.Now()}, ""))
	}
	believed := func(r *registry) {
		_, err := r.Believe(r.Context(), access.Link{Chat: "slack", Account: "U1", Person: "dan", Email: "dan@example.com", Name: "Dan"})
		r.must(err)
	}
	suspend := func(r *registry) { r.must(r.Suspend(r.Context(), *r.link("U1"), "the account's name changed")) }
	remove := func(who access.PersonID) func(r *registry) {
		return func(r *registry) {
			_, err := r.Remove(r.Context(), access.Actor{Person: who, Via: "slack"}, who)
			r.must(err)
		}
	}
	nothing := func(*registry) {}
	for name, c := range map[string]struct {
		make, then func(r *registry)
		forge      func(before, now string) string
		live       bool // it counts, on a replica that was there: what was known is put back
		logged     bool // it counts, on one that has the log
		none       bool // there is none
	}{
		"a suspended one that counted":   {believed, suspend, func(before, _ string) string { return before }, false, false, false},
		"a suspended one that is gone":   {believed, suspend, func(_, _ string) string { return "" }, false, false, false},
		"one that was taken away":        {signedIn, remove("ana"), func(before, _ string) string { return before }, false, false, true},
		"somebody else's":                {signedIn, nothing, func(_, now string) string { return strings.Replace(now, `"ana"`, `"eve"`, 1) }, true, false, false},
		"a sign-in that is gone":         {signedIn, nothing, func(_, _ string) string { return "" }, true, false, false},
		"a sign-in that is gone by mail": {believed, nothing, func(_, _ string) string { return "" }, true, true, false},
		"an older sign-in":               {signedIn, signedIn, func(before, _ string) string { return before }, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRegistry(t, storagetest.StartRedis(t).URL(), t.TempDir())
			c.make(r)
			before := r.store.Client().HGet(t.Context(), at("links"), "slack U1").Val()
			c.then(r)
			want := r.link("U1")
			now := r.store.Client().HGet(t.Context(), at("links"), "slack U1").Val()
			logs := r.logged()
			judge := func(r *registry, where string, counts bool) {
				t.Helper()
				for _, look := range []func() *access.Link{
					func() *access.Link { return r.link("U1") },
					func() *access.Link {
						all, err := r.guard.Links(t.Context())
						r.must(err)
						if len(all) == 0 {
							return nil
						}
						return &all[0]
					},
				} {
					r.put("U1", c.forge(before, now))
					got := look()
					switch {
					case c.none && got == nil:
					case c.none || got == nil:
						t.Errorf("%s: %+v", where, got)
					case got.Person == "eve", counts != got.Suspended.IsZero(), counts && want != nil && got.Person != want.Person:
						t.Errorf("%s: %+v", where, got)
					}
					now = r.store.Client().HGet(t.Context(), at("links"), "slack U1").Val()
				}
				if r.found == 0 {
					t.Errorf("%s: nobody was told", where)
				}
			}
			judge(r, "on a replica that was there", c.live)
			judge(openRegistry(t, r.url, logs), "after a restart", c.logged)
		})
	}
}

// TestALostLinkIsMadeAnewBySigningIn: the way out of a link that was changed or lost.
func TestALostLinkIsMadeAnewBySigningIn(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t)
	r := openRegistry(t, server.URL(), t.TempDir())
	ana, id := anaSignedIn()
	r.must(r.Claim(t.Context(), inSlack("U1"), ana, id, ""))
	logs := r.logged()
	r.must(r.store.Client().FlushAll(t.Context()).Err())
	fresh := openRegistry(t, server.URL(), logs)
	l := fresh.link("U1")
	if l == nil || l.Suspended.IsZero() || l.Why != "Elevate's store has lost it" {
		t.Fatalf("%+v", l)
	}
	fresh.must(fresh.Claim(t.Context(), inSlack("U1"), ana, id, ""))
	if l := fresh.link("U1"); l == nil || !l.Suspended.IsZero() {
		t.Errorf("%+v", l)
	}
	fresh.put("U2", `{"mark":"k1:AAAA","chat":"slack","account":"U2","person":"eve"}`)
	if l, err := fresh.guard.Link(t.Context(), "slack", "U2"); !errors.Is(err, workflows.ErrForged) {
		t.Errorf("a forged one that nobody knew of: %+v, %v", l, err)
	}
	fresh.must(fresh.Claim(t.Context(), inSlack("U2"), access.Person{ID: "ben"}, access.Identity{Issuer: "https://login.example.com", Subject: "00u-ben", At: time.Now()}, ""))
	if l := fresh.link("U2"); l == nil || l.Person != "ben" {
		t.Errorf("%+v", l)
	}
}

func anaSignedIn() (access.Person, access.Identity) {
	return access.Person{ID: "ana"}, access.Identity{Issuer: "https://login.example.com", Subject: "00u-ana", At: time.Now()}
}

// TestALinkThatIsRemovedIsGoneOnEveryReplica: one that has seen it does not put it back, also when the keys were replaced.
func TestALinkThatIsRemovedIsGoneOnEveryReplica(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t)
	a, b := openRegistry(t, server.URL(), t.TempDir()), openRegistry(t, server.URL(), t.TempDir())
	ana, id := anaSignedIn()
	a.must(a.Claim(t.Context(), inSlack("U1"), ana, id, ""))
	if l := b.link("U1"); l == nil || l.Person != "ana" {
		t.Fatalf("%+v", l)
	}
	_, err := a.Remove(t.Context(), access.Actor{Person: "ana", Via: "slack"}, "ana")
	a.must(err)
	for name, r := range map[string]*registry{"where it was removed": a, "where it was known": b, "where it was not": openRegistry(t, server.URL(), t.TempDir())} {
		all, err := r.guard.Links(t.Context())
		if l := r.link("U1"); l != nil || len(all) != 0 || err != nil {
			t.Errorf("%s: %+v, %+v, %v", name, l, all, err)
		}
		if l, err := r.guard.LinkOf(t.Context(), "ana", "slack"); l != nil || err != nil || r.found != 0 {
			t.Errorf("%s: %+v, %v, and %d found", name, l, err, r.found)
		}
	}
	both := open(t, redis.Config{URL: server.URL(), Shards: 1, Marks: marks(t, "k2", "k1")})
	a.must(both.Remark(t.Context()))
	after := open(t, redis.Config{URL: server.URL(), Shards: 1, Marks: marks(t, "k2")})
	if kept, err := after.KeptLink(t.Context(), "slack", "U1"); err != nil || kept == nil || kept.Person != "" {
		t.Errorf("with the new key: %+v, %v", kept, err)
	}
}

// TestALinkIsNewerThanTheOneThatWasRemoved, also where the clock of whoever makes it is behind: others would not believe it.
func TestALinkIsNewerThanTheOneThatWasRemoved(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"as the store has it": false, "as the log has it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t)
			r := openRegistry(t, server.URL(), t.TempDir())
			ana, id := anaSignedIn()
			r.must(r.Claim(t.Context(), inSlack("U1"), ana, id, ""))
			_, err := r.Remove(t.Context(), access.Actor{Person: "ana", Via: "slack"}, "ana")
			r.must(err)
			logs := t.TempDir()
			if lost {
				logs = r.logged()
				r.put("U1", "")
			}
			late := openRegistry(t, server.URL(), logs)
			behind, err := workflows.NewLinks(workflows.LinkConfig{Store: late.guard, Written: nothingWritten{}, Chats: []string{"slack"},
				Administrator: func(context.Context, access.PersonID) (bool, error) { return true, nil }, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
			r.must(err)
			r.must(behind.Claim(t.Context(), inSlack("U1"), access.Person{ID: "ben"}, access.Identity{Issuer: id.Issuer, Subject: "00u-ben", At: time.Now()}, ""))
			for name, r := range map[string]*registry{"where the other was removed": r, "where it was made": late, "after a restart": openRegistry(t, server.URL(), late.logged())} {
				if l := r.link("U1"); l == nil || l.Person != "ben" || r.found != 0 {
					t.Errorf("%s: %+v, and %d found", name, l, r.found)
				}
			}
		})
	}
}

// TestALinkThatIsPutBackKeepsItsToken: the provider has taken the one that came with the sign-in, and may withdraw everything
// if it comes again. What was given last stays, whoever puts the link back.
func TestALinkThatIsPutBackKeepsItsToken(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]bool{"by the replica that made it": true, "by one that read it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t)
			made, read := openRegistry(t, server.URL(), t.TempDir()), openRegistry(t, server.URL(), t.TempDir())
			ana, id := anaSignedIn()
			id.Offline = true
			made.must(made.Claim(t.Context(), inSlack("U1"), ana, id, "k1:first"))
			read.link("U1")
			next := access.Token{Chat: "slack", Account: "U1", Sealed: "k1:second", Groups: []string{"sre"}}
			if kept, err := made.store.SwapToken(t.Context(), "k1:first", next); !kept || err != nil {
				t.Fatalf("%v, %v", kept, err)
			}
			r := read
			if there {
				r = made
			}
			r.put("U1", "")
			l := r.link("U1")
			token, err := r.store.Token(t.Context(), "slack", "U1")
			if l == nil || !l.Suspended.IsZero() || err != nil || token == nil || token.Sealed != "k1:second" {
				t.Errorf("%+v, %+v, %v", l, token, err)
			}
			r.must(r.Suspend(t.Context(), *l, "it was withdrawn"))
			r.put("U1", "")
			if token, err := r.store.Token(t.Context(), "slack", "U1"); r.link("U1") == nil || token != nil || err != nil {
				t.Errorf("a suspended one has %+v, %v", token, err)
			}
		})
	}
}
