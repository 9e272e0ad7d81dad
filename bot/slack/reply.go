package slack

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/slack-go/slack"

	"elevate/bot"
)

// reply is what Slack is answered: a JSON body, plain text (a challenge), or nothing.
type reply struct {
	body json.RawMessage
	text string
	// card is what body shows, for the case that the way back cannot carry it.
	card *bot.Card
	// again is what is kept for a second delivery; nil: this very reply.
	again *reply
}

func jsonReply(v any) reply {
	body, err := json.Marshal(v)
	if err != nil { // cannot happen: strings and slack-go's own types
		return reply{}
	}
	return reply{body: body}
}

// whispered is a message that one person sees, as the answer to a command and as what is posted to a response URL.
type whispered struct {
	ResponseType string        `json:"response_type"`
	Text         string        `json:"text"`
	Blocks       []slack.Block `json:"blocks,omitempty"`
	// Replace is always false: without it Slack replaces the message that was clicked.
	Replace bool `json:"replace_original"`
}

func (s *Slack) whisper(ctx context.Context, c bot.Card) whispered {
	return whispered{
		ResponseType: slack.ResponseTypeEphemeral, Text: summary(c), Blocks: s.render.whisper(ctx, c),
	}
}

// private is a sentence for the one who typed a command.
func private(says string) reply {
	return jsonReply(whispered{ResponseType: slack.ResponseTypeEphemeral, Text: says})
}

// viewReply is the answer to a form: errors beside its inputs, or another view in its place.
type viewReply struct {
	Action slack.ViewResponseAction `json:"response_action"`
	Errors map[string]string        `json:"errors,omitempty"`
	View   *slack.ModalViewRequest  `json:"view,omitempty"`
}

// inPlace puts a view where the form was.
func inPlace(v slack.ModalViewRequest) reply {
	return jsonReply(viewReply{Action: slack.RAUpdate, View: &v})
}

// problems puts sentences beside the inputs that they speak of, and those that speak of none beside the first.
func (s *Slack) problems(v view, errs map[string]string) reply {
	blocks := v.inputs()
	if len(blocks) == 0 {
		var says string
		for _, text := range errs {
			says = s.render.plainly(text)
		}
		return inPlace(s.render.modal(context.Background(), sentence(says)))
	}
	first := slices.Min(slices.Collect(maps.Values(blocks)))
	out := map[string]string{}
	for name, text := range errs {
		block, ok := blocks[name]
		if !ok {
			block = first
		}
		text = s.render.plainly(text)
		if out[block] != "" {
			text = out[block] + " " + text
		}
		out[block] = text
	}
	return jsonReply(viewReply{Action: slack.RAErrors, Errors: out})
}

// problem keeps a form open, with one sentence.
func (s *Slack) problem(v view, says string) reply {
	return s.problems(v, map[string]string{"": says})
}

// sentence is a card that says one thing.
func sentence(says string) bot.Card {
	return bot.Card{Name: "sentence", Summary: says, Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say(says)}}}}
}
