package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

func outboxChecks() []check {
	return []check{
		{name: "ArrowsQueueTheirNotes", run: arrowsQueueTheirNotes},
		{name: "NotesAreToldInOrder", run: notesAreToldInOrder},
		{name: "ErrandIsExclusive", run: errandIsExclusive},
		{name: "NoteAddedDuringAnErrandIsTold", run: noteAddedDuringAnErrandIsTold},
		{name: "PutOffWaits", run: putOffWaits},
		{name: "LostErrandIsRefused", run: lostErrandIsRefused},
		{name: "EnqueueOncePerKey", run: enqueueOncePerKey},
		{name: "ErrandLimits", run: errandLimits},
		{name: "RefsAreKept", run: refsAreKept},
	}
}

// errand claims the one topic that must be due in a chat.
func (e *env) errand(chat string) workflows.Errand {
	e.Helper()
	errands, _, err := e.ClaimErrands(e.Context(), chat, 10, lease)
	e.ok(err, "claim errands")
	if len(errands) != 1 {
		e.Fatalf("%d errands are due in %s, want 1", len(errands), chat)
	}
	want(e, "chat of the errand", errands[0].Chat, chat)
	return errands[0]
}

func (e *env) noErrand(what, chat string) {
	e.Helper()
	errands, _, err := e.ClaimErrands(e.Context(), chat, 10, lease)
	e.ok(err, "claim errands")
	for _, errand := range errands {
		e.Errorf("%s: an errand on %s was handed out", what, errand.Topic)
	}
}

// tellAll tells everything that waits.
func (e *env) tellAll() {
	e.Helper()
	for _, chat := range Chats() {
		for {
			errands, _, err := e.ClaimErrands(e.Context(), chat, 10, lease)
			e.ok(err, "claim errands")
			if len(errands) == 0 {
				break
			}
			for _, errand := range errands {
				for range errand.Notes {
					e.ok(e.Told(e.Context(), errand, nil), "told")
				}
			}
		}
	}
}

func kinds(notes []workflows.Note) []workflows.NoteKind {
	var out []workflows.NoteKind
	for _, n := range notes {
		out = append(out, n.Kind)
	}
	return out
}

func (e *env) note(kind workflows.NoteKind) workflows.Note {
	return workflows.Note{Kind: kind, At: e.clock.Now(), Actor: access.BySystem(), Reason: "größer \x00 <b>", Body: []byte{0, 255}}
}

func arrowsQueueTheirNotes(e *env) {
	now := e.clock.Now()
	t := step(e.draft(), access.Submit, now)
	t.Notes = []workflows.Note{e.note(workflows.NoteSubmitted), e.note(workflows.NoteReminder)}
	e.ok(e.Take(e.Context(), t), "submit")
	silent := step(t.Record, access.Remind, now)
	silent.Notes = nil
	e.ok(e.Take(e.Context(), silent), "remind")
	for _, chat := range Chats() {
		got := e.errand(chat)
		want(e, "topic", got.Topic, string(t.Record.ID))
		want(e, "notes in "+chat, text(got.Notes), text(t.Notes))
		want(e, "refs at first", len(got.Refs), 0)
		want(e, "tries at first", got.Tries, 0)
	}
}

func notesAreToldInOrder(e *env) {
	r := e.in(access.Pending)
	r = e.take(r, access.Vote, nil)
	e.take(r, access.Accept, nil)
	left := []workflows.NoteKind{"submit", "vote", "approve"}
	for len(left) > 0 {
		got := e.errand("slack")
		if !slices.Equal(kinds(got.Notes), left) {
			e.Errorf("notes %v, want %v", kinds(got.Notes), left)
		}
		e.ok(e.Told(e.Context(), got, nil), "told")
		if len(left) > 1 {
			e.ok(e.PutOff(e.Context(), got, e.clock.Now(), nil), "put off")
		}
		left = left[1:]
	}
	e.clock.Advance(lease * 2)
	e.noErrand("after the last note", "slack")
	got := e.errand("teams")
	want(e, "notes in the other chat", len(got.Notes), 3)
	for range got.Notes {
		e.ok(e.Told(e.Context(), got, nil), "told one after the other")
	}
	e.clock.Advance(lease * 2)
	e.noErrand("after the last note", "teams")
}

func errandIsExclusive(e *env) {
	e.in(access.Pending)
	first := e.errand("slack")
	e.noErrand("while it is leased", "slack")
	e.clock.Advance(lease)
	second := e.errand("slack")
	if second.Fence <= first.Fence {
		e.Errorf("the fence went from %d to %d", first.Fence, second.Fence)
	}
	_, next, err := e.ClaimErrands(e.Context(), "slack", 10, lease)
	e.ok(err, "claim errands")
	if at := e.clock.Now().Add(lease); !next.Equal(at) {
		e.Errorf("next errand at %s, want the end of the lease at %s", next, at)
	}
}

