package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/signin/oidcfake"
	"elevate/bot/slack/slackfake"
	"elevate/workflows/access"
)

// blinded stops the bot, hides its audit log, and starts it with a changed configuration. What lies in the log's place
// leads to itself, which is an error to whoever opens it, root included. It gives the way back.
func (f *fort) blinded(change ...string) (back func()) {
	f.Helper()
	b := f.bots[0]
	b.Kill9()
	dir := filepath.Join(b.Dir, "audit")
	f.rewrite(change...)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink(dir, dir); err != nil {
		f.Fatal(err)
	}
	restart(f, b)
	eventually(f, func() error {
		if log := b.Log(); !strings.Contains(log, "the audit log cannot be read") || !strings.Contains(log, "audit.dir: ") {
			return errors.New("the log does not tell that the audit log cannot be read, and where it is")
		}
		return nil
	})
	return func() {
		f.Helper()
		// In one step: where there is no folder, the bot makes one.
		if err := errors.Join(os.Symlink(dir+"-away", dir+"-back"), os.Rename(dir+"-back", dir)); err != nil {
			f.Fatal(err)
		}
	}
}

// rewrite replaces words of the bot's configuration.
func (f *fort) rewrite(change ...string) {
	f.Helper()
	file := f.bots[0].Config()
	config, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.NewReplacer(change...).Replace(string(config))), 0o600)
	}
	if err != nil {
		f.Fatal(err)
	}
}

// reading stops the bot, and starts it with a log whose reading lasts until the log is given an end. What is in its way is a
// pipe that nobody writes to.
func (f *fort) reading() (end func()) {
	f.Helper()
	b := f.bots[0]
	b.Kill9()
	pipe := filepath.Join(b.Dir, "audit", "audit-2020-01-01-000000000001.jsonl")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		f.Fatal(err)
	}
	restart(f, b)
	return func() {
		f.Helper()
		w, err := os.OpenFile(pipe, os.O_RDWR, 0)
		if err != nil {
			f.Fatal(err)
		}
		_ = w.Close() // nothing was written
	}
}

// active is access that somebody was given for so long, on record.
func (f *fort) active(who string, d time.Duration) access.RequestID {
	f.Helper()
	id := f.ask(who, d)
	if err := f.approves(f.bots[0], []access.RequestID{id}); err != nil {
		f.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{id})
	f.onRecord("confirm", id)
	return id
}

// ends waits for the end of what is active, while what waits for a decision is given to nobody.
func (f *fort) ends(live, pending access.RequestID) {
	f.Helper()
	f.reach(f.bots[0], access.Ended, []access.RequestID{live})
	if f.judge.holders() != 0 || f.given(pending) != 0 {
		f.Errorf("%d people hold something, and the target gave what waits %d times", f.judge.holders(), f.given(pending))
	}
}

// refused has somebody do what rests on what the log alone could tell.
func (f *fort) refused(who, path string, body map[string]string, code string) {
	f.Helper()
	var answer api.Problem
	status, err := call(f.bots[0], who, http.MethodPost, path, body, &answer)
	if err != nil || status != http.StatusServiceUnavailable || answer.Code != code || !strings.Contains(answer.Detail, "audit log") {
		f.Errorf("%s %s: %d %+v, %v", who, path, status, answer, err)
	}
}

var anotherRequest = map[string]string{"role": "vpn", "duration": "1m", "justification": "while the log is away"}

// A bot that starts while its audit log cannot be read ends what is due. It approves, and activates, nothing, and takes no
// second factor, before it can tell whether what the store says of them is the newest; then it goes on by itself.
func TestAccessEndsWhileTheAuditLogCannotBeRead(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	pending := f.ask("bea", time.Minute)
	live := f.active("ana", 5*time.Second)
	back := f.blinded("127.0.0.1:0}", fmt.Sprintf("127.0.0.1:0, public_url: 'http://localhost:1'}\nslack: {bot_token: %s, signing_secret: %s, team_id: %s, api_url: %q}",
		slackfake.BotToken, slackfake.SigningSecret, slackfake.Team, slackfake.New(t).URL), "duration: {max: 1h}", "duration: {max: 1h}, step_up: {request: totp}",
		"auditors:", "administrators: person.id in ['ben', 'aud']\nauditors:")
	f.refused("cat", "/requests", anotherRequest, "audit_unreadable")
	f.refused("ben", "/requests/"+string(pending)+"/approve", nil, "audit_unreadable")
	f.ends(live, pending)
	back()
	eventually(f, func() error {
		var answer api.Problem
		status, err := call(f.bots[0], "ben", http.MethodPost, "/requests/"+string(pending)+"/approve", nil, &answer)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("approve: %d %+v", status, answer)
		}
		return err
	})
	f.reach(f.bots[0], access.Active, []access.RequestID{pending})
}

// A bot that has just started ends what is due before it has read its audit log, which may take minutes. Until then it
// approves and activates nothing, and says so without alarm; then it goes on by itself.
func TestAccessEndsWhileTheAuditLogIsBeingRead(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	pending := f.ask("bea", time.Minute)
	live := f.active("ana", 5*time.Second)
	b := f.bots[0]
	before := len(b.Log())
	end := f.reading()
	f.refused("ben", "/requests/"+string(pending)+"/approve", nil, "audit_reading")
	f.ends(live, pending)
	if log := b.Log()[before:]; strings.Contains(log, `"ERROR"`) || strings.Contains(log, "the audit log was read") {
		t.Errorf("the log is:\n%s", log)
	}
	end()
	b.WaitReady()
	if log := b.Log()[before:]; !strings.Contains(log, "the audit log was read") {
		t.Errorf("the log does not tell that the reading is over:\n%s", log)
	}
	if err := f.approves(b, []access.RequestID{pending}); err != nil {
		t.Error(err)
	}
	f.reach(b, access.Active, []access.RequestID{pending})
}

// Who is who rests on links in the store, which are not believed meanwhile.
func TestNoLinkCountsWhileTheAuditLogCannotBeRead(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	provider := oidcfake.Start(t, "http://localhost:1/signin/callback")
	f.active("ana", 5*time.Second)
	back := f.blinded("127.0.0.1:0}", "127.0.0.1:0, public_url: 'http://localhost:1'}\n"+
		"oidc: {issuer: '"+provider.URL+"', client_id: "+oidcfake.ClientID+", client_secret: "+oidcfake.ClientSecret+", name: Example, groups_for: 1h}\n"+
		"groups: {sre: {oidc: platform}}", "name: cat}", "name: cat, oidc: 00u-cat}")
	f.refused("cat", "/requests", anotherRequest, "audit_unreadable")
	f.judge.await(t, "the access is taken away", func() bool { return f.judge.holders() == 0 })
	back()
	eventually(f, func() error {
		_, err := f.shown(f.bots[0])
		return err
	})
}
