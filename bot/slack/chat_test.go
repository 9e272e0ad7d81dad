package slack

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
	"elevate/workflows/access"
)

var channel = bot.Address{Channel: "C0ACCESS"}

func TestPostUpdateAndReply(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ctx := context.Background()
	ref, err := k.slack.Post(ctx, channel, bottest.RequestCard("because"))
	if err != nil {
		t.Fatal(err)
	}
	thread, err := k.slack.Post(ctx, bot.Address{Channel: "C0ACCESS", Thread: ref}, *bottest.Says("Approved by Ben."))
	if err != nil || thread == ref {
		t.Fatalf("%q, %v", thread, err)
	}
	if err := k.slack.Update(ctx, ref, *bottest.Says("Active <now> & here")); err != nil {
		t.Fatal(err)
	}
	all := k.fake.Messages("C0ACCESS")
	if len(all) != 2 || "C0ACCESS:"+all[0].TS != ref || all[1].Thread != all[0].TS {
		t.Fatalf("the channel holds %+v", all)
	}
	if got := all[0]; got.Text != "Active &lt;now&gt; &amp; here" || slackfake.Button(got.Blocks, "Approve") != nil {
		t.Errorf("the message is %+v", got)
	}
	for _, call := range k.fake.Calls("chat.postMessage") {
		if call.Args["unfurl_links"] != false || call.Args["unfurl_media"] != false {
			t.Errorf("links are unfolded: %v", call.Args)
		}
	}
}

func TestPersonalMessage(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for range 2 {
		if _, err := k.slack.Post(context.Background(), bot.Address{Person: "ana"}, *bottest.Says("Ten minutes left.")); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.fake.Messages(k.fake.DM("U0ANA")); len(got) != 2 {
		t.Errorf("%d personal messages", len(got))
	}
	if n := len(k.fake.Calls("conversations.open")); n != 1 {
		t.Errorf("the conversation was opened %d times", n)
	}
}

// TestSendErrors walks the ways in which Slack does not take a message.
func TestSendErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault slackfake.Fault
		final bool
		after time.Duration
		says  string // part of the error, for the log
	}{
		"429":             {fault: slackfake.Fault{Status: 429, RetryAfter: "37"}, after: 37 * time.Second},
		"429 bare":        {fault: slackfake.Fault{Status: 429}},
		"500":             {fault: slackfake.Fault{Status: 500}},
		"503 with a page": {fault: slackfake.Fault{Status: 503, Body: "<html>"}},
		"408":             {fault: slackfake.Fault{Status: 408}},
		"404":             {fault: slackfake.Fault{Status: 404}, final: true},
		"cut":             {fault: slackfake.Fault{Reset: true}},
		"hung":            {fault: slackfake.Fault{Hang: true}},
		"a page":          {fault: slackfake.Fault{Body: "<html>please log in</html>"}},
		"empty":           {fault: slackfake.Fault{Body: "{}"}, says: "answering in its place"},
		"null":            {fault: slackfake.Fault{Body: "null"}, says: "answering in its place"},
		"not ok":          {fault: slackfake.Fault{Body: `{"ok":false}`}, says: "answering in its place"},
		"blank error":     {fault: slackfake.Fault{Body: `{"ok":false,"error":" "}`}, says: "answering in its place"},
		"ok and no ts":    {fault: slackfake.Fault{Body: `{"ok":true,"channel":"C0ACCESS"}`}, says: "answering in its place"},
		"ratelimited":     {fault: slackfake.Fault{Error: "ratelimited"}},
		"internal":        {fault: slackfake.Fault{Error: "internal_error"}},
		"revoked":         {fault: slackfake.Fault{Error: "token_revoked"}, after: time.Minute, says: "install the app again"},
		"scope":           {fault: slackfake.Fault{Error: "missing_scope"}, after: time.Minute, says: "manifest"},
		"not in channel":  {fault: slackfake.Fault{Error: "not_in_channel"}, final: true, says: "invite the app"},
		"archived":        {fault: slackfake.Fault{Error: "is_archived"}, final: true, says: "another"},
		"unknown channel": {fault: slackfake.Fault{Error: "channel_not_found"}, final: true, says: "check the channel"},
		"messages tab":    {fault: slackfake.Fault{Error: "messages_tab_disabled"}, final: true, says: "Messages tab"},
		"read only":       {fault: slackfake.Fault{Error: "restricted_action_read_only_channel"}, final: true, says: "read-only"},
		"gone":            {fault: slackfake.Fault{Error: "message_not_found"}, final: true, says: "deleted"},
		"not ours":        {fault: slackfake.Fault{Error: "cant_update_message"}, final: true},
		"too late":        {fault: slackfake.Fault{Error: "edit_window_closed"}, final: true},
		"blocks": {fault: slackfake.Fault{Body: `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] no /blocks/0"]}}`},
			final: true, says: "no /blocks/0"},
		"new word": {fault: slackfake.Fault{Error: "some_new_error"}, final: true, says: "defect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, func(cfg *Config) {
				if test.fault.Hang {
					cfg.Timeout = 50 * time.Millisecond
				}
			})
			ctx := context.Background()
			ref, err := k.slack.Post(ctx, channel, bottest.RequestCard("because"))
			if err != nil && !test.fault.Hang {
				t.Fatal(err)
			}
			if ref == "" {
				ref = "C0ACCESS:1.1"
			}
			test.fault.Times = -1
			k.fake.Misbehave("chat.postMessage", test.fault)
			k.fake.Misbehave("chat.update", test.fault)
			_, post := k.slack.Post(ctx, channel, bottest.RequestCard("because"))
			update := k.slack.Update(ctx, ref, bottest.RequestCard("because"))
			for _, err := range []error{post, update} {
				var refusal *bot.ChatError
				if !errors.As(err, &refusal) {
					t.Fatalf("%v is no ChatError", err)
				}
				if refusal.Final != test.final || refusal.RetryAfter != test.after || !strings.Contains(err.Error(), test.says) {
					t.Errorf("final %t, after %v, %q; want final %t, after %v, %q in it",
						refusal.Final, refusal.RetryAfter, err, test.final, test.after, test.says)
				}
			}
		})
	}
}

