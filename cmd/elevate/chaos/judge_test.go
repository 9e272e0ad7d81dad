package chaos_test

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// noon is when the judge's own stories begin.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// at is a time of a story, in seconds.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

const (
	first  access.RequestID = "first"
	second access.RequestID = "second"
)

var right = hold{"ana", "vpn"}

// told is the log of a grant's life: active at one time, with an end, and gone at another.
func told(id access.RequestID, active, ends, gone float64) []audit.Event {
	state := access.None
	var events []audit.Event
	for _, step := range []struct {
		arrow   access.Arrow
		seconds float64
	}{{access.Submit, active - 0.3}, {access.Accept, active - 0.2}, {access.Arm, active - 0.1}, {access.Confirm, active}, {access.End, ends}, {access.Close, gone}} {
		next, err := access.Next(state, step.arrow)
		if err != nil {
			panic(err)
		}
		events = append(events, audit.Event{At: at(step.seconds), Kind: string(step.arrow), Request: id, Version: int64(len(events) + 1),
			From: state, To: next, Actor: access.BySystem(), Detail: map[string]string{"ends_at": at(ends).Format(time.RFC3339Nano)}})
		state = next
	}
	return events
}

// sound is evidence of two overlapping grants on one right, with nothing wrong: the right stays until the second ends.
func sound() *evidence {
	give := func(id access.RequestID, seconds float64, changed bool) call {
		return call{Verb: activate, Grant: id, Hold: right, Came: at(seconds), At: at(seconds), Changed: changed}
	}
	take := call{Verb: deactivate, Grant: second, Hold: right, Came: at(20), At: at(20), Changed: true}
	return &evidence{
		events: map[access.RequestID][]audit.Event{first: told(first, 1, 11, 11.1), second: told(second, 5, 20, 20.1)},
		ledger: []call{give(first, 0.95, true), give(second, 4.95, false), take},
		held:   map[hold]given{},
		documents: map[access.RequestID]api.Request{
			first: {ID: first, State: access.Ended, Version: 6}, second: {ID: second, State: access.Ended, Version: 6},
		},
	}
}

// TestJudgeFindsWhatIsBroken breaks sound evidence in one place after the other.
func TestJudgeFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	if found := sound().verdict(); len(found) > 0 {
		t.Fatalf("sound evidence is found fault with: %s", found)
	}
	remove := func(events []audit.Event, i int) []audit.Event { return append(events[:i:i], events[i+1:]...) }
	tests := map[string]struct {
		want  string
		spoil func(e *evidence)
	}{
		"access that is not taken away":   {"LOST", func(e *evidence) { e.held[right] = given{grant: second} }},
		"access that is taken away early": {"EARLY", func(e *evidence) { e.ledger[2].At = at(19.9) }},
		"a right that ends with the first of its grants": {"EARLY", func(e *evidence) {
			e.ledger = append(e.ledger[:2:2], call{Verb: deactivate, Grant: first, Hold: right, Came: at(11), At: at(11), Changed: true})
		}},
		"a grant that is active and never given": {"EARLY", func(e *evidence) { e.ledger = e.ledger[2:] }},
		"a grant that the system ends early":     {"EARLY", func(e *evidence) { e.events[first][4].At = at(10.9) }},
		"a late call that nobody repairs":        {"EARLY", func(e *evidence) { e.ledger = append(e.ledger[:2:2], lateCall(15), e.ledger[2]) }},
		"a late call that is repaired late": {"EARLY", func(e *evidence) {
			e.ledger = append(e.ledger[:2:2], lateCall(13), call{Verb: activate, Grant: second, Hold: right, Came: at(19), At: at(19), Changed: true}, e.ledger[2])
		}},
		"an extension that the target never saw":  {"EARLY", func(e *evidence) { e.events[second][3].Detail["ends_at"] = at(25).Format(time.RFC3339Nano) }},
		"two last words":                          {"ENDED 2 times", func(e *evidence) { e.repeat(first, 5) }},
		"no last word":                            {"ENDED 0 times", func(e *evidence) { e.events[first] = e.events[first][:5] }},
		"a version that is missing":               {"MISSING", func(e *evidence) { e.events[first] = remove(e.events[first], 2) }},
		"a version that is there twice":           {"MISSING", func(e *evidence) { e.events[first][3].Version = 3 }},
		"an arrow that is not in the table":       {"no arrow", func(e *evidence) { e.events[first][4].Kind = string(access.Lapse) }},
		"a state that the arrow does not lead to": {"leads from", func(e *evidence) { e.events[first][3].To = access.Ended }},
		"a document that the log does not tell of": {"the API shows", func(e *evidence) {
			e.documents[first] = api.Request{ID: first, State: access.Active, Version: 4}
		}},
		"a request that only the log knows":            {"does not know it", func(e *evidence) { delete(e.documents, first) }},
		"a call that is made twice":                    {"TWICE", func(e *evidence) { e.again(2, 21) }},
		"a call that is made thrice in a kill":         {"TWICE", func(e *evidence) { e.kill(20, 21); e.again(2, 20.5); e.again(2, 20.6) }},
		"a hand in the store that there was not":       {"SUSPECTED", func(e *evidence) { e.forged = []audit.Event{{Kind: audit.Forged, Request: first}} }},
		"access without a word about it":               {"NO EVIDENCE", func(e *evidence) { e.ledger[0].Grant = "nobody's" }},
		"access that is given before its end is armed": {"NO EVIDENCE", func(e *evidence) { e.events[first][2].At = at(0.96) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound()
			test.spoil(e)
			if found := strings.Join(e.verdict(), "\n"); !strings.Contains(found, test.want) {
				t.Errorf("the judge does not find %q: %q", test.want, found)
			}
		})
	}
}

