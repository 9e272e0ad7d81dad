package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"elevate/workflows/access"
)

func TestFieldsTakeOneFlatObjectOfTexts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, want string }{
		{``, `{} ok`},
		{`{}`, `{} ok`},
		{` {"role":"a","ticket":null} `, `{"role":"a"} ok`},
		{`{"role":"é\u00e9 😀"}`, `{"role":"éé 😀"} ok`},
		{`{"role":"a","role":"b"}`, `{"role":"a"} role double_field`},
		{`{"role":null,"role":"b"}`, `{} role double_field`},
		{`{"Role":"a"}`, `{} Role unknown_field`},
		{`{"role":"a","x":1,"y":2}`, `{"role":"a"} x unknown_field, y unknown_field`},
		{`{"role":1}`, `{} role not_a_text`},
		{`{"role":{"a":"b"}}`, `{} role not_a_text`},
		{`{"role":["a"]}`, `{} role not_a_text`},
		{`null`, `bad_json`},
		{`[]`, `bad_json`},
		{`"role"`, `bad_json`},
		{`{"role":"a"`, `bad_json`},
		{`{"role"}`, `bad_json`},
		{`{"role":"a"}{}`, `bad_json`},
		{`{"role":"a"} x`, `bad_json`},
		{"{\"role\":\"\xff\"}", `bad_json`},
		{`{role:"a"}`, `bad_json`},
	} {
		if got := read(tt.body); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.body, got, tt.want)
		}
	}
}

// read sums up what fields makes of a body.
func read(body string) string {
	in, err := fields([]byte(strings.TrimSpace(body)), "role", "ticket")
	if err != nil {
		var p *Problem
		errors.As(err, &p)
		return p.Code
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(in.values) // a map of texts always encodes
	var faults []string
	for _, f := range in.faults {
		faults = append(faults, f.Field+" "+f.Code)
	}
	if faults == nil {
		faults = []string{"ok"}
	}
	return strings.TrimSpace(b.String()) + " " + strings.Join(faults, ", ")
}

func TestListingRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, want string }{
		{"", ""},
		{"state=active,pending&state=ended&open=true&person=a&role=b&since=2026-03-02T10:00:00%2B02:00&cursor=c&limit=500", ""},
		{"waiting=true", ""},
		{"sate=active", "sate unknown_parameter"},
		{"state=activ", "state bad_state"},
		{"open=yes", "open bad_value"},
		{"person=a&person=b", "person double_parameter"},
		{"person=a&mine=true", "mine bad_combination"},
		{"waiting=true&role=a", "waiting bad_combination"},
		{"limit=0", "limit bad_number"},
		{"limit=501", "limit bad_number"},
		{"limit=1e2", "limit bad_number"},
		{"since=yesterday", "since bad_time"},
		{"limit=x&since=y&z=1", "z unknown_parameter, since bad_time, limit bad_number"},
	} {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseListing(query)
		var faults []string
		var p *Problem
		if errors.As(err, &p) {
			for _, f := range p.Errors {
				faults = append(faults, f.Field+" "+f.Code)
			}
		}
		if got := strings.Join(faults, ", "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestDurationIsWrittenAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Minute: "1h30m", time.Hour: "1h", 24 * time.Hour: "24h",
		20 * time.Minute: "20m", 10*time.Hour + 10*time.Second: "10h0m10s", 100 * time.Millisecond: "100ms", 10 * time.Second: "10s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
	back := func(d time.Duration) bool {
		var got Duration
		return got.UnmarshalText([]byte(Duration(d).String())) == nil && got == Duration(d)
	}
	if err := quick.Check(back, nil); err != nil {
		t.Error(err)
	}
}

func TestRefusalsBecomeProblems(t *testing.T) {
	t.Parallel()
	refusal := func(kind error, code, field string) *access.Refusal {
		return &access.Refusal{Kind: kind, Code: code, Field: field, Text: "Text of " + code + "."}
	}
	short, late, barred := refusal(access.ErrInvalid, "too_short", "justification"), refusal(access.ErrInvalid, "bad_start", "start"), refusal(access.ErrNotAllowed, "not_eligible", "role")
	for _, tt := range []struct {
		err    error
		status int
		code   string
		fields string
	}{
		{refusal(access.ErrNotFound, "no_such_request", ""), 404, "no_such_request", ""},
		{refusal(access.ErrNotFound, "no_such_role", "role"), 422, "no_such_role", "role"},
		{refusal(access.ErrNotAllowed, "own_request", ""), 403, "own_request", ""},
		{refusal(access.ErrConflict, "over", ""), 409, "over", ""},
		{refusal(access.ErrUnavailable, "directory_unavailable", ""), 503, "directory_unavailable", ""},
		{fmt.Errorf("wrapped: %w", short), 422, "too_short", "justification"},
		{access.Problems{short, late}, 422, "too_short", "justification start"},
		{access.Problems{short, barred}, 403, "not_eligible", "justification role"},
	} {
		p := problemOf(tt.err)
		var fields []string
		for _, f := range p.Errors {
			fields = append(fields, f.Field)
		}
		if p.Status != tt.status || p.Code != tt.code || strings.Join(fields, " ") != tt.fields || p.Title == "" || !strings.HasPrefix(p.Detail, "Text of ") {
			t.Errorf("%v: got %+v", tt.err, p)
		}
	}
	if p := problemOf(errors.New("dial tcp: refused")); p != nil {
		t.Errorf("an internal error became %+v", p)
	}
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"role":"a","duration":"1h","start":"2026-01-01T00:00:00Z"}`, `{"role":null}`, `{"a":{}}`, `[1]`, "{\"role\":\"\xff\"}", `{"role":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	names := []string{"role", "duration", "justification", "ticket", "start", "for"}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := fields(body, names...)
		if err != nil {
			var p *Problem
			if !errors.As(err, &p) || p.Status != 400 {
				t.Fatalf("%q: %v is no answer to a caller", body, err)
			}
			return
		}
		if len(body) > 0 && !json.Valid(body) {
			t.Fatalf("%q was read and is no JSON", body)
		}
		in.required("role")
		if d := in.duration("duration"); d < 0 {
			t.Fatalf("%q gave the duration %v", body, d)
		}
		in.time("start")
		for name, v := range in.values {
			if !slices.Contains(names, name) || !utf8.ValidString(v) {
				t.Fatalf("%q gave %q = %q", body, name, v)
			}
		}
		checkAnswer(t, in.err())
	})
}

