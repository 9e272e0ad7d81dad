package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/api/apitest"
	"elevate/workflows"
	"elevate/workflows/access"
)

const submission = `{"role":"prod-db-admin","duration":"1h","justification":"replication is broken","ticket":"INC-4711"}`

func (c caller) count() int {
	c.Helper()
	records, _, err := c.world.Store.List(c.Context(), workflows.Query{Limit: 1000})
	if err != nil {
		c.Fatal(err)
	}
	return len(records)
}

func TestSameKeyGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	first := c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k1")
	r := decode[api.Request](t, first, 201)
	if first.Header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer says that it was given before")
	}
	decode[api.Request](t, c.as("lea", "POST", "/requests/"+string(r.ID)+"/deny", `{"reason":"no"}`), 200)
	again := c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k1")
	if again.StatusCode != 201 || again.body != first.body || again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %d %s", again.StatusCode, again.body)
	}
	if n := c.count(); n != 1 {
		t.Errorf("there are %d requests, want 1", n)
	}
	for _, tt := range []struct {
		name, path, body, key string
		who                   access.PersonID
		status                int
		code                  string
	}{
		{"another body", "/requests", strings.Replace(submission, "1h", "2h", 1), "k1", "ana", 422, "key_reused"},
		{"another path", "/requests/" + string(r.ID) + "/cancel", "", "k1", "ana", 422, "key_reused"},
		{"another caller has keys of their own", "/requests", submission, "k1", "bob", 201, ""},
		{"an empty key", "/requests", submission, "", "ana", 400, "bad_key"},
		{"a key that is too long", "/requests", submission, strings.Repeat("k", 256), "ana", 400, "bad_key"},
		{"another key", "/requests", submission, "k2", "ana", 201, ""},
		{"a refusal", "/requests", `{"role":"prod-db-admin"}`, "k3", "ana", 400, "missing"},
	} {
		a := c.as(tt.who, "POST", tt.path, tt.body, "Idempotency-Key", tt.key)
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.code) {
			t.Errorf("%s: got %d %s", tt.name, a.StatusCode, a.body)
		}
	}
	if a := c.as("ana", "POST", "/requests", `{"role":"prod-db-admin"}`, "Idempotency-Key", "k3"); a.StatusCode != 400 || a.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a refusal again: %d %v", a.StatusCode, a.Header)
	}
}

func TestHundredDuplicatesAtOnceMakeOneRequest(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	answers := make([]answer, 100)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "same") })
	}
	all.Wait()
	fresh := 0
	for _, a := range answers {
		if a.StatusCode != 201 || a.body != answers[0].body {
			t.Errorf("got %d %s", a.StatusCode, a.body)
		}
		if a.Header.Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	if n := c.count(); n != 1 || fresh != 1 {
		t.Errorf("%d requests and %d first answers, want 1 of each", n, fresh)
	}
}

// faulty is a store whose parts fail on demand.
type faulty struct {
	workflows.Store
	take, put, once atomic.Bool
	// not nil: Take says that it began, and waits until it may go on
	began, goOn chan struct{}
}

var errFault = errors.New("dial unix /run/secret.sock: refused")

func (f *faulty) Take(ctx context.Context, tr workflows.Transition) error {
	if f.began != nil {
		close(f.began)
		<-f.goOn
	}
	if f.take.Load() {
		return errFault
	}
	return f.Store.Take(ctx, tr)
}

func (f *faulty) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if f.put.Load() {
		return errFault
	}
	return f.Store.Put(ctx, key, value, ttl)
}

func (f *faulty) Once(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	if f.once.Load() {
		return nil, false, errFault
	}
	return f.Store.Once(ctx, key, value, ttl)
}

func startFaulty(t *testing.T, f *faulty, change func(*api.Config)) caller {
	return caller{t, apitest.Start(t, apitest.Options{Paused: true, API: change, Store: func(s workflows.Store) workflows.Store {
		f.Store = s
		return f
	}})}
}

func TestUnknownOutcomeIsNeverTriedAgain(t *testing.T) {
	t.Parallel()
	f := &faulty{}
	now := time.Now()
	c := startFaulty(t, f, func(cfg *api.Config) {
		cfg.KeyWait = time.Nanosecond
		cfg.Now = func() time.Time { return now }
	})
	f.put.Store(true) // as if the process had died after the work and before the answer was kept
	decode[api.Request](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 201)
	f.put.Store(false)
	if p := decode[api.Problem](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 409); p.Code != "in_progress" {
		t.Errorf("soon after: %+v", p)
	}
	now = now.Add(10 * time.Minute)
	if p := decode[api.Problem](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 409); p.Code != "outcome_unknown" {
		t.Errorf("later: %+v", p)
	}
	if n := c.count(); n != 1 {
		t.Errorf("there are %d requests, want 1", n)
	}
}

func TestFailureIsKeptUnderItsKey(t *testing.T) {
	t.Parallel()
	f := &faulty{}
	c := startFaulty(t, f, nil)
	f.take.Store(true)
	p := decode[api.Problem](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 500)
	if p.Ref == "" || !strings.Contains(p.Detail, p.Ref) || strings.Contains(p.Detail, "secret.sock") {
		t.Errorf("the failure reads %+v", p)
	}
	f.take.Store(false)
	again := decode[api.Problem](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 500)
	if again.Ref != p.Ref {
		t.Errorf("the store may have taken the first one, and it was made again: %+v", again)
	}
}

func TestNothingHappensWhereTheKeyCannotBeKept(t *testing.T) {
	t.Parallel()
	f := &faulty{}
	c := startFaulty(t, f, nil)
	f.once.Store(true)
	a := c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k")
	if p := decode[api.Problem](t, a, 503); p.Code != "store_unavailable" || a.Header.Get("Retry-After") == "" {
		t.Errorf("got %+v", p)
	}
	if n := c.count(); n != 0 {
		t.Errorf("there are %d requests, want none", n)
	}
	f.once.Store(false)
	decode[api.Request](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 201)
}

// away is a directory that can be asked only now and then.
type away struct {
	api.Directory
	is atomic.Bool
}

func (d *away) Person(ctx context.Context, id access.PersonID) (access.Person, error) {
	if d.is.Load() {
		return access.Person{}, errFault
	}
	return d.Directory.Person(ctx, id)
}

func TestDirectoryThatIsAwayMeansNo(t *testing.T) {
	t.Parallel()
	d := &away{}
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: func(cfg *api.Config) {
		d.Directory = cfg.Directory
		cfg.Directory = d
	}})}
	d.is.Store(true)
	if p := decode[api.Problem](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 503); p.Code != "directory_unavailable" || strings.Contains(p.Detail, "secret.sock") {
		t.Errorf("got %+v", p)
	}
	d.is.Store(false)
	decode[api.Request](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 201)
}

func TestWorkGoesOnWhenTheCallerHangsUp(t *testing.T) {
	t.Parallel()
	f := &faulty{began: make(chan struct{}), goOn: make(chan struct{})}
	c := startFaulty(t, f, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", c.world.URL+"/api/v1/requests", strings.NewReader(submission))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apitest.Token("ana"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "k")
	done := make(chan error)
	go func() {
		res, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			err = errors.Join(fmt.Errorf("got %d", res.StatusCode), res.Body.Close())
		}
		done <- err
	}()
	<-f.began
	hangUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("the first call ended with %v", err)
	}
	close(f.goOn)
	decode[api.Request](t, c.as("ana", "POST", "/requests", submission, "Idempotency-Key", "k"), 201)
	if n := c.count(); n != 1 {
		t.Errorf("there are %d requests, want 1", n)
	}
}
