package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"elevate/workflows/access"
)

// Keys leads people to the page on which a security key vouches for what they do; *factor.Factors is the one implementation.
type Keys interface {
	AskKey(ctx context.Context, by access.Actor, needs *access.NeedsKey, errand []byte) (link access.Secret, err error)
}

// errand is a form that waits for a security key.
type errand struct {
	Form    FormName          `json:"form"`
	Request access.RequestID  `json:"request,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
}

// orKey answers what a security key has to vouch for with the page that does, after which the form is sent by itself.
func (b *Bot) orKey(ctx context.Context, who Who, p access.Person, s Submission, answer Answer, err error) (Answer, error) {
	needs := access.AsksKey(err)
	if needs == nil || b.cfg.Factors == nil {
		return answer, err
	}
	text, err := json.Marshal(errand{Form: s.Form, Request: s.Request, Values: s.Values})
	if err != nil {
		return Answer{}, fmt.Errorf("keep a form: %w", err)
	}
	link, err := b.cfg.Factors.AskKey(ctx, who.actor(p), needs, text)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Card: ptr(keyCard(link, s.Form))}, nil
}

// keyCard leads to the page that asks for a security key.
func keyCard(link access.Secret, form FormName) Card {
	what := map[FormName]string{FormRequest: "Sending this request", FormApprove: "Approving this request", FormExtend: "Extending this access"}[form]
	if what == "" {
		what = "This"
	}
	return fit(Card{
		Name: "key-link", Title: "Confirm with your security key", Summary: what + " takes your security key. Open the page to confirm it.", Once: true,
		Parts: []Part{
			Text{Spans: say(what, " takes your security key or passkey. The page shows what you confirm, to the letter. After that it goes on by itself.")},
			Buttons{[]Button{{Label: "Open the page", Style: Primary, Link: link, Speak: "Open the page that asks for your security key"}}},
			Text{Small: true, Spans: say("Nothing is done until then. The link is for you alone, for ten minutes and for one use. Do not pass it on.")},
		},
	})
}

// Outcome is what became of something that waited for a security key.
type Outcome struct {
	Done  bool
	Again string // why the key did not count, where it may be tried again
	Title string
	Text  string
	Link  access.Secret // where it goes on; empty: nowhere
}

// Resume sends a form that waited for a security key, as it was sent first, with what the key signed. Everything about it is
// looked at again.
func (b *Bot) Resume(ctx context.Context, by access.Actor, kept []byte, proof access.Secret) Outcome {
	var e errand
	who := Who{Chat: by.Via, Account: by.Account, Address: by.Address}
	if err := json.Unmarshal(kept, &e); err != nil {
		return Outcome{Title: "Not done", Text: Unmarked(b.excuse(err, who, "resume"))}
	}
	values := map[string]string{InputCode: proof.Reveal()} // taken out of them again
	maps.Copy(values, e.Values)
	answer := b.Submit(ctx, who, Filled(e.Form, e.Request, values))
	if again := answer.Errors[InputCode]; again != "" {
		return Outcome{Again: again}
	}
	return b.outcome(answer)
}

// outcome is an answer for a page.
func (b *Bot) outcome(a Answer) Outcome {
	if a.Card == nil {
		var words []string
		for _, text := range a.Errors {
			words = append(words, text)
		}
		return Outcome{Title: "Not done", Text: strings.Join(words, " ")}
	}
	out := Outcome{Title: "Not done", Text: a.Card.Summary, Done: a.Card.Name == "done" || a.Card.Name == "sent" || a.Card.Name == "mfa-link"}
	if !out.Done {
		return out
	}
	if out.Title = a.Card.Title; out.Title == "" {
		out.Title = "Done"
	}
	for _, part := range a.Card.Parts {
		if row, ok := part.(Buttons); ok && len(row.Buttons) > 0 {
			out.Link = row.Buttons[0].Link
		}
	}
	return out
}
