package bot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"elevate/workflows"
	"elevate/workflows/access"
)

// checkCard holds a card to the limits that every chat relies on.
func checkCard(t *testing.T, what string, c Card, most room) {
	t.Helper()
	short := func(name, s string, n int) {
		if utf8.RuneCountInString(s) > n {
			t.Errorf("%s: %s has %d characters, %d are allowed: %.60q…", what, name, utf8.RuneCountInString(s), n, s)
		}
		if !utf8.ValidString(s) {
			t.Errorf("%s: %s is no UTF-8: %q", what, name, s)
		}
	}
	spans := func(name string, list []Span) {
		if len(list) == 0 {
			t.Errorf("%s: an empty %s", what, name)
		}
		for _, s := range list {
			set := 0
			for _, is := range []bool{s.Text != "", s.Person != "", !s.Time.IsZero()} {
				if is {
					set++
				}
			}
			if set != 1 {
				t.Errorf("%s: a span of %s is not one thing: %+v", what, name, s)
			}
			short(name, s.Text, 3000)
			short("name", s.Name, maxName)
		}
	}
	buttons := func(list []Button) {
		if len(list) > maxButtons {
			t.Errorf("%s: %d buttons in a row", what, len(list))
		}
		for _, b := range list {
			short("label", b.Label, 30)
			short("speak", b.Speak, 75)
			if b.Label == "" || b.Speak == "" {
				t.Errorf("%s: button %s says nothing", what, b.Action)
			}
			if b.Confirm != nil {
				short("confirm title", b.Confirm.Title, 100)
				short("confirm text", b.Confirm.Text, 300)
				short("confirm yes", b.Confirm.Yes, 30)
				short("confirm no", b.Confirm.No, 30)
			}
		}
	}
	short("title", c.Title, 150)
	short("summary", c.Summary, maxSummary)
	if c.Name == "" || c.Summary == "" {
		t.Errorf("%s: a card without name or summary: %+v", what, c)
	}
	total, blocks := runes(c.Title)+runes(c.Summary), 1
	for _, p := range c.Parts {
		total, blocks = total+size(p), blocks+weight(p)
		switch p := p.(type) {
		case Text:
			spans("text", p.Spans)
		case Quote:
			short("quote", p.Text, 3000)
		case Heading:
			short("heading", p.Text, 150)
		case Facts:
			if len(p.Rows) > 10 || len(p.Rows) == 0 {
				t.Errorf("%s: %d facts", what, len(p.Rows))
			}
			for _, f := range p.Rows {
				spans(f.Label, f.Value)
			}
		case Item:
			spans("item", p.Spans)
			buttons(p.Buttons)
		case Buttons:
			buttons(p.Buttons)
		}
	}
	if total > most.chars || blocks > most.blocks {
		t.Errorf("%s: %d characters in %d blocks, allowed are %+v", what, total, blocks, most)
	}
}

// hostile are texts that people and directories hold against us.
func hostile() map[string]string {
	return map[string]string{
		"long":    strings.Repeat("long words ", 300),
		"one":     strings.Repeat("x", 5000),
		"rtl":     strings.Repeat("שרה לוי ", 40) + "\u202eevil",
		"emoji":   strings.Repeat("👩‍👩‍👧‍👦🏳️‍🌈", 300),
		"marks":   "e" + strings.Repeat("\u0301", 4000),
		"markup":  "<!channel> <@U1> *b* _i_ `c` ~s~ &amp; <script>alert(1)</script> [x](http://x) | ```",
		"control": "a\x00b\x1b[31mc\r\nd\u2028e\ufefff",
		"invalid": "a\xff\xfeb",
	}
}

