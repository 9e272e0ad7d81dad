package e2etest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
)

var tenants = []e2etest.Member{
	{ID: "ana", Name: "Ana Lima"}, {ID: "bob", Name: "Bob Keller"}, {ID: "mei", Name: "Mei Tanaka"},
	{ID: "dan", Name: "Dan Osei"}, {ID: "eve", Name: "Eve Stranger"}, {ID: "kim", Name: "Kim Park"},
}

func TestPlaygroundPlaysTeamsForABot(t *testing.T) {
	t.Parallel()
	bot := &parrot{t: t}
	server := httptest.NewServer(bot)
	t.Cleanup(server.Close)
	bot.Playground = e2etest.StartPlayground(t, strings.TrimPrefix(server.URL, "http://"), tenants...)
	p := bot.Playground
	p.Open()
	p.Asks(e2etest.Channel, "fix <b>this</b> & *that*")
	p.Expect("message of "+teamsfake.ObjectID("ana"), "<at>Elevate</at> fix <b>this</b> & *that*")
	p.Shot("1-answer", "message of")
	p.Clicks("ana", "Approve", "message of")
	p.Expect("message of", "refused to "+teamsfake.ObjectID("ana"))
	p.Clicks("bob", "Approve", "message of")
	p.Expect("approved by " + teamsfake.ObjectID("bob"))
	p.Shot("2-approved", "approved by")
	if posts := p.Posts(); !slices.Equal(posts, []e2etest.Post{{By: "Ana Lima", Cards: 1}}) {
		t.Errorf("the channel has %v", posts)
	}
	p.Asks(e2etest.Personal, "mine")
	p.Expect("message of "+teamsfake.ObjectID("ana"), "mine")
	p.Shot("3-personal", "mine")
	if calls := p.Calls(http.MethodPost); len(calls) != 2 || calls[0].Status != http.StatusCreated {
		t.Errorf("the bot called %v", calls)
	}
}

// TestFrameworkLetsNothingThroughWithoutToken calls the connector as a bot would that does not authenticate.
func TestFrameworkLetsNothingThroughWithoutToken(t *testing.T) {
	t.Parallel()
	heard := &complaints{TB: t}
	p := e2etest.StartPlayground(heard, "127.0.0.1:1", tenants...)                        // no bot is needed
	for _, header := range []string{"", "Bearer ", "Bearer " + p.Token(p.ServiceURL())} { // the last is for the bot, not of it
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.ServiceURL()+"/v3/conversations/a:personal/members", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("with %q the connector answers %s", header, res.Status)
		}
	}
	if got := heard.number.Load(); got != 3 || len(p.Calls(http.MethodGet)) > 0 {
		t.Errorf("of 3 calls %d were complained of, and %d came through", got, len(p.Calls(http.MethodGet)))
	}
}

// complaints counts what a test is failed for instead of failing it.
type complaints struct {
	testing.TB
	number atomic.Int32
}

func (c *complaints) Errorf(string, ...any) { c.number.Add(1) }

// parrot is a bot that says what it hears, and lets everybody but Ana approve.
type parrot struct {
	*e2etest.Playground
	t *testing.T
}

func (b *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var heard struct {
		Type, Text, ServiceURL string
		From                   struct{ AADObjectID string }
		Conversation           struct{ ID string }
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&heard); err != nil || heard.ServiceURL != b.ServiceURL() {
		b.t.Errorf("an activity of %q: %v", heard.ServiceURL, err)
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		b.t.Error("an activity came unsigned")
	}
	who := heard.From.AADObjectID
	switch {
	case heard.Type == "message":
		b.says(heard.Conversation.ID, card("message of "+who+": "+heard.Text))
	case heard.Type == "invoke" && who == teamsfake.ObjectID("ana"):
		answer(w, http.StatusForbidden, "application/vnd.microsoft.error", map[string]any{"code": "Forbidden", "message": "refused to " + who})
	case heard.Type == "invoke":
		answer(w, http.StatusOK, "application/vnd.microsoft.card.adaptive", card("approved by "+who))
	}
}

// says sends a card, with a token as it is got for the Bot Connector.
func (b *parrot) says(conversation string, content map[string]any) {
	message, err := json.Marshal(map[string]any{"type": "message", "attachments": []any{
		map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": content},
	}})
	if err != nil {
		b.t.Error(err)
	}
	credentials := clientcredentials.Config{
		ClientID: teamsfake.AppID, ClientSecret: teamsfake.ClientSecret, TokenURL: b.TokenURL(), Scopes: []string{teamsfake.Scope}, AuthStyle: oauth2.AuthStyleInParams,
	}
	address := b.ServiceURL() + "/v3/conversations/" + url.PathEscape(conversation) + "/activities"
	res, err := credentials.Client(b.t.Context()).Post(address, "application/json", bytes.NewReader(message))
	if err != nil {
		b.t.Errorf("send a message: %v", err)
		return
	}
	_ = res.Body.Close()
}

func card(words string) map[string]any {
	return map[string]any{"type": "AdaptiveCard", "version": "1.5",
		"body":    []any{map[string]any{"type": "RichTextBlock", "inlines": []any{words}}},
		"actions": []any{map[string]any{"type": "Action.Execute", "title": "Approve", "verb": "approve"}},
	}
}

func answer(w http.ResponseWriter, status int, kind string, value map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"statusCode": status, "type": kind, "value": value})
}
