package api_test

import (
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
