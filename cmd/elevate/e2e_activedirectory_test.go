package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/connectors/activedirectory/sambatest"
	"elevate/workflows/access"
)

// domain is one with an account for Elevate, which may give one group, and one for Ana.
type domain struct {
	*sambatest.Server
	ana, admins sambatest.Object
}

func openDomain(t *testing.T) *domain {
	t.Helper()
	d := &domain{Server: sambatest.Start(t)}
	add := func(name string) sambatest.Object {
		o, err := d.AddUser(t, name)
		if err != nil {
			t.Fatalf("add account %s: %v", name, err)
		}
		return o
	}
	d.ana, d.admins = add("ana"), d.AddGroup(t, "Server Admins")
	d.Delegate(t, add("svc-elevate"), d.admins.DN, "member", "nonSecurityMember")
	return d
}

// connector is the configuration of the connector to a controller of the domain's.
func (d *domain) connector(controller string) string {
	return fmt.Sprintf(`{type: activedirectory, controllers: [%q], bind: svc-elevate@%s, password: "${AD_PASSWORD}", ca_file: %q, groups: [%s], timeout: 1m}`,
		controller, sambatest.Realm, d.CAFile, d.admins.GUID)
}

func (d *domain) target() string { return fmt.Sprintf("{group: %s}", d.admins.GUID) }

const directoryPassword = "AD_PASSWORD=" + sambatest.Password

func (d *domain) has(t *testing.T) bool { return d.Holds(t, d.ana.DN, d.admins) }

// expiryGrace is by how much a directory that ends memberships by itself does so later than the grant ends.
const expiryGrace = 2 * time.Minute

// The bot is dead when a membership is to end: a directory that can end it by itself does, and otherwise the restart does.
func TestMembershipEndsAlthoughTheBotIsKilled(t *testing.T) {
	t.Parallel()
	d := openDomain(t)
	expiring := d.Front(t) // an emulation of what Samba has not
	expiring.ExpireMemberships()
	for _, c := range []struct {
		name, controller string
		// gone has the grant's end pass while the bot is down.
		gone func(t *testing.T, end time.Time)
		was  access.Was
	}{
		{"by the directory, with memberships that expire", expiring.URL, func(t *testing.T, end time.Time) {
			// What is written is a number of whole seconds from then on, so its end comes no earlier, and a little later.
			if late := expiring.End(d.admins.DN, d.ana.DN).Sub(end.Add(expiryGrace)); late < 0 || late > 10*time.Second {
				t.Errorf("the directory was told to end the membership %s after the grant's end and the grace", late)
			}
			// Nobody waits for it here.
			if err := expiring.EndIn(d.admins.DN, d.ana.DN, time.Second); err != nil {
				t.Fatal(err)
			}
			d.Eventually(t, "the directory ends the membership", func() bool { return !d.has(t) })
		}, access.Absent},
		{"by the restart, without them", d.URL(), func(t *testing.T, _ time.Time) {
			if !d.has(t) {
				t.Error("somebody else took the membership away")
			}
		}, access.Removed},
	} {
		t.Run(c.name, func(t *testing.T) {
			bot := e2etest.StartBot(t, siteConfigWith(t, e2etest.StartRedis(t), d.connector(c.controller), d.target()), directoryPassword)
			bot.WaitReady()
			id := ask(t, bot, "ana", "5s")
			d.Eventually(t, "Ana has the group", func() bool { return d.has(t) })
			var r api.Request
			if status, err := call(bot, "ana", http.MethodGet, "/requests/"+string(id), nil, &r); err != nil || status != http.StatusOK || r.EndsAt == nil {
				t.Fatalf("the request is %+v: %d, %v", r, status, err)
			}
			bot.Kill9()
			c.gone(t, *r.EndsAt)
			bot.Start(directoryPassword)
			r = reaches(t, bot, "ana", id, access.Ended)
			if r.Removal == nil || r.Removal.Was != c.was || d.has(t) {
				t.Errorf("the removal is %+v, want %s; Ana has the group: %t", r.Removal, c.was, d.has(t))
			}
		})
	}
	t.Run("and check says what the domain is like", func(t *testing.T) {
		sound := strings.ReplaceAll(siteConfigWith(t, e2etest.StartRedis(t), d.connector(d.URL()), d.target()), "${AD_PASSWORD}", sambatest.Password)
		for _, c := range []struct {
			old, new string
			code     int
			says     []string
		}{
			{d.URL(), d.URL(), 0, []string{"ok       connectors.target: activedirectory", "warning  connectors.target: the forest has no Privileged Access Management Feature"}},
			{d.URL(), expiring.URL, 0, []string{"ok       connectors.target: activedirectory, which ends access by itself"}},
			{d.admins.GUID, d.AddGroup(t, "Others").GUID, 1, []string{"problem  connectors.target: role vpn: ", "may not write member and nonSecurityMember", "dsacls"}},
			{"svc-elevate@", "Administrator@", 0, []string{"warning  connectors.target: superfluous: ", "is in Domain Admins"}},
			{sambatest.Password, "wrong-canary", 1, []string{"problem  connectors.target: ", "log in as svc-elevate@CORP.TEST", "Invalid Credentials"}},
		} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(strings.ReplaceAll(sound, c.old, c.new)), 0o600); err != nil {
				t.Fatal(err)
			}
			got := e2etest.Elevate(t, dir, "check", "--online")
			said := got.Stdout + got.Stderr
			if lacks := lacking(said, c.says); got.Code != c.code || len(lacks) > 0 || strings.Contains(said, "canary") {
				t.Errorf("with %s: code %d, want %d; lacks %q in\n%s", c.new, got.Code, c.code, lacks, said)
			}
		}
	})
}