func TestCardsKeepTheirLimitsWhateverIsInThem(t *testing.T) {
	t.Parallel()
	for name, text := range hostile() {
		d := newDesk()
		d.may = workflows.May{Decide: true, Cancel: true, End: true, Extend: true}
		d.people[0].Name, d.people[1].Name = text, text
		d.approvers = nil
		for i := range 50 {
			d.approvers = append(d.approvers, access.Person{ID: access.PersonID(fmt.Sprintf("p%d", i)), Name: text})
		}
		d.offers[0].Role.Title, d.offers[0].Role.Description = text, text
		b := d.bot(t)
		for state, r := range states() {
			r.Justification, r.Ticket, r.Role.Title, r.Role.Connector, r.Policy, r.Account = text, text, text, text, text, text
			r.Reason, r.LastError = text, text
			r.Role.Labels = map[string]string{"risk": text, text: text}
			for i := range 60 {
				r.Decisions = append(r.Decisions, access.Decision{Verdict: access.Approve, By: access.Actor{Person: "bob", Via: text}, At: noon, Reason: text, Stage: i})
				r.Extensions = append(r.Extensions, access.Extension{By: r.By, At: noon, From: noon, To: noon.Add(time.Hour)})
			}
			v := b.look(t.Context(), r)
			checkCard(t, name+" request "+state, v.requestCard(), messageRoom)
			checkCard(t, name+" details "+state, v.detailsCard(d.may), messageRoom)
			for kind := range notes() {
				n := noteOf(kind, in(access.Cancelled))
				n.Reason = text
				if c, ok := v.threadCard(n); ok {
					checkCard(t, name+" thread "+string(kind), c, messageRoom)
				}
				if c, ok := v.personalCard(n, "ana", d.may); ok {
					checkCard(t, name+" personal "+string(kind), c, messageRoom)
				}
			}
			for i := range 40 {
				copied := *r
				copied.ID, copied.Person = access.RequestID(fmt.Sprintf("07kq4-m2x%02d", i)), "ana"
				d.records = append(d.records, &copied)
			}
		}
		ana := Who{Chat: "web", Account: "ana"}
		checkCard(t, name+" home", b.Home(t.Context(), ana), homeRoom)
		for _, command := range []string{"mine", "roles", "roles " + text, "show " + text, "end", text, "prod " + text, "help", "review"} {
			a := b.Command(t.Context(), ana, command)
			if a.Card != nil {
				checkCard(t, fmt.Sprintf("%s command %.20q", name, command), *a.Card, messageRoom)
			}
			checkForm(t, name, a.Form)
		}
		for _, action := range []Action{ActRequest, ActAgain, ActExtend, ActDeny, ActDetails} {
			checkForm(t, name, b.Click(t.Context(), ana, Click{Action: action, Request: "07kq4-m2x01"}).Form)
		}
	}
}

func checkForm(t *testing.T, what string, f *Form) {
	t.Helper()
	if f == nil {
		return
	}
	checkCard(t, what+" intro of "+string(f.Name), Card{Name: "intro", Summary: "intro", Parts: f.Intro}, messageRoom)
	for _, in := range f.Inputs {
		for _, s := range []struct {
			name, text string
			n          int
		}{{"hint", in.Hint, 150}, {"label", in.Label, 75}, {"text", in.Text, max(in.MaxLength, 0)}} {
			if runes(s.text) > s.n {
				t.Errorf("%s: the %s of %s has %d characters, %d are allowed", what, s.name, in.Name, runes(s.text), s.n)
			}
		}
		if len(in.Options) > 10 || in.Kind == Choice && len(in.Options) == 0 || in.MaxLength > 3000 || in.MinLength > in.MaxLength {
			t.Errorf("%s: input %s: %d options, %d to %d characters", what, in.Name, len(in.Options), in.MinLength, in.MaxLength)
		}
		for _, o := range in.Options {
			if runes(o.Label) > 75 || runes(o.Value) > 75 || runes(o.Detail) > 75 || o.Label == "" || o.Value == "" {
				t.Errorf("%s: option %+v of %s", what, o, in.Name)
			}
		}
	}
}

func TestTenThousandRolesAreNarrowedDown(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for i := range 10000 {
		d.offers = append(d.offers, offer(access.RoleID(fmt.Sprintf("svc-%04d-reader", i)), fmt.Sprintf("Service %d reader", i)))
	}
	b := d.bot(t)
	ana := Who{Chat: "web", Account: "ana"}
	if got := len(b.Suggest(t.Context(), ana, "role", "svc")); got != 100 {
		t.Errorf("%d suggestions, want 100", got)
	}
	if got := b.Suggest(t.Context(), ana, "role", "prod db"); len(got) != 1 || got[0].Value != "prod-db-admin" || got[0].Label != "Production database admin" {
		t.Errorf("suggestions: %+v", got)
	}
	card := b.Command(t.Context(), ana, "roles svc").Card
	checkCard(t, "roles", *card, messageRoom)
	if text := asText(*card); !strings.Contains(text, "There are more. Type words to narrow") || strings.Count(text, "\n- ") != maxRoles {
		t.Errorf("the list of roles does not say that there are more:\n%s", text)
	}
}

