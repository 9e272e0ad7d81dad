package teams

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"elevate/bot"
	"elevate/workflows/access"
)

// look is how a line of text looks as a whole.
type look struct {
	large, medium, small, bold, wrong bool
}

// dress puts a look on a TextBlock or a TextRun, which name it alike.
func (l look) dress(o object) object {
	if l.large {
		o["size"] = "large"
	}
	if l.medium { // said all the same: a heading's own size is a title's
		o["size"] = "medium"
	}
	if l.small {
		o["size"], o["isSubtle"] = "small", true
	}
	if l.bold {
		o["weight"] = "bolder"
	}
	if l.wrong {
		o["color"] = "attention"
	}
	return o
}

// line is spans as a paragraph. Text runs are shown to the letter; but Teams' clients put neither times into the
// reader's zone there nor mentions, only in a TextBlock, which is markdown. So a line with either is a TextBlock where
// none of its words means anything in markdown, and text runs otherwise: its times are in UTC then, and who is mentioned
// is called on a line below.
func (s *sheet) line(ctx context.Context, spans []bot.Span, l look) []object {
	var flat, marked strings.Builder
	var called []string
	live, linked := false, false
	for _, span := range spans {
		text := span.Words()
		mark := emphasized(span, text)
		linked = linked || span.URL != ""
		if moment := localTime(span); moment != "" {
			text, mark, live = "T", moment, true
		}
		if at := s.mention(ctx, span); at != "" {
			text, mark, live = "T", at, true
			called = append(called, at)
		}
		flat.WriteString(text)
		marked.WriteString(mark)
	}
	switch {
	case !live, linked: // a link is a run that can be pressed
		return rich(l, spans...)
	case harmless(flat.String()):
		return []object{markdown(marked.String(), l)}
	}
	out := rich(l, spans...)
	if len(called) > 0 {
		out = append(out, markdown(strings.Join(called, ", "), look{small: true}))
	}
	return out
}

// rich is a paragraph in which nothing is parsed. What would be left empty is nothing.
func rich(l look, spans ...bot.Span) []object {
	var inlines []object
	for _, span := range spans {
		inlines = append(inlines, runs(span, l)...)
	}
	if len(inlines) == 0 {
		return nil
	}
	return []object{{"type": "RichTextBlock", "inlines": inlines}}
}

// runs are a span as text runs. Clients expand {{DATE(…)}} and {{TIME(…)}} in a run, whoever wrote it: such words are two
// runs, parted between the braces.
func runs(span bot.Span, l look) []object {
	var out []object
	text := span.Words()
	for text != "" {
		end := len(text)
		if at := functions.FindStringIndex(text); at != nil {
			end = at[0] + 1
		}
		run := l.dress(object{"type": "TextRun", "text": text[:end]})
		if span.URL != "" {
			run["selectAction"] = object{"type": "Action.OpenUrl", "url": span.URL}
		}
		if span.Bold {
			run["weight"] = "bolder"
		}
		if span.Code {
			run["fontType"] = "monospace"
		}
		out, text = append(out, run), text[end:]
	}
	return out
}

var functions = regexp.MustCompile(`\{\{(?:DATE|TIME)\(`)

// markdown is a TextBlock of words that are ours, or harmless.
func markdown(text string, l look) object {
	return l.dress(object{"type": "TextBlock", "text": text, "wrap": true})
}

// emphasized is a span's text in markdown, given that it is harmless. There is no code there, and bold needs a letter at
// both ends.
func emphasized(span bot.Span, text string) string {
	if span.Bold && boldable.MatchString(text) {
		return "**" + text + "**"
	}
	return text
}

var boldable = regexp.MustCompile(`^[\pL\pN](?s:.*[\pL\pN])?$`)

// harmless tells whether no character of a line means anything in the markdown of any client, so that it is shown to the
// letter: letters, digits, emoji and punctuation that makes no mark, no list, no link and no other sign.
func harmless(line string) bool {
	return plainWords.MatchString(line) && !meant.MatchString(line) && !strings.ContainsRune(line, utf8.RuneError)
}

var (
	plainWords = regexp.MustCompile(`^[\pL\pM\pN\p{So}\x{1f3fb}-\x{1f3ff}\x{200c}\x{200d} ,;:.()/·–—…“”‘’'!?%_-]*$`)
	// meant finds lists, links, dashes, signs in brackets, :names:, and the underscores that are not inside a word.
	meant = regexp.MustCompile(`(?i)^ |^-|^[0-9]+[.)]|\.[^ )”’]|:[^ 0-9]|\)[0-9-]|--|\((?:c|r|p|tm)\)|(?:^|[^a-z0-9])_|_(?:[^a-z0-9]|$)`)
)

// localTime is a span's time as clients put it into the reader's zone and manner. They have no seconds: those are said in
// UTC beside it. Empty for years that the functions do not know.
func localTime(span bot.Span) string {
	at := span.Time.UTC()
	if at.Year() < 1970 || at.Year() > 9999 {
		return ""
	}
	stamp := at.Format("2006-01-02T15:04:05Z")
	date, clock := "{{DATE("+stamp+", SHORT)}}", "{{TIME("+stamp+")}}"
	switch span.Style {
	case bot.Clock:
		return clock
	case bot.Date:
		return date
	case bot.Seconds:
		return clock + " (" + span.Style.UTC(at) + ")"
	}
	return date + " at " + clock
}

// mention is the tag that calls a span's person, for whom the card gets an entity with the same tag. Empty where the span
// calls nobody, where the chat does not know them, and where the card calls them already.
func (s *sheet) mention(ctx context.Context, span bot.Span) string {
	if !span.Mention || span.Person == "" || s.called[span.Person] {
		return ""
	}
	account := s.account(ctx, span.Person)
	if account == "" {
		return ""
	}
	name := s.callName(span)
	s.called[span.Person], s.names[name] = true, true
	tag := "<at>" + name + "</at>"
	s.entities = append(s.entities, object{"type": "mention", "text": tag, "mentioned": object{"id": account, "name": name}})
	return tag
}

// callName is a name to call somebody by: harmless, and no other's on the same card, because the tag alone tells Teams
// who is meant.
func (s *sheet) callName(span bot.Span) string {
	for _, name := range []string{span.Words(), string(span.Person)} {
		if name == strings.TrimSpace(name) && name != "" && harmless(name) && !s.names[name] {
			return name
		}
	}
	n := len(s.names) + 1
	for s.names[fmt.Sprintf("person %d", n)] {
		n++
	}
	return fmt.Sprintf("person %d", n)
}

// people are those that a card calls so far.
type people struct {
	entities []object
	called   map[access.PersonID]bool
	names    map[string]bool
}
