package slack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"elevate/bot"
	"elevate/workflows/access"
)

// Slack's limits, in characters or elements.
const (
	maxHeader       = 150
	maxField        = 2000
	maxFields       = 10
	maxText         = 3000
	maxButtonLabel  = 75
	maxConfirmTitle = 100
	maxConfirmText  = 300
	maxConfirmLabel = 30
	maxOption       = 75
	maxRowButtons   = 25
	messageBlocks   = 50
	viewBlocks      = 100
	// messageLength is for all blocks of a message together, as JSON. Slack documents no limit and refuses from about
	// 12,000 characters on, some of its own included ("msg_blocks_too_long").
	messageLength = 11_500
	// whisperLength is for answers in an acknowledgement or to a response URL, where that limit does not hold; through
	// Socket Mode an acknowledgement carries 20 kB.
	whisperLength = 17_000
	// viewLength keeps a view below 250 kilobytes whatever its characters are.
	viewLength = 40_000
)

// renderer makes Block Kit of cards and forms. Words that a person may have written go where Slack parses nothing:
// rich text, or plain text objects.
type renderer struct {
	// account is a person's Slack account, empty where there is none.
	account func(ctx context.Context, id access.PersonID) string
	// command is what the sentences of bot call /elevate here; empty: just that.
	command string
}

// message is a card as the blocks of a message.
func (r renderer) message(ctx context.Context, c bot.Card) []slack.Block {
	return r.page(ctx, c, true, messageBlocks, messageLength)
}

// whisper is a card as the blocks of an answer to one person.
func (r renderer) whisper(ctx context.Context, c bot.Card) []slack.Block {
	return r.page(ctx, c, true, messageBlocks, whisperLength)
}

// home is a card as somebody's Home page.
func (r renderer) home(ctx context.Context, c bot.Card) slack.HomeTabViewRequest {
	return slack.HomeTabViewRequest{
		Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: r.page(ctx, c, true, viewBlocks, viewLength)},
	}
}

// modal is a card as a dialog with nothing to fill in.
func (r renderer) modal(ctx context.Context, c bot.Card) slack.ModalViewRequest {
	title, withHeader := c.Title, false
	if title == "" || utf8.RuneCountInString(title) > maxModalTitle {
		title, withHeader = "Elevate", true
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(title, maxModalTitle), Close: plain("Close", maxModalTitle),
		Blocks: slack.Blocks{BlockSet: r.page(ctx, c, withHeader, viewBlocks, viewLength)},
	}
}

// page lays a card out within a number of blocks and characters. What does not fit is left out, with a line that says
// so; rows of buttons always fit, so that a long story never hides the decision.
func (r renderer) page(ctx context.Context, c bot.Card, header bool, maxBlocks, maxLength int) []slack.Block {
	l := newLayout(maxBlocks, maxLength)
	for _, p := range c.Parts {
		if b, ok := p.(bot.Buttons); ok {
			l.reserve(r.buttons(b.Buttons))
		}
	}
	if header && c.Title != "" {
		l.add(heading(c.Title))
	}
	for _, p := range c.Parts {
		if b, ok := p.(bot.Buttons); ok {
			l.addReserved(r.buttons(b.Buttons))
			continue
		}
		l.add(r.part(ctx, p)...)
	}
	return l.finish()
}

// part is one piece of a card as blocks.
func (r renderer) part(ctx context.Context, p bot.Part) []slack.Block {
	switch p := p.(type) {
	case bot.Text:
		return r.paragraph(ctx, p)
	case bot.Facts:
		return r.facts(ctx, p)
	case bot.Quote:
		return quote(p.Text)
	case bot.Item:
		return r.item(ctx, p)
	case bot.Heading:
		return []slack.Block{heading(p.Text)}
	case bot.Divider:
		return []slack.Block{slack.NewDividerBlock()}
	case bot.Buttons:
		return r.buttons(p.Buttons)
	}
	return nil
}

func heading(text string) slack.Block {
	return slack.NewHeaderBlock(plain(text, maxHeader))
}

func (r renderer) paragraph(ctx context.Context, t bot.Text) []slack.Block {
	if len(t.Spans) == 0 {
		return nil
	}
	if t.Small {
		if object := r.object(ctx, t.Spans, maxText); object != nil {
			return []slack.Block{slack.NewContextBlock("", object)}
		}
	}
	return r.rich(ctx, t.Spans)
}

func quote(text string) []slack.Block {
	if text == "" {
		return nil
	}
	return []slack.Block{slack.NewRichTextBlock("", &slack.RichTextQuote{
		Type:     slack.RTEQuote,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(bot.Cut(text, maxText), nil)},
	})}
}

// facts are fields, two abreast; or, where one of them could only be marked up by parsing somebody's words, lines.
func (r renderer) facts(ctx context.Context, f bot.Facts) []slack.Block {
	rows := f.Rows[:min(len(f.Rows), maxFields)]
	var fields []*slack.TextBlockObject
	var lines []bot.Span
	for _, row := range rows {
		fields = append(fields, r.object(ctx, append([]bot.Span{bot.Strong(row.Label), bot.Say("\n")}, row.Value...), maxField))
		if len(lines) > 0 {
			lines = append(lines, bot.Say("\n"))
		}
		lines = append(append(lines, bot.Strong(row.Label), bot.Say("  ")), row.Value...)
	}
	switch {
	case len(fields) == 0:
		return nil
	case slices.Contains(fields, nil):
		return r.rich(ctx, lines)
	}
	return []slack.Block{slack.NewSectionBlock(nil, fields, nil)}
}

