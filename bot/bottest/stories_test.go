package bottest

import (
	"slices"
	"testing"
	"time"
)

// impatience is how long a flawed story on paper waits for what takes its time: in vain.
const impatience = time.Second

// slowPaper is paper behind which a whole office works: what it shows comes in its own time.
type slowPaper struct {
	*paper
	patience time.Duration
}

func (p slowPaper) Await(is func() bool) bool { return Await(p.patience, is) }

// paperStage is a stage with a flaw.
func paperStage(flaw string, patience time.Duration) Stage {
	return Stage{Name: "paper", Channel: "everybody", Open: func(_ T, o *Office) Rig {
		return slowPaper{newPaper(o.Bot, flaw), patience}
	}}
}

func TestStoriesOnPaper(t *testing.T) {
	t.Parallel()
	Tell(t, paperStage("", Patience))
}

// audience is a T that collects failures; what was started ends with the test.
type audience struct {
	*recorder
	t *testing.T
}

func (a audience) Cleanup(f func()) { a.t.Cleanup(f) }

// fails tells a story on flawed paper and gives what is found wrong.
func fails(t *testing.T, flaw, name string) []string {
	i := slices.IndexFunc(stories(), func(s story) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("there is no story %q", name)
	}
	a := audience{&recorder{ctx: t.Context()}, t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		paperStage(flaw, impatience).play(a, stories()[i].tell)
	}()
	<-done
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.failures)
}

// TestEveryFlawSpoilsItsStory, and every story is spoiled by something.
func TestEveryFlawSpoilsItsStory(t *testing.T) {
	t.Parallel()
	spoiled := map[string]bool{}
	for _, test := range []struct{ flaw, story string }{
		{"an update is lost", "a request from the question to the end"},
		{"an update posts", "a request from the question to the end"},
		{"threads are forgotten", "a request from the question to the end"},
		{"clicks count for another", "a request from the question to the end"},
		{"complaints are lost", "a form asks for what is missing"},
		{"the form stays open", "a form asks for what is missing"},
		{"forms forget their request", "a request is denied with a reason"},
		{"complaints are lost", "a form outlives a directory that is away"},
		{"buttons stay", "a request is taken back"},
		{"clicks forget their request", "a request is taken back"},
		{"personal is public", "access is ended early from the personal message"},
		{"forms send what stood in them", "access is extended by form"},
		{"answers are lost", "a click that comes too late"},
		{"answers go to another", "a click that comes too late"},
		{"strangers pass", "an account that is nobody's"},
		{"every message is posted twice", "a request that arrives often is one"},
		{"every message is posted twice", "a click that arrives often counts once"},
		{"twice is twice", "a form that arrives often counts once"},
		{"people's words are parsed", "hostile words do nothing"},
		{"every name is called", "hostile words do nothing"},
		{"answers are public", "what is private stays private"},
		{"pages are never brought up to date", "the Home page shows what is"},
		{"down is final", "a chat that is down delays nothing and catches up"},
		{"long words are cut", "long words and many approvers"},
		{"complaints are lost", "asking takes a code"},
		{"forms forget their request", "approving takes a code"},
		{"answers are lost", "a code that cannot be checked"},
	} {
		spoiled[test.story] = true
		t.Run(test.flaw+"/"+test.story, func(t *testing.T) {
			t.Parallel()
			got := fails(t, test.flaw, test.story)
			if len(got) == 0 {
				t.Errorf("nothing is found wrong")
			}
			t.Logf("%q", got)
		})
	}
	for _, s := range stories() {
		if !spoiled[s.name] {
			t.Errorf("no flaw is there for %q", s.name)
		}
	}
}
