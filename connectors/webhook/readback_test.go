package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/webhook"
	"elevate/workflows/access"
)

// TestDeactivateReadsBack puts the target's word beside its own list.
func TestDeactivateReadsBack(t *testing.T) {
	c, f := setup(t)
	const (
		nobody   = `{"holders":[]}`
		others   = `{"holders":[{"account":"bo","grant":"aaaaa-aaaaa"},{"person":"id-cy"}]}`
		ours     = `{"holders":[{"account":"ana","grant":"07kq4-m2xp9"}]}`
		earlier  = `{"holders":[{"person":"id-ana","account":"alima","grant":"bbbbb-bbbbb"}]}`
		standing = `{"holders":[{"person":"id-ana"}]}`
	)
	for _, test := range []struct {
		says    string
		holders string
		status  int
		already bool
		want    access.Was // empty: an error
	}{
		{says: "removed", holders: nobody, want: access.Removed},
		{says: "removed", holders: others, want: access.Removed},
		{says: "removed", holders: ours},
		{says: "removed", holders: earlier},
		{says: "removed", holders: standing},
		{says: "absent", holders: nobody, want: access.Absent},
		{says: "absent", holders: ours},
		{says: "absent", holders: standing, want: access.Standing},
		{says: "standing", holders: standing, want: access.Standing},
		{says: "standing", holders: nobody, want: access.Absent},
		{says: "standing", holders: ours},

		{says: "removed", status: 404, want: access.Removed},
		{says: "absent", status: 405, want: access.Absent},
		{says: "standing", status: 501, want: access.Standing},
		{says: "removed", status: 500},
		{says: "removed", status: 401},

		{already: true, holders: standing, want: access.Standing},
		{already: true, holders: nobody, want: access.Absent},
		{already: true, status: 501, want: access.Standing},
		{already: true, status: 503},
		{already: true, says: "removed", holders: ours},
	} {
		f.feel(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
			status := max(test.status, 200)
			return on("deactivate", says(200, `{"was":"`+test.says+`"}`))(w, r, next) || on("holders", says(status, test.holders))(w, r, next)
		})
		removal, err := c.Deactivate(t.Context(), anasGrant, access.Receipt{Already: test.already})
		asked := slices.ContainsFunc(f.requests(), func(r seen) bool { return r.verb == "deactivate" })
		if asked != (test.says != "") {
			t.Errorf("%+v: the target was asked to take the role away: %t", test, asked)
		}
		if test.want == "" {
			wantUnavailable(t, test.says+" and "+test.holders, err)
			continue
		}
		if err != nil || removal.Was != test.want {
			t.Errorf("%+v: %+v, %v", test, removal, err)
		}
	}
}

// TestReadBackKeepsTheWait: a target that asks to be left alone for a while is, also while it is read back.
func TestReadBackKeepsTheWait(t *testing.T) {
	c, f := setup(t)
	f.feel(on("holders", says(429, "", "Retry-After: 30")))
	_, err := c.Deactivate(t.Context(), anasGrant, access.Receipt{})
	if e := asError(t, err); e.RetryAfter != 30*time.Second {
		t.Errorf("the wait is %v, want 30s: %v", e.RetryAfter, err)
	}
}

func TestDeactivateReportsWhatTheTargetSays(t *testing.T) {
	t.Parallel()
	f := newTarget(t, httptest.NewServer)
	c := connect(t, f, func(cfg *webhook.Config) { cfg.Tail = time.Minute })
	f.feel(on("deactivate", says(200, `{"was":"removed","sessions_ended":3}`)))
	removal, err := c.Deactivate(t.Context(), anasGrant, access.Receipt{})
	want := access.Removal{Was: access.Removed, SessionsEnded: 3, Tail: time.Minute}
	if err != nil || removal != want {
		t.Errorf("the removal is %+v, %v; want %+v", removal, err, want)
	}
}

func TestActivateKeepsWhatTheTargetSays(t *testing.T) {
	c, f := setup(t)
	f.feel(on("activate", says(201, `{"already":false,"ref":"t-9","ends_at":"2026-11-23T12:02:00Z"}`)))
	receipt, err := c.Activate(t.Context(), anasGrant)
	want := access.Receipt{Ref: "t-9", NativeEnd: noon.Add(2 * time.Minute)}
	if err != nil || receipt != want {
		t.Errorf("the receipt is %+v, %v; want %+v", receipt, err, want)
	}
}

func TestCheckListsWhatIsMissing(t *testing.T) {
	c, f := setup(t)
	for body, want := range map[string]connectors.Kind{
		`{"missing":["GRANT x","disk"]}`: connectors.Denied, `{"missing":[]}`: "", `fine`: "", ``: "", `{"ok":true}`: "",
	} {
		f.feel(on("check", says(200, body)))
		err := c.Check(t.Context())
		if want == "" && err != nil || want != "" && connectors.KindOf(err) != want {
			t.Errorf("Check answered with %s: %v, want kind %q", body, err, want)
		}
	}
	f.feel(on("check", says(204, "")))
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("Check answered with 204: %v", err)
	}
}
