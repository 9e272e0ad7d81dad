package redis_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

func TestMarkedFactorsKeepThePromise(t *testing.T) {
	t.Parallel()
	r, m := storagetest.StartRedis(t), marks(t, "k1")
	for name, open := range map[string]func(t storagetest.TB, clock *storagetest.Clock) storagetest.FactorStore{
		"redis": func(t storagetest.TB, clock *storagetest.Clock) storagetest.FactorStore {
			return open(t, redis.Config{URL: r.URL(), Prefix: prefix(), Now: clock.Now, Marks: m})
		},
		"repeated": func(t storagetest.TB, clock *storagetest.Clock) storagetest.FactorStore {
			s := open(t, redis.Config{URL: r.URL(), Prefix: prefix(), Now: clock.Now, Marks: m})
			s.RunTwice()
			return s
		},
		"in process": func(t storagetest.TB, clock *storagetest.Clock) storagetest.FactorStore {
			server := miniredis.NewMiniRedis()
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			return open(t, redis.Config{URL: "redis://" + server.Addr(), Now: clock.Now, Marks: m, Check: func(context.Context) (redis.Status, error) { return redis.Status{}, nil }})
		},
	} {
		t.Run(name, func(t *testing.T) { storagetest.RunFactors(t, open) })
	}
}

// vault is a store of marked factors, and somebody who can write to its Redis.
type vault struct {
	*testing.T
	*redis.Store
	server *storagetest.Redis
	mu     sync.Mutex
	doubts []factor.Doubt
}

var someLimits = factor.Limits{Tries: 3, Lock: 30 * time.Minute, Row: 7}

func aStep(kind string) audit.Event {
	return audit.Event{Kind: kind, Person: "ana", Actor: access.Actor{Person: "ana"}, At: noonOfFactors}
}

func openVault(t *testing.T, server *storagetest.Redis, known map[access.PersonID]redis.Known) *vault {
	v := &vault{T: t, server: server}
	v.Store = open(t, redis.Config{URL: server.URL(), Shards: 1, Marks: marks(t, "k1"), Doubted: func(_ context.Context, d factor.Doubt) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.doubts = append(v.doubts, d)
	}})
	for p, k := range known {
		v.KnowFactor(p, k)
	}
	return v
}

func (v *vault) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

// make gives somebody a factor, whose code of step 10 is spent.
func (v *vault) make(p access.PersonID) {
	v.Helper()
	e := factor.Enrolment{ID: "f-" + string(p), Step: factor.Opened, Sealed: "both", Link: "l1"}
	v.must(v.Enrol(v.Context(), p, e, time.Hour, aStep("factor_link")))
	e.Step, e.Counter, e.Sealed = factor.Proved, 10, "seed of "+string(p)
	_, err := v.Advance(v.Context(), p, factor.Opened, e, 0, aStep("factor_proved"))
	v.must(err)
	made, err := v.Confirm(v.Context(), p, e, factor.Proved, time.Now(), aStep("factor_set"))
	v.must(err)
	if !made {
		v.Fatal("no factor was made")
	}
}

func (v *vault) stored(p access.PersonID) factor.Stored {
	v.Helper()
	s, err := v.Factor(v.Context(), p)
	v.must(err)
	return s
}

func (v *vault) hash(p string) map[string]string {
	return v.Client().HGetAll(v.Context(), at("f:"+p)).Val()
}

// at is a key of the one shard.
func at(name string) string { return "elevate:{0}:" + name }

// put has the intruder replace a hash.
func (v *vault) put(name string, fields map[string]string) {
	v.Helper()
	v.must(v.Client().Del(v.Context(), at(name)).Err())
	if len(fields) > 0 {
		v.must(v.Client().HSet(v.Context(), at(name), fields).Err())
	}
}

