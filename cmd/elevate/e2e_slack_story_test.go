package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"elevate/cmd/elevate/e2etest"
)

// severed is how a session ended, and when.
type severed struct {
	at  time.Time
	err error
}

// office is the whole product at work: a bot with its Slack, its Redis and its target.
type office struct {
	*workspace
	db  *e2etest.Database
	bot *e2etest.Bot
	// camera is nil where nobody wants pictures.
	camera *camera
	// last is how long the story's first grant lasts.
	last     time.Duration
	approved time.Time // when it was approved
}

// late is how much later than its length a grant may end here: the time to activate it, and a busy machine's slowness.
const late = 10 * time.Second

// openOffice starts everything, with Slack calling over HTTP or being called for Socket Mode.
func openOffice(t *testing.T, socket bool) *office {
	t.Helper()
	o := &office{db: e2etest.StartDatabase(t, "ana", "dan"), last: 5 * time.Second, camera: openCamera(t)}
	redis := e2etest.StartRedis(t)
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	transport := "app_token: xapp-canary"
	if socket {
		o.workspace = startWorkspace(t, "")
	} else {
		o.workspace = startWorkspace(t, "http://"+listen+"/slack/interactions")
		transport = "signing_secret: " + signingSecret
	}
	o.bot = e2etest.StartBot(t, storyConfig(redis.URL(), listen, o.url, transport, o.db.BotDSN()))
	o.awake(socket)
	return o
}

func (o *office) awake(socket bool) {
	o.Helper()
	o.bot.WaitReady()
	if socket {
		o.connected()
	}
}

func storyConfig(redis, listen, slack, transport, dsn string) string {
	return fmt.Sprintf(`
store: {url: %q}
http: {listen: %q}
slack: {bot_token: xoxb-canary, team_id: T0001, api_url: %q, %s}
people:
  - {id: ana, name: Ana Lima, slack: U0ANA, groups: [sre]}
  - {id: dan, name: Dan Osei, slack: U0DAN, groups: [sre]}
  - {id: bob, name: Bob Keller, slack: U0BOB, groups: [sre, sre-leads]}
  - {id: mei, name: Mei Tanaka, slack: U0MEI, groups: [sre-leads]}
connectors:
  pg-prod: {type: postgres, dsn: %q}
roles:
  - {id: prod-db-admin, title: Production database admin, connector: pg-prod, target: {role: db_admin}, labels: {env: prod, risk: high}}
limits: {cool_down: 0s} # the story asks again at once
policies:
  - name: production
    match: role.labels.env == "prod"
    eligible: '"sre" in person.groups'
    duration: {default: 10m, max: 1h}
    justification: {min_length: 10, ticket: "^INC-[0-9]+$"}
    approve: [{by: '"sre-leads" in person.groups', within: 30m}]
    channel: {slack: %s}
audit: {dir: audit}
`, redis, listen, slack+"/api/", transport, dsn, accessChannel)
}

// TestSlackStory is the product's main job, over both of Slack's ways.
func TestSlackStory(t *testing.T) {
	t.Parallel()
	for name, socket := range map[string]bool{"HTTP": false, "SocketMode": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openOffice(t, socket)
			shown := o.asks()
			o.decides(shown)
			cut := o.works(shown)
			o.fillsInTheForm()
			o.ends(shown, cut)
			o.endsEarlyAfterRestart(socket)
			o.proves()
		})
	}
}

// asks types a request; it waits for somebody, and gives nothing.
func (o *office) asks() message {
	o.Helper()
	o.mayNot("ana")
	o.types("eve", "mine")
	o.expect(o.only("eve"), "does not know whose account this is")

	o.types("ana", fmt.Sprintf("prod-db-admin %s INC-4711 fix <replication> & *lag*", o.last))
	shown := o.expect(o.inChannel, "Waiting for approval", "Ana Lima (ana) asks for Production database admin",
		"INC-4711", "fix <replication> & *lag*", "@"+slackID("bob"), "@"+slackID("mei"), "No access has been granted yet.")
	o.shot("1-pending", "ana", "#access-requests", false)
	o.mayNot("ana")
	return shown
}

// decides clicks as the requester, who may not, and as an approver.
func (o *office) decides(shown message) {
	o.Helper()
	o.clicks("ana", shown, "Approve")
	o.expect(o.only("ana"), "You asked for this yourself, so somebody else has to decide.")
	o.expect(o.inChannel, "Waiting for approval")
	o.mayNot("ana")

	o.approved = time.Now()
	o.clicks("bob", shown, "Approve")
}