// TestEveryDocumentedErrorIsKnown holds the list of what goes away by itself and what somebody can mend against all the
// errors that Slack documents for the methods that send. What is in neither list must be an argument of ours.
func TestEveryDocumentedErrorIsKnown(t *testing.T) {
	t.Parallel()
	ours := []string{
		"as_user", "attachment", "block_mismatch", "blocks", "broadcast", "canvas", "draft", "duplicate_", "file", "invalid_", "markdown",
		"metadata", "msg_", "no_text", "slack_connect_", "too_many_", "users_list", "cannot_reply", "no_dual", "not_supported", "is_inactive",
	}
	for _, method := range []string{"chat.postMessage", "chat.update", "chat.postEphemeral", "conversations.open"} {
		raw, err := os.ReadFile(slackfake.Testdata(t, "method-docs", method+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Errors map[string]string `json:"errors"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil || len(doc.Errors) < 5 {
			t.Fatalf("%s: %d errors, %v", method, len(doc.Errors), err)
		}
		for word, meaning := range doc.Errors {
			known := passing[word] || sendAdvice[word] != "" || tokenAdvice[word] != ""
			for _, part := range ours {
				known = known || strings.Contains(word, part)
			}
			if !known {
				t.Errorf("%s: %s (%s) is not known", method, word, meaning)
			}
		}
	}
}

func TestPeopleWhoCannotBeReached(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for person, final := range map[string]bool{"nobody": true, "lost": true, "unreachable": false} {
		_, err := k.slack.Post(context.Background(), bot.Address{Person: access.PersonID(person)}, *bottest.Says("hello"))
		var refusal *bot.ChatError
		if !errors.As(err, &refusal) || refusal.Final != final {
			t.Errorf("%s: %v, want final %t", person, err, final)
		}
	}
	for _, ref := range []string{"", "-", "C0ACCESS", "C0ACCESS:", ":1.1"} {
		var refusal *bot.ChatError
		if err := k.slack.Update(context.Background(), ref, bottest.RequestCard("x")); !errors.As(err, &refusal) || !refusal.Final {
			t.Errorf("a reference %q: %v", ref, err)
		}
	}
}

// TestHealthTellsOfTheToken until a call succeeds again.
func TestHealthTellsOfTheToken(t *testing.T) {
	t.Parallel()
	k := setup(t)
	if err := k.slack.Healthy(); err != nil {
		t.Error(err)
	}
	k.fake.Misbehave("chat.postMessage", slackfake.Fault{Error: "account_inactive"})
	_, _ = k.slack.Post(context.Background(), channel, bottest.RequestCard("x"))
	if err := k.slack.Healthy(); err == nil || !strings.Contains(err.Error(), "install it again") {
		t.Errorf("a removed app is %v", err)
	}
	if _, err := k.slack.Post(context.Background(), channel, bottest.RequestCard("x")); err != nil {
		t.Fatal(err)
	}
	if err := k.slack.Healthy(); err != nil {
		t.Errorf("after a call that succeeded: %v", err)
	}
}

// TestResponseURLs that are not Slack's are not called.
func TestResponseURLs(t *testing.T) {
	t.Parallel()
	real, err := New(Config{
		BotToken: secret("xoxb"), AppToken: secret("xapp"), TeamID: "T1", Bot: &bottest.Talk{}, Store: newMemory(), Directory: phonebook{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"https://hooks.slack.com/actions/T111/111/xyz": true,
		"https://hooks.slack.com/commands/1":           true,
		"":                                             false,
		"http://hooks.slack.com/actions/1":             false,
		"https://hooks.slack.com:8443/actions/1":       false,
		"https://hooks.slack.com@evil.example/1":       false,
		"https://user:pw@hooks.slack.com/1":            false,
		"https://hooks.slack.com.evil.example/1":       false,
		"https://evil.example/hooks.slack.com":         false,
		"https://HOOKS.slack.com\\@evil.example/":      false,
		"https://127.0.0.1/":                           false,
		"https://169.254.169.254/latest/meta-data/":    false,
		"file:///etc/passwd":                           false,
		"//hooks.slack.com/1":                          false,
		"https:hooks.slack.com/1":                      false,
		"\x00":                                         false,
	} {
		if err := real.hooks.allow(address); (err == nil) != want {
			t.Errorf("%q: %v, want allowed %t", address, err, want)
		}
	}
}

// TestResponseURLThatRedirectsIsNotFollowed and does not take the token with it.
func TestResponseURLThatRedirectsIsNotFollowed(t *testing.T) {
	t.Parallel()
	k := setup(t)
	address := strings.TrimSuffix(k.fake.URL, "api/") + "hooks/any"
	k.fake.Misbehave("hooks", slackfake.Fault{Status: 307, Location: k.fake.URL + "auth.test"})
	err := k.slack.postHook(context.Background(), address, k.slack.whisper(context.Background(), bottest.RequestCard("x")))
	if err == nil || strings.Contains(err.Error(), address) {
		t.Errorf("a redirect ends in %v; the address must not be in the log", err)
	}
	if n := len(k.fake.Calls("auth.test")); n != 0 {
		t.Error("the redirect was followed")
	}
	for _, call := range k.fake.Calls("hooks") {
		if call.Token != "" {
			t.Error("a token was sent along")
		}
	}
}
