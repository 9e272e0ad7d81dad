package attack_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

var long = flag.Bool("long", false, "all tries of each attack, and write the table in SECURITY.md")

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "6") // they wait for much of their time; the flag is the testing package's own
	code := e2etest.Run(m)
	if weak != "" {
		_ = os.RemoveAll(weak) // the system clears it otherwise
	}
	os.Exit(code)
}

// attack is one way in that must not be one.
type attack struct {
	id   string // T01 and so on, with a letter where one attack has several forms
	what string // is tried
	run  func(*assault)
	// defence is what stands in the way, in words; without is how it is taken out of the binary. Where there are no words
	// there is nothing to attack, and the attack shows that.
	defence string
	without []cut
	// also names the kinds of tries that something stands in the way of besides, and what: without the defence they fail still.
	also map[string]string
}

// stands is what stands in the way, in words, with what else stands in the way of some kinds.
func (a attack) stands() string {
	var also []string
	for _, kind := range slices.Sorted(maps.Keys(a.also)) {
		also = append(also, fmt.Sprintf("“%s” (%s)", kind, a.also[kind]))
	}
	if len(also) == 0 {
		return a.defence
	}
	return a.defence + beside + strings.Join(also, ", ")
}

// beside stands between a defence and the kinds of tries that fail without it too.
const beside = "; without it fail still "

// attacks is every attack, by id.
func attacks() []attack {
	var all []attack
	for _, some := range [][]attack{slackAttacks(), teamsAttacks(), identityAttacks(), factorAttacks(), policyAttacks(), textAttacks(), storeAttacks(), lastingAttacks()} {
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b attack) int { return strings.Compare(a.id, b.id) })
	return all
}

// TestAttacks tries every attack on the product, and on the product without what defends it.
func TestAttacks(t *testing.T) {
	b := &board{rows: map[string]*row{}}
	t.Run("all", func(t *testing.T) {
		for _, a := range attacks() {
			t.Run(a.id, func(t *testing.T) {
				t.Parallel()
				a.try(t, b)
			})
		}
	})
	if *long {
		b.write(t)
	}
	check(t)
}

// try tries an attack on both binaries, and notes what came of it.
func (a attack) try(t *testing.T, b *board) {
	r := row{attack: a}
	var kinds map[string]bool
	t.Run("on the product", func(t *testing.T) {
		s := &assault{T: t, program: e2etest.Program{Path: e2etest.Build(t)}, full: *long}
		a.run(s)
		r.tries, r.accepted, kinds = s.tries, len(s.accepted), s.kinds
		if s.tries == 0 {
			t.Error("nothing was tried")
		}
		for _, how := range s.accepted[:min(len(s.accepted), 10)] {
			t.Errorf("accepted: %s", how)
		}
	})
	if a.defence != "" {
		t.Run("without the defence", func(t *testing.T) {
			s := &assault{T: t, program: e2etest.Program{Path: weakened(t), Env: []string{outVariable + "=" + a.id}}, out: true}
			a.run(s)
			r.mutant = fmt.Sprintf("%d of %d", len(s.accepted), s.tries)
			for _, problem := range a.survived(kinds, s.kinds) {
				t.Error(problem)
			}
		})
	}
	if t.Failed() {
		b.note(a.id, nil)
		return
	}
	b.note(a.id, &r)
}

// survived tells what of an attack shows nothing: the kinds of tries on the product of which none was accepted without the
// defence, although nothing else is said to stand in their way. It also finds what is said of kinds and is not so.
func (a attack) survived(product, without map[string]bool) (problems []string) {
	for _, kind := range slices.Sorted(maps.Keys(product)) {
		switch {
		case a.also[kind] == "" && !without[kind]:
			problems = append(problems, fmt.Sprintf("survived: no try of the kind %q was accepted without “%s”, so they show nothing", kind, a.defence))
		case a.also[kind] != "" && without[kind]:
			problems = append(problems, fmt.Sprintf("a try of the kind %q was accepted without “%s”, although “%s” is said to stand in its way too", kind, a.defence, a.also[kind]))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(a.also)) {
		if _, tried := product[kind]; !tried {
			problems = append(problems, fmt.Sprintf("something is said to stand in the way of the kind %q, of which there are no tries", kind))
		}
	}
	return problems
}

// assault is one attack under way.
type assault struct {
	*testing.T
	program e2etest.Program
	full    bool // all tries
	out     bool // the defence is

	mu       sync.Mutex
	tries    int
	accepted []string
	kinds    map[string]bool // of tries, and whether one was accepted
}

// many is how often to try: all in the long form, else a part.
func (s *assault) many(all, part int) int {
	if s.full {
		return all
	}
	return part
}

// tried counts a try, and whether it was accepted. Tries that are told of by the same words are of one kind.
func (s *assault) tried(accepted bool, how string, args ...any) {
	s.triedAs(how, accepted, how, args...)
}

// triedAs counts a try of a kind that has a name.
func (s *assault) triedAs(kind string, accepted bool, how string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.kinds == nil {
		s.kinds = map[string]bool{}
	}
	s.kinds[kind] = s.kinds[kind] || accepted
	if accepted {
		s.accepted = append(s.accepted, kind+": "+fmt.Sprintf(how, args...))
	}
}

// each runs a number of tries over some connections at once.
func (s *assault) each(n, atOnce int, try func(i int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		all.Go(func() {
			for i := range next {
				try(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// containsAny tells whether one of the words is in a text.
func containsAny(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
