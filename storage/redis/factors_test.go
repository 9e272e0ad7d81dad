package redis_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

func TestRedisKeepsThePromiseOfFactors(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	storagetest.RunFactors(t, func(t storagetest.TB, clock *storagetest.Clock) storagetest.FactorStore {
		return open(t, redis.Config{URL: r.URL(), Prefix: prefix(), Now: clock.Now})
	})
}

func TestRepeatedScriptsKeepThePromiseOfFactors(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	storagetest.RunFactors(t, func(t storagetest.TB, clock *storagetest.Clock) storagetest.FactorStore {
		s := open(t, redis.Config{URL: r.URL(), Prefix: prefix(), Now: clock.Now})
		s.RunTwice()
		return s
	})
}

// two are two replicas on one Redis, and the seed of ana's factor.
type two struct {
	factors [2]*factor.Factors
	looked  *atomic.Int64 // guesses that were looked at
	alarms  *atomic.Int64
	seed    access.Secret
	server  *storagetest.Redis
}

var noonOfFactors = time.Date(2026, 3, 2, 12, 0, 10, 0, time.UTC)

// counting counts the tries that a store gives out.
type counting struct {
	factor.Store
	looked *atomic.Int64
}

func (c counting) Charge(ctx context.Context, p access.PersonID, l factor.Limits) (factor.Stored, factor.Verdict, error) {
	s, v, err := c.Store.Charge(ctx, p, l)
	if v == factor.Open {
		c.looked.Add(1)
	}
	return s, v, err
}

type oneAna struct{}

func (oneAna) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	if id != "ana" && id != "root" {
		return access.Person{}, access.ErrNotFound
	}
	return access.Person{ID: id}, nil
}

func (oneAna) People(context.Context) ([]access.Person, error) {
	return []access.Person{{ID: "ana"}, {ID: "root"}}, nil
}

func replicas(t *testing.T) *two {
	t.Helper()
	return replicasWith(t, marks(t, "k1"))
}

// replicasWith are replicas that mark what they write; nil: they do not.
func replicasWith(t *testing.T, m redis.Marks) *two {
	t.Helper()
	w := &two{looked: &atomic.Int64{}, alarms: &atomic.Int64{}, server: storagetest.StartRedis(t)}
	now := func() time.Time { return noonOfFactors }
	for i := range w.factors {
		var err error
		w.factors[i], err = factor.New(factor.Config{
			Store: counting{open(t, redis.Config{URL: w.server.URL() + "?pool_size=50", Now: now, Marks: m}), w.looked}, Directory: oneAna{},
			Keys: []seal.Key{{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("key!abcd"), 4)))}}, PageURL: "https://elevate.example.com/mfa/",
			Administrator: func(p access.Person) bool { return p.ID == "root" }, Now: now,
			Tell: func(_ context.Context, n factor.Notice) error {
				if n.Event == factor.EventLocked {
					w.alarms.Add(1)
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.enrol(t)
	return w
}

func (w *two) enrol(t *testing.T) {
	t.Helper()
	f, ctx := w.factors[0], t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	link, err := f.Begin(ctx, access.Actor{Person: "ana"}, access.Secret{})
	must(err)
	token := access.NewSecret(strings.TrimPrefix(link.Reveal(), "https://elevate.example.com/mfa/"))
	page, err := f.Show(ctx, token, factor.Visit{})
	must(err)
	w.seed = page.Seed
	word, err := f.Match(ctx, token, page.Ticket, w.code(t, -30*time.Second), factor.Visit{})
	must(err)
	_, err = f.Name(ctx, access.Actor{Person: "ana"}, word)
	must(err)
	must(f.Confirm(ctx, access.Actor{Person: "root"}, "ana", "", access.Secret{}))
}

func (w *two) code(t *testing.T, from time.Duration) access.Secret {
	t.Helper()
	code, err := totp.GenerateCode(w.seed.Reveal(), noonOfFactors.Add(from))
	if err != nil {
		t.Fatal(err)
	}
	return access.NewSecret(code)
}

// atOnce sends n codes over fifty connections to both replicas, and counts what was accepted.
func (w *two) atOnce(t *testing.T, n int, code func(i int) access.Secret) (accepted int64) {
	t.Helper()
	var taken atomic.Int64
	var wg sync.WaitGroup
	work := make(chan int)
	for range 50 {
		wg.Go(func() {
			for i := range work {
				act := access.Act{Verb: "approve", Request: "07kq4-m2xp9", Subject: fmt.Sprint(i)}
				err := w.factors[i%2].Prove(t.Context(), access.Actor{Person: "ana", Via: "slack"}, act, code(i))
				var r *access.Refusal
				switch {
				case err == nil:
					taken.Add(1)
				case !errors.As(err, &r) || r.Code != access.CodeProofWrong && r.Code != access.CodeFactorLocked:
					t.Errorf("try %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return taken.Load()
}

func TestOneCodeIsAcceptedOnceOfAThousandOverTwoReplicas(t *testing.T) {
	t.Parallel()
	w := replicas(t)
	right := w.code(t, 0)
	if n := w.atOnce(t, 1000, func(int) access.Secret { return right }); n != 1 {
		t.Errorf("the same code was accepted %d times", n)
	}
	if n := w.alarms.Load(); n != 0 {
		t.Errorf("%d alarms over a code that was right", n)
	}
	if err := w.factors[0].Prove(t.Context(), access.Actor{Person: "ana"}, access.Act{Verb: "approve"}, w.code(t, 30*time.Second)); err != nil {
		t.Errorf("the next code after it: %v", err)
	}
}

func TestOfTwentyThousandGuessesFiveAreLookedAt(t *testing.T) {
	t.Parallel()
	w := replicas(t)
	good := map[string]bool{}
	for _, from := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
		good[w.code(t, from).Reveal()] = true
	}
	w.looked.Store(0)
	accepted := w.atOnce(t, 20_000, func(i int) access.Secret {
		guess := fmt.Sprintf("%06d", i)
		if good[guess] { // luck is not what is tried here
			guess = "999999"
		}
		return access.NewSecret(guess)
	})
	if n := w.looked.Load(); accepted != 0 || n != 5 {
		t.Errorf("%d guesses were accepted, and %d were looked at; want 0 and 5", accepted, n)
	}
	if n := w.alarms.Load(); n != 1 {
		t.Errorf("%d alarms, want 1", n)
	}
	var r *access.Refusal
	err := w.factors[1].Prove(t.Context(), access.Actor{Person: "ana"}, access.Act{Verb: "approve"}, w.code(t, 0))
	if !errors.As(err, &r) || r.Code != access.CodeFactorLocked {
		t.Errorf("the right code during the lock: %v", err)
	}
}

func TestNoSeedWordOrLinkLiesInRedis(t *testing.T) {
	t.Parallel()
	w := replicas(t)
	link, err := w.factors[0].Begin(t.Context(), access.Actor{Person: "ana"}, w.code(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	token := link.Reveal()[strings.LastIndexByte(link.Reveal(), '/')+1:]
	page, err := w.factors[0].Show(t.Context(), access.NewSecret(token), factor.Visit{})
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, w.server)
	for _, key := range c.Keys(t.Context(), "*").Val() {
		all := key + fmt.Sprint(content(t.Context(), c, key))
		for name, secret := range map[string]string{"seed": w.seed.Reveal(), "new seed": page.Seed.Reveal(), "token": token, "ticket": page.Ticket.Reveal(), "code": w.code(t, 0).Reveal()} {
			if strings.Contains(all, secret) {
				t.Errorf("%s holds the %s", key, name)
			}
		}
	}
}
