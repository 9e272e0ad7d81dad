package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
	"elevate/workflows/access"
)

// decoded is what Slack would read of something that is sent as JSON.
func decoded(t testing.TB, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func object(t testing.TB, v any) map[string]any { return decoded(t, v).(map[string]any) }

func list(t testing.TB, v any) []any {
	out, _ := decoded(t, v).([]any)
	return out
}

// TestEverythingTheBotSendsIsValid renders every card, form and page there is, for people who write as people do and for
// people who want to break something, and holds it against Slack's schemas.
func TestEverythingTheBotSendsIsValid(t *testing.T) {
	t.Parallel()
	slackfake.Testdata(t)
	for _, tone := range bottest.Tones() {
		t.Run(tone.Name, func(t *testing.T) {
			t.Parallel()
			c := cast(tone)
			r, ctx := renders(c), context.Background()
			messages := c.Messages(t)
			if len(messages) < 20 {
				t.Errorf("only %d messages", len(messages))
			}
			for name, card := range messages {
				report(t, "message "+name, slackfake.CheckMessage(list(t, r.message(ctx, card))))
			}
			for name, a := range c.Answers(t) {
				if a.Card != nil {
					report(t, "private "+name, slackfake.CheckWhisper(list(t, r.whisper(ctx, *a.Card))))
					report(t, "ephemeral "+name, slackfake.CheckMessage(list(t, r.message(ctx, *a.Card))))
					report(t, "modal "+name, slackfake.CheckModal(object(t, r.modal(ctx, *a.Card))))
					report(t, "home "+name, slackfake.CheckHome(object(t, r.home(ctx, *a.Card))))
				}
				if a.Form != nil {
					report(t, "form "+name, slackfake.CheckModal(object(t, r.form(ctx, *a.Form))))
				}
			}
			found := c.Bot(t).Suggest(ctx, bot.Who{Chat: Name, Account: "U0ANA"}, "role", "")
			if len(found) != 100 {
				t.Errorf("%d of 10,000 roles are suggested, want 100", len(found))
			}
			menu := map[string]any{"type": "static_select", "action_id": "a", "options": decoded(t, options(found))}
			report(t, "options", slackfake.CheckWhisper([]any{map[string]any{"type": "actions", "elements": []any{menu}}}))
		})
	}
}

func report(t *testing.T, name string, broken []string) {
	t.Helper()
	for _, b := range broken {
		t.Errorf("%s: %s", name, b)
	}
}

// TestDigestsAreValid sends a digest of a busy day through the courier.
func TestDigestsAreValid(t *testing.T) {
	t.Parallel()
	for _, tone := range bottest.Tones() {
		t.Run(tone.Name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			cast(tone).SendDigest(t, k.slack, "C0ACCESS")
			if n := len(k.fake.Messages("C0ACCESS")); n != 1 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// marks are those that this package makes in mrkdwn.
var marks = regexp.MustCompile(`<!date\^\d+\^[^|<>]*\|[^|<>]*>|<@U0[A-Z]+>|\*[^*_~` + "`" + `\n]+\*|` + "`[^`\n]+`")

// TestNobodysWordsAreParsed looks at every mrkdwn object: less the marks that we make, nothing is left in it that Slack
// would make something of.
func TestNobodysWordsAreParsed(t *testing.T) {
	t.Parallel()
	for _, tone := range bottest.Tones() {
		t.Run(tone.Name, func(t *testing.T) {
			t.Parallel()
			c := cast(tone)
			r, ctx := renders(c), context.Background()
			seen := 0
			look := func(name string, v any) {
				slackfake.Walk(decoded(t, v), func(m map[string]any) {
					text, _ := m["text"].(string)
					if m["type"] != "mrkdwn" {
						if m["type"] == "plain_text" && m["emoji"] == true {
							t.Errorf("%s: :emoji: are parsed in %q", name, text)
						}
						return
					}
					seen++
					rest := marks.ReplaceAllString(text, "")
					rest = strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(rest)
					if m["verbatim"] != true || strings.ContainsAny(rest, "<>&*_~`") || regexp.MustCompile(`:[^\s:]+:`).MatchString(rest) {
						t.Errorf("%s: parsed: %q", name, text)
					}
				})
			}
			for name, card := range c.Messages(t) {
				look(name, r.message(ctx, card))
				if got := summary(card); strings.ContainsAny(strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(got), "<>&") {
					t.Errorf("%s: the notification is not escaped: %q", name, got)
				}
			}
			for name, a := range c.Answers(t) {
				if a.Card != nil {
					look(name, r.home(ctx, *a.Card))
				}
				if a.Form != nil {
					look(name, r.form(ctx, *a.Form))
				}
			}
			if tone.Name == "plain" && seen == 0 {
				t.Error("no mrkdwn at all: this test looks at nothing")
			}
		})
	}
}

// TestJustificationIsShownToTheLetter finds the whole of it in one element that Slack does not parse.
func TestJustificationIsShownToTheLetter(t *testing.T) {
	t.Parallel()
	k := setup(t)
	text := string([]rune(strings.Repeat(strings.ReplaceAll(hostile, "\x00", "")+"\n", 20))[:2000])
	if _, err := k.slack.Post(context.Background(), bot.Address{Channel: "C0ACCESS"}, bottest.RequestCard(text)); err != nil {
		t.Fatal(err)
	}
	found := false
	slackfake.Walk(decoded(t, k.fake.Messages("C0ACCESS")[0].Blocks), func(m map[string]any) {
		if m["type"] != "rich_text_quote" {
			return
		}
		e := m["elements"].([]any)[0].(map[string]any)
		found = e["type"] == "text" && e["text"] == text
	})
	if !found {
		t.Error("the justification is not in a quote, to the letter")
	}
}

// TestDecisionStaysInReach renders a card that is far too long: the buttons are still there, and a line that says that
// something is missing.
func TestDecisionStaysInReach(t *testing.T) {
	t.Parallel()
	card := bottest.RequestCard("because")
	for i := range 200 {
		card.Parts = append(card.Parts, bot.Item{Spans: []bot.Span{bot.Say(fmt.Sprintf("line %d %s", i, strings.Repeat("x", 200)))}})
	}
	card.Parts = append(card.Parts, bot.Buttons{Buttons: []bot.Button{{Action: bot.ActEnd, Request: bottest.Request, Label: "End now"}}})
	blocks := list(t, renderer{}.message(context.Background(), card))
	report(t, "long card", slackfake.CheckMessage(blocks))
	for _, label := range []string{"Approve", "Deny…", "End now"} {
		if slackfake.Button(blocks, label) == nil {
			t.Errorf("the button %q is gone", label)
		}
	}
	if !strings.Contains(fmt.Sprint(blocks), "Shortened:") || len(blocks) < 20 {
		t.Errorf("%d blocks, without a word about what is missing", len(blocks))
	}
}

func TestEmptyCardsAreValid(t *testing.T) {
	t.Parallel()
	slackfake.Testdata(t)
	for name, card := range map[string]bot.Card{
		"nothing":     {},
		"empty parts": {Parts: []bot.Part{bot.Text{}, bot.Quote{}, bot.Facts{}, bot.Buttons{}, bot.Item{}, bot.Heading{}, bot.Text{Small: true, Spans: []bot.Span{bot.Say("")}}}},
		"empty words": {Title: " ", Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say(""), bot.Strong(""), bot.Mono("")}},
			bot.Facts{Rows: []bot.Fact{{}, {Label: "x"}, {Value: []bot.Span{bot.Strong("")}}}},
			bot.Buttons{Buttons: []bot.Button{{Action: "x", Confirm: &bot.Confirm{}}}}}},
	} {
		r := renderer{account: func(context.Context, access.PersonID) string { return "" }}
		report(t, name, slackfake.CheckMessage(list(t, r.message(context.Background(), card))))
		report(t, name+" as a modal", slackfake.CheckModal(object(t, r.modal(context.Background(), card))))
		report(t, name+" as a home page", slackfake.CheckHome(object(t, r.home(context.Background(), card))))
	}
}

func TestTimesAndPeople(t *testing.T) {
	t.Parallel()
	r := renderer{account: func(_ context.Context, id access.PersonID) string {
		return map[access.PersonID]string{"ben": "U0BEN"}[id]
	}}
	at := time.Date(2026, 11, 23, 14, 5, 7, 0, time.FixedZone("", 3600))
	spans := []bot.Span{
		{Person: "ana", Name: "Ana"}, {Person: "ben", Name: "Ben", Mention: true}, {Person: "cat", Name: "Cat", Mention: true}, {Person: "dan"},
		bot.When(at, bot.Clock), bot.When(at, bot.DateTime), bot.When(at, bot.Date), bot.When(at, bot.Seconds),
	}
	got := fmt.Sprint(decoded(t, r.rich(context.Background(), spans)))
	for _, want := range []string{
		"text:Ana", "user_id:U0BEN", "text:Cat", "text:dan", "format:{time} ", "format:{date_short_pretty} at {time} ", "format:{date_short_pretty} ",
		"format:{time_secs} ", "fallback:13:05 UTC", "fallback:23 Nov 2026, 13:05 UTC", "fallback:23 Nov 2026 ", "fallback:13:05:07 UTC", "timestamp:1.795439107e+09",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	small := r.object(context.Background(), spans, maxText)
	if want := "Ana<@U0BEN>Catdan<!date^1795439107^{time}|13:05 UTC>"; small == nil || !strings.HasPrefix(small.Text, want) {
		t.Errorf("small print is %+v, want %q", small, want)
	}
}

// TestEveryVersionHasItsOwnBlockIDs because Slack asks for new ids at each update.
func TestEveryVersionHasItsOwnBlockIDs(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ctx := context.Background()
	ref, err := k.slack.Post(ctx, bot.Address{Channel: "C0ACCESS"}, bottest.RequestCard("because"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the fake reports ids that come again
		if err := k.slack.Update(ctx, ref, bottest.RequestCard("because")); err != nil {
			t.Fatal(err)
		}
	}
	if m := k.fake.Messages("C0ACCESS")[0]; m.Updates != 3 {
		t.Errorf("%d updates", m.Updates)
	}
}

// FuzzRender puts any words anywhere: what comes of it is valid.
func FuzzRender(f *testing.F) {
	f.Add(hostile, "label", true, false)
	f.Add("", " ", false, true)
	f.Add("\xff\xfe", strings.Repeat("א", 5000), true, true)
	slackfake.Testdata(f)
	f.Fuzz(func(t *testing.T, words, label string, bold, code bool) {
		span := bot.Span{Text: words, Bold: bold, Code: code}
		button := bot.Button{Action: bot.ActApprove, Request: bottest.Request, Label: label, Speak: words,
			Confirm: &bot.Confirm{Title: label, Text: words, Yes: label, No: words}}
		card := bot.Card{Title: label, Summary: words, Parts: []bot.Part{
			bot.Text{Spans: []bot.Span{span, bot.Say(label)}}, bot.Text{Small: true, Spans: []bot.Span{span, bot.When(noon, bot.Clock)}},
			bot.Facts{Rows: []bot.Fact{{Label: label, Value: []bot.Span{span}}, {Label: words}}}, bot.Quote{Text: words},
			bot.Item{Spans: []bot.Span{span}, Buttons: []bot.Button{button}}, bot.Heading{Text: label},
			bot.Item{Spans: []bot.Span{span}, Buttons: []bot.Button{button, button}}, bot.Buttons{Buttons: []bot.Button{button, button}},
		}}
		form := bot.Form{Name: bot.FormRequest, Title: label, Submit: words, Intro: card.Parts[:4], Inputs: []bot.Input{
			{Name: "role", Kind: bot.Search, Label: label, Hint: words, Initial: &bot.Option{Value: words, Label: label}},
			{Name: "duration", Kind: bot.Choice, Label: label, Options: []bot.Option{{Value: "1h", Label: words, Detail: label}}},
			{Name: "ticket", Kind: bot.Line, Label: words, Text: label, MaxLength: 10},
		}}
		r, ctx := renderer{account: func(context.Context, access.PersonID) string { return "" }}, context.Background()
		report(t, "message", slackfake.CheckMessage(list(t, r.message(ctx, card))))
		report(t, "modal", slackfake.CheckModal(object(t, r.modal(ctx, card))))
		report(t, "home", slackfake.CheckHome(object(t, r.home(ctx, card))))
		report(t, "form", slackfake.CheckModal(object(t, r.form(ctx, form))))
	})
}
