// Package apitest is a whole Elevate in memory to try the API and its clients on: the real verbs, runner, policy and
// store, with a demo target behind them and a server on loopback in front.
package apitest

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/bot"
	"elevate/bot/api"
	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/factor"
	"elevate/workflows/passkey"
	"elevate/workflows/passkey/passkeytest"
	"elevate/workflows/policy"
	"elevate/workflows/seal"
)

// Options change a World before it starts.
type Options struct {
	API    func(*api.Config)
	Store  func(workflows.Store) workflows.Store // wraps the store of service and API
	Paused bool                                  // no runner: nothing is activated or ended
	Now    func() time.Time                      // the clock of the verbs; nil: time.Now
	Limits workflows.Limits
	Logger *slog.Logger
	StepUp policy.StepUp // what vault-admin asks for besides
}

// World is an Elevate. Its people are ana and bob, who may request; lea and leo, who may approve; adam, an
// administrator; aud, an auditor; eve, who may nothing; and svc-deploy, a service account that may request.
//
// Its roles are prod-db-admin (one approval, and a ticket INC-… or CHG-…), vault-admin (two approvals) and staging-db
// (approved by the policy itself).
type World struct {
	URL     string
	Handler *api.API
	Service *workflows.Service
	Store   workflows.Store
	Target  *demo.Target
	Factors *factor.Factors
}

// Token is the token of a person.
func Token(person access.PersonID) string { return "token-of-" + string(person) }

// TokenName is that token's name.
func TokenName(person access.PersonID) string { return string(person) + "-laptop" }

// Start starts a World that ends with the test.
func Start(t testing.TB, o Options) *World {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	stored := open(t)
	w := &World{Store: stored, Target: demo.NewTarget(demo.TargetConfig{})}
	if o.Store != nil {
		w.Store = o.Store(w.Store)
	}
	target, err := demo.New(demo.Config{Target: w.Target})
	must(t, err)
	set, problems := policy.Compile(rules(o.StepUp), roles())
	for _, p := range problems {
		t.Fatalf("policy %d, %s: %s", p.Rule, p.Key, p.Text)
	}
	people, tokens := entries()
	dir := directory.New(people)
	member := func(group string) func(access.Person) bool {
		return func(p access.Person) bool { return slices.Contains(p.Groups, group) }
	}
	keys, err := passkey.New(origin, "Elevate")
	must(t, err)
	w.Factors, err = factor.New(factor.Config{
		Store: stored, Directory: dir, PageURL: enrolmentURL, Party: keys, KeyURL: KeyURL, Administrator: member("admins"), Now: o.Now,
		Keys: []seal.Key{{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))}},
	})
	must(t, err)
	w.Service, err = workflows.New(workflows.Config{
		Factors: map[access.Method]workflows.Factor{access.TOTP: w.Factors, access.WebAuthn: w.Factors.Keys()},
		Store:   w.Store, Directory: dir, Policies: set, Roles: roles(),
		Connectors:    map[string]connectors.Connector{"demo": target},
		Administrator: member("admins"), Auditor: member("auditors"), Limits: o.Limits, Now: o.Now, Logger: o.Logger,
	})
	must(t, err)
	if !o.Paused {
		run(t, w.Service)
	}
	cfg := api.Config{Service: w.Service, Store: w.Store, Directory: dir, Tokens: tokens, Keys: w.Factors, Logger: o.Logger}
	if o.API != nil {
		o.API(&cfg)
	}
	w.Handler, err = api.New(cfg)
	must(t, err)
	server := httptest.NewServer(w.Handler.Handler())
	t.Cleanup(server.Close)
	w.URL = server.URL
	return w
}

func open(t testing.TB) *redis.Store {
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true})
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	store, err := redis.Open(t.Context(), server.Connect(redis.Config{AllowUnsafe: true}))
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

func run(t testing.TB, s *workflows.Service) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	runner := workflows.NewRunner(s, workflows.RunnerConfig{MaxSleep: 50 * time.Millisecond})
	go func() { done <- runner.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
}

// Until waits until a request is in a state.
func (w *World) Until(t testing.TB, id access.RequestID, want access.State) *access.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		rec, err := w.Store.Get(ctx, id)
		must(t, err)
		if rec.State == want {
			return rec
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("request %s is %s and never became %s (%s)", id, rec.State, want, rec.LastError)
		}
	}
}

const (
	origin       = "https://elevate.example.com"
	enrolmentURL = origin + "/mfa/"

	// KeyURL is the page that asks for a security key; a token follows.
	KeyURL = origin + "/key/"
)

// EnrolKey gives a person a security key.
func (w *World) EnrolKey(t testing.TB, person access.PersonID) *passkeytest.Device {
	t.Helper()
	k := passkeytest.New(t, origin)
	link, err := w.Factors.Begin(t.Context(), by(person), access.Secret{})
	must(t, err)
	token, there := access.NewSecret(strings.TrimPrefix(link.Reveal(), enrolmentURL)), factor.Visit{SignedIn: person}
	page, err := w.Factors.ShowKey(t.Context(), token, there)
	must(t, err)
	word, err := w.Factors.MatchKey(t.Context(), token, page.Ticket, k.Makes(t, page.Options), "", there)
	must(t, err)
	_, err = w.Factors.Name(t.Context(), by(person), word)
	must(t, err)
	return k
}

