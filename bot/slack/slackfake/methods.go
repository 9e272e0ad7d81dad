package slackfake

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// method is one method of the Web API: the scopes of which the token needs one, and what it does. It is called with the
// lock held and gives Slack's answer, or an error word.
type method struct {
	scopes []string
	call   func(s *Server, args map[string]any) (map[string]any, string)
}

// methods are those that the product uses; any other is answered unknown_method. Scopes: docs.slack.dev/reference/methods.
func methods() map[string]method {
	return map[string]method{
		"auth.test":             {nil, (*Server).authTest},
		"apps.connections.open": {nil, (*Server).connectionsOpen},
		"blocks.validate":       {nil, (*Server).validate},
		"chat.postMessage":      {[]string{"chat:write"}, (*Server).postMessage},
		"chat.update":           {[]string{"chat:write"}, (*Server).update},
		"chat.postEphemeral":    {[]string{"chat:write"}, (*Server).postEphemeral},
		"conversations.open":    {[]string{"im:write"}, (*Server).conversationsOpen},
		"conversations.info":    {[]string{"channels:read", "groups:read"}, (*Server).conversationsInfo},
		"users.info":            {[]string{"users:read"}, (*Server).usersInfo},
		"users.lookupByEmail":   {[]string{"users:read.email"}, (*Server).lookupByEmail},
		"usergroups.list":       {[]string{"usergroups:read"}, (*Server).usergroupsList},
		"views.open":            {nil, (*Server).viewsOpen},
		"views.update":          {nil, (*Server).viewsUpdate},
		"views.publish":         {nil, (*Server).viewsPublish},
	}
}

func (s *Server) serveMethod(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	args, token, err := arguments(r)
	if err != nil {
		reply(w, map[string]any{"ok": false, "error": "invalid_json"})
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{Method: name, Token: token, Args: args})
	s.mu.Unlock()
	if s.misbehaves(w, r, name) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("X-OAuth-Scopes", strings.Join(s.Scopes, ","))
	body, word := s.call(name, token, args)
	if word != "" {
		body = map[string]any{"ok": false, "error": word}
		if word == "missing_scope" {
			body["needed"], body["provided"] = methods()[name].scopes[0], strings.Join(s.Scopes, ",")
		}
	}
	reply(w, body)
}

func (s *Server) call(name, token string, args map[string]any) (map[string]any, string) {
	m, ok := methods()[name]
	if !ok {
		return nil, "unknown_method"
	}
	want := BotToken
	if name == "apps.connections.open" {
		want = AppToken
	}
	switch {
	case token == "":
		return nil, "not_authed"
	case token != want && (token == BotToken || token == AppToken):
		return nil, "not_allowed_token_type"
	case token != want:
		return nil, "invalid_auth"
	case len(m.scopes) > 0 && !slices.ContainsFunc(m.scopes, func(sc string) bool { return slices.Contains(s.Scopes, sc) }):
		return nil, "missing_scope"
	}
	if broken := checkArguments(name, args); broken != "" {
		s.defect("%s: %s", name, broken)
		return nil, "invalid_arguments"
	}
	body, word := m.call(s, args)
	if _, said := body["ok"]; word == "" && !said {
		body["ok"] = true
	}
	return body, word
}

// arguments reads a call as Slack does: a form, or JSON with the token in a header. Blocks and views are decoded.
func arguments(r *http.Request) (args map[string]any, token string, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return nil, "", err
	}
	args = map[string]any{}
	token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if len(body) > 0 {
			err = json.Unmarshal(body, &args)
		}
		return args, token, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, "", err
	}
	for name, values := range form {
		switch name {
		case "token":
			token = values[0]
		case "blocks", "view", "message":
			var v any
			if err := json.Unmarshal([]byte(values[0]), &v); err != nil {
				return nil, "", err
			}
			args[name] = v
		case "unfurl_links", "unfurl_media", "return_im", "include_locale", "include_num_members", "link_names":
			args[name] = values[0] == "true"
		default:
			args[name] = values[0]
		}
	}
	return args, token, nil
}

func text(args map[string]any, name string) string {
	v, _ := args[name].(string)
	return v
}

