package teams

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// place is a conversation, and where the service is that has it.
type place struct {
	Service      string `json:"service"` // URL
	Conversation string `json:"conversation"`
}

// newConversation is a conversation to begin: with a person, or below a channel with a message.
type newConversation struct {
	Group       bool      `json:"isGroup"` // a channel's
	Bot         party     `json:"bot"`
	Members     []party   `json:"members,omitempty"` // the one person, where it is no channel's
	Tenant      string    `json:"tenantId,omitempty"`
	ChannelData any       `json:"channelData,omitempty"` // names the channel
	Activity    *outgoing `json:"activity,omitempty"`    // the first message
}

// identified is an answer that names what was made.
type identified struct {
	ID       string `json:"id"`
	Activity string `json:"activityId"`
}

// send posts a message and gives its id. A targeted one is seen by its recipient alone.
func (c *connector) send(ctx context.Context, at place, a outgoing, targeted bool) (id string, err error) {
	q := call{op: "send", method: http.MethodPost, service: at.Service, path: []string{at.Conversation, "activities"}, body: a}
	if targeted {
		q.query = url.Values{"isTargetedActivity": {"true"}}
	}
	return c.post(ctx, q)
}

// reply posts an answer to a message and gives its id.
func (c *connector) reply(ctx context.Context, at place, to string, a outgoing) (id string, err error) {
	a.ReplyTo = to
	return c.post(ctx, call{op: "reply", method: http.MethodPost, service: at.Service, path: []string{at.Conversation, "activities", to}, body: a})
}

func (c *connector) post(ctx context.Context, q call) (string, error) {
	var out identified
	err := c.do(ctx, q, &out)
	if err == nil && out.ID == "" {
		err = fmt.Errorf("%s: %w", q.op, errEmpty)
	}
	return out.ID, err
}

// update replaces a message.
func (c *connector) update(ctx context.Context, at place, id string, a outgoing) error {
	return c.do(ctx, call{op: "update", method: http.MethodPut, service: at.Service, path: []string{at.Conversation, "activities", id}, body: a}, nil)
}

// create begins a conversation and gives its id, and that of its first message where there is one.
func (c *connector) create(ctx context.Context, service string, n newConversation) (conversation, activity string, err error) {
	var out identified
	err = c.do(ctx, call{op: "create", method: http.MethodPost, service: service, body: n}, &out)
	if err == nil && (out.ID == "" || n.Activity != nil && out.Activity == "") {
		err = fmt.Errorf("create: %w", errEmpty)
	}
	return out.ID, out.Activity, err
}

// visit asks who is in a conversation, as only a bot may that is in it. Of the answer nothing is needed.
func (c *connector) visit(ctx context.Context, at place) error {
	return c.do(ctx, call{
		op: "visit", method: http.MethodGet, service: at.Service, path: []string{at.Conversation, "pagedmembers"},
		query: url.Values{"pageSize": {"50"}}, // the smallest that Teams knows
	}, nil)
}