// Sign opens a link, as the page does, has the key sign what waits there, and does it.
func (w *World) Sign(t testing.TB, k *passkeytest.Device, link string) bot.Outcome {
	t.Helper()
	token := access.NewSecret(strings.TrimPrefix(link, KeyURL))
	waiting, err := w.Factors.Act(t.Context(), token)
	must(t, err)
	return w.Handler.Resume(t.Context(), waiting.By, waiting.Errand, waiting.Act.Verb, factor.Signed(token, k.Signs(t, waiting.Options)))
}

// Enrol sets up a person's second factor at a moment, and gives its seed.
func (w *World) Enrol(t testing.TB, person access.PersonID, now time.Time) (seed string) {
	t.Helper()
	link, err := w.Factors.Begin(t.Context(), by(person), access.Secret{})
	must(t, err)
	token := access.NewSecret(strings.TrimPrefix(link.Reveal(), enrolmentURL))
	page, err := w.Factors.Show(t.Context(), token, factor.Visit{})
	must(t, err)
	code, err := totp.GenerateCode(page.Seed.Reveal(), now)
	must(t, err)
	word, err := w.Factors.Match(t.Context(), token, page.Ticket, access.NewSecret(code), factor.Visit{})
	must(t, err)
	_, err = w.Factors.Name(t.Context(), by(person), word)
	must(t, err)
	must(t, w.Factors.Confirm(t.Context(), by("adam"), person, "", access.Secret{}))
	return page.Seed.Reveal()
}

// Submit asks for a role with everything that its policy wants.
func (w *World) Submit(t testing.TB, person access.PersonID, role access.RoleID) *access.Record {
	t.Helper()
	rec, err := w.Service.Submit(t.Context(), by(person), workflows.Ask{
		Role: role, Duration: time.Hour, Justification: "replication is broken", Ticket: "INC-4711"})
	must(t, err)
	return rec
}

// Approve approves a request.
func (w *World) Approve(t testing.TB, person access.PersonID, id access.RequestID) {
	t.Helper()
	_, err := w.Service.Decide(t.Context(), by(person), id, workflows.Decision{Verdict: access.Approve})
	must(t, err)
}

// Active is a grant of staging-db.
func (w *World) Active(t testing.TB, person access.PersonID) *access.Record {
	t.Helper()
	return w.Until(t, w.Submit(t, person, "staging-db").ID, access.Active)
}

// Ticking is a clock that goes on a second whenever it is looked at: requests of one millisecond have no order.
func Ticking() func() time.Time {
	var looks atomic.Int64
	began := time.Now()
	return func() time.Time { return began.Add(time.Duration(looks.Add(1)) * time.Second) }
}

func by(person access.PersonID) access.Actor { return access.Actor{Person: person, Via: "web"} }

func entries() ([]directory.Entry, []api.Token) {
	people := []access.Person{
		{ID: "ana", Name: "Ana Lima", Email: "ana@example.com", Groups: []string{"sre"}},
		{ID: "bob", Name: "Bob Stone", Groups: []string{"sre"}},
		{ID: "lea", Name: "Lea Berg", Groups: []string{"sre-leads"}},
		{ID: "leo", Name: "Leo Diaz", Groups: []string{"sre-leads"}},
		{ID: "adam", Name: "Adam", Groups: []string{"admins"}},
		{ID: "aud", Name: "Audrey", Groups: []string{"auditors"}},
		{ID: "eve", Name: "Eve"},
		{ID: "svc-deploy", Kind: access.Service, Groups: []string{"sre"}},
	}
	var found []directory.Entry
	tokens := []api.Token{{Name: "left-behind", Person: "gone", Hash: api.HashToken(Token("gone"))}}
	for _, p := range people {
		found = append(found, directory.Entry{Person: p})
		tokens = append(tokens, api.Token{Name: TokenName(p.ID), Person: p.ID, Hash: api.HashToken(Token(p.ID))})
	}
	return found, tokens
}

func roles() []access.Role {
	role := func(id access.RoleID, title, env string) access.Role {
		return access.Role{ID: id, Title: title, Connector: "demo", Target: map[string]any{"role": string(id)}, Labels: map[string]string{"env": env}}
	}
	return []access.Role{
		role("prod-db-admin", "Production database admin", "prod"),
		role("vault-admin", "Vault administrator", "vault"),
		role("staging-db", "Staging database", "staging"),
	}
}

func rules(vaults policy.StepUp) []policy.Rule {
	rule := func(env string, count int) policy.Rule {
		return policy.Rule{
			Name: env, Match: fmt.Sprintf("role.labels.env == %q", env), Eligible: `"sre" in person.groups`,
			Duration:      policy.Duration{Default: time.Hour, Max: 4 * time.Hour},
			Justification: policy.Justification{MinLength: 5},
			Approve:       []policy.Approval{{By: `"sre-leads" in person.groups`, Count: count, Within: 30 * time.Minute}},
		}
	}
	prod, vault, staging := rule("prod", 1), rule("vault", 2), rule("staging", 1)
	prod.Justification.Ticket = "(INC|CHG)-[0-9]+"
	staging.AutoApprove = "true"
	vault.StepUp = vaults
	return []policy.Rule{prod, vault, staging}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