// logged is what the audit log would tell of factors by now.
func (v *vault) logged() map[access.PersonID]redis.Known {
	v.Helper()
	events, err := v.Undrained(v.Context(), 1000)
	v.must(err)
	known := map[access.PersonID]redis.Known{}
	for _, e := range events {
		if k, ok := redis.KnownBy(e); ok && k.Version > known[e.Person].Version {
			known[e.Person] = k
		}
	}
	return known
}

func (v *vault) doubted(want ...factor.Doubt) {
	v.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.doubts, want) {
		v.Errorf("told %+v, want %+v", v.doubts, want)
	}
	v.doubts = nil
}

// Whoever can write to Redis, and has no key, changes nothing about a factor that counts: a replica that knows better puts
// it back, another one switches it off.
func TestFactorsThatSomebodyChangedCountForNothing(t *testing.T) {
	t.Parallel()
	set := func(field, value string) func(_, now, _ map[string]string) map[string]string {
		return func(_, now, _ map[string]string) map[string]string {
			if now[field] = value; value == "" {
				delete(now, field)
			}
			return now
		}
	}
	for name, c := range map[string]struct {
		how    string
		change func(older, now, another map[string]string) map[string]string
	}{
		"the last code again":       {factor.Altered, set("counter", "1")},
		"failures forgotten":        {factor.Altered, set("failed", "")},
		"tries given back":          {factor.Altered, set("charged", "-9")},
		"one field more":            {factor.Altered, set("reset_by", "root")},
		"another seed":              {factor.Altered, set("seed", "mine")},
		"a later version":           {factor.Altered, set("ver", "99999999999999")},
		"an end":                    {factor.Altered, set("ends", "1")},
		"no number":                 {factor.Altered, set("counter", "x")},
		"no mark":                   {factor.Altered, set("mark", "")},
		"a made-up mark":            {factor.Altered, set("mark", "k1:AAAA")},
		"that of another":           {factor.Altered, func(_, _, another map[string]string) map[string]string { return another }},
		"an older state, as it was": {factor.Older, func(older, _, _ map[string]string) map[string]string { return older }},
		"nothing":                   {factor.Gone, func(_, _, _ map[string]string) map[string]string { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openVault(t, storagetest.StartRedis(t), nil)
			v.make("ana")
			v.make("ben")
			older := v.hash("ana")
			_, _, err := v.Charge(t.Context(), "ana", someLimits)
			v.must(err)
			_, err = v.Miss(t.Context(), "ana", "f-ana", someLimits, factor.Misses{Failed: aStep("factor_failed"), Locked: aStep("factor_locked"), Disabled: aStep("factor_disabled")})
			v.must(err)
			_, err = v.Spend(t.Context(), "ana", "f-ana", 12, someLimits, aStep("factor_used"))
			v.must(err)
			_, _, err = v.Charge(t.Context(), "ana", someLimits)
			v.must(err)
			_, err = v.Miss(t.Context(), "ana", "f-ana", someLimits, factor.Misses{Failed: aStep("factor_failed"), Locked: aStep("factor_locked"), Disabled: aStep("factor_disabled")})
			v.must(err)

			// By a step, and by a look: what was there before counts, and is there again.
			var forged map[string]string
			var want factor.Stored
			for _, use := range []func(){
				func() { // a step
					if verdict, err := v.Spend(t.Context(), "ana", "f-ana", 12, someLimits, aStep("factor_used")); err != nil || verdict != factor.Used {
						t.Errorf("a code that was used is %q, %v", verdict, err)
					}
				},
				func() { // a look
					if got := v.stored("ana"); !reflect.DeepEqual(got, want) {
						t.Errorf("%+v, want %+v", got, want)
					}
				},
			} {
				want = v.stored("ana")
				forged = c.change(older, v.hash("ana"), v.hash("ben"))
				v.put("f:ana", forged)
				use()
				v.doubted(factor.Doubt{Person: "ana", How: c.how, Restored: true})
				v.stored("ana")
				v.doubted()
			}

			// A replica that knows no more than the audit log tells.
			fresh := openVault(t, v.server, v.logged())
			fresh.put("f:ana", forged)
			if verdict, err := fresh.Spend(t.Context(), "ana", "f-ana", 12, someLimits, aStep("factor_used")); err != nil || verdict != factor.None {
				t.Errorf("after a restart the code is %q, %v", verdict, err)
			}
			fresh.doubted(factor.Doubt{Person: "ana", How: c.how})
			got := fresh.stored("ana")
			if c.how == factor.Gone && (got.ID != "" || !got.Lost) || c.how != factor.Gone && (!got.Disabled || !got.Doubted || got.Sealed != "") {
				t.Errorf("what stands for it: %+v", got)
			}
			fresh.doubted()
			if s := fresh.stored("ben"); s.ID != "f-ben" || s.Doubted {
				t.Errorf("another person's: %+v", s)
			}
		})
	}
}

