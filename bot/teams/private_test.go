package teams

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

// told waits until somebody's personal chat says something.
func (k *kit) told(t *testing.T, person access.PersonID, words string) {
	t.Helper()
	k.fake.Await(t, string(person)+" is told "+words, func() bool { return k.says(k.fake.Chat(account(person)), words) })
}

// says tells whether a conversation has a message of the bot's with these words.
func (k *kit) says(conversation, words string) bool {
	for _, m := range k.fake.Messages(conversation) {
		if m.From == teamsfake.Bot && strings.Contains(m.Text+teamsfake.Text(m.Card), words) {
			return true
		}
	}
	return false
}

// TestAnAnswerThatCannotBeHiddenGoesToThePersonalChat: the service refuses to show it to one person in the channel.
func TestAnAnswerThatCannotBeHiddenGoesToThePersonalChat(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.fake.Misbehave("post", teamsfake.Fault{Status: http.StatusBadRequest, Code: "BadArgument"})
	k.person(bottest.Ana).TypeTargeted(teamsfake.Access, "/elevate mine")
	k.told(t, bottest.Ana, "You typed mine")
	if k.says(teamsfake.Access, "You typed mine") {
		t.Error("the answer stands in the channel")
	}
}

// TestWhoeverHasNotAddedTheAppIsToldHow, where everybody may read it, and nothing of the answer with it.
func TestWhoeverHasNotAddedTheAppIsToldHow(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.fake.AddUser(teamsfake.User{ObjectID: account(bottest.Ana), Name: "ana", InTeam: true})
	ana := k.person(bottest.Ana)
	ana.Uninstall()
	k.fake.Misbehave("create", teamsfake.Fault{Times: -1, Status: http.StatusForbidden, Code: "BotNotInConversationRoster"})
	if ack := ana.Mention(teamsfake.Access, "mine"); ack.Err != nil {
		t.Fatal(ack.Err)
	}
	k.fake.Await(t, "the channel says how", func() bool { return k.says(teamsfake.Access, "add its app for yourself") })
	if k.says(teamsfake.Access, "You typed mine") {
		t.Error("the answer stands in the channel")
	}
}

// TestWhoeverRemovedTheAppIsNotWrittenTo, until they add it again.
func TestWhoeverRemovedTheAppIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.fake.AddUser(teamsfake.User{ObjectID: account(bottest.Ana), Name: "ana", Installed: true})
	ana := k.person(bottest.Ana)
	post := func() error {
		_, err := k.teams.Post(t.Context(), bot.Address{Person: bottest.Ana}, *bottest.Says("For Ana."))
		return err
	}
	ana.Install()
	k.told(t, bottest.Ana, "Welcome, ")
	if err := post(); err != nil {
		t.Fatal(err)
	}
	ana.Uninstall()
	k.fake.Await(t, "it is refused for good", func() bool {
		failed, _ := post().(*bot.ChatError)
		return failed != nil && failed.Final && strings.Contains(failed.Error(), errNoConversation.Error())
	})
	ana.Install()
	k.fake.Await(t, "Ana is written to again", func() bool { return post() == nil })
}

// TestAnAppBroughtUpToDateShowsNoPageAgain: nobody asked for it.
func TestAnAppBroughtUpToDateShowsNoPageAgain(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ana := k.person(bottest.Ana)
	ana.Install()
	k.told(t, bottest.Ana, "Welcome, ")
	if ack := ana.Upgrade(); ack.Err != nil {
		t.Fatal(ack.Err)
	}
	k.stop()
	if got := strings.Count(strings.Join(k.bot.Heard(), "\n"), "came home"); got != 1 {
		t.Errorf("the page was made %d times", got)
	}
}

// TestNobodyAnswersWhatIsNotMeantForTheBot: an app may be allowed to read a channel.
func TestNobodyAnswersWhatIsNotMeantForTheBot(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.person(bottest.Ana).Mention(teamsfake.Access, "mine")
	k.fake.Await(t, "the bot hears what is", func() bool { return len(k.bot.Heard()) == 1 })
	body := `{"type":"message","id":"17","text":"db-admin 1h because","channelId":"msteams","serviceUrl":"` + k.fake.URL + `","from":{"id":"29:x","aadObjectId":"` + account(bottest.Ben) + `"},` +
		`"recipient":{"id":"` + teamsfake.Bot + `"},"conversation":{"id":"` + teamsfake.Access + `","conversationType":"channel","tenantId":"` + teamsfake.TenantID + `"}`
	for what, more := range map[string]string{
		"words to nobody": `}`, "words to somebody else": `,"entities":[{"type":"mention","text":"<at>Cat</at>","mentioned":{"id":"29:cat"}}]}`,
		"the bot's own words": `,"from":{"id":"` + teamsfake.Bot + `"}}`, "a card of another app": `,"text":"","value":{"msteams":{"type":"x"}}}`,
	} {
		if ack := k.fake.Send([]byte(body + more)); ack.Status != http.StatusOK {
			t.Errorf("%s: answered %d", what, ack.Status)
		}
	}
	k.person("cat").Mention(teamsfake.Access, "help")
	k.fake.Await(t, "the bot hears what comes after", func() bool { return len(k.bot.Heard()) >= 2 })
	if heard := k.bot.Heard(); len(heard) != 2 || !strings.Contains(heard[1], `typed "help"`) {
		t.Errorf("the bot heard %q", heard)
	}
}

