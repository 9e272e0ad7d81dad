package teamsfake

import (
	"html"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clock are the functions that every client replaces in the texts of a card before it does anything else with them.
// Anything that is not written exactly so is shown as it is.
var clock = regexp.MustCompile(`\{\{(DATE|TIME)\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[-+]\d{2}:\d{2}))(?:, ?(COMPACT|LONG|SHORT))?\)\}\}`)

// Dated is a text with its dates and times as a reader in UTC sees them.
func Dated(text string) string {
	return clock.ReplaceAllStringFunc(text, func(found string) string {
		parts := clock.FindStringSubmatch(found)
		at, err := time.Parse(time.RFC3339, parts[2])
		if err != nil || parts[1] == "TIME" && parts[3] != "" {
			return found
		}
		layout := map[string]string{"": "1/2/2006", "COMPACT": "1/2/2006", "SHORT": "Mon, Jan 2, 2006", "LONG": "Monday, January 2, 2006"}[parts[3]]
		if parts[1] == "TIME" {
			layout = "3:04 PM"
		}
		return at.UTC().Format(layout)
	})
}

var (
	leading  = regexp.MustCompile(`^(#{1,6}(\s+|$)|>\s?|[-+*]\s+|\d{1,9}[.)]\s+)`)
	ruled    = regexp.MustCompile(`^\s*(-{3,}|\*{3,}|_{3,}|={2,})\s*$`)
	autolink = regexp.MustCompile(`^<([a-zA-Z][a-zA-Z0-9+.-]{1,31}:[^\s<>]*)>`)
	linked   = regexp.MustCompile(`^!?\[((?:[^\[\]\\]|\\.)*)\]\((?:[^()\\]|\\.)*\)`)
	entity   = regexp.MustCompile(`^&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]*);`)
)

// Markdown is what can be read of a text that clients parse. Documented are bold, italics, lists and links; whatever a
// client makes of Markdown beside them counts as parsed too, because some client does.
func Markdown(text string) string {
	var out []string
	for _, paragraph := range strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n\n") {
		var words strings.Builder
		for i, line := range strings.Split(paragraph, "\n") {
			if ruled.MatchString(line) {
				continue
			}
			marker := leading.FindString(strings.TrimLeft(line, " "))
			switch {
			case i > 0 && marker != "":
				words.WriteString("\n")
			case i > 0:
				words.WriteString(" ") // one line break is none
			}
			words.WriteString(strings.TrimPrefix(strings.TrimLeft(line, " "), marker))
		}
		out = append(out, inline(words.String()))
	}
	return strings.Join(out, "\n")
}

// mark is a run of characters that may open or close emphasis, or be nothing but itself.
type mark struct {
	at, n       int // where in the pieces, and how many characters are left
	char        byte
	open, close bool
}

// inline parses a paragraph.
func inline(text string) string {
	var pieces []string
	var marks []mark
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1 && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", rest[1]) >= 0:
			pieces, i = append(pieces, rest[1:2]), i+2
		case rest[0] == '`':
			piece, n := code(rest)
			pieces, i = append(pieces, piece), i+n
		case autolink.MatchString(rest):
			found := autolink.FindStringSubmatch(rest)
			pieces, i = append(pieces, found[1]), i+len(found[0])
		case linked.MatchString(rest):
			found := linked.FindStringSubmatch(rest)
			pieces, i = append(pieces, inline(found[1])), i+len(found[0])
		case entity.MatchString(rest):
			found := entity.FindString(rest)
			pieces, i = append(pieces, html.UnescapeString(found)), i+len(found)
		case strings.IndexByte("*_~", rest[0]) >= 0:
			n := len(rest) - len(strings.TrimLeft(rest, rest[:1]))
			m := flanking(text, i, n)
			m.at = len(pieces)
			marks = append(marks, m)
			pieces, i = append(pieces, rest[:n]), i+n
		default:
			_, n := utf8.DecodeRuneInString(rest)
			pieces, i = append(pieces, rest[:n]), i+n
		}
	}
	pair(pieces, marks)
	return strings.Join(pieces, "")
}

// code is what a span of code shows, and how long it is in the text; the backticks themselves where nothing ends it.
func code(text string) (shown string, n int) {
	ticks := text[:len(text)-len(strings.TrimLeft(text, "`"))]
	for i := len(ticks); i < len(text); {
		end := strings.Index(text[i:], ticks)
		if end < 0 {
			break
		}
		run := text[i+end:]
		run = run[:len(run)-len(strings.TrimLeft(run, "`"))]
		if len(run) == len(ticks) {
			return text[len(ticks) : i+end], i + end + len(run)
		}
		i += end + len(run)
	}
	return ticks, len(ticks)
}

// flanking tells whether a run of marks can open or close emphasis, by what stands beside it (CommonMark, 6.2).
func flanking(text string, at, n int) mark {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at+n:])
	space := func(r rune) bool { return r == utf8.RuneError || unicode.IsSpace(r) }
	punct := func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }
	left := !space(after) && (!punct(after) || space(before) || punct(before))
	right := !space(before) && (!punct(before) || space(after) || punct(after))
	m := mark{n: n, char: text[at], open: left, close: right}
	if m.char == '_' {
		m.open, m.close = left && (!right || punct(before)), right && (!left || punct(after))
	}
	return m
}

// pair takes away the marks that found each other.
func pair(pieces []string, marks []mark) {
	for i := range marks {
		for j := i - 1; j >= 0 && marks[i].close && marks[i].n > 0; j-- {
			opener := &marks[j]
			if !opener.open || opener.char != marks[i].char || opener.n == 0 {
				continue
			}
			n := min(opener.n, marks[i].n, 2)
			if opener.char == '~' && n < 2 {
				continue
			}
			opener.n, marks[i].n = opener.n-n, marks[i].n-n
			for k := j + 1; k < i; k++ {
				marks[k].open = false // what stands between cannot pair beyond
			}
			j = i // the same opener may have more to give
		}
	}
	for _, m := range marks {
		pieces[m.at] = strings.Repeat(string(m.char), m.n)
	}
}
