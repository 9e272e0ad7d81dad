package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/bot/api"
	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/directory"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

const mfaPage = "http://localhost:1/mfa/"

// lockout is a fort where approving takes a second factor, and Slack is there to tell people.
type lockout struct {
	*fort
	slack   *slackfake.Server
	factors *factor.Factors // as another replica has them
}

func openLockout(t *testing.T) *lockout {
	t.Helper()
	l := &lockout{fort: openFort(t, fortKeys), slack: slackfake.New(t)}
	for _, who := range []string{"ben", "aud"} {
		l.slack.AddUser(slackfake.User{ID: slackID(who), Name: who})
	}
	l.rewrite("127.0.0.1:0}", fmt.Sprintf("127.0.0.1:0, public_url: 'http://localhost:1'}\nslack: {bot_token: %s, signing_secret: %s, team_id: %s, api_url: %q}",
		slackfake.BotToken, slackfake.SigningSecret, slackfake.Team, l.slack.URL),
		"{id: ben, name: ben}", "{id: ben, name: ben, slack: "+slackID("ben")+"}", "{id: aud, name: aud}", "{id: aud, name: aud, slack: "+slackID("aud")+"}",
		"duration: {max: 1h}", "duration: {max: 1h}, step_up: {approve: totp}", "auditors:", "administrators: person.id in ['ben', 'aud']\nauditors:")
	l.bots[0].Kill9()
	restart(t, l.bots[0])
	l.factors = l.replica()
	return l
}

