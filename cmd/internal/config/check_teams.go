package config

import (
	"regexp"
	"slices"
)

// The forms of Microsoft's ids.
var (
	guid         = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	teamsChannel = regexp.MustCompile(`^19:[^\s/;]+@thread\.(tacv2|skype|v2)$`)
)

const guidForm = "a GUID such as 00000000-0000-4000-8000-000000000000"

func (c *checker) checkTeams(t *Teams) {
	at := path{"teams"}
	if !slices.Contains(c.chats, "teams") {
		c.problem(at, "does not belong here: this program does not speak Teams")
	}
	c.form(at.key("app_id"), t.AppID, guid, true, "the application (client) ID of the bot, "+guidForm)
	c.form(at.key("tenant_id"), t.TenantID, guid, true, "the directory (tenant) ID, "+guidForm)
	switch secret := t.ClientSecret.Reveal(); {
	case secret == "" && !c.silenced(at.key("client_secret")):
		c.problem(at.key("client_secret"), "is required: the value of a client secret of the application")
	case guid.MatchString(secret):
		c.problem(at.key("client_secret"), "is a GUID: that is the secret's ID; its value is shown once, when it is made")
	}
	c.oneOf("teams.cloud", &t.Cloud, "public", "usgov", "china")
	for i, address := range t.ServiceURLs {
		c.checkMicrosoftURL(at.key("service_urls").index(i), address, "the bot's token")
	}
	if t.OpenIDMetadataURL != "" {
		c.checkMicrosoftURL(at.key("openid_metadata_url"), t.OpenIDMetadataURL, "who calls")
	}
	if t.TokenURL != "" {
		c.checkMicrosoftURL(at.key("token_url"), t.TokenURL, "the client secret")
	}
}

// checkMicrosoftURL checks an address that something which must not be read or forged is entrusted to.
func (c *checker) checkMicrosoftURL(at path, address, what string) {
	u, ok := webURL(address)
	switch {
	case !ok:
		c.problem(at, "must be a whole address without user name, such as https://login.microsoftonline.com/")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.problem(at, "is %s: %s needs https, except to this machine itself", c.doc.quote(at), what)
	}
}

// checkChannel checks the form of a channel's id in a chat.
func (c *checker) checkChannel(at path, chat, channel string) {
	forms := map[string]struct {
		pattern *regexp.Regexp
		what    string
		there   bool
		name    string
	}{
		"slack": {channelID, "the channel's ID, which begins with C or G (in Slack: the channel's name, About, at the end)", c.Slack != nil, "Slack"},
		"teams": {teamsChannel, "the channel's ID, 19:…@thread.tacv2 (in Teams: the channel, Get link to channel, between /channel/ and the next /, decoded)", c.Teams != nil, "Teams"},
	}
	form, known := forms[chat]
	switch {
	case !known:
	case !form.there:
		c.problem(at, "names a channel in %s, and there is no %s block to reach it by", form.name, chat)
	default:
		c.form(at, channel, form.pattern, true, form.what)
	}
}