// works uses the role, also in a session that took it with SET ROLE and stays open. The channel gets that session's end.
func (o *office) works(shown message) <-chan severed {
	o.Helper()
	active := o.expect(o.inChannel, "Active until", "Approved by Bob Keller")
	o.may("ana")
	session := o.db.Login(o, "ana")
	if _, err := session.Exec(o.Context(), "SET ROLE db_admin"); err != nil {
		o.Fatalf("take the role: %v", err)
	}
	cut := make(chan severed, 1)
	go func() {
		_, err := session.Exec(context.WithoutCancel(o.Context()), "SELECT pg_sleep(120) FROM secret")
		cut <- severed{time.Now(), err}
	}()
	o.expect(o.below(shown), "Approved by Bob Keller.")
	o.expect(o.below(shown), "Ana Lima holds the role now")
	o.expect(o.told("ana"), "was approved by Bob Keller")
	o.expect(o.told("ana"), "You hold Production database admin", "Use it at pg-prod with your account ana", "End now")
	o.home("ana", "Active access (1)", "until")
	if active.offers("Approve") {
		o.Error("an approved request still offers to approve")
	}
	o.clicks("mei", shown, "Approve")
	o.expect(o.only("mei"), "Already approved by Bob Keller")
	o.shot("3-active", "ana", "#access-requests", false)
	return cut
}

// ends waits for the end, and looks at what it left.
func (o *office) ends(shown message, cut <-chan severed) {
	o.Helper()
	select {
	case end := <-cut:
		var said *pgconn.PgError
		if !errors.As(end.err, &said) || said.Code != "57P01" {
			o.Errorf("the open session ended with %v, not cut by an administrator", end.err)
		}
		if lasted := end.at.Sub(o.approved); lasted < o.last || lasted > o.last+late {
			o.Errorf("the session was cut %s after the approval, of %s granted", lasted, o.last)
		}
	case <-time.After(o.last + soon):
		o.Fatal("the session that did SET ROLE goes on after the end")
	}
	o.expect(o.inChannel, "Ended. Removed at", "1 open session ended", "verified by reading the target back")
	o.mayNot("ana")
	o.expect(o.below(shown), "Ended. Removed at")
	o.expect(o.told("ana"), "Access has ended", "verified by reading the target back")
	o.tells(shown)
	o.shot("6-ended", "ana", "#access-requests", true)
	o.shot("6-personal", "ana", "Ana Lima", false)
}

// steps are what a message may say of where a request stands, in the order in which it may say so.
var steps = []string{"Waiting for approval", "Approved by Bob Keller at", "Granting", "Active until", "Ending", "Ended"}

// tells checks that a message told the story in order, without a step back.
func (o *office) tells(shown message) {
	o.Helper()
	last := 0
	for _, text := range append([]string{shown.Text}, o.story(shown)...) {
		at := slices.IndexFunc(steps, func(s string) bool { return strings.Contains(text, s) })
		if at < last {
			o.Errorf("the message went from %q to: %s", steps[last], text)
		}
		last = max(at, last)
	}
	if steps[last] != "Ended" {
		o.Errorf("the message ends with %q", steps[last])
	}
}

// fillsInTheForm asks by the form, which complains once, and is denied with a reason.
func (o *office) fillsInTheForm() {
	o.Helper()
	o.types("dan", "prod-db-admin 10m")
	form := o.opened("Request access", "Production database admin")
	o.shot("4-form", "dan", "#access-requests", false)
	problems := o.submits("dan", form.filled(map[string]string{"justification": "too short", "ticket": "INC-12"}))
	for block, text := range problems {
		if !strings.HasPrefix(block, "input.justification") || !strings.Contains(text, "10 characters") {
			o.Errorf("the form complains at %s: %s", block, text)
		}
	}
	if len(problems) != 1 {
		o.Errorf("the form has %d complaints, want 1: %v", len(problems), problems)
	}
	o.shot("4-form-error", "dan", "#access-requests", false)
	if again := o.submits("dan", form.filled(map[string]string{"justification": "rotate the signing keys", "ticket": "INC-12"})); again != nil {
		o.Fatalf("the corrected form complains: %v", again)
	}
	shown := o.expect(o.inChannel, "Waiting for approval", "Dan Osei (dan) asks for", "rotate the signing keys")
	o.opened("Bob Keller", "Mei Tanaka")
	o.shot("4-form-sent", "dan", "#access-requests", false)
	o.closes("dan")
	o.home("mei", "Waiting for your decision (1)", "Dan Osei")
	home := o.home("dan", "Open requests (1)", "waiting for approval")
	o.clicksAtHome("dan", home, "Request access…")
	o.opened("Request access", "Type part of its name")
	o.closes("dan")

	o.clicks("mei", shown, "Deny…")
	reason := o.opened("Deny request", "rotate the signing keys")
	o.shot("5-deny", "mei", "#access-requests", false)
	if problems := o.submits("mei", reason.filled(map[string]string{"reason": "Use the runbook *instead*"})); problems != nil {
		o.Fatalf("the reason is not taken: %v", problems)
	}
	denied := o.expect(o.inChannel, "Denied by Mei Tanaka", "Use the runbook *instead*", "No access was granted.")
	if denied.offers("Approve") || denied.TS != shown.TS {
		o.Error("a denied request still offers to approve")
	}
	o.closes("mei")
	o.expect(o.below(shown), "Denied by Mei Tanaka", "Use the runbook *instead*")
	o.expect(o.told("dan"), "Denied", "Use the runbook *instead*")
	o.mayNot("dan")
}

