package bot

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"elevate/workflows/access"
)

func TestCommandsAreUnderstoodAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	const id = access.RequestID("07kq4-m2xp9")
	for text, want := range map[string]command{
		"":                             {verb: verbForm},
		"  \u00a0\t\n":                 {verb: verbForm},
		"<@U0BOT|elevate>":             {verb: verbForm},
		"/elevate":                     {verb: verbForm},
		"help":                         {verb: verbHelp},
		"?":                            {verb: verbHelp},
		"HELP":                         {verb: verbHelp},
		"mine":                         {verb: verbMine},
		"<at>Elevate</at> Mine":        {verb: verbMine},
		"@Elevate elevate mine":        {verb: verbMine},
		"roles":                        {verb: verbRoles},
		"roles prod  db":               {verb: verbRoles, text: "prod  db"},
		"show 07kq4-m2xp9":             {verb: verbShow, id: id, idText: "07kq4-m2xp9"},
		"show 07KQ4 M2XP9":             {verb: verbShow, id: id, idText: "07kq4 m2xp9"},
		"show O7kq4m2xp9":              {verb: verbShow, id: id, idText: "o7kq4m2xp9"},
		"show “07kq4–m2xp9”":           {verb: verbShow, id: id, idText: "07kq4-m2xp9"},
		"show prod-db-admin":           {verb: verbShow, idText: "prod-db-admin"},
		"show":                         {verb: verbShow},
		"end 07kq4-m2xp9":              {verb: verbEnd, id: id, idText: "07kq4-m2xp9"},
		"end 07kq4-m2xp9 done for now": {verb: verbEnd, id: id, idText: "07kq4-m2xp9", text: "done for now"},
		"extend 07kq4-m2xp9 30m":       {verb: verbExtend, id: id, idText: "07kq4-m2xp9", duration: 30 * time.Minute, timed: true},
		"extend 07kq4 m2xp9 by 2 hours": {verb: verbExtend, id: id, idText: "07kq4 m2xp9", duration: 2 * time.Hour,
			timed: true},
		"extend 07kq4-m2xp9":          {verb: verbExtend, id: id, idText: "07kq4-m2xp9"},
		"extend 07kq4-m2xp9 a little": {verb: verbExtend, id: id, idText: "07kq4-m2xp9", text: "a little"},
		"cancel 07kq4-m2xp9":          {verb: verbCancel, id: id, idText: "07kq4-m2xp9"},
		"review":                      {verb: verbReview},
		"mfa":                         {verb: verbMFA},
		"approve 07kq4-m2xp9":         {verb: verbApprove, id: id, idText: "07kq4-m2xp9"},
		"prod-db-admin":               {verb: verbRequest, role: "prod-db-admin"},
		"prod-db-admin fix it":        {verb: verbRequest, role: "prod-db-admin", text: "fix it"},
		"Prod-DB-Admin 1h INC-4711 fix": {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true,
			text: "INC-4711 fix"},
		"prod-db-admin 1h30m fix":         {verb: verbRequest, role: "prod-db-admin", duration: 90 * time.Minute, timed: true, text: "fix"},
		"prod-db-admin 1h 30m fix":        {verb: verbRequest, role: "prod-db-admin", duration: 90 * time.Minute, timed: true, text: "fix"},
		"prod-db-admin 2 hours fix":       {verb: verbRequest, role: "prod-db-admin", duration: 2 * time.Hour, timed: true, text: "fix"},
		"prod-db-admin 0m fix":            {verb: verbRequest, role: "prod-db-admin", timed: true, text: "fix"},
		"prod-db-admin 30 rows to fix":    {verb: verbRequest, role: "prod-db-admin", text: "30 rows to fix"},
		"prod-db-admin\u00a01h\u00a0fix":  {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "fix"},
		"“prod-db-admin” 1h “fix it”":     {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "fix it"},
		"prod—db—admin 1h fix":            {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "fix"},
		"prod-db-admin, 1h, fix":          {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "fix"},
		"prod-db-admin 1h say \"hi\" now": {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: `say "hi" now`},
		"prod-db-admin 1h two\nlines":     {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "two\nlines"},
		"prod-\u200bdb-admin\ufeff 1h x":  {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "x"},
		"prod-db-admin 1h <@U1> *bold* &": {verb: verbRequest, role: "prod-db-admin", duration: time.Hour, timed: true, text: "<@U1> *bold* &"},
	} {
		if got := parse(text); got != want {
			t.Errorf("parse(%q)\n got %+v\nwant %+v", text, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "2h": 2 * time.Hour, "1d": 24 * time.Hour, "1w": 7 * 24 * time.Hour,
		"1.5h": 90 * time.Minute, "1,5h": 90 * time.Minute, "45 min": 45 * time.Minute, "2 hours": 2 * time.Hour, "1 Hour 30 Minutes": 90 * time.Minute,
		"30s": 30 * time.Second, "1h 15m": 75 * time.Minute, "1 day": 24 * time.Hour, " 1H ": time.Hour, "9999w": longest, "999999w999999d": longest, "99999h": longest,
		"2d12h30m15s": 60*time.Hour + 30*time.Minute + 15*time.Second,
		// What is no duration, or none that can be meant.
		"": 0, "h": 0, "1": 0, "90": 0, "-1h": 0, "0m": 0, "0h0m": 0, "1h1h": 0, "30m1h": 0, "1h fix": 0, "1hx": 0, "9999999h": 0, "1.234h": 0, "one hour": 0, "1e3h": 0,
	} {
		got, ok := ParseDuration(text)
		if got != want && want != 0 || ok != (want != 0) {
			t.Errorf("ParseDuration(%q) = %v, %t; want %v", text, got, ok, want)
		}
	}
}

func TestDurationsAreSaidAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "1 minute 30 seconds", time.Hour: "1 hour", 90 * time.Minute: "1 hour 30 minutes",
		24 * time.Hour: "1 day", 49 * time.Hour: "2 days 1 hour", time.Hour + 2*time.Second: "1 hour", 400 * time.Millisecond: "0.4 s",
		25 * time.Hour: "1 day 1 hour", 0: "0.0 s",
	} {
		if got := howLong(d); got != want {
			t.Errorf("howLong(%v) = %q, want %q", d, got, want)
		}
		if back, ok := ParseDuration(typed(d)); d >= time.Second && (!ok || back != d) {
			t.Errorf("typed(%v) = %q reads back as %v", d, typed(d), back)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "on time", 400 * time.Millisecond: "0.4 s after it was due", 12 * time.Second: "12 seconds after it was due",
	} {
		if got := after(d); got != want {
			t.Errorf("after(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestReservedWordsCannotNameRoles(t *testing.T) {
	t.Parallel()
	for id, want := range map[access.RoleID]bool{"help": true, "mine": true, "end": true, "elevate": true, "approve": true, "?": true, "mfa": true,
		"prod-db-admin": false, "help-desk": false, "request": false} {
		if got := Reserved(id); got != want {
			t.Errorf("Reserved(%q) = %t, want %t", id, got, want)
		}
		if !Reserved(id) && parse(string(id)+" why").role != string(id) {
			t.Errorf("%q is not reserved and cannot be typed", id)
		}
	}
}

func TestTicketsAreFoundInTheJustification(t *testing.T) {
	t.Parallel()
	const pattern = "^(INC|CHG)-[0-9]+$"
	for _, c := range []struct{ pattern, text, ticket, rest string }{
		{pattern, "INC-4711 fix replication", "INC-4711", "fix replication"},
		{pattern, "INC-4711: fix replication", "INC-4711", "fix replication"},
		{pattern, "INC-4711 - fix replication", "INC-4711", "fix replication"},
		{pattern, "INC-4711", "INC-4711", ""},
		{pattern, "fix replication (CHG-1)", "CHG-1", "fix replication (CHG-1)"},
		{pattern, "fix INC-47x", "", "fix INC-47x"},
		{"INC-[0-9]+", "XINC-4711 fix", "", "XINC-4711 fix"},
		{"", "INC-4711 fix", "", "INC-4711 fix"},
		{"(", "INC-4711 fix", "", "INC-4711 fix"},
	} {
		if ticket, rest := splitTicket(c.pattern, c.text); ticket != c.ticket || rest != c.rest {
			t.Errorf("splitTicket(%q, %q) = %q, %q; want %q, %q", c.pattern, c.text, ticket, rest, c.ticket, c.rest)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "prod-db-admin 1h INC-4711 fix replication", "extend 07kq4 m2xp9 by 1h 30m", "<@U1|a> <at>x</at> end", "“mine”",
		"roles \u202e\u200b", "x 9999w9999d9999h", "<@", "<at>", "show \xff", "🧑‍💻 1h why"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := parse(text)
		if c.duration < 0 || c.duration > 0 && !c.timed {
			t.Fatalf("%q: duration %v, timed %t", text, c.duration, c.timed)
		}
		if strings.ContainsFunc(c.role, blank) {
			t.Fatalf("%q: role %q has a blank", text, c.role)
		}
		if c.id != "" {
			if id, err := access.ParseID(string(c.id)); err != nil || id != c.id {
				t.Fatalf("%q: id %q is none", text, c.id)
			}
		}
		if utf8.ValidString(text) && !utf8.ValidString(c.text+c.role+c.idText) {
			t.Fatalf("%q: broke the text: %q %q %q", text, c.text, c.role, c.idText)
		}
		if (c.verb == verbRequest) != (c.role != "") && c.verb != verbRequest {
			t.Fatalf("%q: verb %q with role %q", text, c.verb, c.role)
		}
		if d, ok := ParseDuration(text); ok {
			if back, ok := ParseDuration(typed(d)); !ok || back.Round(time.Second) != d.Round(time.Second) {
				t.Fatalf("%q is %v, and reads back as %v", text, d, back)
			}
		}
	})
}

// FuzzDuration: what is read is not negative, and read again from how it is written.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"1h", "90m", "1 h 30", "zwei Stunden", "-1h", "99999999999h", "1d12h", "0", "٣h", "1.5h", "1.15h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := ParseDuration(text)
		if !ok {
			return
		}
		if again, ok := ParseDuration(typed(d)); d < 0 || !ok || again != d {
			t.Fatalf("%q is %s, written %q, and read again %s", text, d, typed(d), again)
		}
	})
}