// An administrator changes a group by hand, past Elevate, whose regular sweep is an hour away: it is found in seconds.
func TestWhatIsChangedByHandInADomainIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	d := openDomain(t)
	bot := e2etest.StartBot(t, siteConfigWith(t, e2etest.StartRedis(t), d.connector(d.URL()), d.target())+"sweep: {every: 1h}\n", directoryPassword)
	bot.WaitReady()
	bea, err := d.AddUser(t, "bea")
	if err != nil {
		t.Fatal(err)
	}
	shows := func(lines ...string) bool { return len(lacking(bot.Metrics(), lines)) == 0 }
	d.Eventually(t, "the bot listens, and has swept", func() bool {
		return shows(`elevate_sweep_watching{connector="target"} 1`, "elevate_sweep_prompted_total", "elevate_standing_access")
	})
	began := time.Now()

	d.Join(t, d.admins.DN, bea.DN)
	d.Eventually(t, "who was put in by hand counts as standing access", func() bool {
		return shows(`elevate_standing_access{connector="target",role="vpn"} 1`) && strings.Contains(bot.Log(), "somebody has come to hold a role by nothing that Elevate gave")
	})
	t.Logf("found after %s", time.Since(began))
	d.Change(t, d.admins.DN, func(m *ldap.ModifyRequest) { // as if Elevate had given it, and lost all memory of that
		m.Add("nonSecurityMember", []string{bea.DN})
	})
	d.Eventually(t, "what looks like Elevate's own and has no grant is taken away", func() bool { return !d.Holds(t, bea.DN, d.admins) })
	t.Logf("taken away after %s", time.Since(began))

	ask(t, bot, "ana", "1h")
	d.Eventually(t, "Ana has the group", func() bool { return d.has(t) })
	d.Leave(t, d.admins.DN, d.ana.DN)
	d.Eventually(t, "a grant that was taken out by hand is reported", func() bool {
		return strings.Contains(bot.Log(), "a live grant is missing at its target")
	})
	if d.has(t) {
		t.Error("an administrator who took the access away was overruled")
	}
}
