package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

// keyring is the product in both chats, where asking and approving take a second factor, with a browser for each person.
type keyring struct {
	*tenant
	slack  *workspace
	camera *camera // on Slack; nil where nobody wants pictures
	pages  map[string]*e2etest.Page
}

func openKeyring(t *testing.T, method access.Method) *keyring {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	k := &keyring{slack: startWorkspace(t, "http://"+listen+"/slack/interactions"), camera: openCamera(t), pages: map[string]*e2etest.Page{}}
	k.tenant = openTenant(t, listen, k.slack, func(n *tenant) {
		n.extra.http = fmt.Sprintf(", public_url: %q", "http://"+strings.Replace(listen, "127.0.0.1", "localhost", 1))
		n.extra.top = "administrators: '\"sre-leads\" in person.groups'\n" + strings.TrimPrefix(fortKeys, "\n") + "\n"
		n.extra.policy = fmt.Sprintf("    step_up: {request: %s, approve: %[1]s}\n", method)
	})
	return k
}

// page is somebody's browser, which holds their key.
func (k *keyring) page(person string) *e2etest.Page {
	k.Helper()
	if k.pages[person] == nil {
		k.pages[person] = e2etest.OpenPage(k.T, "about:blank", 1180, 900)
		k.pages[person].HoldKey()
	}
	return k.pages[person]
}

var pageLink = regexp.MustCompile(`http://localhost:[0-9]+/(mfa|key)/[A-Z2-7]{52}`)

// link waits until Slack has shown somebody alone a link to a page that it has not shown before.
func (k *keyring) link(person string, seen map[string]bool, said ...string) (link string) {
	k.Helper()
	e2etest.Eventually(k.T, soon, func() error {
		for _, m := range k.slack.only(person)() {
			found := pageLink.FindString(fmt.Sprint(m.Blocks))
			if found != "" && !seen[found] && len(lacking(m.says(), said)) == 0 {
				link, seen[found] = found, true
				return nil
			}
		}
		return fmt.Errorf("%s is shown no new link with %q", person, said)
	})
	return link
}

// asksFor types a request of Ana's until she is led to the page for it: a busy machine is told to try again.
func (k *keyring) asksFor(request string, seen map[string]bool) (link string) {
	k.Helper()
	typed, said := 0, 0
	e2etest.Eventually(k.T, 2*soon, func() error {
		late := 0
		for _, m := range k.slack.only("ana")() {
			text := m.Text + m.says()
			if found := pageLink.FindString(fmt.Sprint(m.Blocks)); found != "" && !seen[found] && strings.Contains(text, "Sending this request takes your security key") {
				link, seen[found] = found, true
				return nil
			}
			if strings.Contains(text, "in time") || strings.Contains(text, "in a minute") {
				late++
			}
		}
		if typed == 0 || late > said {
			typed, said = typed+1, late
			k.slack.types("ana", request)
		}
		return fmt.Errorf("ana is not led to the page, having typed %d times", typed)
	})
	return link
}

const pressed = `document.querySelector("form button")`

// registers sets somebody's key up, from the command to the word.
func (k *keyring) registers(person string, seen map[string]bool, pictures bool) {
	k.Helper()
	shot := func(name string) {
		if pictures {
			shots(k.page(person), name)
		}
	}
	k.slack.types(person, "mfa")
	p := k.page(person)
	p.Visit(k.link(person, seen, "Set up your second factor"))
	p.See(`document.querySelector("h1").textContent === "Set up your second factor"`, "the first page")
	shot("1-set-up")
	p.Click(pressed, "Use a security key or passkey")
	p.See(`document.querySelector("h1").textContent === "Have your key ready"`, "the page that asks for the key")
	p.Click(`document.querySelector("#in")`, "what the key is called")
	p.Type("Blue key")
	shot("2-register")
	p.Click(pressed, "Register the key")
	p.See(`document.querySelector(".word") !== null`, "the word")
	shot("3-word")
	words := strings.TrimPrefix(e2etest.Get[string](p, `document.querySelector(".word").innerText`), "/elevate ")
	k.slack.types(person, words)
	k.slack.expect(k.slack.only(person), "That is the word")
}

// signs opens a link in somebody's browser, looks for the words, and has the key sign.
func (k *keyring) signs(person, link, name, done string, said ...string) {
	k.Helper()
	p := k.page(person)
	for range 2 { // looking uses nothing up
		p.Visit(link)
		for _, s := range said {
			p.See(fmt.Sprintf("document.body.innerText.includes(%q)", s), s)
		}
	}
	shots(p, name)
	p.Click(pressed, "the button")
	p.See(fmt.Sprintf("document.body.innerText.includes(%q)", done), done)
	shots(p, name+"-done")
	p.Visit(link)
	p.See(`document.body.innerText.includes("This link is over")`, "the end of the link")
	shots(p, name+"-over")
}

