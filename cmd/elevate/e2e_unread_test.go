package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/signin/oidcfake"
	"elevate/workflows/access"
)

// blinded stops the bot, hides its audit log, and starts it with a changed configuration. What lies in the log's place
// leads to itself, which is an error to whoever opens it, root included. It gives the way back.
func (f *fort) blinded(change ...string) (back func()) {
	f.Helper()
	b := f.bots[0]
	b.Kill9()
	dir := filepath.Join(b.Dir, "audit")
	config, err := os.ReadFile(b.Config())
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(b.Config(), []byte(strings.NewReplacer(change...).Replace(string(config))), 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Rename(dir, dir+"-away"); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink(dir, dir); err != nil {
		f.Fatal(err)
	}
	restart(f, b)
	if log := b.Log(); !strings.Contains(log, "the audit log cannot be read") || !strings.Contains(log, "audit.dir: ") {
		f.Error("the log does not tell that the audit log cannot be read, and where it is")
	}
	return func() {
		f.Helper()
		if err := os.Remove(dir); err != nil {
			f.Fatal(err)
		}
		if err := os.Rename(dir+"-away", dir); err != nil {
			f.Fatal(err)
		}
	}
}

// refused has somebody do what rests on what the log alone could tell.
func (f *fort) refused(who, path string, body map[string]string) {
	f.Helper()
	var answer api.Problem
	status, err := call(f.bots[0], who, http.MethodPost, path, body, &answer)
	if err != nil || status != http.StatusServiceUnavailable || answer.Code != "audit_unreadable" || !strings.Contains(answer.Detail, "audit log") {
		f.Errorf("%s %s: %d %+v, %v", who, path, status, answer, err)
	}
}

var anotherRequest = map[string]string{"role": "vpn", "duration": "1m", "justification": "while the log is away"}

// A bot that starts while its audit log cannot be read ends what is due. It approves, and activates, nothing, and takes no
// second factor, before it can tell whether what the store says of them is the newest; then it goes on by itself.
func TestAccessEndsWhileTheAuditLogCannotBeRead(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	live, pending := f.ask("ana", 5*time.Second), f.ask("bea", time.Minute)
	if err := f.approves(f.bots[0], []access.RequestID{live}); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{live})
	f.onRecord("confirm", live)
	back := f.blinded("127.0.0.1:0}", "127.0.0.1:0, public_url: 'http://localhost:1'}", "duration: {max: 1h}", "duration: {max: 1h}, step_up: {request: totp}",
		"auditors:", "administrators: person.id in ['ben', 'aud']\nauditors:")
	f.refused("cat", "/requests", anotherRequest)
	f.refused("ben", "/requests/"+string(pending)+"/approve", nil)
	f.reach(f.bots[0], access.Ended, []access.RequestID{live})
	if f.judge.holders() != 0 || f.given(pending) != 0 {
		t.Errorf("%d people hold something, and the target gave what waits %d times", f.judge.holders(), f.given(pending))
	}
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

// Who is who rests on links in the store, which are not believed meanwhile.
func TestNoLinkCountsWhileTheAuditLogCannotBeRead(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	provider := oidcfake.Start(t, "http://localhost:1/signin/callback")
	live := f.ask("ana", 5*time.Second)
	if err := f.approves(f.bots[0], []access.RequestID{live}); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{live})
	f.onRecord("confirm", live)
	back := f.blinded("127.0.0.1:0}", "127.0.0.1:0, public_url: 'http://localhost:1'}\n"+
		"oidc: {issuer: '"+provider.URL+"', client_id: "+oidcfake.ClientID+", client_secret: "+oidcfake.ClientSecret+", name: Example, groups_for: 1h}\n"+
		"groups: {sre: {oidc: platform}}", "name: cat}", "name: cat, oidc: 00u-cat}")
	f.refused("cat", "/requests", anotherRequest)
	f.judge.await(t, "the access is taken away", func() bool { return f.judge.holders() == 0 })
	back()
	eventually(f, func() error {
		_, err := f.shown(f.bots[0])
		return err
	})
}
