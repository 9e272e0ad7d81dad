package bot

import (
	"context"
	"fmt"
	"maps"
	"time"

	"elevate/workflows/access"
)

// Who is somebody in a chat, as the chat vouches for it. Which person that is, the directory says at each turn.
type Who struct {
	Chat    string // slack, teams, web
	Account string // the user's id in that chat
	Address string // remote address where there is one
}

// Click is a button pressed.
type Click struct {
	Action  Action
	Request access.RequestID
	// Message is the reference of the message that the button stood on, as Chat.Post gave it; empty on private answers.
	Message string
}

// Submission is a form sent off: Values by the input's name.
type Submission struct {
	Form    FormName
	Request access.RequestID
	Values  map[string]string
	// Code is what was typed into the input of that name, which is empty in Values.
	Code access.Secret
}

// Filled is a form that was sent off, with the code taken out of its values: whatever shows, keeps or logs them has none.
func Filled(form FormName, request access.RequestID, values map[string]string) Submission {
	s := Submission{Form: form, Request: request, Values: maps.Clone(values)}
	if code, asked := values[InputCode]; asked {
		s.Code, s.Values[InputCode] = access.NewSecret(code), ""
	}
	return s
}

// Answer is what the person who did something sees, alone.
type Answer struct {
	Card *Card
	Form *Form
	// Errors are for the form just submitted, by the input's name; the form stays open.
	Errors map[string]string
}

// Address is where a message goes: a channel, the thread below a message, or one person.
type Address struct {
	Channel string
	Thread  string          // reference of the message that it answers; empty: a message of its own
	Person  access.PersonID // instead of Channel: a personal message
}

// Chat sends what bot builds. Errors that a later try may cure are a *ChatError with Final unset.
type Chat interface {
	// Name is the chat's word in configuration and queues: slack, teams, web.
	Name() string
	// Post sends a card and returns the reference to update or answer it by.
	Post(ctx context.Context, to Address, c Card) (ref string, err error)
	// Update replaces the card of an earlier message.
	Update(ctx context.Context, ref string, c Card) error
}

// ChatError says what a failed send means for the courier.
type ChatError struct {
	Op         string
	RetryAfter time.Duration // zero: the courier's own backoff
	// Final: trying again cannot help (the channel is archived, the person has no account). It is logged and passed over.
	Final bool
	Err   error
}

func (e *ChatError) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }

func (e *ChatError) Unwrap() error { return e.Err }
