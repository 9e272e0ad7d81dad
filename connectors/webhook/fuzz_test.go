package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"elevate/connectors"
)

// FuzzAnswer reads what a target may answer: whatever it is, it is either what the protocol says or an error that has a
// kind and can be shown.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []struct {
		status int
		after  string
		body   string
	}{
		{200, "", `{"already":true,"ref":"x"}`}, {200, "", `{"was":"removed","sessions_ended":1}`}, {200, "", `{"holders":[{"person":"ana"},{"account":"x","grant":"07kq4-m2xp9"}]}`},
		{409, "30", `too early`}, {429, "Wed, 21 Oct 2026 07:28:00 GMT", ``}, {503, "-5", "\xff\x1b[31m\n"}, {302, "", ``}, {200, "", `{"was":"removed"}{}`},
	} {
		f.Add(seed.status, seed.after, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		a := answer{status: status, header: http.Header{"Retry-After": {after}}, body: body}
		if err := a.problem("activate", time.Unix(0, 0)); err != nil {
			if says := err.Error(); connectors.KindOf(err) == "" || !utf8.ValidString(says) || strings.ContainsAny(says, "\n\r\x1b") {
				t.Fatalf("says %q", says)
			}
		}
		if wait := connectors.RetryAfter(a.header, time.Unix(0, 0)); wait < 0 || wait > time.Hour {
			t.Fatalf("Retry-After %q is a wait of %s", after, wait)
		}
		var listed struct {
			Holders *[]holder `json:"holders"`
		}
		if strictly(&listed)(body) == nil && listed.Holders != nil {
			for _, h := range *listed.Holders {
				if nobody := (personBody{}); h.is(nobody) {
					t.Fatalf("%s holds it for nobody", body)
				}
			}
		}
	})
}