func noteAddedDuringAnErrandIsTold(e *env) {
	r := e.in(access.Pending)
	got := e.errand("slack")
	e.take(r, access.Cancel, nil)
	e.noErrand("a second note while the first is being told", "slack")
	e.ok(e.Told(e.Context(), got, nil), "told")
	again := e.errand("slack")
	if !slices.Equal(kinds(again.Notes), []workflows.NoteKind{"cancel"}) {
		e.Errorf("notes %v, want the later one alone", kinds(again.Notes))
	}
}

func putOffWaits(e *env) {
	r := e.in(access.Pending)
	for tries := range 3 {
		got := e.errand("slack")
		want(e, "tries", got.Tries, tries)
		until := e.clock.Now().Add(time.Minute + 1)
		e.ok(e.PutOff(e.Context(), got, until, nil), "put off")
		r = e.take(r, access.Vote, nil)
		e.clock.Advance(time.Minute)
		e.noErrand("before the time it was put off to", "slack")
		e.clock.Advance(time.Millisecond)
	}
	got := e.errand("slack")
	if !slices.Equal(kinds(got.Notes), []workflows.NoteKind{"submit", "vote", "vote", "vote"}) {
		e.Errorf("notes after putting off: %v", kinds(got.Notes))
	}
	e.ok(e.Told(e.Context(), got, nil), "told")
	e.ok(e.PutOff(e.Context(), got, e.clock.Now(), nil), "put off")
	want(e, "tries of the next note", e.errand("slack").Tries, 1)
}

func lostErrandIsRefused(e *env) {
	e.in(access.Pending)
	lost := e.errand("slack")
	e.clock.Advance(lease)
	held := e.errand("slack")
	if err := e.Told(e.Context(), lost, nil); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("told with a lost lease: %v, want ErrStale", err)
	}
	if err := e.PutOff(e.Context(), lost, e.clock.Now(), nil); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("put off with a lost lease: %v, want ErrStale", err)
	}
	e.ok(e.Told(e.Context(), held, nil), "told by the holder")
	for what, err := range map[string]error{
		"told again": e.Told(e.Context(), held, nil),
		"put off":    e.PutOff(e.Context(), held, e.clock.Now(), nil),
	} {
		if !errors.Is(err, workflows.ErrStale) {
			e.Errorf("%s after the last note: %v, want ErrStale", what, err)
		}
	}
}

func enqueueOncePerKey(e *env) {
	digest := e.note(workflows.NoteDigest)
	for i, c := range []struct {
		topic, key string
		fresh      bool
	}{{"digest", "2026-01-01", true}, {"digest", "2026-01-01", false}, {"digest", "2026-01-02", true}, {"other", "2026-01-01", true}, {"digest", "2026-01-02", false}} {
		fresh, err := e.Enqueue(e.Context(), []string{"slack"}, c.topic, c.key, digest)
		e.ok(err, "enqueue")
		want(e, fmt.Sprintf("enqueue %d", i), fresh, c.fresh)
	}
	e.noErrand("in a chat that was not named", "teams")
	errands, _, err := e.ClaimErrands(e.Context(), "slack", 10, lease)
	e.ok(err, "claim errands")
	got := map[string]int{}
	for _, errand := range errands {
		got[errand.Topic] = len(errand.Notes)
		want(e, "note", text(errand.Notes[0]), text(digest))
	}
	if !maps.Equal(got, map[string]int{"digest": 2, "other": 1}) {
		e.Errorf("notes by topic: %v", got)
	}
}

func errandLimits(e *env) {
	const topics = 30
	for i := range topics {
		_, err := e.Enqueue(e.Context(), Chats(), fmt.Sprintf("topic-%d", i), "", e.note(workflows.NoteDigest))
		e.ok(err, "enqueue")
	}
	seen := map[string]bool{}
	for _, limit := range []int{1, 5, 100} {
		errands, _, err := e.ClaimErrands(e.Context(), "slack", limit, lease)
		e.ok(err, "claim errands")
		want(e, "errands", len(errands), min(limit, topics-len(seen)))
		for _, errand := range errands {
			seen[errand.Topic] = true
		}
	}
	want(e, "topics handed out", len(seen), topics)
}

func refsAreKept(e *env) {
	r := e.in(access.Pending)
	got := e.errand("slack")
	e.ok(e.PutOff(e.Context(), got, e.clock.Now(), map[string]string{"channel": "C1", "message": "1.0"}), "put off")
	got = e.errand("slack")
	if !maps.Equal(got.Refs, map[string]string{"channel": "C1", "message": "1.0"}) {
		e.Errorf("refs after putting off: %v", got.Refs)
	}
	e.ok(e.Told(e.Context(), got, map[string]string{"message": "2.0", "fence": "a b|c"}), "told")
	e.take(r, access.Cancel, nil)
	got = e.errand("slack")
	if !maps.Equal(got.Refs, map[string]string{"channel": "C1", "message": "2.0", "fence": "a b|c"}) {
		e.Errorf("refs after telling: %v", got.Refs)
	}
	want(e, "refs of the other chat", len(e.errand("teams").Refs), 0)
}
