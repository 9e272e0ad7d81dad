package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"elevate/workflows"
	"elevate/workflows/access"
)

// RunModel takes random arrows, claims, renewals and releases, and compares what the store says with a model that
// knows nothing but access.Table, Record.Due and the words of workflows.Store.
func RunModel(t *testing.T, o Options) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{env: newEnv(rt, rt, o), rt: rt, records: map[access.RequestID]*modelled{}, busy: map[string]work{}}
		rt.Repeat(map[string]func(*rapid.T){
			"submit":  m.submit,
			"arrow":   m.arrow,
			"claim":   m.claim,
			"finish":  m.finish,
			"renew":   m.renew,
			"release": m.release,
			"tick":    m.tick,
			"":        m.compare,
		})
	})
}

// model is what the store must say.
type model struct {
	*env
	rt      *rapid.T
	records map[access.RequestID]*modelled
	order   []access.RequestID
	busy    map[string]work // by right
	held    []workflows.Claim
}

type modelled struct {
	record *access.Record
	timers map[access.Timer]*armed
	fences map[access.Timer]int64
}

// armed is a timer. until is the end of its lease, zero while it is not claimed.
type armed struct{ due, until time.Time }

// work is who has a right, and until when.
type work struct {
	owner string
	until time.Time
}

func owner(c workflows.Claim) string { return fmt.Sprintf("%s %s %d", c.Request, c.Timer, c.Fence) }

// submit stores a request and brings it to a state where there is something to do.
func (m *model) submit(rt *rapid.T) {
	who := rapid.SampledFrom([]access.PersonID{"ana", "bob"}).Draw(rt, "who")
	state := rapid.SampledFrom([]access.State{access.Pending, access.Activating, access.Activating, access.Active, access.Deactivating}).Draw(rt, "state")
	draft := m.draft(of(who))
	if m.records[draft.ID] != nil {
		return // the minute has few ids; SubmitRefusesAnIDInUse is about that
	}
	r := &modelled{record: draft, timers: map[access.Timer]*armed{}, fences: map[access.Timer]int64{}}
	for _, a := range ways[state] {
		r.record = m.take(r.record, a, nil)
		r.arm("")
	}
	m.records[draft.ID] = r
	m.order = append(m.order, draft.ID)
}

// arm sets the timers of the record: one that is claimed stays so where its time is the same.
func (r *modelled) arm(finished access.Timer) {
	was := r.timers
	r.timers = map[access.Timer]*armed{}
	for timer, due := range r.record.Due() {
		r.timers[timer] = &armed{due: due}
		if old := was[timer]; old != nil && old.due.Equal(due) && timer != finished {
			r.timers[timer] = old
		}
	}
}

// holds tells whether a claim is one that the store must believe.
func (m *model) holds(c workflows.Claim) bool {
	r := m.records[c.Request]
	timer := r.timers[c.Timer]
	if timer != nil && c.Lane != workflows.Clock {
		return m.busy[r.record.Right()].owner == owner(c)
	}
	return timer != nil && !timer.until.IsZero() && r.fences[c.Timer] == c.Fence
}

// ended tells whether the end of a grant has come, or is being worked.
func (m *model) ended(r *access.Record) bool {
	worker := m.busy[r.Right()].owner
	return !r.EndsAt.After(m.clock.Now()) || strings.HasPrefix(worker, fmt.Sprintf("%s %s ", r.ID, access.TimerEnd))
}

// arrow takes any arrow, mostly one that fits, from a version that is mostly right.
func (m *model) arrow(rt *rapid.T) {
	if len(m.order) == 0 {
		return
	}
	r := m.records[rapid.SampledFrom(m.order).Draw(rt, "request")]
	arrows := fitting(r.record.State)
	if len(arrows) == 0 || rapid.IntRange(0, 3).Draw(rt, "any") == 0 {
		arrows = access.Table()
	}
	a := rapid.SampledFrom(arrows).Draw(rt, "arrow").Arrow
	from := *r.record
	from.Version += rapid.SampledFrom([]int64{0, 0, 0, 0, 0, 1, -1}).Draw(rt, "version")
	m.takes(r, &from, a, nil)
}

func fitting(state access.State) []access.Step {
	return slices.DeleteFunc(access.Table(), func(s access.Step) bool { return !slices.Contains(s.From, state) })
}

// finish takes an arrow with a claim, which may be lost by now.
func (m *model) finish(rt *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	c := rapid.SampledFrom(m.held).Draw(rt, "claim")
	r := m.records[c.Request]
	if fits := fitting(r.record.State); len(fits) > 0 {
		m.takes(r, r.record, rapid.SampledFrom(fits).Draw(rt, "arrow").Arrow, &c)
	}
}

func (m *model) takes(r *modelled, from *access.Record, a access.Arrow, c *workflows.Claim) {
	t := step(from, a, m.clock.Now())
	t.Claim = c
	err := m.Take(m.Context(), t)
	_, noArrow := access.Next(from.State, a)
	var move *access.MoveError
	switch {
	case a == access.Submit || a == access.Part || a == access.Adopt:
		if err == nil {
			m.Fatalf("%s was submitted twice", from.ID)
		}
		return
	case from.Version != r.record.Version || c != nil && !m.holds(*c):
		if !errors.Is(err, workflows.ErrStale) {
			m.Fatalf("%s of %s with an old version or claim: %v", a, from.ID, err)
		}
		return
	case noArrow != nil:
		if !errors.As(err, &move) {
			m.Fatalf("%s of %s from %q: %v, and the table has no such arrow", a, from.ID, from.State, err)
		}
		return
	case a == access.Extend && m.ended(r.record):
		if err == nil {
			m.Fatalf("%s was extended although its end has come", from.ID)
		}
		return
	}
	m.ok(err, fmt.Sprintf("%s of %s from %q", a, from.ID, from.State))
	r.record = t.Record
	if c == nil {
		r.arm("")
		return
	}
	r.arm(c.Timer)
	m.free(*c)
}

