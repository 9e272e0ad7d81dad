// Package bot is the conversation: the commands people type, the cards and forms they see, and the words on them, the
// same in every chat. It builds cards as plain data; bot/slack, bot/teams and bot/web verify, parse, render and send.
// What a click may do is decided by workflows, never here.
package bot

import (
	"time"
	"unicode/utf8"

	"elevate/workflows/access"
)

// Card is a message, a private answer or a home page, before any chat's markup.
type Card struct {
	// Name says which card it is, for golden files and logs: "request", "mine", "digest" …
	Name string
	// Title is plain text, at most 150 characters (Slack: a header's limit). Short answers have none.
	Title string
	// Summary is what a notification shows and a screen reader reads: plain text, one or two sentences.
	Summary string
	Parts   []Part
	// Request is the request whose message this is; empty on cards that only speak of one. Where a chat can show one message
	// differently to several people, it shows to each of Viewers what Bot.View gives for them.
	Request access.RequestID
	Viewers []access.PersonID
	// Once marks a card that is shown when it is made and never again, for what it holds: a chat that keeps its answers,
	// to give them again, keeps SaysOnce in its place.
	Once bool
}

// Part is one piece of a card: Text, Facts, Quote, Buttons, Item, Heading or Divider.
type Part interface{ part() }

// Text is a paragraph of our own words. Small is for the fine print.
type Text struct {
	Spans []Span
	Small bool
}

// Facts are labelled values, at most ten (Slack: fields of a section).
type Facts struct{ Rows []Fact }

// Fact is one of them.
type Fact struct {
	Label string
	Value []Span
}

// Quote is text that a person wrote. It is shown to the letter and never parsed as markup.
type Quote struct{ Text string }

// Buttons are at most five in a row, the important one first.
type Buttons struct{ Buttons []Button }

// Item is a line of a list with its own buttons.
type Item struct {
	Spans   []Span
	Buttons []Button
}

// Heading opens a section of a card.
type Heading struct{ Text string }

// Divider is a line across.
type Divider struct{}

func (Text) part()    {}
func (Facts) part()   {}
func (Quote) part()   {}
func (Buttons) part() {}
func (Item) part()    {}
func (Heading) part() {}
func (Divider) part() {}

// Span is a run of text. Exactly one of Text, Person and Time is set. Text is shown to the letter.
type Span struct {
	Text   string
	URL    string // of ours, with Text for its label: a link to open
	Bold   bool
	Code   bool
	Person access.PersonID // shown by directory name; Mention also calls the person's attention
	Name   string          // the directory's name for Person
	// Mention makes the chat notify the person, where the chat knows them.
	Mention bool
	Time    time.Time // shown in the reader's own time zone
	Style   TimeStyle
}

// TimeStyle says how much of a time is shown.
type TimeStyle int

// The styles of a time.
const (
	Clock    TimeStyle = iota // 14:05
	DateTime                  // 23 Nov, 14:05
	Date                      // 23 Nov
	Seconds                   // 14:05:07
)

// UTC is a time where a chat cannot show it in the reader's own zone.
func (s TimeStyle) UTC(t time.Time) string {
	layout := "2 Jan 2006, 15:04 UTC"
	switch s {
	case Clock:
		layout = "15:04 UTC"
	case Seconds:
		layout = "15:04:05 UTC"
	case Date:
		layout = "2 Jan 2006"
	}
	return t.UTC().Format(layout)
}

// Words are what a span says, in plain text.
func (s Span) Words() string {
	switch {
	case !s.Time.IsZero():
		return s.Style.UTC(s.Time)
	case s.Person != "" && s.Name != "":
		return s.Name
	case s.Person != "":
		return string(s.Person)
	}
	return s.Text
}

// Cut shortens a text to a number of characters, with an ellipsis where something was lost.
func Cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	return string(runes[:limit-1]) + "…"
}

// Say is a span of plain words.
func Say(text string) Span { return Span{Text: text} }

// Strong is a span of bold words.
func Strong(text string) Span { return Span{Text: text, Bold: true} }

// Mono is a span of code: ids, commands.
func Mono(text string) Span { return Span{Text: text, Code: true} }

// Link is a span that opens an address of ours.
func Link(label, url string) Span { return Span{Text: label, URL: url} }

// When is a moment in the reader's own zone.
func When(t time.Time, s TimeStyle) Span { return Span{Time: t, Style: s} }

// Action names what a button does.
type Action string

// The actions of buttons. Apart from ActRequest and ActRole they carry a request's id and nothing else.
const (
	ActApprove Action = "approve"
	ActDeny    Action = "deny" // opens the form for a reason
	ActDetails Action = "details"
	ActCancel  Action = "cancel"
	ActEnd     Action = "end"
	ActExtend  Action = "extend"  // opens the form for how long
	ActRequest Action = "request" // opens the empty request form; carries nothing
	ActAgain   Action = "again"   // opens the request form filled in like an earlier request
	ActView    Action = "view"    // shows a request's message again, where a chat has put something in its place
)

// Style is a button's weight.
type Style string

// The styles of buttons.
const (
	Plain   Style = ""
	Primary Style = "primary"
	Danger  Style = "danger"
)

// Button is something to click.
type Button struct {
	Action  Action
	Request access.RequestID
	Label   string // at most 30 characters: Slack cuts longer ones on a phone
	Style   Style
	Confirm *Confirm
	// Speak is what a screen reader says instead of the label, at most 75 characters.
	Speak string
	// Link is an address that the button opens in a browser; it has no Action then.
	Link access.Secret
}

// Confirm asks once more before a click counts. Limits are Slack's: title 100, text 300, buttons 30 characters.
type Confirm struct {
	Title, Text, Yes, No string
}

// FormName names a form.
type FormName string

// The forms.
const (
	FormRequest FormName = "request"
	FormDeny    FormName = "deny"
	FormExtend  FormName = "extend"
	FormApprove FormName = "approve" // asks for a code
	// Those of /elevate mfa ask for a code, and two of them whose factor it is about.
	FormReplace FormName = "mfa-replace"
	FormRemove  FormName = "mfa-remove"
	FormConfirm FormName = "mfa-confirm"
	FormReset   FormName = "mfa-reset"
)

// InputCode is the input that a code of somebody's second factor is typed into. See Filled.
const InputCode = "code"

// Form is a dialog to fill in.
type Form struct {
	Name    FormName
	Title   string // at most 24 characters (Slack: a modal's title)
	Submit  string // at most 24
	Request access.RequestID
	Intro   []Part // Text, Facts and Quote only
	Inputs  []Input
}

// InputKind says how an input is filled in.
type InputKind int

// The kinds of input.
const (
	Line   InputKind = iota // one line of text
	Area                    // several lines
	Choice                  // one of Options, at most ten
	Search                  // one of very many, found by typing; see Bot.Suggest
	Code                    // six digits, good once: never shown again, kept or logged
)

// Input is one question of a form. Its Name is one of role, duration, justification, ticket, reason, for, code.
type Input struct {
	Name      string
	Kind      InputKind
	Label     string
	Hint      string
	Options   []Option
	Initial   *Option // Choice and Search
	Text      string  // Line and Area: what stands there already
	Optional  bool
	MinLength int
	MaxLength int // at most 3000
	// Refresh: when this input changes, the form is asked for again (Bot.Refresh): the role decides what else is asked.
	Refresh bool
}

// Option is something to choose. Limits are Slack's: label, detail and value 75 characters each.
type Option struct {
	Value, Label, Detail string
}