// TestJudgeExcusesWhatFaultsExplain: a repeat that something explains is none.
func TestJudgeExcusesWhatFaultsExplain(t *testing.T) {
	t.Parallel()
	for name, explain := range map[string]func(e *evidence){
		"a kill":        func(e *evidence) { e.kill(20, 20.4) },
		"a lost answer": func(e *evidence) { e.ledger[2].Fault = lost },
		"a list not given": func(e *evidence) {
			e.ledger = append(e.ledger, call{Verb: holders, Hold: hold{role: right.role}, Came: at(20.1), Fault: down})
		},
		"somebody's own undo": func(e *evidence) {
			e.events[second][4].Kind, e.events[second][4].Actor.Person = string(access.Undo), "ana"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound()
			explain(e)
			e.again(2, 20.5)
			if found := e.repeats(); len(found) > 0 {
				t.Errorf("found fault with: %s", found)
			}
		})
	}
}

// TestJudgeExcusesALateCallThatIsRepaired: the target could not know that it was late.
func TestJudgeExcusesALateCallThatIsRepaired(t *testing.T) {
	t.Parallel()
	e := sound()
	again := call{Verb: activate, Grant: second, Hold: right, Came: at(14), At: at(14), Changed: true}
	e.ledger = append(e.ledger[:2:2], lateCall(13), again, e.ledger[2])
	if found := e.cutShort(); len(found) > 0 {
		t.Errorf("found fault with: %s", found)
	}
}

// lateCall takes the right away by a grant that is over.
func lateCall(seconds float64) call {
	return call{Verb: deactivate, Grant: first, Hold: right, Came: at(11), At: at(seconds), Changed: true, Fault: held}
}

// TestLatenessCountsFromTheEndAndFromTheOutage reads a story in which a kill kept an ending up.
func TestLatenessCountsFromTheEndAndFromTheOutage(t *testing.T) {
	t.Parallel()
	e := sound()
	e.ledger[2].At = at(23)
	e.kill(19, 22.5)
	late := e.lateness()
	if len(late.fromEnd) != 1 || late.fromEnd[0] != 3*time.Second || late.fromOutage[0] != time.Second/2 {
		t.Errorf("from the end %v, from the outage %v", late.fromEnd, late.fromOutage)
	}
}

// repeat puts an event of a request's at the end of its log once more.
func (e *evidence) repeat(id access.RequestID, i int) {
	again := e.events[id][i]
	again.Version = int64(len(e.events[id]) + 1)
	e.events[id] = append(e.events[id], again)
}

