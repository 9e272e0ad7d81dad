package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"elevate/bot/api"
	"elevate/workflows/access"
)

// printer shows documents of the API to people.
type printer struct {
	now  func() time.Time
	zone *time.Location
}

// printable takes out of foreign text what would move the cursor, change colours or turn the direction of a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsGraphic(c):
			return c
		case unicode.Is(unicode.Cf, c):
			return -1
		}
		return ' '
	}, s)
}

// clip shortens a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

var chatCommand = regexp.MustCompile("(with )?`/elevate (?:((?:mfa|link|review|help)(?: [^`]*)?`)|(show|end|extend|cancel|approve|deny|roles|mine)?)")

// asTyped turns the chat commands that a server's sentences name into those of this program, and says of the others that
// they are for chat.
func asTyped(text string) string {
	return chatCommand.ReplaceAllStringFunc(text, func(found string) string {
		parts := chatCommand.FindStringSubmatch(found)
		with, inChat, verb := parts[1], parts[2], parts[3]
		switch {
		case inChat != "" && with != "":
			return "in chat " + found
		case inChat != "":
			return found + " in chat"
		case verb == "":
			return with + "`elevate request "
		case verb == "mine":
			return with + "`elevate grants --mine"
		default:
			return with + "`elevate grants " + verb
		}
	})
}

// at is a moment of today by the clock, and any other with its date.
func (p printer) at(t *time.Time) string {
	if t == nil {
		return ""
	}
	there, now := t.In(p.zone), p.now().In(p.zone)
	if there.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return there.Format("15:04")
	}
	return there.Format("2006-01-02 15:04")
}

// status says in one sentence where a request stands.
func (p printer) status(r api.Request) string {
	switch r.State {
	case access.Pending:
		return p.pending(r)
	case access.Approved:
		return "Approved" + by(r) + "; it is about to be activated."
	case access.Scheduled:
		return "Approved" + by(r) + "; it starts at " + p.at(r.Start) + "."
	case access.Activating:
		return "Being activated." + trouble(r)
	case access.Active:
		if p.ending(r) {
			return "Ending now: its time was up at " + p.at(r.EndsAt) + ", and it is being taken away."
		}
		return "Active until " + p.at(r.EndsAt) + "." + standing(r)
	case access.Deactivating:
		if r.Overdue {
			return "OVERDUE: it should have ended at " + p.at(r.EndingAt) + " and is not confirmed gone." + trouble(r)
		}
		return "Being taken away." + trouble(r)
	case access.Ended:
		return "Ended at " + p.at(r.EndedAt) + "." + because(r)
	case access.Lapsed:
		return "Lapsed: nobody decided, or it did not start, in time."
	case access.Denied, access.Cancelled:
		word := map[access.State]string{access.Denied: "Denied", access.Cancelled: "Cancelled"}[r.State]
		if r.ClosedBy != nil {
			word += " by " + printable(string(r.ClosedBy.Person))
		}
		return word + "." + because(r)
	case access.Failed:
		return "Failed: nothing was given." + because(r)
	}
	return printable(string(r.State))
}

// ending tells whether an active grant's end has come: the access is there until its target has confirmed that it is gone.
func (p printer) ending(r api.Request) bool {
	return r.State == access.Active && r.EndsAt != nil && !p.now().Before(*r.EndsAt)
}

func (p printer) pending(r api.Request) string {
	if len(r.Stages) == 0 {
		return "Waiting for the policy to approve it."
	}
	given := 0
	for _, d := range r.Decisions {
		if d.Stage == r.Stage {
			given++
		}
	}
	text := "Waiting for approval"
	if need := r.Stages[max(0, r.Stage-1)].Count; need > 1 {
		text += fmt.Sprintf(" (%d of %d)", given, need)
	}
	if len(r.Stages) > 1 {
		text += fmt.Sprintf(", stage %d of %d", r.Stage, len(r.Stages))
	}
	return text + "; it lapses at " + p.at(r.DecideBy) + "."
}