// An enrolment that somebody changed is none.
func TestEnrolmentsThatSomebodyChangedAreBegunAnew(t *testing.T) {
	t.Parallel()
	v := openVault(t, storagetest.StartRedis(t), nil)
	e := factor.Enrolment{ID: "f1", Step: factor.Opened, Sealed: "both", Link: "l1"}
	v.must(v.Enrol(t.Context(), "ana", e, time.Hour, aStep("factor_link")))
	k := at("fe:ana")
	older := v.Client().HGetAll(t.Context(), k).Val()
	e.Step = factor.Named
	if _, err := v.Advance(t.Context(), "ana", factor.Opened, e, 0, aStep("factor_named")); err != nil {
		t.Fatal(err)
	}
	truth := v.Client().HGetAll(t.Context(), k).Val()
	for how, forged := range map[string]map[string]string{
		factor.Altered: func() map[string]string { m := maps.Clone(truth); m["vouched"] = "factor"; return m }(),
		factor.Older:   older,
	} {
		v.put("fe:ana", forged)
		got, err := v.Enrolment(t.Context(), "ana")
		if err != nil || got != (factor.Enrolment{}) {
			t.Errorf("%s: %+v, %v", how, got, err)
		}
		v.doubted(factor.Doubt{Person: "ana", Enrolment: true, How: how})
		v.put("fe:ana", forged)
		if made, err := v.Confirm(t.Context(), "ana", e, e.Step, time.Now(), aStep("factor_set")); err != nil || made {
			t.Errorf("%s made a factor: %v", how, err)
		}
		v.mu.Lock()
		v.doubts = nil
		v.mu.Unlock()
	}
}

// TestAFactorThatWasTakenAwayIsNotLost: nobody is called because of it, and an older one in its place does not count.
func TestAFactorThatWasTakenAwayIsNotLost(t *testing.T) {
	t.Parallel()
	v := openVault(t, storagetest.StartRedis(t), nil)
	v.make("ana")
	older := v.hash("ana")
	if gone, err := v.Remove(t.Context(), "ana", "f-ana", "", aStep("factor_removed")); err != nil || !gone {
		t.Fatal(gone, err)
	}
	known := v.logged()
	v.put("f:ana", nil)
	for _, s := range []*vault{v, openVault(t, v.server, known)} {
		if got := s.stored("ana"); !reflect.DeepEqual(got, factor.Stored{Removed: true}) {
			t.Errorf("%+v", got)
		}
		s.doubted()
		s.put("f:ana", older)
		if got := s.stored("ana"); !reflect.DeepEqual(got, factor.Stored{Removed: true}) { // nor is anybody locked out by it
			t.Errorf("it is back, or something stands for it: %+v", got)
		}
		s.doubted(factor.Doubt{Person: "ana", How: factor.Older, Restored: true})
		s.put("f:ana", nil)
	}
}

