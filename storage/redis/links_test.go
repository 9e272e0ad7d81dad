package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// onEach runs a test on a real server, on one whose every reply is lost once, and in process.
func onEach(t *testing.T, run func(t *testing.T, s *redis.Store)) {
	t.Helper()
	server := storagetest.StartRedis(t)
	for name, make := range map[string]func(t *testing.T) *redis.Store{
		"redis": func(t *testing.T) *redis.Store { return open(t, redis.Config{URL: server.URL(), Prefix: prefix()}) },
		"repeated": func(t *testing.T) *redis.Store {
			s := open(t, redis.Config{URL: server.URL(), Prefix: prefix()})
			s.RunTwice()
			return s
		},
		"in process": func(t *testing.T) *redis.Store {
			return open(t, redis.Config{URL: "redis://" + miniredis.RunT(t).Addr(), Check: func(context.Context) (redis.Status, error) { return redis.Status{}, nil }})
		},
	} {
		t.Run(name, func(t *testing.T) { run(t, make(t)) })
	}
}

var linkedAt = time.Date(2026, 11, 23, 12, 0, 0, 123_456_789, time.UTC)

func linkTo(account string, person access.PersonID) *access.Link {
	return &access.Link{Chat: "slack", Account: account, Person: person, Kind: access.LinkOIDC, At: linkedAt,
		Identity: &access.Identity{Issuer: "https://login.example.com", Subject: "00u-" + string(person), Groups: []string{"sre"}, At: linkedAt}}
}

func TestLinksAreReplacedWhereNobodyChangedThem(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *redis.Store) {
		ctx := t.Context()
		event := func(kind string) audit.Event { return audit.Event{At: linkedAt, Kind: kind, Person: "ana"} }
		relink := func(before, after *access.Link, want error) {
			t.Helper()
			if err := s.Relink(ctx, before, after, event("linked")); !errors.Is(err, want) {
				t.Errorf("%v, not %v", err, want)
			}
		}
		relink(nil, linkTo("U1", "ana"), nil)
		relink(nil, linkTo("U1", "ben"), workflows.ErrStale)
		relink(nil, linkTo("U2", "ana"), workflows.ErrTaken)
		relink(linkTo("U1", "ben"), nil, workflows.ErrStale)
		relink(nil, linkTo("U2", "ben"), nil)

		changed := linkTo("U1", "ana")
		changed.Suspended, changed.Why = linkedAt, "the account's name changed"
		relink(linkTo("U1", "ana"), changed, nil)
		if l, err := s.LinkOf(ctx, "ana", "slack"); err != nil || l == nil || l.Why != changed.Why || !l.At.Equal(linkedAt) || l.Identity.Subject != "00u-ana" {
			t.Errorf("%+v, %v", l, err)
		}
		relink(changed, linkTo("U1", "cleo"), nil) // the account is another's now
		if l, err := s.LinkOf(ctx, "ana", "slack"); l != nil || err != nil {
			t.Errorf("ana still has %+v, %v", l, err)
		}
		relink(linkTo("U2", "ben"), nil, nil)
		all, err := s.Links(ctx)
		if err != nil || len(all) != 1 || all[0].Person != "cleo" {
			t.Errorf("%+v, %v", all, err)
		}
		if l, err := s.Link(ctx, "slack", "U2"); l != nil || err != nil {
			t.Errorf("U2 still is %+v, %v", l, err)
		}
		gone := &access.Link{Version: 7, Chat: "slack", Account: "U1"}
		relink(linkTo("U1", "cleo"), gone, nil)
		all, err = s.Links(ctx)
		l, linkErr := s.Link(ctx, "slack", "U1")
		if kept, keptErr := s.KeptLink(ctx, "slack", "U1"); l != nil || len(all) != 0 || kept == nil || kept.Version != 7 || errors.Join(err, linkErr, keptErr) != nil {
			t.Errorf("taken away: %+v, %+v, %+v, %v, %v, %v", l, all, kept, err, linkErr, keptErr)
		}
		relink(nil, linkTo("U3", "cleo"), nil) // she has no other any more
		relink(nil, linkTo("U1", "ana"), nil)
		events, err := s.Undrained(ctx, 100)
		if err != nil || len(events) != 8 {
			t.Errorf("%d events for 8 changes, %v", len(events), err)
		}
	})
}