// TestAMentionIsReadByName: whoever is called in a justification is called by name, and the bot's own mention is not part
// of the words.
func TestAMentionIsReadByName(t *testing.T) {
	t.Parallel()
	in, err := parse([]byte(`{"type":"message","text":"<at>Elevate</at>&nbsp;db-admin 1h for <at>Ben</at> at night","recipient":{"id":"28:bot"},"entities":[` +
		`{"type":"mention","text":"<at>Elevate</at>","mentioned":{"id":"28:bot","name":"Elevate"}},{"type":"mention","text":"<at>Ben</at>","mentioned":{"id":"29:ben","name":"Ben Stone"}},` +
		`{"type":"mention","mentioned":"nobody"},7,null]}`))
	if got, want := in.words(), "db-admin 1h for Ben Stone at night"; err != nil || got != want {
		t.Errorf("read %q, %v, want %q", got, err, want)
	}
	for typed, want := range map[string]string{"/elevate mine": "mine", "/Elevate\u00a0mine": "mine", "/elevate": "", "elevated mine": "elevated mine", "/elevatemine": "/elevatemine"} {
		if got := (incoming{Text: typed}).words(); got != want {
			t.Errorf("%q: read %q, want %q", typed, got, want)
		}
	}
}

// TestAnAnswerIsTriedAgain where a moment may cure what went wrong.
func TestAnAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusPreconditionFailed, http.StatusBadGateway, http.StatusGatewayTimeout} {
		k := setup(t)
		ana := k.person(bottest.Ana)
		ana.Say("help")
		k.told(t, bottest.Ana, "You typed help")
		k.fake.Misbehave("post", teamsfake.Fault{Times: 2, Status: status, Code: "Moment"})
		ana.Say("mine")
		k.told(t, bottest.Ana, "You typed mine")
	}
}

// TestAMessageIsKeptForThoseWhoSeeTheirOwn: Teams is told who does, as far as the bot has met them.
func TestAMessageIsKeptForThoseWhoSeeTheirOwn(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, who := range []access.PersonID{bottest.Ana, bottest.Ben} {
		k.person(who).Say("help")
		k.told(t, who, "You typed help")
	}
	card := bottest.RequestCard("because")
	card.Request, card.Viewers = bottest.Request, []access.PersonID{bottest.Ana, bottest.Ben, "cat", "lost", bottest.Nobody}
	k.fake.Await(t, "both are known", func() bool { return len(k.teams.users(t.Context(), card.Viewers)) == 2 })
	ref, err := k.teams.Post(t.Context(), bot.Address{Channel: teamsfake.Access}, card)
	if err != nil {
		t.Fatal(err)
	}
	m := k.fake.Messages(teamsfake.Access)[0]
	if !k.person(bottest.Ana).Refreshes(m) || !k.person(bottest.Ben).Refreshes(m) || k.person("cat").Refreshes(m) {
		t.Errorf("asked for anew by %v", m.Card["refresh"])
	}
	if ack := k.person(bottest.Ben).Refresh(m); ack.Err != nil {
		t.Fatal(ack.Err)
	}
	seen := k.person(bottest.Ben).Sees(teamsfake.Access)[0]
	if text := teamsfake.Text(seen.Card); !strings.Contains(text, "Shown to "+account(bottest.Ben)) {
		t.Errorf("Ben sees %s", text)
	}
	if err := k.teams.Update(t.Context(), ref, *bottest.Says("It is over.")); err != nil {
		t.Fatal(err)
	}
	if m := k.fake.Messages(teamsfake.Access)[0]; m.Card["refresh"] != nil {
		t.Error("what is over is asked for anew")
	}
}

// TestPlacesOutliveTheProcess: a bot that has just started knows where people are.
func TestPlacesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.person(bottest.Ana).Say("help")
	k.told(t, bottest.Ana, "You typed help")
	chat := k.fake.Chat(account(bottest.Ana))
	k.fake.Await(t, "it is written down", func() bool {
		a, err := (&acquaintances{store: k.store, log: k.teams.log}).person(t.Context(), account(bottest.Ana))
		return err == nil && a.Conversation == chat && a.User == teamsfake.MRI(account(bottest.Ana))
	})
	other, err := New(k.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.validator.close()
	ref, err := other.Post(t.Context(), bot.Address{Person: bottest.Ana}, *bottest.Says("For Ana."))
	if err != nil || !strings.Contains(ref, chat) {
		t.Errorf("%q, %v", ref, err)
	}
	if n := len(k.fake.Calls("create")); n != 0 {
		t.Errorf("%d conversations were begun anew", n)
	}
	other.http.CloseIdleConnections()
}

// TestStopWaitsForWhatIsUnderWay and cuts off what takes too long.
func TestStopWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.fake.Misbehave("*", teamsfake.Fault{Times: -1, Hang: true})
	k.person(bottest.Ana).Say("help")
	k.fake.Await(t, "the bot answers", func() bool { return len(k.bot.Heard()) == 1 })
	began := time.Now()
	k.stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop took %s", took)
	}
}
