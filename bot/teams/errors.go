package teams

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"elevate/bot"
)

const (
	// longestWait bounds what a Retry-After can make us wait. The longest window that Teams counts messages in is an hour.
	longestWait = time.Hour
	// mendIn is how long a message waits for somebody to mend what is wrong with the bot's registration or secret.
	mendIn = time.Minute
	// maxQuoted is how much of somebody else's words an error quotes, in characters.
	maxQuoted = 200
)

var (
	errNoAccount      = errors.New("the directory has no Teams account for the person")
	errNoConversation = errors.New("the person has not added the app, so there is nowhere to write to them")
	errReference      = errors.New("not a reference of a Teams message")
	errTooLarge       = errors.New("the message is longer than Teams takes; please report this as a defect of Elevate")
	// errEmpty says that Teams, or something in its place, answered with success and without what was asked for.
	errEmpty = errors.New("the answer is not one of Teams: is something between Elevate and Microsoft answering in its place?")
)

// connectorError is an answer of the Bot Connector that is no success.
type connectorError struct {
	Op         string
	Status     int
	Code       string // Teams' word for it, without spaces; empty where it gave none
	Message    string // as Teams wrote it; Error shows the beginning
	RetryAfter time.Duration
}

func (e *connectorError) Error() string {
	text := fmt.Sprintf("%s: Teams answered %d", e.Op, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	} else if name := http.StatusText(e.Status); name != "" {
		text += " " + name
	}
	if e.Message != "" {
		text += ": " + quoted(e.Message)
	}
	return text
}

// quoted is the beginning of a text that somebody else wrote, safe to stand in a line of the log.
func quoted(text string) string {
	runes := []rune(strings.ToValidUTF8(text[:min(len(text), 4*maxQuoted)], ""))
	if len(runes) > maxQuoted {
		runes = append(runes[:maxQuoted], '…')
	}
	return strconv.Quote(string(runes))
}

// codeForm is what a code of Teams looks like. Some have a space in some places and none in others.
var codeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ]{0,63}$`)

// newConnectorError reads an answer that is no success. There are two forms of them: {"error":{"code","message"}} and,
// from the chat service behind the connector, {"errorCode":209,"message":"{\"subCode\":…,\"details\":…}"}.
func newConnectorError(op string, status int, header http.Header, body []byte, now time.Time) *connectorError {
	var said struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &said) // what is not JSON, or other JSON, says nothing to us
	code, message := said.Error.Code, said.Error.Message
	if message == "" {
		message = said.Message
	}
	var inner struct {
		Code    string `json:"subCode"`
		Details string `json:"details"`
	}
	if json.Unmarshal([]byte(message), &inner) == nil && inner.Code != "" {
		code, message = inner.Code, inner.Details
	}
	if !codeForm.MatchString(code) {
		code = ""
	}
	return &connectorError{
		Op: op, Status: status, Code: strings.ReplaceAll(code, " ", ""), Message: message, RetryAfter: retryAfter(header, now),
	}
}

// retryAfter reads Retry-After, in seconds or as a date. Zero where it says nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		wait = time.Duration(max(0, min(seconds, int64(longestWait/time.Second)))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, longestWait))
}

// sendAdvice says what to do about the final errors that somebody can do something about.
var sendAdvice = map[string]string{
	"BotNotInConversationRoster":     "add the app to the team of the channel, or to the chat",
	"MessageWritesBlocked":           "the person removed or blocked the app; they must add it again to be written to",
	"ConversationBlockedByUser":      "the person blocked the app, or the channel lets only its moderators post; unblock it there",
	"ForbiddenOperationException":    "the app is not installed for the person; they must add it, or an administrator for them",
	"BotDisabledByAdmin":             "an administrator switched the app off; allow it in the app policies of Teams",
	"NotEnoughPermissions":           "the app lacks a permission in the team; Teams' own words say which",
	"Forbidden":                      "add the app to the team of the channel, and let it post there",
	"InvalidBotApiHost":              "the conversation is in a cloud that Elevate does not know of yet; write to the app there once",
	"ConversationNotFound":           "check the channel's id in the configuration, and that the app is in its team; or someone deleted it",
	"NotFound":                       "check the channel's id in the configuration, and that the app is in its team; or someone deleted it",
	"ActivityNotFoundInConversation": "someone deleted the message; nothing is lost but its place in the channel",
	"BadSyntax":                      "check the channel's id in the configuration: 19:…@thread.tacv2",
	"MessageSizeTooBig":              "please report this as a defect of Elevate",
}

// passing are the codes of what goes away by itself, whatever status they come with: Teams says ServiceError with 403
// while it has an incident.
var passing = map[string]bool{"Throttled": true, "PreconditionFailed": true, "ServiceError": true}

// passingStatus tells the statuses of what goes away by itself.
func passingStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusPreconditionFailed, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status < 400 || status >= 500 // a redirect, or a page, is of something in between
}

// sendError tells the courier what a failed send means. Whatever may have been a hiccup is tried again, although Teams
// may have posted the message and lost the answer: an approval that is asked for twice does less harm than one that is
// never asked for.
func sendError(op string, err error) error {
	out := &bot.ChatError{Op: op, Err: err}
	var token *tokenError
	var answer *connectorError
	switch {
	case errors.As(err, &token):
		out.RetryAfter = token.RetryAfter
	case errors.As(err, &answer):
		answer.means(out)
	case errors.Is(err, errHost):
		out.Err, out.Final = fmt.Errorf("%w; if it is yours, add its address to teams.service_urls", err), true
	case errors.Is(err, errNoAccount), errors.Is(err, errNoConversation), errors.Is(err, errReference), errors.Is(err, errTooLarge):
		out.Final = true
	}
	return out
}

// means fills in what an answer of the connector means for the courier.
func (e *connectorError) means(out *bot.ChatError) {
	switch advice := sendAdvice[e.Code]; {
	case passing[e.Code] || passingStatus(e.Status):
		out.RetryAfter = e.RetryAfter
	case e.Status == http.StatusUnauthorized: // the message waits while somebody mends the registration
		out.Err, out.RetryAfter = fmt.Errorf("%w: check teams.app_id and teams.cloud, and that the bot has the Teams channel in Azure or the Developer Portal", out.Err), mendIn
	case advice != "":
		out.Err, out.Final = fmt.Errorf("%w: %s", out.Err, advice), true
	default:
		out.Err, out.Final = fmt.Errorf("%w: please report this as a defect of Elevate", out.Err), true
	}
}

// gone tells whether a conversation is not ours to write to any more: the app was removed from it, or the person blocked
// the app. An administrator who switched the app off may switch it on again, in the same conversation.
func gone(err error) bool {
	var answer *connectorError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code {
	case "BotNotInConversationRoster", "MessageWritesBlocked", "ConversationBlockedByUser", "ForbiddenOperationException", "ConversationNotFound":
		return true
	}
	return false
}
