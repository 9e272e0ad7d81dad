package teams

import "encoding/json"

// object is a piece of JSON that is written, not read: Adaptive Cards are made of them.
type object = map[string]any

// outgoing is an activity that is posted, or that replaces another. The library's own carries zero times and empty
// objects along, and none of isTargeted, summary and entities.
type outgoing struct {
	Type        string       `json:"type"` // message
	From        *party       `json:"from,omitempty"`
	Recipient   *party       `json:"recipient,omitempty"`
	Text        string       `json:"text,omitempty"`
	TextFormat  string       `json:"textFormat,omitempty"` // plain, where there is a text
	Summary     string       `json:"summary,omitempty"`    // what a notification shows
	Attachments []attachment `json:"attachments,omitempty"`
	ReplyTo     string       `json:"replyToId,omitempty"`
	ChannelData any          `json:"channelData,omitempty"`
}

// attachment is a card.
type attachment struct {
	ContentType string `json:"contentType"`
	Content     object `json:"content"`
}

// cardType is the content type of Adaptive Cards.
const cardType = "application/vnd.microsoft.card.adaptive"

// party is an account in an activity: a person (29:…) or the bot (28:…).
type party struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	ObjectID string `json:"aadObjectId,omitempty"` // of a person, in the tenant
	Targeted bool   `json:"isTargeted,omitempty"`
}

// incoming is what this package reads of an activity, tolerant of everything else in it.
type incoming struct {
	Type         string          `json:"type"`
	ID           string          `json:"id"`
	Name         string          `json:"name"`   // of an invoke
	Action       string          `json:"action"` // of an installationUpdate: add, remove, add-upgrade, remove-upgrade
	ChannelID    string          `json:"channelId"`
	ServiceURL   string          `json:"serviceUrl"`
	ReplyTo      string          `json:"replyToId"`
	Text         string          `json:"text"`
	From         party           `json:"from"`
	Recipient    party           `json:"recipient"`
	Conversation conversation    `json:"conversation"`
	Entities     []entity        `json:"-"`
	Value        json.RawMessage `json:"value"`
	Added        []party         `json:"membersAdded"`
	Removed      []party         `json:"membersRemoved"`
	Data         channelData     `json:"-"`
}

// conversation is where an activity belongs.
type conversation struct {
	ID     string `json:"id"`
	Kind   string `json:"conversationType"` // personal, channel, groupChat
	Tenant string `json:"tenantId"`
}

// entity is a mention, or something that does not matter.
type entity struct {
	Type      string `json:"type"`
	Text      string `json:"text"`
	Mentioned party  `json:"mentioned"`
}

// channelData is what Teams adds to activities.
type channelData struct {
	EventType string `json:"eventType"`
	Tenant    struct {
		ID string `json:"id"`
	} `json:"tenant"`
	Team struct {
		ID string `json:"id"`
	} `json:"team"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
}