// endsEarlyAfterRestart gives access, stops the bot, starts it with a digest that is due, and gives the access back.
func (o *office) endsEarlyAfterRestart(socket bool) {
	o.Helper()
	o.types("dan", "prod-db-admin 30m INC-13 rotate the keys after all")
	shown := o.expect(o.inChannel, "Waiting for approval", "rotate the keys after all")
	o.clicks("mei", shown, "Approve")
	mine := o.expect(o.told("dan"), "You hold Production database admin")
	o.expect(o.inChannel, "Active until", "rotate the keys after all")
	o.may("dan")

	o.clicks("dan", mine, "Extend…")
	longer := o.opened("Extend access", "How much longer?")
	if problems := o.submits("dan", longer.filled(nil)); problems != nil {
		o.Fatalf("the form is not taken: %v", problems)
	}
	o.closes("dan")
	o.expect(o.below(shown), "Extended by Dan Osei")

	o.bot.Stop()
	o.may("dan")
	o.addsDigest()
	o.bot.Start()
	o.awake(socket)
	o.expect(o.inChannel, "Access on", "Held now (1)", "Dan Osei: prod-db-admin")
	o.shot("7-digest", "dan", "#access-requests", false)

	o.clicks("dan", mine, "End now")
	o.expect(o.inChannel, "Ended early by Dan Osei", "verified by reading the target back", "rotate the keys after all")
	o.mayNot("dan")
	o.expect(o.told("dan"), "Access has ended", "early by Dan Osei")
	o.home("dan", "You hold no access", "Recent (2)")
	o.shot("8-home", "dan", "Elevate", false)
	o.bot.Stop()
	if digests := slices.DeleteFunc(o.inChannel(), func(m message) bool { return !strings.Contains(m.says(), "Access on") }); len(digests) != 1 {
		o.Errorf("%d digests were sent, want 1", len(digests))
	}
}

// addsDigest writes a digest into the configuration that is due since the last full minute.
func (o *office) addsDigest() {
	o.Helper()
	config, err := os.OpenFile(o.bot.Config(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		o.Fatal(err)
	}
	_, err = fmt.Fprintf(config, "digest: {at: %q, channel: {slack: %s}}\n", time.Now().UTC().Format("15:04"), accessChannel)
	if err := errors.Join(err, config.Close()); err != nil {
		o.Fatal(err)
	}
}

// proves checks the evidence that the story left, and that a changed byte shows.
func (o *office) proves() {
	o.Helper()
	verify := e2etest.Elevate(o, o.bot.Dir, "audit", "verify")
	if verify.Code != 0 || !strings.Contains(verify.Stdout, "unbroken up to this head") {
		o.Errorf("audit verify: code %d\n%s%s", verify.Code, verify.Stdout, verify.Stderr)
	}
	export := e2etest.Elevate(o, o.bot.Dir, "audit", "export")
	if export.Code != 0 {
		o.Errorf("audit export: code %d\n%s", export.Code, export.Stderr)
	}
	var happened []string
	for line := range strings.Lines(export.Stdout) {
		var event struct {
			Kind, Reason string
			Actor        struct{ Person string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			o.Fatalf("%v in %s", err, line)
		}
		if event.Kind == "refused" {
			event.Kind += " " + event.Reason
		}
		happened = append(happened, event.Actor.Person+" "+event.Kind)
	}
	if !slices.Equal(happened, recorded) {
		o.Errorf("the audit log tells of\n%s\nwant\n%s", strings.Join(happened, "\n"), strings.Join(recorded, "\n"))
	}
	o.tampers()
	verify = e2etest.Elevate(o, o.bot.Dir, "audit", "verify")
	if verify.Code != 1 || !strings.Contains(verify.Stdout, "NOT PROVED") {
		o.Errorf("audit verify of a changed log: code %d\n%s%s", verify.Code, verify.Stdout, verify.Stderr)
	}
}

// recorded is what the audit log has of the story.
var recorded = []string{
	" refused unlinked_account", "ana submit", "ana refused self_approval", "bob approve", "elevate arm", "elevate confirm", "mei refused already_settled",
	"dan refused justification_too_short", "dan submit", "mei deny", "elevate close",
	"dan submit", "mei approve", "elevate arm", "elevate confirm", "dan extend", "dan end", "elevate close",
}

// tampers changes one letter in the middle of the audit log.
func (o *office) tampers() {
	o.Helper()
	files, err := filepath.Glob(filepath.Join(o.bot.Dir, "audit", "*.jsonl"))
	if err != nil || len(files) == 0 {
		o.Fatalf("no audit log: %v", err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		o.Fatal(err)
	}
	at := strings.Index(string(text), "bob")
	if at < 0 {
		o.Fatal("the audit log does not name the approver")
	}
	text[at] = 'r'
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		o.Fatal(err)
	}
}

func (o *office) may(person string) {
	o.Helper()
	if err := o.db.Use(o.Context(), person); err != nil {
		o.Errorf("%s cannot use the role: %v", person, err)
	}
}

func (o *office) mayNot(person string) {
	o.Helper()
	var said *pgconn.PgError
	if err := o.db.Use(o.Context(), person); !errors.As(err, &said) || said.Code != "42501" {
		o.Errorf("%s is not refused the use of the role: %v", person, err)
	}
}
