package bot

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"elevate/workflows/access"
)

// verb is the first word of a command.
type verb string

// The verbs. verbForm is no word at all, and verbRequest any word that is none of the others: a role's name.
const (
	verbForm    verb = ""
	verbRequest verb = "request"
	verbMine    verb = "mine"
	verbRoles   verb = "roles"
	verbShow    verb = "show"
	verbEnd     verb = "end"
	verbExtend  verb = "extend"
	verbCancel  verb = "cancel"
	verbReview  verb = "review"
	verbMFA     verb = "mfa"
	verbLink    verb = "link"
	verbHelp    verb = "help"
	verbApprove verb = "approve"
	verbDeny    verb = "deny"
)

// helpWords are what somebody who is lost types.
var helpWords = []string{"help", "?", "-h", "--help"}

// typedVerbs are the words that commands begin with.
var typedVerbs = []verb{verbMine, verbRoles, verbShow, verbEnd, verbExtend, verbCancel, verbReview, verbMFA, verbLink, verbHelp, verbApprove, verbDeny}

// Reserved tells whether a role of this id could not be requested by typing it, because commands begin with the word.
// A catalogue with such a role is a mistake to point out at start.
func Reserved(id access.RoleID) bool {
	word := string(id)
	return word == "elevate" || slices.Contains(helpWords, word) || slices.Contains(typedVerbs, verb(word))
}

// command is what somebody typed, taken apart. Nothing in it has been looked up.
type command struct {
	verb verb
	// id is the request that show, end, extend and cancel speak of; empty where idText is no id or was left out.
	id     access.RequestID
	idText string
	role   string
	// duration is set where one was typed; timed tells it from none, so that "0m" is not taken for "the usual".
	duration time.Duration
	timed    bool
	// text is the rest: a justification, a reason, the words of a search.
	text string
}

// parse takes a command apart. Any text is some command.
func parse(text string) command {
	text = addressed(text)
	first, rest := word(text)
	name := simple(first)
	switch {
	case name == "" && rest == "":
		return command{verb: verbForm}
	case name == "": // a word that cannot be seen
		return parse(rest)
	case slices.Contains(helpWords, name):
		return command{verb: verbHelp}
	case !slices.Contains(typedVerbs, verb(name)):
		c := command{verb: verbRequest, role: name}
		c.duration, rest, c.timed = leadingDuration(rest)
		c.text = unquoted(rest)
		return c
	}
	c := command{verb: verb(name)}
	switch c.verb {
	case verbShow, verbEnd, verbExtend, verbCancel, verbApprove, verbDeny:
		rest = c.takeID(rest)
	}
	if c.verb == verbExtend {
		if w, after := word(rest); simple(w) == "by" {
			rest = after
		}
		c.duration, rest, c.timed = leadingDuration(rest)
	}
	c.text = unquoted(rest)
	return c
}

// takeID reads a request's id from the front of the text, in one word or in two, and gives what follows it.
func (c *command) takeID(text string) (rest string) {
	first, rest := word(text)
	second, after := word(rest)
	c.idText = simple(first)
	if id, err := access.ParseID(c.idText); err == nil {
		c.id = id
		return rest
	}
	if id, err := access.ParseID(c.idText + simple(second)); err == nil {
		c.id, c.idText = id, c.idText+" "+simple(second)
		return after
	}
	return rest
}

// addressed cuts off what calls the bot: mentions in front, and the command's own name where the chat passes it on.
func addressed(text string) string {
	for {
		text = strings.TrimLeftFunc(text, blank)
		switch {
		case strings.HasPrefix(text, "<@") && strings.Contains(text, ">"):
			text = text[strings.Index(text, ">")+1:]
		case strings.HasPrefix(text, "<at>") && strings.Contains(text, "</at>"):
			text = text[strings.Index(text, "</at>")+len("</at>"):]
		default:
			first, rest := word(text)
			switch strings.ToLower(first) {
			case "/elevate", "@elevate", "elevate":
				text = rest
			default:
				return text
			}
		}
	}
}

// word cuts the first word off a text.
func word(text string) (first, rest string) {
	text = strings.TrimLeftFunc(text, blank)
	end := strings.IndexFunc(text, blank)
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimFunc(text[end:], blank)
}

// blank tells white space of every kind, also the kinds that phones and word processors put in.
func blank(r rune) bool { return unicode.IsSpace(r) }

// simple is a word of a command as it was meant: lower case, without the quotes, the long dashes and the invisible
// marks that keyboards add.
func simple(w string) string {
	w = strings.Map(func(r rune) rune {
		switch r {
		case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212':
			return '-'
		}
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, w)
	return strings.TrimRight(strings.Trim(w, "\"'`“”„‘’‚«»‹›"), ",;:")
}

// unquoted takes off quotes that stand around the whole of a text.
func unquoted(text string) string {
	text = strings.TrimFunc(text, blank)
	for _, pair := range []string{`""`, "''", "“”", "„“", "‘’", "«»", "``"} {
		q := []rune(pair)
		inner, opened := strings.CutPrefix(text, string(q[0]))
		inner, closed := strings.CutSuffix(inner, string(q[1]))
		if opened && closed && !strings.ContainsAny(inner, pair) {
			return strings.TrimFunc(inner, blank)
		}
	}
	return text
}
