package e2etest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/playground.js
var shownScript string

// The places of a Playground's page: where its person and the bot talk alone, and the channel.
const (
	Personal = "Personal Chat"
	Channel  = teamName + " - " + channelName
)

// Open opens the page. The bot has to listen: it is told that it is installed, here and in each place that is entered.
func (p *Playground) Open() {
	p.t.Helper()
	p.page = OpenPage(p.t, p.url, 1280, 1000)
	Get[bool](p.page, shownScript)
	p.page.Click(`document.querySelector('[title="Hide log panel"]')`, "the button that hides the log")
	p.impersonates()
}

// click is a request of the page's that says who pressed which button of what message.
type click struct {
	by   Member
	sent chan error
}

// impersonates lets a click be anybody's, one at a time: the page knows one person alone, and says itself who it is.
func (p *Playground) impersonates() {
	p.t.Helper()
	p.clicks = make(chan click, 1)
	paused := chromedp.Events(p.page.Context(), fetch.RequestPaused)
	_, err := chromedp.Call(p.page.Context(), fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*" + clickPath}}})
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		for request, err := range paused {
			if err != nil {
				return // the page is closed
			}
			select {
			case c := <-p.clicks:
				c.sent <- p.passes(request, c.by)
			case <-p.page.Context().Done():
				return
			}
		}
	}()
}

// clickPath is where the page sends clicks.
const clickPath = "/_conversation/v1/invoke"

// passes lets a click go out as somebody's.
func (p *Playground) passes(request fetch.EventRequestPaused, by Member) error {
	var body []byte
	for _, part := range request.Request.PostDataEntries {
		body = append(body, part.Bytes...)
	}
	var invoke map[string]any
	if err := json.Unmarshal(body, &invoke); err != nil {
		return err
	}
	invoke["from"] = map[string]any{"id": by.account()}
	body, err := json.Marshal(invoke)
	if err != nil {
		return err
	}
	p.last = string(body)
	_, err = chromedp.Call(p.page.Context(), fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: request.RequestID, PostData: body})
	return err
}

// Enter goes to a place.
func (p *Playground) Enter(place string) {
	p.t.Helper()
	p.page.Click(fmt.Sprintf("document.querySelector('[role=treeitem][aria-label=%s]')", js(place)), place)
	// Only a channel is written in by posts.
	p.page.See(fmt.Sprintf(`document.querySelector("[role=textbox]")?.matches(".fui-Card *") === %t`, place == Channel), "where to write")
}

// Asks writes to the bot: a post that mentions it in a channel, and plain words where they are alone.
func (p *Playground) Asks(place, text string) {
	p.t.Helper()
	p.Enter(place)
	p.page.Click(`document.querySelector("[role=textbox][contenteditable=true]")`, "the line to write in")
	if place == Channel {
		p.page.Type("@")
		p.page.Click(`document.querySelector("[role=menuitem]")`, "the bot, to be mentioned") // it comes first
		text = " " + text
	}
	p.page.Type(text + "\r")
}

// Expect waits, in the place that was entered, until a card says all of the words. What the page tells below a card to
// whoever clicked on it counts as the card's.
func (p *Playground) Expect(said ...string) {
	p.t.Helper()
	p.page.See(fmt.Sprintf("shown.card(%s)", js(said)), fmt.Sprintf("a card with %q", said))
}

// Unfolds presses a button of the card that says all of the words, which opens a part of that card and tells nobody.
func (p *Playground) Unfolds(label string, said ...string) {
	p.t.Helper()
	p.page.Click(fmt.Sprintf("shown.button(%s, %s)", js(said), js(label)), fmt.Sprintf("the button %q of a card with %q", label, said))
}

// Clicks presses a button of the card that says all of the words, as anybody.
func (p *Playground) Clicks(person, label string, said ...string) {
	p.t.Helper()
	p.sends(person, func() { p.Unfolds(label, said...) })
}

// Fills writes into an input of the card that says all of the words, in the place of what stands there.
func (p *Playground) Fills(label, text string, said ...string) {
	p.t.Helper()
	input := fmt.Sprintf("shown.input(%s, %s)", js(said), js(label))
	p.page.Click(input, fmt.Sprintf("the input %q of a card with %q", label, said))
	Get[bool](p.page, "("+input+".select(), true)")
	p.page.Type(text)
}

// Finds types into a search of the card that says all of the words, and takes what it offers.
func (p *Playground) Finds(label, typed, option string, said ...string) {
	p.t.Helper()
	p.Fills(label, typed, said...)
	p.page.Click(fmt.Sprintf(`[...document.querySelectorAll("[role=option]")].find((o) => o.innerText.trim() === %s)`, js(option)), "the option "+option)
}

// Repeats presses the button that was pressed last as somebody else, in a client of their own, and gives what the bot
// answers there. This page does not show it.
func (p *Playground) Repeats(person string) (answer string) {
	p.t.Helper()
	p.sends(person, func() {
		answer = Get[string](p.page, fmt.Sprintf(`fetch(%s, { method: "POST", headers: { "Content-Type": "application/json" }, body: %s }).then((r) => r.text())`,
			js(clickPath), js(p.last)))
	})
	return answer
}

// sends waits until a click has gone out as somebody's.
func (p *Playground) sends(person string, press func()) {
	p.t.Helper()
	sent := make(chan error, 1)
	p.clicks <- click{p.member(person), sent}
	press()
	select {
	case err := <-sent:
		if err != nil {
			p.t.Fatalf("send the click of %s: %v", person, err)
		}
	case <-time.After(sight):
		p.t.Fatalf("the click of %s was not sent", person)
	}
}

// member is somebody by the id.
func (p *Playground) member(id string) Member {
	p.t.Helper()
	at := slices.IndexFunc(p.members, func(m Member) bool { return m.ID == id })
	if at < 0 {
		p.t.Fatalf("%s is no member", id)
	}
	return p.members[at]
}

// js is a value for the page's script.
func js(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts can be written
	}
	return string(text)
}

// Post is a message of a channel that answers no other.
type Post struct {
	By    string
	Cards int // of the message and its answers
}

// Posts are those of the channel that was entered, the newest first.
func (p *Playground) Posts() []Post {
	p.t.Helper()
	return Get[[]Post](p.page, "shown.posts()")
}

// Shot keeps a picture, where pictures are wanted, with the card in it that says all of the words.
func (p *Playground) Shot(name string, said ...string) {
	p.t.Helper()
	if Pictures(p.t) == "" {
		return
	}
	p.Expect(said...)
	p.page.Reveal(fmt.Sprintf("shown.card(%s).panel", js(said)))
	p.page.Shot(name)
}