func FuzzListing(f *testing.F) {
	for _, seed := range []string{"", "state=active&limit=5", "state=,,&open=false", "since=2026-01-01T00:00:00Z&cursor=%00", "waiting=true&waiting=true", "limit=-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		l, err := parseListing(query)
		checkAnswer(t, err)
		if err == nil && (l.Limit < 1 || l.Limit > maxPage) {
			t.Fatalf("%q gives pages of %d", text, l.Limit)
		}
		for _, s := range l.States {
			if !slices.Contains(access.States(), s) {
				t.Fatalf("%q selects the state %q", text, s)
			}
		}
	})
}

// checkAnswer holds that an error for a caller can be answered, and is not of any length.
func checkAnswer(t *testing.T, err error) {
	var p *Problem
	if err == nil {
		return
	}
	if !errors.As(err, &p) || p.Status != 400 || len(p.Errors) == 0 {
		t.Fatalf("%v is no answer to a caller", err)
	}
	for _, f := range p.Errors {
		if len(f.Detail) > 1000 {
			t.Fatalf("a detail of %d bytes", len(f.Detail))
		}
	}
	if res := p.response(); !json.Valid(res.Body) {
		t.Fatalf("the answer is no JSON: %s", res.Body)
	}
}

// FuzzAuthorization looks for a header that is let in and is not the one token in one form.
func FuzzAuthorization(f *testing.F) {
	const secret = "the one token"
	tokens, err := parseTokens([]Token{{Name: "ci", Person: "ana", Hash: HashToken(secret)}}, 20, 200)
	if err != nil {
		f.Fatal(err)
	}
	a := &API{tokens: tokens}
	for _, seed := range []string{"", "Bearer " + secret, "bearer   " + secret + " ", "Basic " + secret, "Bearer", "Bearer " + HashToken(secret), "Bearer " + secret + "\x00"} {
		f.Add(seed, false)
	}
	f.Add("Bearer "+secret, true)
	f.Fuzz(func(t *testing.T, header string, twice bool) {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		if twice {
			r.Header.Add("Authorization", header)
		}
		_, in := a.authenticate(r)
		scheme, rest, _ := strings.Cut(header, " ")
		if want := !twice && strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(rest) == secret; in != want {
			t.Fatalf("%q, twice %t: let in %t", header, twice, in)
		}
	})
}
