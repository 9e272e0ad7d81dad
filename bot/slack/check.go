package slack

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"elevate/bot"
)

// Scopes are the rights that the app needs, as manifests/slack asks for them: chat:write to post and update, commands
// for /elevate, im:write for personal messages, users:read to tell members from guests, channels:read and groups:read
// for Check to see that the channels can be reached.
func Scopes() []string {
	return []string{"channels:read", "chat:write", "commands", "groups:read", "im:write", "users:read"}
}

// scopes are those that a configuration needs.
func (cfg Config) scopes() []string {
	scopes := Scopes()
	if cfg.TrustEmail {
		scopes = append(scopes, "users:read.email")
	}
	if len(cfg.Usergroups) > 0 {
		scopes = append(scopes, "usergroups:read")
	}
	return scopes
}

// checker asks Slack about a configuration.
type checker struct {
	cfg  Config
	http *http.Client
	api  *slack.Client
}

// Check asks Slack whether the tokens, the rights and the channels are as they must be. It changes nothing, and needs
// of the configuration only what is about Slack itself.
func Check(ctx context.Context, cfg Config, channels []string) (bot.Report, error) {
	if err := cfg.complete(); err != nil {
		return bot.Report{}, err
	}
	plain, api := connect(cfg)
	defer plain.CloseIdleConnections()
	s := checker{cfg: cfg, http: plain, api: api}
	var r bot.Report
	if me := s.checkToken(ctx, &r); me != nil {
		s.checkBlocks(ctx, &r, me.UserID)
		for _, channel := range channels {
			s.checkChannel(ctx, &r, channel)
		}
		s.checkUsergroups(ctx, &r)
	}
	if !s.cfg.AppToken.IsZero() {
		s.checkAppToken(ctx, &r)
	}
	return r, nil
}

// checkToken tells who the app is; nil where the bot token is good for no more questions.
func (s checker) checkToken(ctx context.Context, r *bot.Report) *slack.AuthTestResponse {
	me, err := s.api.AuthTestContext(ctx)
	if err == nil && (me.UserID == "" || me.TeamID == "") {
		err = errEmpty
	}
	if err != nil {
		if advice := tokenAdvice[apiCode(err)]; advice != "" {
			err = advise(err, advice)
		}
		r.Problem("slack.bot_token: auth.test: %v", err)
		return nil
	}
	if me.TeamID != s.cfg.TeamID && (me.EnterpriseID == "" || me.EnterpriseID != s.cfg.EnterpriseID) {
		r.Problem("slack.team_id is %s, but the bot token belongs to %s (%s)", s.cfg.TeamID, me.TeamID, me.Team)
	}
	if me.BotID == "" {
		r.Problem("slack.bot_token belongs to a person, not to the app: it must start with xoxb-")
	}
	granted := strings.FieldsFunc(me.Header.Get("X-OAuth-Scopes"), func(c rune) bool { return c == ',' || c == ' ' })
	if len(granted) == 0 {
		r.Remark("Slack did not say which scopes the app has, so they were not checked")
		return me
	}
	for _, scope := range s.cfg.scopes() {
		if !slices.Contains(granted, scope) {
			r.Problem("the app lacks the scope %s: add it and install the app again", scope)
		}
	}
	for _, scope := range granted {
		if !slices.Contains(s.cfg.scopes(), scope) {
			r.Remark("the app has the scope %s, which Elevate does not use: take it away", scope)
		}
	}
	return me
}

func (s checker) checkChannel(ctx context.Context, r *bot.Report, id string) {
	c, err := s.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: id})
	if err == nil && c.ID == "" {
		err = errEmpty
	}
	switch {
	case apiCode(err) == "channel_not_found":
		r.Problem("channel %s: Slack knows no such channel, or it is private and the app was not invited; "+
			"use its id (C…), not its name", id)
	case err != nil:
		r.Problem("channel %s: conversations.info: %v", id, err)
	case c.IsArchived:
		r.Problem("channel %s (#%s) is archived", id, c.Name)
	case !c.IsMember:
		r.Problem("channel %s (#%s): the app is not in it; type /invite @Elevate there", id, c.Name)
	case c.IsExtShared, c.IsPendingExtShared:
		r.Problem("channel %s (#%s) is shared with another organisation, whose people would read every request", id, c.Name)
	}
}

// checkUsergroups finds user groups that do not exist, or not any more: nobody is in those.
func (s checker) checkUsergroups(ctx context.Context, r *bot.Report) {
	if len(s.cfg.Usergroups) == 0 {
		return
	}
	people := People{organisation: s.cfg.EnterpriseID != "", team: s.cfg.TeamID, http: s.http, api: s.api}
	groups, err := people.Usergroups(ctx)
	if err != nil {
		r.Problem("groups: %v", err)
		return
	}
	for _, id := range s.cfg.Usergroups {
		if _, there := groups[id]; !there {
			r.Problem("groups: Slack has no user group %s, or it is disabled: nobody is in it", id)
		}
	}
}

func (s checker) checkAppToken(ctx context.Context, r *bot.Report) {
	_, address, err := s.api.StartSocketModeContext(ctx)
	if err == nil && address == "" {
		err = errEmpty
	}
	if err == nil {
		return
	}
	if advice := socketAdvice[apiCode(err)]; advice != "" {
		err = advise(err, advice)
	}
	r.Problem("slack.app_token: apps.connections.open: %v", err)
}
