package teams

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
)

// window is a browser with Microsoft's renderer in it, as wide as a client.
type window struct {
	*e2etest.Page
	name string
}

func openWindow(t *testing.T, name string, width, height int64) window {
	t.Helper()
	library := e2etest.NodeModule(t, "adaptivecards", "dist", "adaptivecards.min.js")
	blank := filepath.Join(t.TempDir(), "blank.html")
	page := fmt.Sprintf(`<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><script src="%s"></script>`,
		html.EscapeString((&url.URL{Scheme: "file", Path: library}).String()))
	if err := os.WriteFile(blank, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	w := window{e2etest.OpenPage(t, (&url.URL{Scheme: "file", Path: blank}).String(), width, height), name}
	script, err := os.ReadFile(filepath.Join("testdata", "renderer.js"))
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]json.RawMessage{}
	for _, theme := range []string{"light", "dark"} {
		if hosts[theme], err = os.ReadFile(teamsfake.Testdata(t, "adaptivecards", "microsoft-teams-"+theme+".json")); err != nil {
			t.Fatal(err)
		}
	}
	e2etest.Get[bool](w.Page, fmt.Sprintf("(%s)(%s)", script, inJSON(t, hosts)))
	return w
}

func inJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// show shows a card, and keeps a picture where those are wanted.
func (w window) show(t *testing.T, name, theme string, card object) {
	t.Helper()
	for _, fault := range e2etest.Get[[]string](w.Page, fmt.Sprintf("show(%s, %q)", inJSON(t, card), theme)) {
		if !strings.Contains(fault, "choices.data") { // it is of 1.6; Teams has it since before
			t.Errorf("%s: Microsoft's renderer says: %s", name, fault)
		}
	}
	w.Shot(fmt.Sprintf("%s-%s-%s", name, w.name, theme))
}

// pictured are the cards to look at.
func pictured(t *testing.T) map[string]object {
	t.Helper()
	out := map[string]object{}
	for _, tone := range bottest.Tones() {
		c := cast(tone)
		all, forms := everySaid(t, c)
		r := renders(c)
		pending := all["pending submitted request"]
		out["pending-"+tone.Name] = r.card(t.Context(), pending)
		out["details-"+tone.Name] = r.card(t.Context(), all["click details in active"])
		if tone.Name != "plain" {
			continue
		}
		for name, card := range map[string]string{
			"active": "active active request", "overdue": "deactivating overdue told/overdue/4/ana", "ended": "ended ended request", "digest": "digest",
			"home": "home", "help": "command help", "roles": "command roles",
		} {
			out[name] = r.card(t.Context(), all[card])
		}
		out["answer"] = r.card(t.Context(), *bottest.Says("Already approved by Ben Stone. Nothing was changed."), pending)
		form := forms["refresh request"]
		found := []bot.Option{{Value: "prod_db_admin", Label: "Production database admin", Detail: "prod_db_admin"}, {Value: "deploy", Label: "deploy"}}
		out["form-empty"] = r.form(t.Context(), forms["command "], filled{Found: found})
		out["form-request"] = r.form(t.Context(), form, filled{})
		out["form-errors"] = r.form(t.Context(), form, filled{Values: map[string]string{"justification": "because", "ticket": "4711"},
			Errors: map[string]string{"justification": "Write at least 10 characters.", "ticket": "Tickets look like INC-4711.", "": "Nothing was sent."}})
		out["form-deny"] = r.form(t.Context(), forms["click deny in pending"], filled{Back: toMessage})
		out["form-extend"] = r.form(t.Context(), forms["click extend in active"], filled{})
	}
	return out
}

// TestMicrosoftsRendererTakesThem shows the main cards as a desk and a phone do, in both themes. The pictures are for
// people to look at.
func TestMicrosoftsRendererTakesThem(t *testing.T) {
	t.Parallel()
	cards := pictured(t)
	for name, size := range map[string][2]int64{"desk": {820, 1500}, "phone": {390, 2200}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWindow(t, name, size[0], size[1])
			for name, card := range cards {
				for _, theme := range []string{"light", "dark"} {
					w.show(t, name, theme, card)
				}
			}
			w.show(t, "pending-asked", "light", cards["pending-plain"])
			if !e2etest.Get[bool](w.Page, `(document.querySelector("[title^=Approve]").click(), document.body.innerText.includes("Grant this access?"))`) {
				t.Error("pressing Approve asks nothing")
			}
			w.Shot("pending-asked-" + w.name)
		})
	}
}

// TestMicrosoftsRendererShowsWordsToTheLetter reads what people wrote off the page.
func TestMicrosoftsRendererShowsWordsToTheLetter(t *testing.T) {
	t.Parallel()
	w := openWindow(t, "desk", 820, 1500)
	text := strings.ReplaceAll(bottest.Mischief, " \x00", "") + "\n{{DATE(2026-11-23T14:05:00Z, SHORT)}}\n<b>and</b>\nmore"
	card := bottest.RequestCard(text)
	card.Parts = append(card.Parts, bot.Text{Spans: []bot.Span{bot.Say("Said " + text)}}, bot.Text{Small: true, Spans: []bot.Span{bot.Say("Small " + text)}},
		bot.Facts{Rows: []bot.Fact{{Label: "Ticket", Value: []bot.Span{bot.Say("Fact " + text)}}}}, bot.Heading{Text: "Heading " + text})
	w.show(t, "letters", "light", everybody.card(t.Context(), card))
	shown := e2etest.Get[[]string](w.Page, `[...document.querySelectorAll(".ac-richTextBlock")].map((e) => e.innerText)`)
	for _, want := range []string{text, "Said " + text, "Small " + text, "Fact " + text, "Heading " + text} {
		if !slices.Contains(shown, want) {
			t.Errorf("%q is not shown to the letter in %q", want, shown)
		}
	}
	if e2etest.Get[int](w.Page, `document.body.querySelectorAll("a, b, img, script, .at").length`) != 0 {
		t.Error("somebody's words became markup")
	}
}
