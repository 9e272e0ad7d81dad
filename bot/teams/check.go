package teams

import (
	"context"
	"errors"
	"net/http"

	"elevate/bot"
)

// Check asks Microsoft whether the application, its secret and the channels are as they must be. It changes nothing, and
// needs of the configuration only what is about Teams itself.
func Check(ctx context.Context, cfg Config, channels []string) (bot.Report, error) {
	if err := cfg.complete(); err != nil {
		return bot.Report{}, err
	}
	client, c, err := connect(cfg)
	if err != nil {
		return bot.Report{}, err
	}
	defer client.CloseIdleConnections()
	var r bot.Report
	keys := newKeyring(validatorConfig{AppID: cfg.AppID, Issuer: Clouds()[cfg.Cloud].Issuer, MetadataURL: cfg.MetadataURL, HTTP: client, Now: cfg.Now, Log: cfg.Logger})
	defer keys.close()
	if _, err := keys.fetch(); err != nil {
		r.Problem("the keys of the Bot Framework cannot be had, so nothing that Teams sends will be taken: %v", err)
	}
	if _, err := c.tokens.get(ctx); err != nil {
		r.Problem("%v", err)
		return r, nil
	}
	service := Clouds()[cfg.Cloud].ServiceURL
	if len(cfg.ServiceURLs) > 0 {
		service = cfg.ServiceURLs[0]
	}
	for _, channel := range channels {
		checkChannel(ctx, &r, c, place{Service: service, Conversation: channel})
	}
	return r, nil
}

// checkChannel asks who is in a channel, which the bot may know of the teams that it was added to.
func checkChannel(ctx context.Context, r *bot.Report, c *connector, at place) {
	err := c.visit(ctx, at)
	var answer *connectorError
	switch {
	case err == nil:
	case errors.As(err, &answer) && (answer.Status == http.StatusForbidden || answer.Status == http.StatusNotFound):
		r.Problem("channel %s: the app is not in its team, or there is no such channel; add the app to the team, and use the id between /channel/ and / of “Get link to channel”, decoded: %v", at.Conversation, err)
	default:
		r.Remark("channel %s could not be looked at: %v", at.Conversation, err)
	}
}
