package teams

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"elevate/bot"
)

// meaning is what an error tells the courier.
func meaning(t testing.TB, err error) (final bool, wait time.Duration) {
	t.Helper()
	var refusal *bot.ChatError
	if !errors.As(err, &refusal) {
		t.Fatalf("%v is no ChatError", err)
	}
	return refusal.Final, refusal.RetryAfter
}

// coded is an answer in the form of Teams.
func coded(code, message string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)
}

// TestAnswersOfTheConnector walks what Microsoft documents, and what else was seen: which of it is final, how long to
// wait for the rest, whether the conversation is lost, and what the operator reads.
func TestAnswersOfTheConnector(t *testing.T) {
	t.Parallel()
	const blocked = `{"errorCode":209,"message":"{\r\n  \"subCode\": \"MessageWritesBlocked\",\r\n  \"details\": \"Thread is blocked from message writes.\",\r\n  \"errorCode\": null\r\n}"}`
	for name, test := range map[string]struct {
		status int
		body   string
		after  string // Retry-After
		final  bool
		wait   time.Duration
		gone   bool
		says   string
	}{
		"bad argument":             {400, coded("Bad Argument", "Failed to decrypt conversation id"), "", true, 0, false, `400 BadArgument: "Failed to decrypt`},
		"bad argument in one":      {400, coded("BadArgument", "Unknown attachment type"), "", true, 0, false, "report this as a defect"},
		"bad syntax":               {400, coded("BadSyntax", "Bad format of conversation ID"), "", true, 0, false, "check the channel's id"},
		"bare 400":                 {400, "", "", true, 0, false, "400 Bad Request: please report"},
		"service error with a 400": {400, coded("ServiceError", "Unknown"), "", false, 0, false, "ServiceError"},
		"not registered":           {401, coded("BotNotRegistered", "No registration found for this bot."), "", false, time.Minute, false, "teams.app_id"},
		"bare 401":                 {401, `{"message":"Authorization has been denied for this request."}`, "", false, time.Minute, false, "has been denied"},
		"not in the team":          {403, coded("BotNotInConversationRoster", "The bot is not part of the conversation roster."), "", true, 0, true, "add the app to the team of the channel"},
		"not there for the one":    {404, coded("BotNotInConversationRoster", "The bot is not part of the conversation roster."), "", true, 0, true, "add the app to the team of the channel"},
		"switched off":             {403, coded("BotDisabledByAdmin", "The tenant admin disabled this bot"), "", true, 0, false, "app policies"},
		"blocked":                  {403, coded("ConversationBlockedByUser", "User blocked the conversation with the bot."), "", true, 0, true, "blocked the app"},
		"blocked by the service":   {403, blocked, "", true, 0, true, `403 MessageWritesBlocked: "Thread is blocked`},
		"blocked by the service 2": {403, coded("Forbidden", `{"subCode":"MessageWritesBlocked","details":"x"}`), "", true, 0, true, "add it again"},
		"blocked 3":                {403, coded("MessageWritesBlocked", "x"), "", true, 0, true, "add it again"},
		"not installed":            {403, coded("ForbiddenOperationException", "Bot is not installed in user's personal scope"), "", true, 0, true, "not installed for the person"},
		"forbidden":                {403, coded("Forbidden", "x"), "", true, 0, false, "let it post there"},
		"no permission":            {403, coded("NotEnoughPermissions", "needs X.Y.Z"), "", true, 0, false, "needs X.Y.Z"},
		"GCC":                      {403, coded("InvalidBotApiHost", "For GCC tenants, call …"), "", true, 0, false, "write to the app there once"},
		"an incident":              {403, coded("ServiceError", "Unknown"), "", false, 0, false, "ServiceError"},
		"new word":                 {403, coded("SomeNewWord", "x"), "", true, 0, false, "403 SomeNewWord"},
		"no conversation":          {404, coded("ConversationNotFound", "Conversation not found."), "", true, 0, true, "check the channel's id"},
		"no message":               {404, coded("ActivityNotFoundInConversation", "Conversation not found."), "", true, 0, false, "someone deleted the message"},
		"not found":                {404, coded("NotFound", "x"), "", true, 0, false, "check the channel's id"},
		"a page of a proxy":        {404, "<html>", "", true, 0, false, "404 Not Found"},
		"not there":                {405, "", "", true, 0, false, "405"},
		"late":                     {408, "", "", false, 0, false, "408"},
		"precondition":             {412, coded("PreconditionFailed", "Precondition failed, please try again."), "3", false, 3 * time.Second, false, "412"},
		"too big":                  {413, coded("MessageSizeTooBig", "Message size too large."), "", true, 0, false, "defect"},
		"too many":                 {429, coded("Throttled", "Too many requests."), "37", false, 37 * time.Second, false, "Throttled"},
		"too many, no word":        {429, "", "", false, 0, false, "429"},
		"internal":                 {500, coded("ServiceError", "x"), "", false, 0, false, "500"},
		"never":                    {501, "", "", true, 0, false, "501"},
		"bad gateway":              {502, "<html>", "", false, 0, false, "502"},
		"unavailable":              {503, "", "120", false, 2 * time.Minute, false, "503"},
		"gateway late":             {504, "", "", false, 0, false, "504"},
		"error as text":            {403, `{"error":"no"}`, "", true, 0, false, "403 Forbidden"},
		"code as a sentence":       {403, coded("Not/a code\nat all", "x"), "", true, 0, false, `403 Forbidden: "x"`},
		"list":                     {502, `[1]`, "", false, 0, false, "502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFarEnd(t)
			f.answers(test.status, test.body, "Retry-After", test.after)
			c := f.connector(t)
			for op, err := range everyCall(t.Context(), c, f.place()) {
				refusal := sendError("post", err)
				if final, wait := meaning(t, refusal); final != test.final || wait != test.wait || gone(err) != test.gone {
					t.Errorf("%s: final %t, wait %v, gone %t", op, final, wait, gone(err))
				}
				if text := refusal.Error(); !strings.Contains(text, test.says) || !strings.HasPrefix(text, "post: "+op+": Teams answered ") || len(text) > 400 {
					t.Errorf("%s: says %q; want %q in it", op, text, test.says)
				}
			}
		})
	}
}