// free ends the work of a claim on its right.
func (m *model) free(c workflows.Claim) {
	right := m.records[c.Request].record.Right()
	if m.busy[right].owner == owner(c) {
		delete(m.busy, right)
	}
}

// ready are the timers that may be handed out in a lane, and how many of them at once.
func (m *model) ready(l workflows.Lane) (timers map[string]bool, most int) {
	now := m.clock.Now()
	timers = map[string]bool{}
	rights := map[string]bool{}
	for id, r := range m.records {
		right := r.record.Right()
		for timer, at := range r.timers {
			if workflows.LaneOf(timer, "pg") != l || at.due.After(now) || at.until.After(now) {
				continue
			}
			if l != workflows.Clock && m.busy[right].until.After(now) {
				continue
			}
			timers[string(id)+" "+string(timer)] = true
			rights[right] = true
		}
	}
	if l != workflows.Clock {
		return timers, len(rights)
	}
	return timers, len(timers)
}

func (m *model) claim(rt *rapid.T) {
	l := rapid.SampledFrom(lanes()).Draw(rt, "lane")
	limit := rapid.IntRange(1, 5).Draw(rt, "limit")
	timers, most := m.ready(l)
	claims, _, err := m.Claim(m.Context(), l, limit, lease)
	m.ok(err, "claim")
	if len(claims) != min(limit, most) {
		m.Fatalf("%d claims in %s at limit %d, and %d may be given: %v", len(claims), l, limit, most, slices.Collect(maps.Keys(timers)))
	}
	until := m.clock.Now().Add(lease)
	for _, c := range claims {
		r := m.records[c.Request]
		right := r.record.Right()
		switch {
		case !timers[string(c.Request)+" "+string(c.Timer)]:
			m.Fatalf("%s of %s was handed out, and is not ready", c.Timer, c.Request)
		case l != workflows.Clock && m.busy[right].until.After(m.clock.Now()):
			m.Fatalf("%s of %s was handed out while %s works on the right", c.Timer, c.Request, m.busy[right].owner)
		case c.Fence <= r.fences[c.Timer]:
			m.Fatalf("the fence of %s of %s went from %d to %d", c.Timer, c.Request, r.fences[c.Timer], c.Fence)
		case !c.Due.Equal(r.timers[c.Timer].due):
			m.Fatalf("%s of %s was due at %s, and says %s", c.Timer, c.Request, r.timers[c.Timer].due, c.Due)
		}
		m.same("record of a claim", c.Record, r.record)
		r.timers[c.Timer].until, r.fences[c.Timer] = until, c.Fence
		if l != workflows.Clock {
			m.busy[right] = work{owner(c), until}
		}
		m.held = append(m.held, c)
	}
}

func (m *model) renew(rt *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	c := rapid.SampledFrom(m.held).Draw(rt, "claim")
	err := m.Renew(m.Context(), c, lease)
	right := m.records[c.Request].record.Right()
	ending := c.Lane == workflows.DeactivateLane("pg") && m.busy[right].owner == owner(c) // goes on also where its record has moved on
	if !m.holds(c) && !ending {
		if !errors.Is(err, workflows.ErrStale) {
			m.Fatalf("renewal of a lost claim: %v", err)
		}
		return
	}
	m.ok(err, "renew")
	until := m.clock.Now().Add(lease)
	r := m.records[c.Request]
	if timer := r.timers[c.Timer]; timer != nil {
		timer.until = until
	}
	if m.busy[right].owner == owner(c) {
		m.busy[right] = work{owner(c), until}
	}
}

func (m *model) release(rt *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	c := rapid.SampledFrom(m.held).Draw(rt, "claim")
	m.ok(m.Release(m.Context(), c), "release")
	if m.holds(c) {
		m.records[c.Request].timers[c.Timer].until = time.Time{}
	}
	m.free(c)
}

func (m *model) tick(rt *rapid.T) {
	m.clock.Advance(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, lease / 2, lease, 10 * time.Minute, 2 * time.Hour}).Draw(rt, "time"))
}

// compare reads the store back.
func (m *model) compare(rt *rapid.T) {
	if len(m.order) == 0 {
		return
	}
	r := m.records[rapid.SampledFrom(m.order).Draw(rt, "read")]
	got, err := m.Get(m.Context(), r.record.ID)
	m.ok(err, "get")
	m.same("record", got, r.record)
	right := r.record.Right()
	shared, err := m.Sharing(m.Context(), right)
	m.ok(err, "sharing")
	open, _, err := m.List(m.Context(), workflows.Query{Open: true, Limit: 1000})
	m.ok(err, "list")
	var holding, going []access.RequestID
	for id, r := range m.records {
		if r.record.State.MayHold() && r.record.Right() == right {
			holding = append(holding, id)
		}
		if !r.record.State.Terminal() {
			going = append(going, id)
		}
	}
	if g, w := ids(shared), sorted(holding); g != w {
		m.Fatalf("sharing gives %s, want %s", g, w)
	}
	if g, w := ids(open), sorted(going); g != w {
		m.Fatalf("open are %s, want %s", g, w)
	}
}

func ids(records []*access.Record) string {
	var out []access.RequestID
	for _, r := range records {
		out = append(out, r.ID)
	}
	return sorted(out)
}

func sorted(ids []access.RequestID) string {
	var words []string
	for _, id := range ids {
		words = append(words, string(id))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}
