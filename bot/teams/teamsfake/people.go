package teamsfake

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"time"
)

// Ack is the bot's answer to an activity.
type Ack struct {
	Status int
	Body   []byte
	Err    error // no answer in time, or none that Teams understands
}

// clientPatience is how long Teams' clients wait.
const clientPatience = 10 * time.Second

// Person is somebody who acts in Teams.
type Person struct {
	s  *Server
	ID string // 29:…
	u  *User
}

// As is somebody, by object id.
func (s *Server) As(objectID string) *Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[objectID]
	if u == nil {
		s.t.Fatalf("there is nobody with the object id %q", objectID)
	}
	return &Person{s: s, ID: u.id, u: u}
}

// activity is what the activities of somebody have in common. The lock is held.
func (p *Person) activity(kind, id string, where place) object {
	now := p.s.Now().UTC()
	from := object{"id": p.u.id, "name": p.u.Name}
	if !p.u.Anonymous {
		from["aadObjectId"] = p.u.ObjectID
	}
	a := object{
		"type": kind, "id": id, "timestamp": now.Format("2006-01-02T15:04:05.000Z"), "localTimestamp": now.Format("2006-01-02T15:04:05.000+00:00"),
		"localTimezone": "UTC", "channelId": "msteams", "serviceUrl": p.s.URL, "from": from, "locale": "en-US",
		"recipient": object{"id": Bot, "name": "Elevate"},
		"entities":  []any{object{"type": "clientInfo", "locale": "en-US", "country": "US", "platform": "Web", "timezone": "UTC"}},
	}
	data := object{"tenant": object{"id": p.u.Tenant}}
	if where.user != nil {
		a["conversation"] = object{"conversationType": "personal", "tenantId": p.u.Tenant, "id": where.user.chat}
	} else {
		conversation := object{"isGroup": true, "conversationType": "channel", "tenantId": p.u.Tenant, "id": where.channel.ID}
		if where.root != nil {
			conversation["id"] = where.channel.ID + threadMark + where.root.ID
		}
		a["conversation"] = conversation
		data["team"], data["channel"] = object{"id": Team}, object{"id": where.channel.ID}
		data["teamsTeamId"], data["teamsChannelId"] = Team, where.channel.ID
	}
	a["channelData"] = data
	return a
}

// invokeID is the id of an activity that is no message. The lock is held.
func (s *Server) invokeID() string { return "f:" + ObjectID(fmt.Sprint("activity ", s.tick())) }

// write is a message of words, in a channel or in the personal chat. The lock is held.
func (p *Person) write(where place, words, shown string, targeted bool) object {
	m := &Message{Conversation: where.id(), From: p.u.id, Content: Content{Text: shown}, at: p.s.Now()}
	if targeted {
		m.To = p.u.id
	}
	p.s.keep(m)
	if where.channel != nil {
		where.root = m
	}
	a := p.activity("message", m.ID, where)
	a["text"], a["textFormat"] = words, "plain"
	a["attachments"] = []any{object{"contentType": "text/html", "content": "<p>" + html.EscapeString(shown) + "</p>"}}
	if targeted {
		part(a, "recipient")["isTargeted"] = true
	}
	return a
}

// in is a channel as a place where the person can write.
func (p *Person) in(channel string) (place, error) {
	where, err := p.s.find(channel)
	if err == nil && (where.channel == nil || !p.u.InTeam || where.channel.Out) {
		err = fmt.Errorf("%s cannot speak to the bot in %s", p.u.Name, channel)
	}
	return where, err
}

// TypeTargeted types words for the bot alone in a channel, such as /elevate mine: nobody else sees them.
func (p *Person) TypeTargeted(channel, words string) Ack {
	p.s.mu.Lock()
	where, err := p.in(channel)
	if err != nil {
		p.s.mu.Unlock()
		return Ack{Err: err}
	}
	a := p.write(where, words, words, true)
	p.s.mu.Unlock()
	return p.s.act(a, manner{}, plainly)
}

// Mention calls the bot by name in a channel, for everybody to see. What Teams puts beside the words differs, here by
// their length: a space that does not break after the name, a line break at the end.
func (p *Person) Mention(channel, words string) Ack {
	p.s.mu.Lock()
	where, err := p.in(channel)
	if err != nil {
		p.s.mu.Unlock()
		return Ack{Err: err}
	}
	const tag = "<at>Elevate</at>"
	spoken := tag + " " + words
	switch len(words) % 3 {
	case 1:
		spoken = tag + "\u00a0" + words
	case 2:
		spoken = tag + "&nbsp;" + words + "\n"
	}
	a := p.write(where, spoken, "Elevate "+words, false)
	a["entities"] = append([]any{object{"type": "mention", "mentioned": object{"id": Bot, "name": "Elevate"}, "text": tag}}, list(a, "entities")...)
	p.s.mu.Unlock()
	return p.s.act(a, manner{}, plainly)
}