// TestOneOfManyLinksWins: however many change one account at once, one does, and one event says so.
func TestOneOfManyLinksWins(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	var won sync.Map
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			p := access.PersonID(fmt.Sprintf("p%d", i))
			err := s.Relink(t.Context(), nil, linkTo("U1", p), audit.Event{Kind: audit.Linked, Person: p})
			if err == nil {
				won.Store(p, true)
			} else if !errors.Is(err, workflows.ErrStale) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	n := 0
	won.Range(func(p, _ any) bool {
		n++
		if l, err := s.Link(t.Context(), "slack", "U1"); err != nil || l.Person != p {
			t.Errorf("%v won, and the link is %+v, %v", p, l, err)
		}
		return true
	})
	if events, err := s.Undrained(t.Context(), 1000); n != 1 || len(events) != 1 || err != nil {
		t.Errorf("%d won, %d events, %v", n, len(events), err)
	}
}

// TestLinkThatIsNoneIsAnError: what somebody wrote into the store by hand is not taken for a link, nor for none.
func TestLinkThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	if err := s.Relink(t.Context(), nil, linkTo("U1", "ana"), audit.Event{}); err != nil {
		t.Fatal(err)
	}
	key := s.Client().Keys(t.Context(), "*links").Val()[0]
	for field, doc := range map[string]string{"slack U2": "no JSON", "slack U3": `{"chat":"slack","account":"U1","person":"ana"}`} {
		s.Client().HSet(t.Context(), key, field, doc)
		if l, err := s.Link(t.Context(), "slack", strings.TrimPrefix(field, "slack ")); err == nil {
			t.Errorf("%s is %+v", field, l)
		}
	}
	if _, err := s.Links(t.Context()); err == nil {
		t.Error("what is no link is passed over")
	}
}

func TestValuesAreSpentOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *redis.Store) {
		ctx := t.Context()
		if err := s.Put(ctx, "k", []byte("a value with blanks"), time.Minute); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"a value with blanks", "", ""} {
			if got, err := s.Redeem(ctx, "k"); err != nil || string(got) != want {
				t.Errorf("%d: %q, %v", i, got, err)
			}
		}
		if got, err := s.Redeem(ctx, "never"); err != nil || got != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestWordsAreGoodOnceAndForAFewTries(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *redis.Store) {
		ctx := t.Context()
		guess := func(word, value string, want error) {
			t.Helper()
			if got, err := s.Guess(ctx, "n", word); string(got) != value || !errors.Is(err, want) {
				t.Errorf("%s: %q, %v, not %v", word, got, err, want)
			}
		}
		offer := func(word string) {
			t.Helper()
			if err := s.Offer(ctx, "n", word, []byte("for "+word), 3, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		guess("first", "", workflows.ErrNoOffer)
		offer("first")
		guess("wrong", "", workflows.ErrWrongWord)
		guess("wrong", "", workflows.ErrWrongWord)
		guess("first", "for first", nil)
		guess("first", "", workflows.ErrNoOffer)
		offer("second")
		guess("first", "", workflows.ErrWrongWord)
		guess("wrong", "", workflows.ErrWrongWord)
		guess("wrong", "", workflows.ErrWrongWord)
		guess("second", "", workflows.ErrNoTries)
		offer("third") // anew
		guess("third", "for third", nil)
	})
}

// TestManyGuessesAtOnceAreFew: whoever tries all words at once gets no more tries than one after the other.
func TestManyGuessesAtOnceAreFew(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	s := open(t, redis.Config{URL: r.URL()})
	if err := s.Offer(t.Context(), "n", "word-500", []byte("v"), 5, time.Minute); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.Everything(t), "word-500") {
		t.Error("the store has the word")
	}
	var mu sync.Mutex
	counts := map[string]int{}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			_, err := s.Guess(t.Context(), "n", fmt.Sprintf("word-%d", i+600))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, workflows.ErrWrongWord):
				counts["evaluated"]++
			case errors.Is(err, workflows.ErrNoTries):
				counts["refused"]++
			default:
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	if counts["evaluated"] != 5 || counts["refused"] != 995 {
		t.Errorf("%v", counts)
	}
}
