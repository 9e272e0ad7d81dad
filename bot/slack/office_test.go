package slack

import (
	"context"
	"strings"

	"elevate/bot/bottest"
	"elevate/workflows/access"
)

// hostile is text that means something to Slack.
const hostile = bottest.Mischief

// cast is people who write in a tone, with accounts in Slack.
func cast(tone bottest.Tone) *bottest.Cast {
	return bottest.NewCast(tone, Name, func(id access.PersonID) string { return "U0" + strings.ToUpper(string(id)) })
}

// renders is a renderer that knows their accounts.
func renders(c *bottest.Cast) renderer {
	return renderer{account: func(ctx context.Context, id access.PersonID) string {
		account, err := c.AccountOf(ctx, id, Name)
		if err != nil {
			return ""
		}
		return account
	}}
}
