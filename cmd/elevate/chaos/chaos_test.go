package chaos_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"elevate/cmd/elevate/e2etest"
)

var (
	long = flag.Bool("long", false, "run the long forms: 10,000 grants, 200 kills, minutes of outage; one after the other")
	seed = flag.Uint64("seed", 0, "of TestChaos: the plan of faults and acts; 0 draws one")
	runs = flag.Int("runs", 1, "of TestChaos: how many seeds to run, one after the other, counted from the first")
	many = flag.Int64("grants", 0, "of TestChaos: how many; faults and time are in proportion; 0 is what the form has")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !*long { // they wait for most of their time
		_ = flag.Set("test.parallel", "8") // the flag is the testing package's own
	}
	os.Exit(e2etest.Run(m))
}

// together lets short forms run side by side. Long ones measure, and run alone.
func together(t *testing.T) {
	if !*long {
		t.Parallel()
	}
}

// size is how much happens in a run of TestChaos.
type size struct {
	grants int64
	faults
	span    time.Duration // in which the faults are spread, and the grants
	longest time.Duration // of a grant
	traps   []string      // the verbs within which bots are paused
}

var (
	small = size{grants: 150, faults: faults{kills: 6, pauses: 2, redisKills: 1}, span: 18 * time.Second, longest: 5 * time.Second, traps: []string{activate}}
	big   = size{grants: 10_000, faults: faults{kills: 240, pauses: 60, redisKills: 24}, span: 10 * time.Minute, longest: 8 * time.Second, traps: []string{activate, deactivate}}
)

// scaled is a size with another number of grants; 0 leaves it as it is.
func (z size) scaled(grants int64) size {
	if grants == 0 {
		return z
	}
	by := func(n int) int { return int(int64(n) * grants / z.grants) }
	return size{grants: grants, faults: faults{by(z.kills), by(z.pauses), by(z.redisKills)}, longest: z.longest, traps: z.traps,
		span: time.Duration(int64(z.span) * grants / z.grants)}
}

// misbehaviour is the share of the calls that the target treats badly.
const misbehaviour = 0.08

// worstEnding is what an ending may take once nothing stands in its way: the lease of whoever died with it in hand, and
// the wait after a few tries that the target spoilt.
const worstEnding = lease + 15*time.Second

// TestChaos lets a crowd act while bots and Redis are killed and paused and the target misbehaves. When all is quiet again
// nothing is held, nothing ended early or twice, everything is on record, and what people saw is one story.
func TestChaos(t *testing.T) {
	together(t)
	first := *seed
	if first == 0 {
		first = rand.Uint64() >> 44 // short enough to type
	}
	z := either(small, big).scaled(*many)
	for n := range uint64(*runs) {
		t.Run(fmt.Sprintf("seed %d", first+n), func(t *testing.T) { z.chaos(t, first+n) })
	}
}

func (z size) chaos(t *testing.T, seed uint64) {
	g := startTarget(t, moody{Rand: rand.New(rand.NewPCG(seed, 1<<40)), share: misbehaviour, lies: true})
	s := openSite(t, 6, map[string]*target{"hooks": g})
	everybody := &people{site: s, history: &history{}, seed: seed, name: "hooks", longest: z.longest}
	b := &breaker{site: s, target: g, traps: z.traps, rng: rand.New(rand.NewPCG(seed, 2<<40))}

	lived := make(chan struct{})
	go func() {
		defer close(lived)
		everybody.live(z.span/time.Duration(z.grants)*9/10, z.grants, 3*z.span+patience)
	}()
	began := time.Now()
	b.wreck(z.faults.plan(b.rng, z.span))
	<-lived
	acted := time.Since(began)
	g.feel(calm{})
	e := s.quiet(patience, g)
	e.broken = b.done

	e.report(t)
	for _, p := range linearizable(everybody.history.ops) {
		t.Error(p)
	}
	count := map[string]int{}
	for _, d := range b.done {
		count[d.kind]++
	}
	t.Logf("seed %d: %d requests, %d approved, in %s; %v; %d restarts by the service manager; quiet after %s more",
		seed, len(e.documents), everybody.approved.Load(), acted.Round(time.Second), count, b.fell, (time.Since(began) - acted).Round(time.Second))
	t.Logf("arrows: %v; calls that the target treated badly: %v", e.arrows(), e.treatment())
	late := e.lateness()
	if worst := late.fromOutage.at(1); worst > worstEnding {
		t.Errorf("an ending came %s after the last thing that stood in its way was over", worst)
	}
	t.Logf("lateness of endings, from their time:       %s", late.fromEnd)
	t.Logf("lateness of endings, from the last fault:   %s", late.fromOutage)
}

// report fails the test with what is wrong.
func (e *evidence) report(t *testing.T) {
	t.Helper()
	problems := e.verdict()
	for i, p := range problems {
		if i == 20 {
			t.Errorf("and %d more problems", len(problems)-i)
			break
		}
		t.Error(p)
	}
}