// by names who approved.
func by(r api.Request) string {
	var who []string
	for _, d := range r.Decisions {
		if d.Verdict == access.Approve {
			who = append(who, printable(string(d.Person)))
		}
	}
	if len(who) == 0 {
		return ""
	}
	return " by " + strings.Join(who, ", ")
}

func because(r api.Request) string {
	if r.Reason == nil {
		return ""
	}
	return " Reason: " + printable(*r.Reason)
}

func trouble(r api.Request) string {
	if r.LastError == nil {
		return ""
	}
	return fmt.Sprintf(" Tries so far: %d; the target said: %s.", r.Attempts, printable(*r.LastError))
}

func standing(r api.Request) string {
	if r.Receipt == nil || !r.Receipt.Already {
		return ""
	}
	return " The access was there before, and stays after."
}

// when is the time that matters of a request in a list.
func (p printer) when(r api.Request) string {
	switch r.State {
	case access.Pending:
		return "decide by " + p.at(r.DecideBy)
	case access.Scheduled:
		return "starts " + p.at(r.Start)
	case access.Active:
		if p.ending(r) {
			return "ending, due " + p.at(r.EndsAt)
		}
		return "ends " + p.at(r.EndsAt)
	case access.Deactivating:
		return "due " + p.at(r.EndingAt)
	case access.Ended:
		return "ended " + p.at(r.EndedAt)
	}
	return p.at(r.ClosedAt)
}

const (
	shownWords  = 50
	columnSpace = 2
)

// table lists requests.
func (p printer) table(w io.Writer, requests []api.Request) error {
	t := tabwriter.NewWriter(w, 0, 0, columnSpace, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tROLE\tPERSON\tDURATION\tWHEN\tJUSTIFICATION")
	for _, r := range requests {
		state := string(r.State)
		if r.Overdue {
			state = "OVERDUE"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, printable(state), printable(string(r.Role)), printable(string(r.Person)),
			r.Duration, p.when(r), clip(printable(r.Justification), shownWords))
	}
	return t.Flush()
}

// details shows one request.
func (p printer) details(w io.Writer, r api.Request) error {
	t := tabwriter.NewWriter(w, 0, 0, columnSpace, ' ', 0)
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", label, printable(value))
		}
	}
	row("Request", string(r.ID))
	row("Status", p.status(r))
	row("Role", string(r.Role))
	row("Person", string(r.Person))
	if r.Requester != r.Person {
		row("Asked by", string(r.Requester))
	}
	row("Duration", r.Duration.String())
	row("Justification", r.Justification)
	if r.Ticket != nil {
		row("Ticket", *r.Ticket)
	}
	row("Submitted", p.at(&r.SubmittedAt))
	row("Active from", p.at(r.ActivatedAt))
	row("Ends", p.at(r.EndsAt))
	row("Ended", p.at(r.EndedAt))
	row("Read back", p.at(r.VerifiedAt))
	for _, d := range r.Decisions {
		said := fmt.Sprintf("%s by %s at %s (%s, %s)", d.Verdict, d.Person, p.at(&d.At), d.Via, d.Method)
		if d.Reason != nil {
			said += ": " + *d.Reason
		}
		row("Decision", said)
	}
	for _, e := range r.Extensions {
		row("Extended", fmt.Sprintf("by %s at %s to %s", e.Person, p.at(&e.At), p.at(&e.To)))
	}
	return t.Flush()
}

// roles lists the catalogue.
func (p printer) roles(w io.Writer, roles []api.Role) error {
	t := tabwriter.NewWriter(w, 0, 0, columnSpace, ' ', 0)
	fmt.Fprintln(t, "ROLE\tYOURS TO ASK\tUSUAL\tLONGEST\tTITLE")
	for _, r := range roles {
		may := "no"
		if r.Eligible {
			may = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", printable(string(r.ID)), may, r.Duration.Default, r.Duration.Max, clip(printable(r.Title), shownWords))
	}
	return t.Flush()
}
