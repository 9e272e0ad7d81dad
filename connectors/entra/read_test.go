package entra

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/microsoft/kiota-abstractions-go/serialization"

	"elevate/connectors"
)

// TestAnswersHaveTheirKind: an answer that is not known here says nothing about the effect, unless Graph calls the request bad.
func TestAnswersHaveTheirKind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		code   string
		want   connectors.Kind
	}{
		{400, "SubjectNotFound", connectors.NotFound}, {404, "", connectors.NotFound},
		{400, "RoleAssignmentRequestPolicyValidationFailed", connectors.Denied}, {400, "ResourceIsLocked", connectors.Denied},
		{400, "PendingRoleAssignmentRequest", connectors.TooEarly}, {400, "ActiveDurationTooShort", connectors.TooEarly},
		{400, "InvalidRoleAssignmentRequestSchedule", connectors.Invalid}, {400, "", connectors.Invalid},
		{401, "InvalidAuthenticationToken", connectors.Denied}, {403, "PermissionScopeNotGranted", connectors.Denied},
		{400, "AadPremiumLicenseRequired", connectors.Denied}, {429, "TooManyRequests", connectors.Throttled},
		{409, "", connectors.Unavailable}, {500, "", connectors.Unavailable}, {502, "", connectors.Unavailable},
		{503, "", connectors.Unavailable}, {504, "", connectors.Unavailable}, {302, "", connectors.Unavailable},
	} {
		if kind, _ := kindOf(&answer{status: test.status, code: test.code}); kind != test.want {
			t.Errorf("%d %s is %q, want %q", test.status, test.code, kind, test.want)
		}
	}
}

func TestWaitsAreReadAndBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "17": 17 * time.Second, "-3": 0, "99999999999": time.Hour, "soon": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := readWait(text, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// TestTheSDKsDurationsAreReadWhereTheyAreRight: the settings of PIM have whole days and minutes. What the SDK loses is no
// limit of ours; Entra refuses what is too long.
func TestTheSDKsDurationsAreReadWhereTheyAreRight(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"PT8H": 8 * time.Hour, "PT30M": 30 * time.Minute, "PT1H30M": 90 * time.Minute, "P15D": 15 * day, "P180D": 180 * day, "P365D": 365 * day, "P1Y": 365 * day,
	} {
		d, err := serialization.ParseISODuration(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := duration(d); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
	if duration(nil) != 0 {
		t.Error("nothing is a limit")
	}
}

// TestMarksAreOursAlone: neither what an administrator wrote nor another application's mark is taken for ours.
func TestMarksAreOursAlone(t *testing.T) {
	t.Parallel()
	const us, them = "bbbbbbbb-0000-4000-8000-000000000002", "bbbbbbbb-0000-4000-8000-000000000003"
	for why, want := range map[string]bool{
		mark("07kq4-m2xp9", us): true, mark("07kq4-m2xp9", us) + ": fix": true, mark("07kq4-m2xp9", them): false, "": false,
		"Elevate please": false, "as " + mark("07kq4-m2xp9", us): false, "Elevate  (app " + us + ")": false,
	} {
		if grant, ours := marking(why, us); ours != want || ours && grant != "07kq4-m2xp9" {
			t.Errorf("%q: %q, %t", why, grant, ours)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(400, "3", []byte(`{"error":{"code":"RoleAssignmentExists","message":"It exists."}}`))
	f.Add(503, "Mon, 23 Nov 2026 12:00:00 GMT", []byte(`<html>`))
	f.Add(400, "-1", []byte(`{"error":{"code":7}}`))
	f.Fuzz(func(t *testing.T, status int, wait string, body []byte) {
		a := readAnswer(status, http.Header{"Retry-After": {wait}}, body, time.Now())
		if a.wait < 0 || a.wait > longestWait || !utf8.ValidString(a.Error()) || len([]rune(a.Error())) > 2*longestText+100 {
			t.Errorf("%q, to be tried again after %v", a.Error(), a.wait)
		}
		if kind, _ := kindOf(a); kind == "" {
			t.Error("it has no kind")
		}
	})
}

func FuzzReadToken(f *testing.F) {
	f.Add("e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"roles":["User.Read.All"]}`)) + ".x")
	f.Add("opaque")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		token := readToken(text)
		if token.text.Reveal() != text {
			t.Error("the token is another one")
		}
		if !token.told && len(token.roles) > 0 {
			t.Error("roles of a token that could not be read")
		}
	})
}
