package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// completion is what the composer offers while somebody types. Choosing one replaces the text from From (in UTF-16
// units, as the page counts) to its end by Insert.
type completion struct {
	From    int      `json:"from"`
	Options []choice `json:"options"`
	// Hint says what comes next where there is nothing to choose.
	Hint string `json:"hint,omitempty"`
}

type choice struct {
	Insert string `json:"insert"`
	Label  string `json:"label"`
	Detail string `json:"detail,omitempty"`
}

// most is how many choices are offered at once.
const most = 8

// verb is a word after /elevate that is no role.
type verb struct {
	word, args, detail string
	requests           bool // an id of a request follows
}

func verbs() []verb {
	return []verb{
		{"mine", "", "What you hold and have asked for", false},
		{"roles", "[words]", "Roles that you can ask for", false},
		{"show", "id", "Everything about a request", true},
		{"end", "id", "Give access back early", true},
		{"extend", "id duration", "Keep access longer", true},
		{"cancel", "id", "Take a request back", true},
		{"help", "", "What /elevate can do", false},
	}
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	person := access.PersonID(q.Get("person"))
	if _, ok := s.admit(w, r, place{Person: person}); !ok {
		return
	}
	text := q.Get("text")
	if len(text) > maxText {
		Reply(w, http.StatusOK, completion{Options: []choice{}})
		return
	}
	c, err := s.completion(r.Context(), person, text)
	if err != nil { // typing goes on without
		s.log.WarnContext(r.Context(), "nothing to complete with", "person", person, "err", err)
	}
	if c.Options == nil {
		c.Options = []choice{}
	}
	Reply(w, http.StatusOK, c)
}

// completion answers for the last word of a line. The words before it say what it can be.
func (s *Server) completion(ctx context.Context, person access.PersonID, text string) (completion, error) {
	rest, ok := strings.CutPrefix(text, command)
	if !ok || rest == "" {
		if text != "" && strings.HasPrefix(command, text) {
			return completion{Options: []choice{{command + " ", command, "Ask for access, or see what you have"}}}, nil
		}
		return completion{}, nil
	}
	if !strings.ContainsAny(rest[:1], " \n\t") {
		return completion{}, nil
	}
	last := rest[strings.LastIndexAny(rest, " \n\t")+1:]
	words := strings.Fields(strings.TrimSuffix(rest, last))
	from := utf16Len(text) - utf16Len(last)
	switch {
	case len(words) == 0:
		return s.firstWord(ctx, person, last, from)
	case slices.ContainsFunc(verbs(), func(v verb) bool { return v.word == words[0] }):
		return s.afterVerb(ctx, person, words, last, from)
	default:
		return s.afterRole(ctx, person, words, last, from)
	}
}

// firstWord offers roles, then verbs.
func (s *Server) firstWord(ctx context.Context, person access.PersonID, typed string, from int) (completion, error) {
	c := completion{From: from}
	offers, err := s.catalogue.Offers(ctx, person, typed, most)
	for _, o := range offers {
		if o.Eligible {
			c.Options = append(c.Options, choice{string(o.Role.ID) + " ", string(o.Role.ID), o.Role.DisplayTitle()})
		}
	}
	for _, v := range verbs() {
		if strings.HasPrefix(v.word, strings.ToLower(typed)) {
			c.Options = append(c.Options, choice{v.word + " ", strings.TrimSpace(v.word + " " + v.args), v.detail})
		}
	}
	return c, err
}

// afterVerb offers the person's own requests where an id is wanted.
func (s *Server) afterVerb(ctx context.Context, person access.PersonID, words []string, typed string, from int) (completion, error) {
	c := completion{From: from}
	i := slices.IndexFunc(verbs(), func(v verb) bool { return v.word == words[0] })
	v := verbs()[i]
	switch {
	case v.requests && len(words) == 1:
		records, _, err := s.catalogue.Requests(ctx, person, workflows.Query{Person: person, Open: v.word != "show", Limit: most})
		for _, r := range records {
			if strings.HasPrefix(string(r.ID), strings.ToLower(typed)) && suits(v.word, r.State) {
				c.Options = append(c.Options, choice{string(r.ID) + " ", string(r.ID), r.Role.DisplayTitle() + ", " + string(r.State)})
			}
		}
		if len(c.Options) == 0 {
			c.Hint = "Type the id of a request: it stands on its message."
		}
		return c, err
	case v.word == "extend" && len(words) == 2:
		c.Options = durations(typed, 15*time.Minute, 30*time.Minute, time.Hour)
	}
	return c, nil
}

// suits tells whether a verb can do anything to a request of one's own in this state.
func suits(verb string, s access.State) bool {
	switch verb {
	case "end", "extend":
		return s == access.Active
	case "cancel":
		return s == access.Pending || s == access.Approved || s == access.Scheduled
	}
	return true
}

// afterRole offers durations up to the role's longest, then says which words are still wanted.
func (s *Server) afterRole(ctx context.Context, person access.PersonID, words []string, typed string, from int) (completion, error) {
	c := completion{From: from}
	o, err := s.catalogue.Offer(ctx, person, access.RoleID(strings.ToLower(words[0])))
	if err != nil || !o.Eligible {
		return c, nil // not a role, or not theirs: the bot will say so in its own words
	}
	if len(words) == 1 {
		c.Options = durations(typed, spread(o.Default, o.Max)...)
		for i := range c.Options {
			if d, err := time.ParseDuration(strings.TrimSpace(c.Options[i].Insert)); err == nil {
				c.Options[i].Detail = aboutDuration(d, o)
			}
		}
	}
	if len(c.Options) == 0 {
		c.Hint = "Say why, in your own words. Your approver reads it."
		if o.TicketPattern != "" {
			c.Hint = "Give the ticket, then say why, in your own words. Your approver reads it."
		}
	}
	return c, nil
}

func aboutDuration(d time.Duration, o workflows.Offer) string {
	switch d {
	case o.Default:
		return "usual"
	case o.Max:
		return "the longest"
	}
	return ""
}

// spread gives round durations around a default, up to a maximum.
func spread(usual, longest time.Duration) []time.Duration {
	all := []time.Duration{usual, longest}
	for _, d := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour} {
		if d < longest {
			all = append(all, d)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(d time.Duration) bool { return d <= 0 })
}

// durations offers those that begin as typed.
func durations(typed string, all ...time.Duration) []choice {
	var out []choice
	for _, d := range all {
		if label := short(d); strings.HasPrefix(label, strings.ToLower(typed)) {
			out = append(out, choice{Insert: label + " ", Label: label})
		}
	}
	return out
}

// short writes a duration as people do: 90m is 1h30m, and 1h is not 1h0m0s.
func short(d time.Duration) string {
	h, m := int(d/time.Hour), int(d%time.Hour/time.Minute)
	switch {
	case h == 0:
		return fmt.Sprintf("%dm", m)
	case m == 0:
		return fmt.Sprintf("%dh", h)
	}
	return fmt.Sprintf("%dh%dm", h, m)
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
