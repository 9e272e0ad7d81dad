package bottest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a T that collects failures.
type recorder struct {
	ctx      context.Context
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(func())           {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failing are the checks that a chat with a flaw does not pass.
func failing(t *testing.T, flaw string) []string {
	t.Helper()
	var out []string
	for _, c := range checks() {
		r := &recorder{ctx: t.Context()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.on(r, func(_ T, talk *Talk) Rig { return newPaper(talk, flaw) })
		}()
		<-done
		if len(r.failures) > 0 {
			out = append(out, c.name)
			t.Logf("%s: %s: %q", flaw, c.name, r.failures)
		}
	}
	return out
}

func TestWholeChatPasses(t *testing.T) {
	t.Parallel()
	if got := failing(t, ""); len(got) > 0 {
		t.Errorf("a chat without a flaw fails %q", got)
	}
	Run(t, func(_ T, talk *Talk) Rig { return newPaper(talk, "") }, map[string]string{"a page of one's own": "paper has no pages"})
}

// TestEveryFlawIsNoticed by the check that is there for it, and every check notices something.
func TestEveryFlawIsNoticed(t *testing.T) {
	t.Parallel()
	noticed := map[string]bool{}
	for flaw, want := range map[string]string{
		"commands are trimmed":                "a command arrives to the letter, and its answer is seen by one",
		"answers are public":                  "a command arrives to the letter, and its answer is seen by one",
		"answers go to another":               "a click carries its action, its request and its message",
		"parts are lost":                      "every part of a card is shown",
		"people's words are parsed":           "words that people wrote are shown to the letter",
		"long cards lose their end":           "a card that is too long keeps its buttons",
		"an update appends":                   "a message is posted, answered in its thread and replaced",
		"an update posts":                     "a message is posted, answered in its thread and replaced",
		"threads are forgotten":               "a message is posted, answered in its thread and replaced",
		"personal is public":                  "a personal message reaches one",
		"clicks forget their message":         "a click carries its action, its request and its message",
		"clicks forget their request":         "a click carries its action, its request and its message",
		"twice is twice":                      "an act that is delivered twice is done once",
		"searches find nothing":               "a form asks, finds, keeps, complains and is answered",
		"forms are never asked for again":     "a form asks, finds, keeps, complains and is answered",
		"a refresh forgets":                   "a form asks, finds, keeps, complains and is answered",
		"complaints are lost":                 "a form asks, finds, keeps, complains and is answered",
		"the form stays open":                 "a form asks, finds, keeps, complains and is answered",
		"forms forget their request":          "a button opens a form that knows its request",
		"pages are everybody's":               "a page of one's own",
		"nobody is not final":                 "nobody to tell is final",
		"an unknown reference is tried again": "a message that is not there is final",
		"down is final":                       "a chat that is down is not",
	} {
		t.Run(flaw, func(t *testing.T) {
			if got := failing(t, flaw); !slices.Contains(got, want) {
				t.Errorf("%q fails %q, want %q in it", flaw, got, want)
			}
		})
		noticed[want] = true
	}
	for _, c := range checks() {
		if !noticed[c.name] {
			t.Errorf("no flaw is there for %q", c.name)
		}
	}
}
