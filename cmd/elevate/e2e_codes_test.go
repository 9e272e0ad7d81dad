package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

// phone is somebody's, with an authenticator app.
type phone struct {
	k    *keyring
	seed string
}

// code is what the app shows so much later than now.
func (a phone) code(later time.Duration) string {
	a.k.Helper()
	code, err := totp.GenerateCode(a.seed, time.Now().Add(later))
	if err != nil {
		a.k.Fatal(err)
	}
	return code
}

// next is a code that counts still, after the one of the page was used.
func (a phone) next() string { a.k.Helper(); return a.code(30 * time.Second) }

// scans sets somebody's app up, from the command to the word.
func (k *keyring) scans(person string, seen map[string]bool) phone {
	k.Helper()
	k.slack.types(person, "mfa")
	p := e2etest.OpenPage(k.T, k.link(person, seen, "Set up your second factor"), 1180, 900)
	p.Click(pressed, "Use an authenticator app")
	p.See(`document.querySelector("img")?.naturalWidth === 240`, "the picture")
	a := phone{k, strings.ReplaceAll(e2etest.Get[string](p, `document.querySelector(".key").textContent`), " ", "")}
	if person == "bob" {
		shots(p, "1-scan")
	}
	p.Click(`document.querySelector("#in")`, "the code")
	p.Type(a.code(0))
	p.Click(pressed, "Go on")
	p.See(`document.querySelector(".word") !== null`, "the word")
	k.slack.types(person, strings.TrimPrefix(e2etest.Get[string](p, `document.querySelector(".word").innerText`), "/elevate "))
	k.slack.expect(k.slack.only(person), "That is the word")
	return a
}

// TestCodesVouchInSlackAndTeams: the forms that ask for a code of an authenticator app, in both chats, which complain of a
// wrong one and take the right one.
func TestCodesVouchInSlackAndTeams(t *testing.T) {
	t.Parallel()
	k, seen := openKeyring(t, access.TOTP), map[string]bool{}
	anas, bobs := k.scans("ana", seen), k.scans("bob", seen)
	k.slack.types("mei", "mfa confirm ana") // nobody has a factor to prove yet
	k.slack.expect(k.slack.only("mei"), "The second factor of Ana Lima counts")
	k.slack.types("mei", "mfa confirm bob")
	k.slack.expect(k.slack.only("mei"), "The second factor of Bob Keller counts")
	meis := k.scans("mei", seen)
	k.slack.types("bob", "mfa confirm mei")
	form := k.slack.opened("Confirm second factor", "Code of your authenticator app")
	k.camera.takes(k.slack, "2-confirm", "bob", "#access-requests", false)
	if wrong := k.slack.submits("bob", form.filled(map[string]string{"code": bobs.next()})); wrong != nil {
		t.Fatalf("Bob's code is not taken: %v", wrong)
	}
	k.slack.closes("bob")

	k.slack.types("ana", "db-admin 15s INC-4711 fix the replication")
	form = k.slack.opened("Request access", "Code of your authenticator app")
	k.camera.takes(k.slack, "3-request", "ana", "#access-requests", false)
	if wrong := k.slack.submits("ana", form.filled(map[string]string{"code": anas.next()})); wrong != nil {
		t.Fatalf("Ana's code is not taken: %v", wrong)
	}
	k.slack.closes("ana")
	shown := k.slack.expect(k.slack.inChannel, "Waiting for approval", "fix the replication")
	k.slack.clicks("bob", shown, "Approve")
	form = k.slack.opened("Approve request", "fix the replication", "Code of your authenticator app")
	k.camera.takes(k.slack, "4-approve", "bob", "#access-requests", false)
	if wrong := k.slack.submits("bob", form.filled(map[string]string{"code": "12345x"})); len(wrong) != 1 {
		t.Errorf("a wrong code is complained of at %v", wrong)
	}
	k.camera.takes(k.slack, "5-wrong", "bob", "#access-requests", false)
	k.slack.closes("bob")
	if held := k.judge.holders(); held > 0 {
		t.Errorf("%d people hold the role without a code", held)
	}
	k.approvesWithCode(meis)
}

// approvesWithCode has the request approved in Teams.
func (k *keyring) approvesWithCode(meis phone) {
	k.Helper()
	const label = "Code of your authenticator app"
	waiting := append(pending, "fix the replication")
	k.Enter(e2etest.Channel)
	k.Unfolds("Approve", waiting...)
	k.Clicks("mei", "Grant access", waiting...)
	form := []string{"Approve request", label}
	k.Expect(form...)
	k.Shot("6-teams-approve", form...)
	k.Fills(label, "12345x", form...)
	k.Clicks("mei", "Approve", form...)
	k.Expect(append(form, "A code has six digits")...)
	k.Shot("7-teams-wrong", form...)
	k.Fills(label, meis.next(), form...)
	k.Clicks("mei", "Approve", form...)
	k.judge.await(k.T, "Ana holds the role", func() bool { return k.judge.holders() == 1 })
	k.Expect("Active until", "Approved by Mei Tanaka in Teams")
	k.Shot("8-teams-approved", "Active until")
	k.slack.expect(k.slack.inChannel, "Approved by Mei Tanaka in Teams")
}
