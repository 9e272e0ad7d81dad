package teams

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
)

// TestEverythingIsAcknowledgedWhateverHangs takes away, one after the other and all together, what an answer may wait for:
// Teams, the store, the bot. Nothing here is timed: a request that waited for one of them would never be answered, and the
// fake gives up after ten seconds as Teams does.
func TestEverythingIsAcknowledgedWhateverHangs(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(k *kit, never chan struct{}){
		"teams": func(k *kit, _ chan struct{}) { k.fake.Misbehave("*", teamsfake.Fault{Times: -1, Hang: true}) },
		"store": func(k *kit, never chan struct{}) { k.store.breakDown(nil, never) },
		"bot":   func(k *kit, never chan struct{}) { k.bot.Hang = never },
		"all": func(k *kit, never chan struct{}) {
			k.fake.Misbehave("*", teamsfake.Fault{Times: -1, Hang: true})
			k.store.breakDown(nil, never)
			k.bot.Hang = never
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, func(cfg *Config) { cfg.AckWithin = 200 * time.Millisecond })
			never := make(chan struct{})
			t.Cleanup(func() { close(never) })
			m := k.posted(t)
			hang(k, never)
			ana := k.person(bottest.Ana)
			for what, ack := range map[string]teamsfake.Ack{
				"words": ana.Say("mine"), "a slash command": ana.TypeTargeted(teamsfake.Access, "/elevate mine"), "the app": ana.Install(),
				"a change": ana.Press(m, "Approve"), "a look": ana.Press(m, "Details"), "an old client": ana.PressOld(m, "Approve"),
			} {
				if ack.Err != nil || ack.Status != http.StatusOK {
					t.Errorf("%s: answered %d %v", what, ack.Status, ack.Err)
				}
			}
		})
	}
}

// TestAStoreThatIsAwayIsSaid: what could not be recorded was not done, and the person hears so.
func TestAStoreThatIsAwayIsSaid(t *testing.T) {
	t.Parallel()
	k := setup(t)
	m := k.posted(t)
	k.person(bottest.Ben).Say("help")
	k.told(t, bottest.Ben, "You typed help")
	k.store.breakDown(errors.New("connection refused"), nil)
	if ack := k.person(bottest.Ben).Press(m, "Approve"); !strings.Contains(string(ack.Body), "cannot reach its store") {
		t.Errorf("answered %s %v", ack.Body, ack.Err)
	}
	k.person(bottest.Ben).Say("mine")
	k.told(t, bottest.Ben, "cannot reach its store")
	if heard := strings.Join(k.bot.Heard(), "\n"); strings.Contains(heard, "clicked") || strings.Contains(heard, "mine") {
		t.Errorf("the bot heard %s", heard)
	}
}
