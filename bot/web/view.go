package web

import (
	"time"

	"elevate/bot"
	"elevate/workflows/access"
)

// The views are the cards and forms of bot as the page reads them: plain data, every text a string that the page sets
// as text. page/cards.js and page/forms.js are their readers.

type cardView struct {
	Name    string     `json:"name"`
	Title   string     `json:"title,omitempty"`
	Summary string     `json:"summary,omitempty"`
	Parts   []partView `json:"parts"`
}

type partView struct {
	Kind    string       `json:"kind"`
	Small   bool         `json:"small,omitempty"`
	Text    string       `json:"text,omitempty"`
	Spans   []spanView   `json:"spans,omitempty"`
	Rows    []factView   `json:"rows,omitempty"`
	Buttons []buttonView `json:"buttons,omitempty"`
}

type factView struct {
	Label string     `json:"label"`
	Value []spanView `json:"value"`
}

type spanView struct {
	Text    string          `json:"text,omitempty"`
	URL     string          `json:"url,omitempty"`
	Bold    bool            `json:"bold,omitempty"`
	Code    bool            `json:"code,omitempty"`
	Person  access.PersonID `json:"person,omitempty"`
	Mention bool            `json:"mention,omitempty"`
	Time    time.Time       `json:"time,omitzero"`
	Style   string          `json:"style,omitempty"`
}

type buttonView struct {
	Action  bot.Action       `json:"action"`
	Request access.RequestID `json:"request,omitempty"`
	Label   string           `json:"label"`
	Style   bot.Style        `json:"style,omitempty"`
	Speak   string           `json:"speak,omitempty"`
	Confirm *confirmView     `json:"confirm,omitempty"`
	Link    string           `json:"link,omitempty"`
}

type confirmView struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	Yes   string `json:"yes"`
	No    string `json:"no"`
}

type formView struct {
	Name    bot.FormName     `json:"name"`
	Title   string           `json:"title"`
	Submit  string           `json:"submit"`
	Request access.RequestID `json:"request,omitempty"`
	Intro   []partView       `json:"intro,omitempty"`
	Inputs  []inputView      `json:"inputs"`
}

type inputView struct {
	Name      string       `json:"name"`
	Kind      string       `json:"kind"`
	Label     string       `json:"label"`
	Hint      string       `json:"hint,omitempty"`
	Options   []optionView `json:"options,omitempty"`
	Initial   *optionView  `json:"initial,omitempty"`
	Text      string       `json:"text,omitempty"`
	Optional  bool         `json:"optional,omitempty"`
	MinLength int          `json:"min_length,omitempty"`
	MaxLength int          `json:"max_length,omitempty"`
	Refresh   bool         `json:"refresh,omitempty"`
}

type optionView struct {
	Value  string `json:"value"`
	Label  string `json:"label"`
	Detail string `json:"detail,omitempty"`
}

func viewCard(c bot.Card) *cardView {
	return &cardView{Name: c.Name, Title: c.Title, Summary: c.Summary, Parts: viewParts(c.Parts)}
}

// mentions are the people whose attention the card wants.
func (c *cardView) mentions() map[access.PersonID]bool {
	found := map[access.PersonID]bool{}
	look := func(spans []spanView) {
		for _, s := range spans {
			if s.Mention && s.Person != "" {
				found[s.Person] = true
			}
		}
	}
	for _, p := range c.Parts {
		look(p.Spans)
		for _, row := range p.Rows {
			look(row.Value)
		}
	}
	return found
}

func viewParts(parts []bot.Part) []partView {
	out := make([]partView, 0, len(parts))
	for _, p := range parts {
		out = append(out, viewPart(p))
	}
	return out
}

func viewPart(p bot.Part) partView {
	switch p := p.(type) {
	case bot.Text:
		return partView{Kind: "text", Small: p.Small, Spans: viewSpans(p.Spans)}
	case bot.Facts:
		v := partView{Kind: "facts"}
		for _, row := range p.Rows {
			v.Rows = append(v.Rows, factView{Label: row.Label, Value: viewSpans(row.Value)})
		}
		return v
	case bot.Quote:
		return partView{Kind: "quote", Text: p.Text}
	case bot.Buttons:
		return partView{Kind: "buttons", Buttons: viewButtons(p.Buttons)}
	case bot.Item:
		return partView{Kind: "item", Spans: viewSpans(p.Spans), Buttons: viewButtons(p.Buttons)}
	case bot.Heading:
		return partView{Kind: "heading", Text: p.Text}
	default:
		return partView{Kind: "divider"}
	}
}

func viewSpans(spans []bot.Span) []spanView {
	out := make([]spanView, 0, len(spans))
	for _, s := range spans {
		v := spanView{Text: s.Text, URL: s.URL, Bold: s.Bold, Code: s.Code, Person: s.Person, Mention: s.Mention}
		switch {
		case s.Person != "":
			v.Text = s.Name
			if v.Text == "" {
				v.Text = string(s.Person)
			}
		case !s.Time.IsZero():
			v.Time = s.Time.UTC()
			v.Style = timeStyle(s.Style)
		}
		out = append(out, v)
	}
	return out
}

func timeStyle(s bot.TimeStyle) string {
	switch s {
	case bot.DateTime:
		return "datetime"
	case bot.Date:
		return "date"
	case bot.Seconds:
		return "seconds"
	default:
		return "clock"
	}
}

func viewButtons(buttons []bot.Button) []buttonView {
	out := make([]buttonView, 0, len(buttons))
	for _, b := range buttons {
		v := buttonView{Action: b.Action, Request: b.Request, Label: b.Label, Style: b.Style, Speak: b.Speak, Link: b.Link.Reveal()}
		if b.Confirm != nil {
			confirm := confirmView(*b.Confirm)
			v.Confirm = &confirm
		}
		out = append(out, v)
	}
	return out
}

func viewForm(f bot.Form) *formView {
	v := &formView{Name: f.Name, Title: f.Title, Submit: f.Submit, Request: f.Request, Intro: viewParts(f.Intro)}
	for _, in := range f.Inputs {
		v.Inputs = append(v.Inputs, viewInput(in))
	}
	return v
}

func viewInput(in bot.Input) inputView {
	v := inputView{
		Name: in.Name, Kind: inputKind(in.Kind), Label: in.Label, Hint: in.Hint, Options: viewOptions(in.Options),
		Text: in.Text, Optional: in.Optional, MinLength: in.MinLength, MaxLength: in.MaxLength, Refresh: in.Refresh,
	}
	if in.Initial != nil {
		initial := optionView(*in.Initial)
		v.Initial = &initial
	}
	return v
}

func inputKind(k bot.InputKind) string {
	switch k {
	case bot.Area:
		return "area"
	case bot.Choice:
		return "choice"
	case bot.Search:
		return "search"
	case bot.Code:
		return "code"
	default:
		return "line"
	}
}

func viewOptions(options []bot.Option) []optionView {
	out := make([]optionView, 0, len(options))
	for _, o := range options {
		out = append(out, optionView(o))
	}
	return out
}