func (s *Server) authTest(map[string]any) (map[string]any, string) {
	return map[string]any{"team": "Fake", "team_id": Team, "user": "elevate", "user_id": BotUser, "bot_id": "B0BOT", "url": "https://fake.slack.com/"}, ""
}

// validate says what is wrong with a message or a view, which the caller wants to know: it is no defect.
func (s *Server) validate(args map[string]any) (map[string]any, string) {
	var broken []string
	view, isView := args["view"].(map[string]any)
	message, _ := args["message"].(map[string]any)
	switch blocks, _ := message["blocks"].([]any); {
	case isView && view["type"] == "home":
		broken = CheckHome(view)
	case isView:
		broken = CheckModal(view)
	default:
		broken = CheckMessage(blocks)
	}
	var errs []any
	for _, b := range broken {
		errs = append(errs, map[string]any{"pointer": "/", "code": "failed_constraint", "message": b})
	}
	if len(errs) > 0 {
		return map[string]any{"ok": false, "error": "invalid_blocks", "errors": errs}, ""
	}
	return map[string]any{}, ""
}

func (s *Server) connectionsOpen(map[string]any) (map[string]any, string) {
	return map[string]any{"url": s.sockets.ticket()}, ""
}

func (s *Server) usersInfo(args map[string]any) (map[string]any, string) {
	u := s.users[text(args, "user")]
	if u == nil {
		return nil, "user_not_found"
	}
	return map[string]any{"user": s.userObject(u)}, ""
}

// userObject is somebody as Slack describes them, with the address where the token may see it. The lock is held.
func (s *Server) userObject(u *User) map[string]any {
	profile := map[string]any{"real_name": u.RealName}
	out := map[string]any{
		"id": u.ID, "name": u.Name, "team_id": u.Team, "deleted": u.Deleted, "is_bot": u.Bot, "real_name": u.RealName, "profile": profile,
		"is_restricted": u.Restricted, "is_ultra_restricted": u.UltraRestricted, "is_stranger": u.Stranger,
	}
	if slices.Contains(s.Scopes, "users:read.email") {
		profile["email"], out["is_email_confirmed"] = u.Email, u.Email != "" && !u.Unconfirmed
	}
	return out
}

func (s *Server) lookupByEmail(args map[string]any) (map[string]any, string) {
	for _, u := range s.users {
		if u.Email != "" && strings.EqualFold(u.Email, text(args, "email")) && !u.Deleted {
			return map[string]any{"user": s.userObject(u)}, ""
		}
	}
	return nil, "users_not_found"
}

func (s *Server) usergroupsList(args map[string]any) (map[string]any, string) {
	var all []any
	for id, users := range s.groups {
		g := map[string]any{"id": id, "handle": strings.ToLower(id), "date_delete": 0}
		if text(args, "include_users") == "true" {
			g["users"] = users
		}
		all = append(all, g)
	}
	return map[string]any{"usergroups": all}, ""
}

func (s *Server) conversationsOpen(args map[string]any) (map[string]any, string) {
	u := s.users[text(args, "users")]
	switch {
	case u == nil:
		return nil, "user_not_found"
	case u.Deleted:
		return nil, "user_disabled"
	case u.Bot:
		return nil, "cannot_dm_bot"
	}
	for id, c := range s.channels {
		if c.DM == u.ID {
			return map[string]any{"already_open": true, "channel": map[string]any{"id": id}}, ""
		}
	}
	id := "D" + strings.TrimPrefix(u.ID, "U")
	s.channels[id] = &Channel{ID: id, DM: u.ID}
	return map[string]any{"channel": map[string]any{"id": id}}, ""
}

func (s *Server) conversationsInfo(args map[string]any) (map[string]any, string) {
	c := s.channels[text(args, "channel")]
	if c == nil || (c.Private && c.Out) {
		return nil, "channel_not_found"
	}
	return map[string]any{"channel": map[string]any{
		"id": c.ID, "name": c.Name, "is_private": c.Private, "is_archived": c.Archived, "is_member": !c.Out,
		"is_ext_shared": c.Shared,
	}}, ""
}