// Say writes to the bot in the personal chat.
func (p *Person) Say(words string) Ack {
	p.s.mu.Lock()
	if !p.u.Installed {
		p.s.mu.Unlock()
		return Ack{Err: fmt.Errorf("%s does not have the app", p.u.Name)}
	}
	a := p.write(place{user: p.u}, words, words, false)
	p.s.mu.Unlock()
	return p.s.act(a, manner{}, plainly)
}

// Install adds the app for oneself; Uninstall takes it away.
func (p *Person) Install() Ack { return p.install(true, "add") }

// Uninstall takes the app away: nothing can be written to the person any more.
func (p *Person) Uninstall() Ack { return p.install(false, "remove") }

// Upgrade brings the app up to date.
func (p *Person) Upgrade() Ack { return p.install(true, "add-upgrade") }

func (p *Person) install(add bool, action string) Ack {
	p.s.mu.Lock()
	p.u.Installed, p.u.removed = add, !add
	p.u.open = p.u.open || add
	moved := p.activity("conversationUpdate", p.s.invokeID(), place{user: p.u})
	installed := p.activity("installationUpdate", p.s.invokeID(), place{user: p.u})
	for _, a := range []object{moved, installed} {
		delete(part(a, "from"), "name")
		for _, name := range []string{"localTimestamp", "localTimezone"} {
			delete(a, name)
		}
	}
	delete(moved, "entities")
	delete(moved, "locale")
	members := "membersAdded"
	if !add {
		members = "membersRemoved"
	}
	moved[members] = []any{part(moved, "from"), object{"id": Bot}}
	installed["action"] = action
	data := part(installed, "channelData")
	data["source"], data["settings"] = object{"name": "message"}, object{"selectedChannel": object{"id": p.u.chat}}
	p.s.mu.Unlock()
	if ack := p.s.act(installed, manner{}, plainly); ack.Err != nil {
		return ack
	}
	return p.s.act(moved, manner{}, plainly)
}

// manner is how a client sends something.
type manner struct {
	tries int  // more of them, where there is no answer
	aside bool // by itself: Redeliver sends what the person did
}

// act sends an activity. understand is what the client makes of the answer.
func (s *Server) act(activity object, how manner, understand func(Ack) Ack) Ack {
	body, err := json.Marshal(activity)
	if err != nil {
		return Ack{Err: err}
	}
	again := func() Ack { return understand(s.Send(body)) }
	if !how.aside {
		s.mu.Lock()
		s.last = again
		s.mu.Unlock()
	}
	ack := again()
	for n := 0; n < how.tries && ack.Status == 0 && ack.Err != nil; n++ {
		ack = again()
	}
	return ack
}

// Redeliver sends the last activity again, to the letter, under a new token.
func (s *Server) Redeliver() Ack {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last == nil {
		return Ack{Err: fmt.Errorf("nothing was sent yet")}
	}
	return last()
}

// plainly is what is made of the answer to something that is no invoke.
func plainly(a Ack) Ack {
	if a.Err == nil && a.Status/100 != 2 {
		a.Err = fmt.Errorf("answered with %d %.200q", a.Status, a.Body)
	}
	return a
}

// Send sends an activity as it is, signed as the Bot Framework does.
func (s *Server) Send(body []byte) Ack { return s.SendAs(body, "Bearer "+s.Identity.Token(s.URL)) }

// SendAs sends an activity under any Authorization header; none where it is empty.
func (s *Server) SendAs(body []byte, authorization string) Ack {
	s.mu.Lock()
	address := s.bot
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.life, cmp.Or(s.Patience, clientPatience))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Ack{Err: err}
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Microsoft-SkypeBotApi (Microsoft-BotFramework/3.0)")
	res, err := s.client.Do(req)
	if err != nil {
		return Ack{Err: err}
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	return Ack{Status: res.StatusCode, Body: answer, Err: err}
}

// Sees are the messages of a conversation as the person sees them, oldest first, with what stands in their place for
// this person.
func (p *Person) Sees(conversation string) []Message {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if strings.HasPrefix(conversation, "a:") && conversation != p.u.chat {
		return nil
	}
	out := p.s.pick(func(m *Message) bool { return m.Conversation == conversation && (m.To == "" || m.To == p.u.id) })
	for i := range out {
		if v := p.s.sights[sightKey{p.u.id, out[i].ID}]; v != nil && v.card != nil {
			out[i].Card, out[i].Serial = v.card, v.serial
		}
	}
	return out
}