// TestEveryStatusHasAMeaning also those that nobody expects.
func TestEveryStatusHasAMeaning(t *testing.T) {
	t.Parallel()
	passes := []int{401, 408, 412, 425, 429}
	for status := 300; status < 600; status++ {
		err := newConnectorError("send", status, http.Header{}, nil, time.Now())
		want := status >= 400 && status < 500 && !slices.Contains(passes, status) || status == http.StatusNotImplemented
		if final, _ := meaning(t, sendError("post", err)); final != want {
			t.Errorf("%d is final %t", status, final)
		}
	}
}

func TestErrorsOfOurOwn(t *testing.T) {
	t.Parallel()
	for err, final := range map[error]bool{
		errHost: true, errReference: true, errNoConversation: true, errNoAccount: true, errTooLarge: true,
		errEmpty: false, errors.New("connection reset by peer"): false,
	} {
		wrapped := sendError("post", fmt.Errorf("somewhere: %w", err))
		if got, wait := meaning(t, wrapped); got != final || wait != 0 || !errors.Is(wrapped, err) || gone(wrapped) {
			t.Errorf("%v: final %t, wait %v, gone %t", wrapped, got, wait, gone(wrapped))
		}
	}
	if gone(nil) {
		t.Error("nothing is gone")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		"-7":                             0,
		"3600":                           time.Hour,
		"999999999999":                   time.Hour,
		"9999999999999999999999":         0,
		"soon":                           0,
		"1.5":                            0,
		"Fri, 27 Nov 2026 09:01:30 GMT":  90 * time.Second,
		"Friday, 27-Nov-26 09:01:30 GMT": 90 * time.Second,
		"Fri, 27 Nov 2026 08:00:00 GMT":  0,
		"Sat, 28 Nov 2026 09:00:00 GMT":  time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	f := newFarEnd(t)
	f.answers(http.StatusTooManyRequests, "", "Retry-After", "Fri, 27 Nov 2026 09:01:30 GMT")
	c := f.connector(t, func(cfg *connectorConfig) { cfg.Now = func() time.Time { return now } })
	_, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false)
	if final, wait := meaning(t, sendError("post", err)); final || wait != 90*time.Second {
		t.Errorf("%v: final %t, wait %v", err, final, wait)
	}
}

// TestErrorsLeakNoSecret although the connector repeats what it was sent.
func TestErrorsLeakNoSecret(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, n int) {
		say(w, 400+n, coded("BadArgument", "you sent "+r.Header.Get("Authorization")))
	}
	for op, err := range everyCall(t.Context(), f.connector(t), f.place()) {
		text := sendError("post", err).Error()
		if strings.Contains(text, farToken) || strings.Contains(text, farSecret) || strings.Contains(text, f.url) {
			t.Errorf("%s: says %q", op, text)
		}
		if !strings.Contains(text, "you sent Bearer [token]") {
			t.Errorf("%s: says %q", op, text)
		}
	}
}

// TestErrorsQuoteLittle and nothing that a terminal or a log would take for its own.
func TestErrorsQuoteLittle(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		strings.Repeat("x", 10_000), strings.Repeat("é", 10_000), strings.Repeat("\xff", 10_000), strings.Repeat("𝄞", 10_000),
		"line\nbreak \x1b[31m red \u202eturned", "\x00",
	} {
		text := (&connectorError{Op: "send", Status: 400, Code: "BadArgument", Message: message}).Error()
		if utf8.RuneCountInString(text) > 4*maxQuoted || !utf8.ValidString(text) || strings.ContainsAny(text, "\n\x1b\x00\u202e") {
			t.Errorf("says %q", text)
		}
	}
}