// TestNoSignInMakesAnotherOfWhatItsOwnerTookAway, however late it is: an administrator's word does, and that settles it.
func TestNoSignInMakesAnotherOfWhatItsOwnerTookAway(t *testing.T) {
	t.Parallel()
	for _, kind := range []access.Method{access.TOTP, access.WebAuthn} {
		v := openVault(t, storagetest.StartRedis(t), nil)
		v.make("ana")
		gone, err := v.Remove(t.Context(), "ana", "f-ana", "", aStep("factor_removed"))
		if v.must(err); !gone || !v.stored("ana").Removed {
			t.Fatal(gone, v.stored("ana"))
		}
		e := factor.Enrolment{ID: "f2", Step: factor.Opened, Kind: kind, Sealed: "both", Link: "l2"}
		v.must(v.Enrol(t.Context(), "ana", e, time.Hour, aStep("factor_link")))
		e.Vouched = "sign-in"
		if made, err := v.Confirm(t.Context(), "ana", e, factor.Opened, time.Now(), aStep("factor_set")); err != nil || made {
			t.Errorf("%s: by a sign-in: %v, %v", kind, made, err)
		}
		e.Vouched = ""
		made, err := v.Confirm(t.Context(), "ana", e, factor.Opened, time.Now(), aStep("factor_set"))
		if v.must(err); !made || v.stored("ana").Removed {
			t.Errorf("%s: by an administrator: %v, %+v", kind, made, v.stored("ana"))
		}
		v.doubted()
	}
}

// TestALostFactorIsReplacedByAnother: whoever has lost one is told, sets up another, and it counts with an administrator's word.
func TestALostFactorIsReplacedByAnother(t *testing.T) {
	t.Parallel()
	v := openVault(t, storagetest.StartRedis(t), nil)
	v.make("ana")
	known := v.logged()
	v.must(v.Client().FlushAll(t.Context()).Err())
	fresh := openVault(t, v.server, known)
	if got := fresh.stored("ana"); !got.Lost || got.ID != "" {
		t.Fatalf("%+v", got)
	}
	fresh.make("ana")
	if got := fresh.stored("ana"); got.Lost || got.ID != "f-ana" {
		t.Errorf("%+v", got)
	}
	fresh.doubted(factor.Doubt{Person: "ana", How: factor.Gone})
}

// TestNothingIsMadeBesideADoubtedFactor: an enrolment that was begun before does not settle what two administrators must, nor
// a sign-in what an administrator must.
func TestNothingIsMadeBesideADoubtedFactor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    access.Method
		vouched string
		change  map[string]string // of the factor; nil: it is gone
		made    bool
	}{
		"an app, by an administrator":               {access.TOTP, "", map[string]string{"seed": "mine"}, false},
		"an app, by a sign-in":                      {access.TOTP, "sign-in", map[string]string{"seed": "mine"}, false},
		"a key, by an administrator":                {access.WebAuthn, "", map[string]string{"seed": "mine"}, false},
		"a key, by another":                         {access.WebAuthn, "key", map[string]string{"seed": "mine"}, false},
		"an app for a lost one, by a sign-in":       {access.TOTP, "sign-in", nil, false},
		"a key for a lost one, by a sign-in":        {access.WebAuthn, "sign-in", nil, false},
		"a key for a lost one, by an administrator": {access.WebAuthn, "", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openVault(t, storagetest.StartRedis(t), nil)
			v.make("ana")
			e := factor.Enrolment{ID: "f2", Step: factor.Opened, Kind: c.kind, Sealed: "both", Link: "l2", Vouched: c.vouched}
			v.must(v.Enrol(t.Context(), "ana", e, time.Hour, aStep("factor_link")))
			known := v.logged()
			v.put("f:ana", c.change)
			fresh := openVault(t, v.server, known)
			made, err := fresh.Confirm(t.Context(), "ana", e, factor.Opened, time.Now(), aStep("factor_set"))
			v.must(err)
			if got := fresh.stored("ana"); made != c.made || got.Doubted != (c.change != nil) || got.Lost != (c.change == nil && !c.made) || (len(got.Keys) > 0) != c.made {
				t.Errorf("made %v, %+v", made, got)
			}
			if c.change == nil {
				return
			}
			asked, err := fresh.AskReset(t.Context(), "ana", fresh.stored("ana").ID, "root", time.Now(), aStep("factor_asked"))
			v.must(err)
			gone, err := fresh.Remove(t.Context(), "ana", fresh.stored("ana").ID, "root", aStep("factor_reset"))
			v.must(err)
			if got := fresh.stored("ana"); !asked || !gone || got.Doubted {
				t.Errorf("after two administrators: %v, %v, %+v", asked, gone, got)
			}
		})
	}
}