func TestOnlyEligibleRolesAreSuggested(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.offers[1].Eligible = false
	b := d.bot(t)
	ana := Who{Chat: "web", Account: "ana"}
	if got := b.Suggest(t.Context(), ana, "role", ""); len(got) != 1 || got[0].Value != "prod-db-admin" {
		t.Errorf("suggestions: %+v", got)
	}
	if got := b.Suggest(t.Context(), Who{Chat: "web", Account: "mallory"}, "role", ""); len(got) != 0 {
		t.Errorf("somebody unknown is told of roles: %+v", got)
	}
	if got := b.Suggest(t.Context(), ana, "duration", ""); len(got) != 0 {
		t.Errorf("suggestions for another input: %+v", got)
	}
}

func TestClippedTextIsWholeCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"short", 10, "short"}, {"exactly 10", 10, "exactly 10"}, {"eleven char", 10, "eleven ch…"}, {"one two three", 5, "one…"},
		{"ab👩‍👩‍👧cd", 5, "ab…"}, {"ab👍🏽cd", 4, "ab…"}, {"abe\u0301fg", 4, "ab…"}, {"", 3, ""},
		{strings.Repeat("\u0301", 9), 3, "\u0301\u0301…"},
	} {
		if got := clip(c.text, c.n); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func TestNamesCannotTurnTheirSurroundings(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.people[1].Name = "\u202eבוב\u2066\nBob"
	b := d.bot(t)
	v := b.look(t.Context(), in(access.Active))
	if got := v.called("bob"); got != "\u2068בוב Bob\u2069" {
		t.Errorf("in plain text the name is %q", got)
	}
	if got := v.who("bob").Name; got != "בוב Bob" {
		t.Errorf("in a span the name is %q", got)
	}
}

func TestWhatPeopleWroteIsOnlyQuoted(t *testing.T) {
	t.Parallel()
	const text = "<!channel> *now* `/elevate` [x](y)"
	d := newDesk()
	b := d.bot(t)
	for state, r := range states() {
		r.Justification, r.Reason, r.LastError = text, text, text
		for _, c := range []Card{b.look(t.Context(), r).requestCard(), b.look(t.Context(), r).detailsCard(workflows.May{})} {
			quoted := false
			for _, p := range c.Parts {
				if q, ok := p.(Quote); ok && q.Text == text {
					quoted = true
				} else if strings.Contains(partText(p), "<!channel>") && !ok {
					t.Errorf("%s: %s holds what a person wrote outside of a quote: %s", state, c.Name, partText(p))
				}
			}
			if !quoted {
				t.Errorf("%s: %s does not show the justification to the letter", state, c.Name)
			}
		}
	}
}

func TestLaddersOfferAtMostTenLengthsWithTheMustsAmongThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		least, most time.Duration
		must        []time.Duration
		want        string
	}{
		{0, 4 * time.Hour, []time.Duration{time.Hour}, "15m 30m 1h 2h 4h"},
		{0, 90 * time.Minute, []time.Duration{time.Hour, 45 * time.Minute}, "15m 30m 45m 1h 1h30m"},
		{time.Hour, 4 * time.Hour, nil, "1h 2h 4h"},
		{0, 10 * time.Second, []time.Duration{5 * time.Second}, "5s 10s"},
		{0, 30 * 24 * time.Hour, []time.Duration{90 * time.Minute}, "15m 30m 1h 1h30m 2h 4h 8h 12h 24h 720h"},
		{0, 0, nil, ""},
	} {
		var got []string
		for _, d := range ladder(c.least, c.most, c.must...) {
			got = append(got, typed(d))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("ladder(%v, %v, %v) = %v, want %s", c.least, c.most, c.must, got, c.want)
		}
	}
}

func TestCardsAreMadeWithoutTheDirectory(t *testing.T) {
	t.Parallel()
	d := newDesk()
	b := d.bot(t)
	d.away(errors.New("ldap: timeout"))
	c := b.look(t.Context(), request()).requestCard()
	checkCard(t, "no directory", c, messageRoom)
	if text := asText(c); !strings.Contains(text, "could not be asked") || !strings.Contains(text, "@ana asks") {
		t.Errorf("the card hides that the directory is away:\n%s", text)
	}
}

// TestQuotesHideNothing: what a target answered is quoted too, and nobody has cleaned it before.
func TestQuotesHideNothing(t *testing.T) {
	t.Parallel()
	said := "denied:\u202e nimda\u202c for you\r\nad\u200bmin \x1b[31m\u2066x\u2069" + strings.Repeat("\n", 9) + "e" + strings.Repeat("\u0301", 30) + "\U000e0041"
	c := fit(Card{Parts: []Part{Quote{said}}})
	if got, want := c.Parts[0].(Quote).Text, "denied: nimda for you\nadmin [31mx\n\né\u0301\u0301"; got != want {
		t.Errorf("quoted as %+q, want %+q", got, want)
	}
}