// item is a line with its buttons: one button stands beside it, more stand below.
func (r renderer) item(ctx context.Context, i bot.Item) []slack.Block {
	if len(i.Buttons) == 1 {
		if object := r.object(ctx, i.Spans, maxText); object != nil {
			button := r.button(i.Buttons[0], 0)
			return []slack.Block{slack.NewSectionBlock(object, nil, slack.NewAccessory(button))}
		}
	}
	return append(r.rich(ctx, i.Spans), r.buttons(i.Buttons)...)
}

func (r renderer) buttons(buttons []bot.Button) []slack.Block {
	if len(buttons) == 0 {
		return nil
	}
	var elements []slack.BlockElement
	for n, b := range buttons[:min(len(buttons), maxRowButtons)] {
		elements = append(elements, r.button(b, n))
	}
	return []slack.Block{slack.NewActionBlock("", elements...)}
}

// actionPrefix marks the buttons that are ours; the action's name follows.
const actionPrefix = "elevate."

// linkID marks buttons that open an address. Slack tells of their clicks too, which say nothing to us.
const linkID = "link."

// button is the n-th of its row. Action ids must differ within a row, so all but the first carry their number.
func (r renderer) button(b bot.Button, n int) *slack.ButtonBlockElement {
	id := actionPrefix + string(b.Action)
	if n > 0 {
		id += "." + strconv.Itoa(n)
	}
	out := slack.NewButtonBlockElement(id, string(b.Request), plain(b.Label, maxButtonLabel))
	if !b.Link.IsZero() {
		out.ActionID, out.Value, out.URL = linkID+strconv.Itoa(n), "", b.Link.Reveal()
	}
	out.Style = slack.Style(b.Style)
	out.AccessibilityLabel = bot.Cut(b.Speak, maxButtonLabel)
	if c := b.Confirm; c != nil {
		out.Confirm = slack.NewConfirmationBlockObject(plain(c.Title, maxConfirmTitle), plain(c.Text, maxConfirmText),
			plain(c.Yes, maxConfirmLabel), plain(c.No, maxConfirmLabel))
		out.Confirm.Style = slack.Style(b.Style)
	}
	return out
}

// actionOf reads an action id that button made; false where it is none of ours.
func actionOf(id string) (bot.Action, bool) {
	rest, ok := strings.CutPrefix(id, actionPrefix)
	name, _, _ := strings.Cut(rest, ".")
	return bot.Action(name), ok && name != ""
}

// plain is text that Slack parses nothing in, not even :emoji:. Slack takes no empty text.
func plain(text string, limit int) *slack.TextBlockObject {
	if strings.TrimSpace(text) == "" {
		text = "–"
	}
	return slack.NewTextBlockObject(slack.PlainTextType, bot.Cut(text, limit), false, false)
}

// layout collects blocks within limits and gives each an id of its own.
type layout struct {
	blocks    []slack.Block
	left      int // blocks
	length    int // characters left
	shortened bool
	idPrefix  string
}

func newLayout(maxBlocks, maxLength int) *layout {
	l := &layout{left: maxBlocks, length: maxLength, idPrefix: rand.Text()[:8] + "."}
	l.reserve([]slack.Block{shortened()})
	return l
}

// shortened is the line that stands for what was left out.
func shortened() slack.Block {
	return slack.NewContextBlock("", plain("Shortened: Slack cannot show all of it. Use Details or Elevate's commands to see the rest.", maxText))
}

// reserve keeps room for blocks that are added later with addReserved.
func (l *layout) reserve(blocks []slack.Block) {
	l.left -= len(blocks)
	l.length -= length(blocks)
}

func (l *layout) addReserved(blocks []slack.Block) {
	l.blocks = append(l.blocks, blocks...)
}

// add takes blocks that belong together, or none of them where they no longer fit; nothing is added after a gap.
func (l *layout) add(blocks ...slack.Block) {
	size := length(blocks)
	if l.shortened || len(blocks) > l.left || size > l.length {
		l.shortened = l.shortened || len(blocks) > 0
		return
	}
	l.left -= len(blocks)
	l.length -= size
	l.blocks = append(l.blocks, blocks...)
}

// finish gives the blocks, with ids that no earlier version of the page had: Slack asks for new ones at each update.
func (l *layout) finish() []slack.Block {
	if l.shortened {
		l.blocks = append(l.blocks, shortened())
	}
	if len(l.blocks) == 0 {
		l.blocks = append(l.blocks, slack.NewDividerBlock()) // Slack takes no empty page
	}
	for n, b := range l.blocks {
		identify(b, l.idPrefix+strconv.Itoa(n))
	}
	return l.blocks
}

func identify(b slack.Block, id string) {
	switch b := b.(type) {
	case *slack.HeaderBlock:
		b.BlockID = id
	case *slack.SectionBlock:
		b.BlockID = id
	case *slack.ContextBlock:
		b.BlockID = id
	case *slack.ActionBlock:
		b.BlockID = id
	case *slack.RichTextBlock:
		b.BlockID = id
	case *slack.DividerBlock:
		b.BlockID = id
	}
}

// length counts the characters of blocks as Slack gets them, with some to spare for their ids.
func length(blocks []slack.Block) int {
	const perID = 32
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	total := 0
	for _, b := range blocks {
		buf.Reset()
		if err := enc.Encode(b); err != nil {
			return messageLength // cannot happen with these types; better left out than refused
		}
		total += utf8.RuneCount(buf.Bytes()) + perID
	}
	return total
}