// Marks of factors can be introduced, and keys replaced, as those of records.
func TestFactorsAreMarkedAnew(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t)
	with := func(ids []string, unmarked bool) *vault {
		v := &vault{T: t, server: server}
		cfg := redis.Config{URL: server.URL(), Shards: 1, Unmarked: unmarked}
		if ids != nil {
			cfg.Marks = marks(t, ids...)
		}
		v.Store = open(t, cfg)
		return v
	}
	with(nil, false).make("ana")
	for _, c := range []struct {
		ids      []string
		unmarked bool
	}{{[]string{"k1"}, true}, {[]string{"k2", "k1"}, false}, {[]string{"k2"}, false}} {
		v := with(c.ids, c.unmarked)
		if got := v.stored("ana"); got.ID != "f-ana" || got.Doubted {
			t.Fatalf("%v: %+v", c.ids, got)
		}
		if got := v.hash("ana")["mark"]; !strings.HasPrefix(got, c.ids[0]+":") {
			t.Errorf("marked %q with %v", got, c.ids)
		}
	}
}

// TestWhoeverCanWriteToRedisCannotUseACodeTwice plays it out with real codes: somebody saw Ana's code, and puts the state from
// before it back, as a later version. Without marks the same succeeds.
func TestWhoeverCanWriteToRedisCannotUseACodeTwice(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]redis.Marks{"with keys": marks(t, "k1"), "without": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := replicasWith(t, m)
			c := client(t, w.server)
			found := c.Keys(t.Context(), "*}:f:ana").Val()
			if len(found) != 1 {
				t.Fatal(found)
			}
			older := c.HGetAll(t.Context(), found[0]).Val()
			prove := func() error {
				return w.factors[0].Prove(t.Context(), access.Actor{Person: "ana", Via: "slack"}, access.Act{Verb: "approve"}, w.code(t, 0))
			}
			if err := prove(); err != nil {
				t.Fatal(err)
			}
			older["ver"] = c.HGet(t.Context(), found[0], "ver").Val()
			if err := errors.Join(c.Del(t.Context(), found[0]).Err(), c.HSet(t.Context(), found[0], older).Err()); err != nil {
				t.Fatal(err)
			}
			err := prove()
			var r *access.Refusal
			if m == nil && err != nil {
				t.Errorf("without keys it is refused too, so this test shows nothing: %v", err)
			}
			if m != nil && (!errors.As(err, &r) || r.Code != access.CodeProofWrong) {
				t.Errorf("the same code again: %v", err)
			}
		})
	}
}

