package teams

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

// lined is a line as a card has it.
func lined(t *testing.T, r renderer, spans ...bot.Span) object {
	t.Helper()
	card := decoded(t, r.card(t.Context(), bot.Card{Parts: []bot.Part{bot.Text{Spans: spans}}}))
	check(t, fmt.Sprint(spans), card)
	return card
}

// TestTimesAreTheReaders where their line may stand in markdown, and say their zone where not.
func TestTimesAreTheReaders(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 14, 5, 7, 999_000_000, time.FixedZone("", 3600))
	for name, c := range map[string]struct {
		spans []bot.Span
		block string
		want  string
	}{
		"clock":         {[]bot.Span{bot.Say("by "), bot.When(at, bot.Clock)}, "TextBlock", "by {{TIME(2026-11-23T13:05:07Z)}}"},
		"date":          {[]bot.Span{bot.When(at, bot.Date)}, "TextBlock", "{{DATE(2026-11-23T13:05:07Z, SHORT)}}"},
		"both":          {[]bot.Span{bot.When(at, bot.DateTime), bot.Say(".")}, "TextBlock", "{{DATE(2026-11-23T13:05:07Z, SHORT)}} at {{TIME(2026-11-23T13:05:07Z)}}."},
		"seconds":       {[]bot.Span{bot.Say("at "), bot.When(at, bot.Seconds)}, "TextBlock", "at {{TIME(2026-11-23T13:05:07Z)}} (13:05:07 UTC)"},
		"marks":         {[]bot.Span{bot.Strong("Active"), bot.Say(" ("), bot.Mono("db_1"), bot.Say(") until "), bot.When(at, bot.Clock)}, "TextBlock", "**Active** (db_1) until {{TIME(2026-11-23T13:05:07Z)}}"},
		"not boldly":    {[]bot.Span{bot.Strong("(so)"), bot.Say(" at "), bot.When(at, bot.Clock)}, "TextBlock", "(so) at {{TIME(2026-11-23T13:05:07Z)}}"},
		"with seconds":  {[]bot.Span{bot.When(at, bot.Seconds), bot.Say(" or "), bot.When(at, bot.Clock)}, "TextBlock", "{{TIME(2026-11-23T13:05:07Z)}} (13:05:07 UTC) or {{TIME(2026-11-23T13:05:07Z)}}"},
		"harmful clock": {[]bot.Span{bot.Say("*x* "), bot.When(at, bot.Clock)}, "RichTextBlock", "*x* 13:05 UTC"},
		"harmful both":  {[]bot.Span{bot.Say("a.b "), bot.When(at, bot.DateTime)}, "RichTextBlock", "a.b 23 Nov 2026, 13:05 UTC"},
		"harmful date":  {[]bot.Span{bot.Say("[x] "), bot.When(at, bot.Date)}, "RichTextBlock", "[x] 23 Nov 2026"},
		"long ago":      {[]bot.Span{bot.When(time.Date(1, 2, 3, 4, 5, 6, 0, time.UTC), bot.Date)}, "RichTextBlock", "3 Feb 0001"},
		"far away":      {[]bot.Span{bot.When(at.AddDate(9000, 0, 0), bot.Clock)}, "RichTextBlock", "13:05 UTC"},
	} {
		block := lined(t, renderer{}, c.spans...)["body"].([]any)[0].(object)
		got, _ := block["text"].(string)
		if c.block == "RichTextBlock" {
			got = strings.TrimSuffix(teamsfake.Text(object{"body": []any{block}}), "\n")
		}
		if block["type"] != c.block || got != c.want {
			t.Errorf("%s: %v %q, want %s %q", name, block["type"], got, c.block, c.want)
		}
	}
}

