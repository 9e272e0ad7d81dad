package slack

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"elevate/bot"
)

var (
	errNoAccount = errors.New("the directory has no Slack account for the person")
	// errEmpty says that Slack, or something in its place, answered without what was asked for. slack-go takes an
	// answer such as {} for success.
	errEmpty     = errors.New("the answer is empty: is something between Elevate and Slack answering in its place?")
	errReference = errors.New("not a reference of a Slack message")
)

// sendAdvice says what to do about the final errors that somebody can do something about. The rest are arguments that
// Slack did not like, which is a defect of this package.
var sendAdvice = map[string]string{
	"channel_not_found":                        "check the channel's id in the configuration; a private channel must invite the app first",
	"not_in_channel":                           "invite the app to the channel",
	"is_archived":                              "the channel is archived; name another in the configuration",
	"restricted_action":                        "the workspace lets only some people post in the channel; allow the app",
	"restricted_action_read_only_channel":      "the channel is read-only; allow the app to post, or name another channel",
	"restricted_action_thread_only_channel":    "the channel takes replies only; name another channel",
	"restricted_action_non_threadable_channel": "the channel has no threads; name another channel",
	"restricted_action_thread_locked":          "an administrator locked the thread",
	"posting_to_channel_denied":                "the workspace does not let the app post in the channel",
	"messages_tab_disabled":                    "switch on the Messages tab of the app's Home, as in manifests/slack/manifest.json",
	"message_not_found":                        "someone deleted the message; nothing is lost but its place in the channel",
	"cant_update_message":                      "another app or token posted the message",
	"edit_window_closed":                       "the workspace does not let old messages be edited",
	"user_not_found":                           "check the person's Slack account in the directory",
	"user_not_visible":                         "check the person's Slack account in the directory",
	"user_disabled":                            "the person's Slack account is deactivated",
	"user_not_in_channel":                      "the person is not in the channel",
	"not_enough_users":                         "check the person's Slack account in the directory",
	"team_not_found":                           "check slack.team_id",
}

// passing are the errors that go away by themselves.
var passing = map[string]bool{
	"ratelimited": true, "rate_limited": true, "message_limit_exceeded": true, "internal_error": true, "fatal_error": true,
	"service_unavailable": true, "request_timeout": true, "update_failed": true, "external_channel_migrating": true,
	"streaming_state_conflict": true, "team_added_to_org": true, "accesslimited": true, "ekm_access_denied": true,
}

// apiCode is Slack's word for what went wrong, or nothing for errors of other kinds.
func apiCode(err error) string {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) {
		return answer.Err
	}
	return ""
}

// sendError tells the courier what a failed send means. Whatever may have been a hiccup is tried again, although Slack
// may have posted the message and lost the answer: an approval that is asked for twice does less harm than one that is
// never asked for.
func sendError(op string, err error) error {
	out := &bot.ChatError{Op: op, Err: err}
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	code := apiCode(err)
	switch {
	case errors.As(err, &limited):
		out.RetryAfter = limited.RetryAfter
	case errors.As(err, &status):
		out.Final = status.Code >= 400 && status.Code < 500 &&
			status.Code != http.StatusTooManyRequests && status.Code != http.StatusRequestTimeout
	case tokenAdvice[code] != "": // the message waits while somebody mends the token
		out.Err, out.RetryAfter = advise(err, tokenAdvice[code]), time.Minute
	case sendAdvice[code] != "":
		out.Err, out.Final = advise(err, sendAdvice[code]), true
	case code != "" && !passing[code]:
		out.Err, out.Final = advise(err, "please report this as a defect of Elevate"), true
	case errors.Is(err, errNoAccount), errors.Is(err, errReference):
		out.Final = true
	}
	return out
}

// advise adds what to do, and the pointers that Slack gives to what it did not like.
func advise(err error, what string) error {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) && len(answer.ResponseMetadata.Messages) > 0 {
		return fmt.Errorf("%w: %s %q", err, what, answer.ResponseMetadata.Messages)
	}
	return fmt.Errorf("%w: %s", err, what)
}
