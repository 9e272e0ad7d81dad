package teams

import (
	"testing"

	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

// TestStories: what people do, from its beginning to its end, whichever way they type.
func TestStories(t *testing.T) {
	t.Parallel()
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bottest.Tell(t, stage(w, false))
		})
	}
}

// TestStoriesWithLivelyClients: the same where everybody's client asks for cards anew by itself, all at once, whenever
// one names its person.
func TestStoriesWithLivelyClients(t *testing.T) {
	t.Parallel()
	bottest.Tell(t, stage(ways()["slash command"], true))
}

func stage(w way, lively bool) bottest.Stage {
	return bottest.Stage{
		Name: Name, Channel: teamsfake.Access,
		Account: func(person string) string { return account(access.PersonID(person)) },
		Open: func(t bottest.T, o *bottest.Office) bottest.Rig {
			k := setup(t.(testing.TB), func(cfg *Config) {
				cfg.Bot, cfg.Store, cfg.Directory, cfg.Now, cfg.Codes = o.Bot, o.Store, o.Directory, o.Now, o.Codes
			})
			k.fake.Lively = lively
			r := officeRig{newRig(k, w), map[string]string{}}
			for _, p := range o.People {
				k.fake.AddUser(teamsfake.User{ObjectID: account(p.ID), Name: p.Name, Installed: true, InTeam: true})
				r.people[account(p.ID)] = string(p.ID)
			}
			if lively { // a card names those alone whom the bot has met
				for _, id := range []access.PersonID{bottest.Ana, bottest.Ben, bottest.Lea, bottest.Leo} {
					if ack := k.person(id).Install(); ack.Err != nil {
						t.Fatalf("%s cannot add the app: %v", id, ack.Err)
					}
				}
			}
			return r
		},
	}
}

// officeRig is a rig with an office behind the adapter.
type officeRig struct {
	*rig
	people map[string]string // by object id
}

func (r officeRig) Posted() []bottest.Shown { return r.calling(r.rig.Posted()) }

func (r officeRig) Personal(person string) []bottest.Shown { return r.calling(r.rig.Personal(person)) }

// calling names those whom messages notify as the office does.
func (r officeRig) calling(all []bottest.Shown) []bottest.Shown {
	for _, m := range all {
		for i, id := range m.Calls {
			m.Calls[i] = r.people[id]
		}
	}
	return all
}