// writable gives a channel that the app may write to, or an error word.
func (s *Server) writable(id string) (*Channel, string) {
	c := s.channels[id]
	switch {
	case c == nil, c.Private && c.Out:
		return nil, "channel_not_found"
	case c.Archived:
		return nil, "is_archived"
	case c.Out:
		return nil, "not_in_channel"
	}
	return c, ""
}

func (s *Server) postMessage(args map[string]any) (map[string]any, string) {
	c, word := s.writable(text(args, "channel"))
	if word != "" {
		return nil, word
	}
	m := &Message{Channel: c.ID, Thread: text(args, "thread_ts"), Text: text(args, "text")}
	if word := s.setContent(m, args); word != "" {
		return nil, word
	}
	m.TS = formatTS(s.Now(), s.tick())
	c.Messages = append(c.Messages, m)
	return map[string]any{"channel": c.ID, "ts": m.TS, "message": map[string]any{"text": m.Text, "ts": m.TS}}, ""
}

func (s *Server) update(args map[string]any) (map[string]any, string) {
	c, word := s.writable(text(args, "channel"))
	if word != "" {
		return nil, word
	}
	i := slices.IndexFunc(c.Messages, func(m *Message) bool { return m.TS == text(args, "ts") })
	if i < 0 {
		return nil, "message_not_found"
	}
	m := c.Messages[i]
	if len([]rune(text(args, "text"))) > 4000 {
		s.defect("chat.update: text longer than 4,000 characters")
		return nil, "msg_too_long"
	}
	for _, id := range sharedIDs(m.Blocks, args["blocks"]) {
		s.defect("chat.update: block_id %q was used by the version before", id)
	}
	if word := s.setContent(m, args); word != "" {
		return nil, word
	}
	m.Updates++
	return map[string]any{"channel": c.ID, "ts": m.TS, "text": m.Text}, ""
}

func (s *Server) postEphemeral(args map[string]any) (map[string]any, string) {
	c, word := s.writable(text(args, "channel"))
	if word != "" {
		return nil, word
	}
	if s.users[text(args, "user")] == nil {
		return nil, "user_not_in_channel"
	}
	m := &Message{Channel: c.ID, TS: formatTS(s.Now(), s.tick()), To: text(args, "user")}
	if word := s.setContent(m, args); word != "" {
		return nil, word
	}
	c.Whispers = append(c.Whispers, m)
	return map[string]any{"message_ts": m.TS}, ""
}

// setContent checks and keeps what a message shows.
func (s *Server) setContent(m *Message, args map[string]any) string {
	blocks, _ := args["blocks"].([]any)
	if text(args, "text") == "" {
		s.defect("a message without text: no notification, and nothing for a screen reader")
		return "no_text"
	}
	check := CheckMessage
	if m.TS == "" && m.To != "" { // not by a method of the Web API
		check = CheckWhisper
	}
	if broken := check(blocks); len(broken) > 0 {
		s.defect("message %q: %s", text(args, "text"), strings.Join(broken, "; "))
		return "invalid_blocks"
	}
	m.Text, m.Blocks = text(args, "text"), blocks
	return ""
}

// serveHook takes what is posted to a response URL: five times within half an hour.
func (s *Server) serveHook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var args map[string]any
	if err := json.Unmarshal(body, &args); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{Method: "hooks", Token: r.Header.Get("Authorization"), Args: args})
	s.mu.Unlock()
	if s.misbehaves(w, r, "hooks") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[r.PathValue("hook")]
	if h == nil || h.used == 5 || s.Now().Sub(h.at) > 30*time.Minute {
		http.Error(w, "used_url", http.StatusNotFound)
		return
	}
	h.used++
	if r.Header.Get("Authorization") != "" {
		s.defect("a token was sent to a response URL")
	}
	m := &Message{Channel: h.channel, To: h.user}
	if word := s.setContent(m, args); word != "" {
		http.Error(w, word, http.StatusBadRequest)
		return
	}
	m.TS = formatTS(s.Now(), s.tick())
	c := s.channels[h.channel]
	if c == nil {
		c = &Channel{ID: h.channel, Out: true}
		s.channels[h.channel] = c
	}
	c.Whispers = append(c.Whispers, m)
	_, _ = w.Write([]byte("ok")) // without a Content-Type of JSON, as the real one
}
