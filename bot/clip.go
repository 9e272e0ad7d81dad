package bot

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"elevate/workflows/policy"
)

// The limits of a card, in characters. Slack's are the narrowest: a header 150, a text object 3,000, a message about
// 12,000 in all and 50 blocks, of which a little is left to the adapters.
const (
	maxTitle   = 150
	maxSummary = 300
	maxLabel   = 30
	maxSpeak   = 75
	maxOption  = 75
	maxConfirm = 300
	maxHeading = 150
	maxName    = 80
	maxRole    = 120
	maxValue   = 400
	maxText    = 2500
	maxQuote   = 2000
	maxFacts   = 10
	maxButtons = 5
)

// room is how much a card may hold, or can still take.
type room struct {
	chars  int
	blocks int // a part is one, and an item with more than one button two: see weight
}

// The rooms of the kinds of card. A page of its own may be far longer than a message.
var (
	messageRoom = room{chars: 10000, blocks: 45}
	digestRoom  = room{chars: 8000, blocks: 30}
	homeRoom    = room{chars: 40000, blocks: 90}
)

// less is what is left after a part; false where it does not fit.
func (r room) less(p Part) (room, bool) {
	r.chars -= size(p)
	r.blocks -= weight(p)
	return r, r.chars >= 0 && r.blocks >= 0
}

// weight is how many blocks a chat makes of a part.
func weight(p Part) int {
	if i, ok := p.(Item); ok && len(i.Buttons) > 1 {
		return 2
	}
	return 1
}

// clip shortens a text to n characters at most, the last of them "…" where something was left out. It does not leave
// half of a joined emoji or a letter without its marks.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	cut := n - 1
	for cut > 0 && (joins(runes[cut]) || joins(runes[cut-1]) && !unicode.Is(unicode.M, runes[cut-1])) {
		cut--
	}
	if cut == 0 { // nothing but marks
		cut = n - 1
	}
	return strings.TrimRightFunc(string(runes[:cut]), unicode.IsSpace) + "…"
}

// joins tells characters that belong to the one before them or bind to the one after them.
func joins(r rune) bool {
	return r == '\u200d' || unicode.Is(unicode.M, r) || r >= 0x1f3fb && r <= 0x1f3ff
}

// oneLine makes a name or a title safe to stand in a line of ours: no line breaks, no control characters, nothing that
// turns the direction of what follows it. No line of ours is longer than it leaves.
func oneLine(s string) string { return policy.CleanText(clip(s, 500)) }

// turns tells the characters that change the direction of text.
func turns(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' || r == '\u061c'
}

// isolate keeps a right-to-left name from pulling the words around it along, in text that no chat lays out for us.
func isolate(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
	}) < 0 {
		return s
	}
	return "\u2068" + s + "\u2069"
}

// literal keeps a text that a person wrote, or a target, line by line, without what hides or turns.
func literal(s string) string {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"), "\n")
	for i, line := range lines {
		lines[i] = policy.CleanText(strings.ReplaceAll(line, string(utf8.RuneError), ""))
	}
	return strings.TrimSpace(blankLines.ReplaceAllString(strings.Join(lines, "\n"), "\n\n"))
}

var blankLines = regexp.MustCompile("\n{3,}")

// fit brings a card within the limits, whatever it was made from. Builders choose what to leave out; this is the last
// line, for what they did not foresee, and says so where it cuts.
func fit(c Card) Card { return fitTo(c, messageRoom) }

// fitTo is fit for a card that may be longer or must be shorter.
func fitTo(c Card, left room) Card {
	c.Title, c.Summary = clip(oneLine(c.Title), maxTitle), clip(oneLine(c.Summary), maxSummary)
	left.chars -= runes(c.Title) + runes(c.Summary) + runes(cutOff)
	left.blocks--
	parts := make([]Part, 0, len(c.Parts))
	for _, p := range c.Parts {
		if p = fitPart(p); p == nil {
			continue
		}
		after, ok := left.less(p)
		if !ok {
			parts = append(parts, Text{Spans: []Span{Say(cutOff)}, Small: true})
			break
		}
		left, parts = after, append(parts, p)
	}
	c.Parts = parts
	return c
}