// TestSecurityKeysVouchInSlackAndTeams: keys are registered in a browser, from Slack; a request is asked for in Slack and
// approved there, and another one is approved in Teams, all of it with keys. The chat accounts alone do nothing.
func TestSecurityKeysVouchInSlackAndTeams(t *testing.T) {
	t.Parallel()
	k, seen := openKeyring(t, access.WebAuthn), map[string]bool{}
	k.slack.types("ana", fmt.Sprintf("db-admin %s INC-4711 fix the replication", brief))
	k.slack.expect(k.slack.only("ana"), "This needs a security key or passkey, and you have none yet")
	k.registers("bob", seen, true)
	k.slack.types("mei", "mfa confirm bob") // nobody has a factor to prove yet
	k.slack.expect(k.slack.only("mei"), "The second factor of Bob Keller counts")
	for _, person := range []string{"ana", "mei"} {
		k.registers(person, seen, false)
		k.slack.types("bob", "mfa confirm "+person)
		k.signs("bob", k.link("bob", seen, "Confirm with your security key"), "4-confirm-"+person, "counts from now on", "Confirm this second factor?", person)
	}
	k.slack.types("bob", "mfa")
	k.slack.expect(k.slack.only("bob"), "Security key key-1 “Blue key”")

	ask := k.asksFor(fmt.Sprintf("db-admin %s INC-4711 fix the <replication>", brief), seen)
	if n := len(k.slack.inChannel()); n != 0 {
		t.Errorf("the request was sent without a key: %d messages", n)
	}
	facts := []string{"Production database admin (db-admin)", "fix the <replication>", "INC-4711", "15 seconds", "pg-prod, account ana", "production"}
	k.signs("ana", ask, "5-send", "Request sent", append(facts, "Send this request?", "Ana Lima (ana)")...)
	shown := k.slack.expect(k.slack.inChannel, "Waiting for approval", "fix the <replication>")

	k.slack.clicks("bob", shown, "Approve")
	k.camera.takes(k.slack, "6-slack-link", "bob", "#access-requests", false)
	approve := k.link("bob", seen, "Approving this request takes your security key")
	if held := k.judge.holders(); held > 0 {
		t.Errorf("%d people hold the role by a click alone", held)
	}
	k.signs("bob", approve, "6-approve", "You approved.", append(facts, "Approve this request?", "Asked by", "Ana Lima (ana)")...)
	k.judge.await(k.T, "Ana holds the role", func() bool { return k.judge.holders() == 1 })
	active := k.slack.expect(k.slack.inChannel, "Approved by Bob Keller in Slack with a security key")
	k.slack.clicks("bob", active, "Details")
	k.slack.expect(k.slack.only("bob"), "with a security key")
	k.judge.await(k.T, "the access is taken away", func() bool { return k.judge.holders() == 0 })
	k.approvesInTeams(seen)
}

// approvesInTeams has a second request asked for in Slack and approved in Teams.
func (k *keyring) approvesInTeams(seen map[string]bool) {
	k.Helper()
	again := k.asksFor(fmt.Sprintf("db-admin %s INC-4712 once more, for Teams", brief), seen)
	k.signs("ana", again, "7-again", "Request sent", "once more, for Teams")
	k.Enter(e2etest.Channel)
	waiting := append(pending, "once more, for Teams")
	k.Expect(waiting...)
	k.Unfolds("Approve", waiting...)
	k.Clicks("mei", "Grant access", waiting...)
	k.Expect("Approving this request takes your security key")
	k.Shot("8-teams-link", "Approving this request takes your security key")
	link := pageLink.FindString(k.Repeats("mei"))
	if link == "" {
		k.Fatal("Teams is answered without a link")
	}
	k.signs("mei", link, "9-approve-from-teams", "You approved.", "Approve this request?", "once more, for Teams", "in Teams")
	k.judge.await(k.T, "Ana holds the role again", func() bool { return k.judge.holders() == 1 })
	k.Expect("Active until", "Approved by Mei Tanaka in Teams with a security key", "once more, for Teams")
	k.judge.await(k.T, "the access is taken away again", func() bool { return k.judge.holders() == 0 })
	k.bot.Stop()
	log := e2etest.Proved(k.T, e2etest.AuditFolders(k.bot))
	for _, want := range []string{`"kind":"key_used"`, `"method":"webauthn"`, `"kind":"factor_set"`} {
		if !strings.Contains(log, want) {
			k.Errorf("the audit log has no %s", want)
		}
	}
}