// again has a call made again, without an effect.
func (e *evidence) again(i int, seconds float64) {
	c := e.ledger[i]
	c.Came, c.At, c.Changed, c.Fault = at(seconds), at(seconds), false, well
	e.ledger = append(e.ledger, c)
}

func (e *evidence) kill(from, to float64) {
	e.broken = append(e.broken, disruption{kind: kill, replica: "a", from: at(from), to: at(to)})
}

// TestHistoriesThatNoRequestLives are found, and those that one may live are let pass.
func TestHistoriesThatNoRequestLives(t *testing.T) {
	t.Parallel()
	did := func(verb string, from, to float64, s *seen, refused string) op {
		o := op{Who: "ana", Verb: verb, Request: first, Called: at(from), Seen: s, Refused: refused}
		if to > 0 {
			o.Returned = at(to)
		}
		return o
	}
	submitted := did(submit, 0, 1, &seen{access.Pending, 1, 0, 0}, "")
	approved := did(approve, 1, 2, &seen{access.Approved, 2, 1, 0}, "")
	tests := map[string]struct {
		ops  []op
		fine bool
	}{
		"one life": {[]op{submitted, approved, did(show, 3, 4, &seen{access.Active, 4, 1, 0}, ""),
			did(extend, 4, 5, &seen{access.Active, 5, 1, 1}, ""), did(end, 6, 7, &seen{access.Deactivating, 6, 1, 1}, ""),
			did(end, 8, 9, nil, "over")}, true},
		"a decision whose answer was lost":      {[]op{submitted, did(approve, 1, 0, nil, ""), did(approve, 2, 3, nil, "already_settled")}, true},
		"a decision that was lost on the way":   {[]op{submitted, did(approve, 1, 0, nil, ""), did(deny, 2, 3, &seen{access.Denied, 2, 1, 0}, "")}, true},
		"a race that one side wins":             {[]op{submitted, did(deny, 1, 3, nil, "already_settled"), did(approve, 1, 3, &seen{access.Approved, 2, 1, 0}, "")}, true},
		"a race that both sides win":            {[]op{submitted, did(deny, 1, 3, &seen{access.Denied, 2, 1, 0}, ""), did(approve, 1, 3, &seen{access.Approved, 2, 1, 0}, "")}, false},
		"a look at a state that is over":        {[]op{submitted, approved, did(show, 3, 4, &seen{access.Pending, 1, 0, 0}, "")}, false},
		"a request that is active unapproved":   {[]op{submitted, did(show, 3, 4, &seen{access.Active, 4, 0, 0}, "")}, false},
		"an acknowledged decision that is gone": {[]op{submitted, approved, did(show, 3, 4, &seen{access.Lapsed, 3, 0, 0}, "")}, false},
		"a decision after the end":              {[]op{submitted, did(show, 1, 2, &seen{access.Lapsed, 2, 0, 0}, ""), did(approve, 3, 4, &seen{access.Approved, 3, 1, 0}, "")}, false},
		"a refusal that does not fit":           {[]op{submitted, did(approve, 1, 2, nil, "already_settled"), did(show, 3, 4, &seen{access.Pending, 1, 0, 0}, "")}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found := linearizable(test.ops); (len(found) == 0) != test.fine {
				t.Errorf("found %s", found)
			}
		})
	}
}

// TestPlansAreDrawnFromTheSeed: the same seed breaks the same things at the same times.
func TestPlansAreDrawnFromTheSeed(t *testing.T) {
	t.Parallel()
	a, b := big.plan(rand.New(rand.NewPCG(7, 0)), big.span), big.plan(rand.New(rand.NewPCG(7, 0)), big.span)
	kinds := map[string]int{}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("step %d is %v, and %v from the same seed", i, a[i], b[i])
		}
		kinds[a[i].kind]++
	}
	if want := map[string]int{kill: big.kills, pause: big.pauses, killRedis: big.redisKills}; !maps.Equal(kinds, want) {
		t.Errorf("the plan has %v, want %v", kinds, want)
	}
}