// replica has the factors in this process, on the store of the bots.
func (l *lockout) replica() *factor.Factors {
	l.Helper()
	keys := []seal.Key{{ID: "k1", Key: access.NewSecret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")}}
	marks, err := seal.NewMarker(keys)
	l.must(err)
	store, err := redis.Open(l.Context(), redis.Config{URL: l.store.URL(), Marks: marks, AllowUnsafe: true})
	l.must(err)
	l.Cleanup(func() { _ = store.Close() })
	f, err := factor.New(factor.Config{
		Store: store, Keys: keys, PageURL: mfaPage, Administrator: func(access.Person) bool { return true },
		Directory: directory.New([]directory.Entry{{Person: access.Person{ID: "ben"}}, {Person: access.Person{ID: "aud"}}}),
	})
	l.must(err)
	return f
}

func (l *lockout) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// code is what an app shows so much later than now.
func (l *lockout) code(seed access.Secret, later time.Duration) access.Secret {
	l.Helper()
	code, err := totp.GenerateCode(seed.Reveal(), time.Now().Add(later))
	l.must(err)
	return access.NewSecret(code)
}

// names sets somebody's app up, up to the word that is typed in chat.
func (l *lockout) names(who access.PersonID) (seed access.Secret) {
	l.Helper()
	f := l.replica()
	link, err := f.Begin(l.Context(), access.Actor{Person: who, Via: "slack"}, access.Secret{})
	l.must(err)
	token := access.NewSecret(strings.TrimPrefix(link.Reveal(), mfaPage))
	page, err := f.Show(l.Context(), token, factor.Visit{})
	l.must(err)
	word, err := f.Match(l.Context(), token, page.Ticket, l.code(page.Seed, 0), factor.Visit{})
	l.must(err)
	_, err = f.Name(l.Context(), access.Actor{Person: who, Via: "slack"}, word)
	l.must(err)
	return page.Seed
}

// confirms is an administrator's word without a proof.
func (l *lockout) confirms(by, whose access.PersonID) {
	l.Helper()
	l.must(l.replica().Confirm(l.Context(), access.Actor{Person: by, Via: "slack"}, whose, "", access.Secret{}))
}

// approval is Ben's, by the API of the bot.
func (l *lockout) approval(id access.RequestID, code access.Secret) (status int, answer api.Problem) {
	l.Helper()
	status, err := call(l.bots[0], "ben", http.MethodPost, "/requests/"+string(id)+"/approve", map[string]string{"code": code.Reveal()}, &answer)
	l.must(err)
	return status, answer
}

// factorKey is where somebody's factor lies in Redis.
func (l *lockout) factorKey(who access.PersonID) string {
	l.Helper()
	keys, err := l.redis.Keys(l.Context(), "*}:f:"+string(who)).Result()
	if err != nil || len(keys) != 1 {
		l.Fatalf("the factor of %s: %v, %v", who, keys, err)
	}
	return keys[0]
}

func (l *lockout) lies(who access.PersonID) map[string]string {
	l.Helper()
	return l.redis.HGetAll(l.Context(), l.factorKey(who)).Val()
}

// onFactor gives the events of somebody's factor that are on record.
func (l *lockout) onFactor(kind string, who access.PersonID) (of []audit.Event) {
	l.Helper()
	for _, e := range l.events()[""] {
		if e.Kind == kind && e.Person == who {
			of = append(of, e)
		}
	}
	return of
}

// goesBack stops the bot, and puts an older state of the factors in the place of what the log tells of.
func (l *lockout) goesBack(older map[access.PersonID]map[string]string) {
	l.Helper()
	l.bots[0].Kill9()
	for who, fields := range older {
		key := l.factorKey(who)
		l.must(errors.Join(l.redis.Del(l.Context(), key).Err(), l.redis.HSet(l.Context(), key, fields).Err()))
	}
}

// command runs elevate mfa reset, and holds what it exits with and says.
func (l *lockout) command(code int, says string, args ...string) {
	l.Helper()
	out := e2etest.Elevate(l, l.bots[0].Dir, append([]string{"mfa", "reset"}, args...)...)
	if out.Code != code || !strings.Contains(out.Stdout+out.Stderr, says) {
		l.Errorf("elevate mfa reset %v: %d, want %d and %q\n%s%s", args, out.Code, code, says, out.Stdout, out.Stderr)
	}
}

// told waits until Slack has told somebody.
func (l *lockout) told(who, what string) {
	l.Helper()
	l.slack.Await(l, who+" is told: "+what, func() bool {
		for _, m := range l.slack.Messages(l.slack.DM(slackID(who))) {
			if strings.Contains(m.Text, what) {
				return true
			}
		}
		return false
	})
}

// The factors of all administrators are switched off, so that none of them can do anything about it. Whoever holds the
// configuration and its keys can, beside a running bot and without one.
func TestWhoeverHoldsTheKeysResetsAFactor(t *testing.T) {
	t.Parallel()
	l := openLockout(t)
	seeds := map[access.PersonID]access.Secret{"ben": l.names("ben"), "aud": l.names("aud")}
	l.confirms("aud", "ben")
	older := map[access.PersonID]map[string]string{"ben": l.lies("ben")}
	l.must(l.factors.Confirm(t.Context(), access.Actor{Person: "ben"}, "aud", "", l.code(seeds["ben"], 30*time.Second)))
	older["aud"] = l.lies("aud")
	l.must(l.factors.Prove(t.Context(), access.Actor{Person: "aud"}, access.Act{Verb: "try"}, l.code(seeds["aud"], 30*time.Second)))
	eventually(t, func() error {
		if len(l.onFactor(factor.EventUsed, "ben")) == 0 || len(l.onFactor(factor.EventUsed, "aud")) == 0 {
			return errors.New("the log does not tell of the uses")
		}
		return nil
	})
	id := l.ask("ana", time.Minute)
	l.goesBack(older)
	l.command(0, "The second factor of aud would be taken away (what lies in the store is older than the audit log tells)", "aud", "--dry-run")
	if now := l.lies("aud"); now["ver"] != older["aud"]["ver"] || now["seed"] == "" {
		t.Errorf("a dry run leaves %v", now)
	}
	l.command(0, "The second factor of aud is gone (what lies in the store is older", "aud") // while no bot runs
	restart(t, l.bots[0])
	l.bots[0].WaitReady()
	if status, answer := l.approval(id, l.code(seeds["ben"], 30*time.Second)); status == http.StatusOK || answer.Code != access.CodeFactorLocked {
		t.Fatalf("with a factor from before: %d %+v", status, answer)
	}
	if _, err := l.replica().Reset(t.Context(), access.Actor{Person: "aud"}, "ben", access.Secret{}); err == nil || !strings.Contains(err.Error(), "elevate mfa reset PERSON") {
		t.Errorf("an administrator resets it: %v", err)
	}
	l.command(0, "The second factor of ben is gone (switched off, because it was not what Elevate wrote last)", "ben") // beside a bot
	for _, who := range []access.PersonID{"ben", "aud"} {
		l.told(string(who), "It was taken away on the command line")
		eventually(t, func() error {
			of := l.onFactor(factor.EventReset, who)
			if len(of) != 1 || of[0].Actor.Person != access.System || of[0].Actor.Via != factor.CommandLine {
				return fmt.Errorf("on record is %+v", of)
			}
			return nil
		})
	}
	l.told("aud", "That of ben is gone")
	l.told("ben", "That of aud is gone")
	if status, answer := l.approval(id, l.code(seeds["ben"], 30*time.Second)); status == http.StatusOK || answer.Code != access.CodeFactorMissing {
		t.Errorf("after the reset: %d %+v", status, answer)
	}
	anew := l.names("ben")
	l.confirms("aud", "ben")
	if status, answer := l.approval(id, l.code(anew, 30*time.Second)); status != http.StatusOK {
		t.Errorf("with the new factor: %d %+v", status, answer)
	}
}

func TestAResetOnTheCommandLineRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	l := openLockout(t)
	seen := l.names("ben")
	l.confirms("aud", "ben")
	l.command(2, "accepts 1 arg")
	l.command(1, "The directory knows nobody called \"eve\"", "eve")
	l.command(1, "aud has no second factor to take away", "aud")
	l.command(1, "there is no configuration at nowhere.yaml", "ben", "-c", "nowhere.yaml")
	l.command(0, "The second factor of ben would be taken away (an authenticator app)", "ben", "--dry-run")
	l.must(l.factors.Prove(t.Context(), access.Actor{Person: "ben"}, access.Act{Verb: "try"}, l.code(seen, 30*time.Second)))
	l.blinded()
	l.command(1, "audit.dir: ", "ben")
	l.rewrite(fortKeys, "", ", step_up: {approve: totp}", "")
	l.command(1, "they need secrets.keys and http.public_url", "ben")
	if out := e2etest.Elevate(t, l.bots[0].Dir, "mfa"); out.Code != 2 || !strings.Contains(out.Stdout, "reset") {
		t.Errorf("elevate mfa: %d %s%s", out.Code, out.Stdout, out.Stderr)
	}
}