func TestPeopleAreCalledOnce(t *testing.T) {
	t.Parallel()
	r := renderer{account: func(_ context.Context, id access.PersonID) string {
		if id == "nobody" {
			return ""
		}
		return objectID(id)
	}}
	call := func(id access.PersonID, name string) bot.Span { return bot.Span{Person: id, Name: name, Mention: true} }
	for name, c := range map[string]struct {
		spans []bot.Span
		text  string
		tags  []string // that call, in order, with the person called
	}{
		"in the line":           {[]bot.Span{bot.Say("Hello "), call("ana", "Ana Lima"), bot.Say(".")}, "Hello Ana Lima.", []string{"Ana Lima=ana"}},
		"by name alone":         {[]bot.Span{{Person: "ana", Name: "Ana"}}, "Ana", nil},
		"without an account":    {[]bot.Span{call("nobody", "Nobody"), bot.Say("!")}, "Nobody!", nil},
		"twice":                 {[]bot.Span{call("ana", "Ana"), bot.Say(" and "), call("ana", "Ana")}, "Ana and Ana", []string{"Ana=ana"}},
		"namesakes":             {[]bot.Span{call("ana", "Ana"), bot.Say(" and "), call("ana2", "Ana")}, "Ana and ana2", []string{"Ana=ana", "ana2=ana2"}},
		"below a harmful line":  {[]bot.Span{bot.Say("*look* "), call("ana", "Ana"), bot.Say(", "), call("ben", "Ben")}, "*look* Ana, Ben\nAna, Ben", []string{"Ana=ana", "Ben=ben"}},
		"with a harmful name":   {[]bot.Span{call("ana", "</at>*Ana*"), bot.Say(" is called")}, "ana is called", []string{"ana=ana"}},
		"with nothing harmless": {[]bot.Span{call("a@b.example", "<Ana>"), bot.Say(" "), call("c@b.example", "<Ana>")}, "person 1 person 2", []string{"person 1=a@b.example", "person 2=c@b.example"}},
		"named like a number":   {[]bot.Span{call("ana", "person 2"), bot.Say(" "), call("c@b.example", "*")}, "person 2 person 3", []string{"person 2=ana", "person 3=c@b.example"}},
		"from the right":        {[]bot.Span{call("ana", "عائشة بنت أحمد"), bot.Say(" asks")}, "عائشة بنت أحمد asks", []string{"عائشة بنت أحمد=ana"}},
	} {
		card := lined(t, r, c.spans...)
		if got := strings.TrimSuffix(teamsfake.Text(card), "\n"); got != c.text {
			t.Errorf("%s: reads %q, want %q", name, got, c.text)
		}
		var tags []string
		teams := card["msteams"].(object)
		entities, _ := teams["entities"].([]any)
		for _, e := range entities {
			who := e.(object)["mentioned"].(object)
			for _, span := range c.spans {
				if who["id"] == objectID(span.Person) && span.Mention {
					tags = append(tags, fmt.Sprintf("%s=%s", who["name"], span.Person))
					break
				}
			}
		}
		if !slices.Equal(tags, c.tags) {
			t.Errorf("%s: calls %q, want %q", name, tags, c.tags)
		}
	}
}

// TestPeopleAreCalledOnceOnAllOfACard also where several cards are one.
func TestPeopleAreCalledOnceOnAllOfACard(t *testing.T) {
	t.Parallel()
	calling := bot.Card{Parts: []bot.Part{bot.Text{Spans: []bot.Span{{Person: "ana", Name: "Ana", Mention: true}, bot.Say(", look")}},
		bot.Facts{Rows: []bot.Fact{{Label: "Can approve", Value: []bot.Span{{Person: "ana", Name: "Ana", Mention: true}}}}}}}
	card := decoded(t, everybody.card(t.Context(), calling, calling))
	check(t, "two cards", card)
	if got := teamsfake.Mentions(card); !slices.Equal(got, []string{objectID("ana")}) {
		t.Errorf("called are %q", got)
	}
}

func TestHarmlessIsWhatNoClientParses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", "Ana Lima asks for Production database admin (prod_db_admin) for 1 hour.", "Zoë O’Neill-Ó Dálaigh", "it's 14:05, isn't it?", "✅ Active · 07kq4-m2xp9",
		"עברית", "عائشة بنت أحمد 3", "👩🏽‍🚒🏳️‍🌈", "“quoted”, said.", "… and 45 more", "50% of a/b",
	} {
		if !harmless(line) {
			t.Errorf("harmful: %q", line)
		}
		if got := teamsfake.Markdown(line); got != line {
			t.Errorf("%q is shown as %q", line, got)
		}
	}
	for _, line := range []string{
		"*a*", "_a_", "a _b_", "b_", "__init__", "é_b", "~~a~~", "`a`", "[a](b)", "a\nb", "a\tb", " a", "- a", "1. a", "2) a", "12. a", "> a", "# a", "a & b", "&amp;",
		"<b>", "https://evil.example", "evil.example", "www.evil.example", "a@evil.example", ":tada:", "a--b", "(c)", "a (TM) b", "{{TIME(x)}}", "a|b", "a\\b", "+1", "a=b",
		"\"a\"", "a (b)1. c", "a (b)- c", "\u202egnp.exe", "\x00", "$a$", "^a^", "<at>Ben</at>",
	} {
		if harmless(line) {
			t.Errorf("harmless: %q", line)
		}
	}
	if harmless(bottest.Mischief) {
		t.Error("mischief is harmless")
	}
}

// FuzzHarmless looks for words that are taken for harmless and are not shown to the letter.
func FuzzHarmless(f *testing.F) {
	f.Add("a_b_c 1.5 (c) - x", "1. a")
	f.Add(bottest.Mischief, "x")
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, line := range []string{one, two, one + two, one + " " + two} {
			if harmless(line) && (teamsfake.Markdown(line) != line || teamsfake.Dated(line) != line || strings.ContainsAny(line, "<>&*`[]{}|\\")) {
				t.Errorf("%q is shown as %q", line, teamsfake.Markdown(line))
			}
		}
	})
}
