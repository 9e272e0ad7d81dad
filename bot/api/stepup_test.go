package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/bot/api/apitest"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// A token alone neither asks for a role that takes a second factor nor approves it.
func TestATokenWithoutTheFactorAsksAndApprovesNothing(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(time.Now().Unix())
	clock := func() time.Time { return time.Unix(now.Load(), 0) }
	w := apitest.Start(t, apitest.Options{Paused: true, Now: clock, StepUp: policy.StepUp{Request: access.TOTP, Approve: access.TOTP}})
	c := caller{t, w}
	post := func(who access.PersonID, path, body string) answer {
		t.Helper()
		return c.as(who, "POST", path, body, "Content-Type", "application/json")
	}
	code := func(seed string) string {
		t.Helper()
		code, err := totp.GenerateCode(seed, clock())
		if err != nil {
			t.Fatal(err)
		}
		now.Add(30) // it is spent, if it is taken
		return code
	}
	ask := func(code string) string {
		return fmt.Sprintf(`{"role":"vault-admin","justification":"because of it","code":%q}`, code)
	}
	if a := post("ana", "/requests", ask("000000")); a.StatusCode != 403 || !strings.Contains(a.body, `"code":"no_factor"`) || !strings.Contains(a.body, "/elevate mfa") {
		t.Errorf("without a factor: %d %s", a.StatusCode, a.body)
	}
	anas := w.Enrol(t, "ana", clock())
	now.Add(30)
	if a := post("ana", "/requests", ask("")); a.StatusCode != 422 || !strings.Contains(a.body, `"code":"code_missing"`) || !strings.Contains(a.body, `"field":"code"`) {
		t.Errorf("without a code: %d %s", a.StatusCode, a.body)
	}
	used := code(anas)
	a := post("ana", "/requests", ask(used))
	if a.StatusCode != 201 {
		t.Fatalf("with a code: %d %s", a.StatusCode, a.body)
	}
	id := strings.TrimPrefix(a.Header.Get("Location"), "/api/v1/requests/")
	approve := "/requests/" + id + "/approve"
	for name, body := range map[string]string{"nothing": ``, "a code of nobody's": `{"code":"000000"}`, "the requester's code": fmt.Sprintf(`{"code":%q}`, used)} {
		if a := post("lea", approve, body); a.StatusCode != 403 || !strings.Contains(a.body, "no_factor") {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	leas := w.Enrol(t, "lea", clock())
	now.Add(30)
	if a := post("lea", approve, ``); a.StatusCode != 422 || !strings.Contains(a.body, "code_missing") {
		t.Errorf("the token alone: %d %s", a.StatusCode, a.body)
	}
	if a := post("lea", approve, fmt.Sprintf(`{"code":%q}`, code(anas))); a.StatusCode != 422 || !strings.Contains(a.body, "code_wrong") {
		t.Errorf("somebody else's code: %d %s", a.StatusCode, a.body)
	}
	a = post("lea", approve, fmt.Sprintf(`{"code":%q}`, code(leas)))
	if a.StatusCode != 200 || !strings.Contains(a.body, `"method":"totp"`) {
		t.Errorf("with her code: %d %s", a.StatusCode, a.body)
	}
	rec, err := w.Store.Get(t.Context(), access.RequestID(id))
	if err != nil {
		t.Fatal(err)
	}
	act := access.Act{Verb: "approve", Request: rec.ID, Subject: rec.Digest()}
	if rec.Method != access.TOTP || len(rec.Decisions) != 1 || rec.Decisions[0].Act != act.Digest() {
		t.Errorf("on record: %q, %+v", rec.Method, rec.Decisions)
	}
	if a := post("leo", "/requests/"+id+"/deny", ``); a.StatusCode != 200 {
		t.Errorf("a denial takes no code: %d %s", a.StatusCode, a.body)
	}
}

// What an idempotency key leaves in the store is kept for a day: it must not tell the code.
func TestAnIdempotencyKeyKeepsNothingOfTheCode(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	body := func(code string) string {
		return fmt.Sprintf(`{"role":"vault-admin","justification":"because of it","code":%q}`, code)
	}
	first := c.as("ana", "POST", "/requests", body("123456"), "Content-Type", "application/json", "Idempotency-Key", "k1")
	again := c.as("ana", "POST", "/requests", body("654321"), "Content-Type", "application/json", "Idempotency-Key", "k1")
	if first.StatusCode != 201 || again.body != first.body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("another code makes another call of it: %d %s, %d %s", first.StatusCode, first.body, again.StatusCode, again.body)
	}
	other := c.as("ana", "POST", "/requests", strings.Replace(body("1"), "vault", "staging", 1), "Content-Type", "application/json", "Idempotency-Key", "k1")
	if other.StatusCode != 422 {
		t.Errorf("another role under the same key: %d %s", other.StatusCode, other.body)
	}
}

// A call that a security key has to vouch for is answered with a page, and made by itself when the key has signed it. The
// token alone does nothing, and neither does the page of another call.
func TestACallThatTakesASecurityKeyGoesOnByItself(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t, apitest.Options{Paused: true, StepUp: policy.StepUp{Request: access.WebAuthn, Approve: access.WebAuthn}})
	c := caller{t, w}
	post := func(who access.PersonID, path, body string) (answer, string) {
		t.Helper()
		a := c.as(who, "POST", path, body, "Content-Type", "application/json", "Idempotency-Key", string(who)+path+body)
		var p struct{ Code, Open string }
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		if led := a.StatusCode == 403 && p.Code == access.CodeKeyMissing; led != strings.HasPrefix(p.Open, apitest.KeyURL) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
		return a, p.Open
	}
	const ask = `{"role":"vault-admin","duration":"1h","justification":"because of it"}`
	if a, open := post("ana", "/requests", ask); open != "" || !strings.Contains(a.body, `"code":"no_factor"`) {
		t.Errorf("without a key: %s", a.body)
	}
	anas, leas := w.EnrolKey(t, "ana"), w.EnrolKey(t, "lea")
	_, link := post("ana", "/requests", strings.Replace(ask, "it", "that", 1))
	if out := w.Sign(t, leas, link); out.Done || out.Again == "" {
		t.Errorf("another person's key: %+v", out)
	}
	if out := w.Sign(t, anas, link); !out.Done {
		t.Fatalf("the request: %+v", out)
	}
	waiting := c.as("lea", "GET", "/requests?waiting=true", "")
	var page struct{ Requests []struct{ ID string } }
	if err := json.Unmarshal([]byte(waiting.body), &page); err != nil || len(page.Requests) != 1 {
		t.Fatalf("%v: %s", err, waiting.body)
	}
	approve := "/requests/" + page.Requests[0].ID + "/approve"
	_, link = post("lea", approve, `{"reason":"go on","code":"123456"}`)
	_, again := post("lea", approve, `{"reason":"go on","code":"123456"}`) // the same key: nothing was done yet
	if link == "" || link == again {
		t.Errorf("the second call: %s, %s", link, again)
	}
	if out := w.Sign(t, leas, link); !out.Done {
		t.Fatalf("the approval: %+v", out)
	}
	rec, err := w.Store.Get(t.Context(), access.RequestID(page.Requests[0].ID))
	if err != nil {
		t.Fatal(err)
	}
	if rec.Method != access.WebAuthn || len(rec.Decisions) != 1 || rec.Decisions[0].Method != "webauthn" || rec.Decisions[0].Reason != "go on" || rec.Decisions[0].By.Via != "api" {
		t.Errorf("on record: %q, %+v", rec.Method, rec.Decisions)
	}
	if out := w.Sign(t, leas, again); out.Done || !strings.Contains(out.Text, "decided request") {
		t.Errorf("the second page: %+v", out)
	}
}