const cutOff = "… This message is cut off here: it is too long for a chat."

// fitPart brings one part within its limits; nil where nothing is left of it.
func fitPart(p Part) Part {
	switch p := p.(type) {
	case Text:
		p.Spans = fitSpans(p.Spans, maxText)
		if len(p.Spans) == 0 {
			return nil
		}
		return p
	case Quote:
		p.Text = clip(literal(p.Text), maxQuote)
		if p.Text == "" {
			return nil
		}
		return p
	case Heading:
		p.Text = clip(oneLine(p.Text), maxHeading)
		return p
	case Facts:
		rows := make([]Fact, 0, min(len(p.Rows), maxFacts))
		for _, f := range p.Rows[:min(len(p.Rows), maxFacts)] {
			if f.Value = fitSpans(f.Value, maxValue); len(f.Value) > 0 {
				rows = append(rows, f)
			}
		}
		if len(rows) == 0 {
			return nil
		}
		return Facts{Rows: rows}
	case Buttons:
		if len(p.Buttons) == 0 {
			return nil
		}
		return Buttons{Buttons: fitButtons(p.Buttons)}
	case Item:
		return Item{Spans: fitSpans(p.Spans, maxText), Buttons: fitButtons(p.Buttons)}
	}
	return p
}

func fitSpans(spans []Span, n int) []Span {
	out := make([]Span, 0, len(spans))
	for _, s := range spans {
		if n <= 0 {
			return append(out, Say("…"))
		}
		if s.Text = literalLine(s.Text); s.Text != "" {
			s.Text = clip(s.Text, n)
		}
		s.Name = clip(oneLine(s.Name), maxName)
		if s.Text == "" && s.Person == "" && s.Time.IsZero() { // nothing of it could be shown
			continue
		}
		n -= spanSize(s)
		out = append(out, s)
	}
	return out
}

// literalLine is like literal but keeps the spaces at the ends, which separate spans.
func literalLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) || turns(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

func fitButtons(buttons []Button) []Button {
	out := make([]Button, 0, min(len(buttons), maxButtons))
	for _, b := range buttons[:min(len(buttons), maxButtons)] {
		b.Label, b.Speak = clip(b.Label, maxLabel), clip(oneLine(b.Speak), maxSpeak)
		if b.Confirm != nil {
			b.Confirm = &Confirm{
				Title: clip(oneLine(b.Confirm.Title), 100), Text: clip(oneLine(b.Confirm.Text), maxConfirm),
				Yes: clip(b.Confirm.Yes, maxLabel), No: clip(b.Confirm.No, maxLabel),
			}
		}
		out = append(out, b)
	}
	return out
}

// size is about how many characters a part takes on the wire, text that is not seen included.
func size(p Part) int {
	n := 0
	switch p := p.(type) {
	case Text:
		return spansSize(p.Spans)
	case Quote:
		return runes(p.Text)
	case Heading:
		return runes(p.Text)
	case Facts:
		for _, f := range p.Rows {
			n += runes(f.Label) + spansSize(f.Value)
		}
	case Item:
		return spansSize(p.Spans) + buttonsSize(p.Buttons)
	case Buttons:
		return buttonsSize(p.Buttons)
	}
	return n
}

func buttonsSize(buttons []Button) int {
	n := 0
	for _, b := range buttons {
		n += runes(b.Label) + runes(b.Speak) + len(b.Request) + len(b.Link.Reveal())
		if b.Confirm != nil {
			n += runes(b.Confirm.Title) + runes(b.Confirm.Text) + runes(b.Confirm.Yes) + runes(b.Confirm.No)
		}
	}
	return n
}

func spansSize(spans []Span) int {
	n := 0
	for _, s := range spans {
		n += spanSize(s)
	}
	return n
}

// spanSize counts a time as the longest that chats make of it.
func spanSize(s Span) int {
	n := runes(s.Text) + runes(s.Name)
	if !s.Time.IsZero() {
		n += 20
	}
	return n
}

func runes(s string) int { return utf8.RuneCountInString(s) }
