package workflows_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// step is an arrow of a live grant.
func step(r *access.Record, a access.Arrow, to access.State) workflows.Transition {
	next, now := *r, time.Now().UTC()
	next.State, next.Version, next.NoticeAt = to, r.Version+1, time.Time{}
	if to == access.Ended {
		next.Removal, next.EndsAt, next.EndedAt, next.OverdueAt = &access.Removal{Was: access.Removed}, now, now, time.Time{}
	}
	return workflows.Transition{Arrow: a, From: r.State, Record: &next, Event: audit.Event{At: now, Kind: string(a), Request: r.ID,
		Version: next.Version, From: r.State, To: to, Actor: access.BySystem(), Detail: map[string]string{"was": "removed"}}}
}

// A file of the audit log that cannot be read keeps nothing from ending. What it may tell is not known: so nothing moves on
// that could be an older record put back, until it is newer than what the file will say.
func TestAnAuditLogThatCannotBeReadKeepsNothingFromEnding(t *testing.T) {
	t.Parallel()
	f := newFort(t, time.Hour)
	r, other := f.live(1), f.live(2)
	r.NoticeAt = time.Now().Add(-time.Minute)
	r.Version++
	if fresh, err := f.raw.Restore(t.Context(), workflows.Transition{Record: r}); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	k := f.key("r:" + string(other.ID))
	older := f.intruder.HGetAll(t.Context(), k).Val()
	if err := f.raw.Take(t.Context(), step(other, access.Notice, access.Active)); err != nil {
		t.Fatal(err)
	}
	storagetest.Eventually(t, "it is on record", func() bool { return len(f.logged(other.ID, string(access.Notice))) == 1 })
	unreadable := filepath.Join(f.dir, "audit-2020-01-01-000000000001.jsonl")
	if err := os.Symlink(unreadable, unreadable); err != nil { // to itself: whoever opens it gets an error, root too
		t.Fatal(err)
	}
	anchors := workflows.NewAnchors(time.Now)
	study, unread := audit.NewStudy(f.dir, []audit.Lesson{anchors.Lesson()}), audit.ErrReading
	blind := workflows.Anchored(f.raw, anchors, func() error { return unread }, func(access.RequestID) {})
	refuses := func(code, words string) {
		t.Helper()
		var no *access.Refusal
		err := blind.Take(t.Context(), step(r, access.Notice, access.Active))
		if !errors.As(err, &no) || no.Kind != access.ErrUnavailable || no.Code != code || !strings.Contains(no.Text, words) {
			t.Errorf("a record that may be an older one moves on: %v", err)
		}
	}
	refuses("audit_reading", "is still reading its audit log; try again in a moment")
	if unread = study.Read(t.Context()); unread == nil || !strings.Contains(unread.Error(), unreadable) {
		t.Errorf("read: %v, want an error that names the file", unread)
	}
	if err := f.intruder.HSet(t.Context(), k, older).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := blind.Get(t.Context(), other.ID); !errors.Is(err, workflows.ErrForged) {
		t.Errorf("what the readable files tell is not known: %v", err)
	}
	refuses("audit_unreadable", "cannot read its audit log")
	lane := f.key("due:off:db")
	due := goredis.Z{Score: 1, Member: "end|" + string(r.ID)}
	if err := f.intruder.ZAdd(t.Context(), lane, due).Err(); err != nil {
		t.Fatal(err)
	}
	if claims, _, err := blind.Claim(t.Context(), workflows.DeactivateLane("db"), 10, time.Second); err != nil || len(claims) != 1 {
		t.Errorf("ends claimed: %+v, %v", claims, err)
	}
	if claims, _, err := blind.Claim(t.Context(), workflows.Clock, 10, time.Millisecond); err != nil || len(claims) != 0 {
		t.Errorf("claimed beside the ends: %+v, %v", claims, err)
	}
	storagetest.Eventually(t, "the timer was due", func() bool {
		claims, _, err := f.raw.Claim(t.Context(), workflows.Clock, 10, time.Second)
		return err == nil && len(claims) == 1
	})
	if err := blind.Take(t.Context(), step(r, access.Close, access.Ended)); err != nil {
		t.Errorf("it cannot be ended: %v", err)
	}
	if err := os.Remove(unreadable); err != nil {
		t.Fatal(err)
	}
	if unread = study.Read(t.Context()); unread != nil {
		t.Errorf("once it can be read: %v", unread)
	}
	third := f.live(3)
	if err := blind.Take(t.Context(), step(third, access.Notice, access.Active)); err != nil {
		t.Errorf("once it can be read, nothing moves on: %v", err)
	}
}