// Keys that do not count sign as often as they are asked: what keeps a signature from counting twice is that its act is over.
func TestAnActThatIsPutBackIsNotVouchedForAgain(t *testing.T) {
	t.Parallel()
	v := openVault(t, storagetest.StartRedis(t), nil)
	e := factor.Enrolment{ID: "k1", Step: factor.Proved, Kind: access.WebAuthn, Sealed: "key"}
	v.must(v.Enrol(v.Context(), "ana", e, time.Hour, aStep("factor_link")))
	_, err := v.Confirm(v.Context(), "ana", e, factor.Proved, time.Now(), aStep("factor_set"))
	v.must(err)
	v.must(v.AwaitKey(v.Context(), "ana", "a1", "sealed", time.Hour, aStep("key_link")))
	act := v.Client().HGetAll(v.Context(), at("fa:ana:a1")).Val()
	sign := func() factor.Verdict {
		verdict, err := v.Sign(v.Context(), "ana", "a1", "k1", 0, factor.Signatures{Used: aStep("key_used"), Cloned: aStep("key_cloned"), Failed: aStep("key_failed")})
		v.must(err)
		return verdict
	}
	if got := sign(); got != factor.Accepted {
		t.Fatalf("the first signature: %s", got)
	}
	v.put("fa:ana:a1", act)
	if got := sign(); got != factor.Used {
		t.Errorf("after the act was put back: %s, want %s", got, factor.Used)
	}

	v.must(v.AwaitKey(v.Context(), "ana", "a2", "sealed", time.Hour, aStep("key_link")))
	act["sealed"] = "another act"
	v.put("fa:ana:a2", act)
	if sealed, err := v.Awaiting(v.Context(), "ana", "a2"); err != nil || sealed != "" {
		t.Errorf("an act that somebody else wrote: %q, %v", sealed, err)
	}
	v.doubted(factor.Doubt{Person: "ana", Enrolment: true, How: factor.Altered})
}

// A factor is taken away by somebody else than the replicas, which may know it, doubt it, or have lost it.
func TestAClearedFactorIsPutBackByNoReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(v *vault, older map[string]string)
		how   string
		ahead time.Duration // of the version that the log tells
		gone  bool
	}{
		"as it was made": {func(*vault, map[string]string) {}, "", 0, true},
		"altered": {func(v *vault, _ map[string]string) {
			v.must(v.Client().HSet(v.Context(), at("f:ana"), "seed", "mine").Err())
		}, factor.Altered, 0, true},
		"older":                         {func(v *vault, older map[string]string) { v.put("f:ana", older) }, factor.Older, 0, true},
		"older, with a clock that lags": {func(v *vault, older map[string]string) { v.put("f:ana", older) }, factor.Older, time.Hour, true},
		"gone":                          {func(v *vault, _ map[string]string) { v.put("f:ana", nil) }, factor.Gone, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t)
			v := openVault(t, server, nil)
			v.make("ana")
			older := v.hash("ana")
			if _, err := v.Spend(t.Context(), "ana", "f-ana", 11, someLimits, aStep("factor_used")); err != nil {
				t.Fatal(err)
			}
			last := v.hash("ana")
			log := v.logged()
			if c.ahead > 0 {
				log["ana"] = redis.Known{Version: time.Now().Add(c.ahead).UnixMilli()}
			}
			other := openVault(t, server, log)
			if c.ahead > 0 {
				v.KnowFactor("ana", log["ana"])
			}
			c.spoil(v, older)
			lies := v.hash("ana")
			_, how, err := other.Glance(t.Context(), "ana")
			v.must(err)
			if how != c.how || !maps.Equal(v.hash("ana"), lies) {
				t.Errorf("at a glance it is %q, want %q, and %v was %v", how, c.how, v.hash("ana"), lies)
			}
			gone, err := other.Clear(t.Context(), "ana", aStep("factor_reset"))
			v.must(err)
			if gone != c.gone {
				t.Fatalf("cleared: %v", gone)
			}
			if !c.gone {
				return
			}
			if !v.logged()["ana"].None {
				t.Error("the log does not tell that there is none")
			}
			for _, put := range []map[string]string{nil, last, older} {
				if put != nil {
					v.put("f:ana", put)
				}
				for _, replica := range []*vault{v, other, openVault(t, server, v.logged())} {
					if s := replica.stored("ana"); s.ID != "" || s.Lost || s.Doubted {
						t.Errorf("a replica has %+v", s)
					}
				}
			}
		})
	}
}
