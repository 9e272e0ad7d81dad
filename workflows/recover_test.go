package workflows_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// shelf is a store that has lost something: of the records that it is given it knows nothing else.
type shelf struct {
	mu      sync.Mutex
	records map[access.RequestID]*access.Record
	written []workflows.Transition
	down    error
}

func newShelf(records ...*access.Record) *shelf {
	s := &shelf{records: map[access.RequestID]*access.Record{}}
	for _, r := range records {
		s.records[r.ID] = r
	}
	return s
}

func (s *shelf) Get(_ context.Context, id access.RequestID) (*access.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[id]; r != nil {
		same := *r
		return &same, s.down
	}
	return nil, cmp.Or(s.down, fmt.Errorf("%s: %w", id, access.ErrNotFound))
}

func (s *shelf) List(_ context.Context, q workflows.Query) ([]*access.Record, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*access.Record
	for _, id := range slices.Sorted(maps.Keys(s.records)) {
		if r := s.records[id]; !r.State.Terminal() && string(id) > q.Cursor {
			open = append(open, r)
		}
	}
	if len(open) > 2 { // small pages, so that there are several
		return open[:2], string(open[1].ID), s.down
	}
	return open, "", s.down
}

func (s *shelf) Sharing(context.Context, string) ([]*access.Record, error) { return nil, nil }

func (s *shelf) Restore(_ context.Context, t workflows.Transition) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.records[t.Record.ID]; old != nil && old.Version >= t.Record.Version {
		return false, nil
	}
	s.records[t.Record.ID] = t.Record
	s.written = append(s.written, t)
	return true, s.down
}

// journal moves the world's events into files of an audit log.
func (w *world) journal(dir string) {
	w.t.Helper()
	log, err := audit.Open(dir, audit.Config{MaxBytes: 4 << 10, Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	events := w.events("")
	var ids []string
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	for few := range slices.Chunk(events, 5) {
		if err := log.Append(few); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := errors.Join(log.Close(), w.store.Drained(w.t.Context(), ids)); err != nil {
		w.t.Fatal(err)
	}
}

// recovery is one over a folder.
func recovery(t *testing.T, store workflows.RecoveryStore, dir string, change ...func(*workflows.RecoveryConfig)) *workflows.Recovery {
	t.Helper()
	cfg := workflows.RecoveryConfig{Store: store, Paths: []string{dir}, Now: func() time.Time { return noon.Add(24 * time.Hour) }}
	for _, c := range change {
		c(&cfg)
	}
	r, err := workflows.NewRecovery(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func recovered(t *testing.T, r *workflows.Recovery, since audit.Head) workflows.Recovered {
	t.Helper()
	done, err := r.Run(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// lives is a world in which a request has come to every state that there is, its log, the records as they were when
// they were submitted, and as they are.
type lives struct {
	*world
	dir             string
	submitted, last map[access.RequestID]*access.Record
	fate            map[string]access.RequestID
}

func liveLives(t *testing.T) *lives {
	t.Helper()
	l := &lives{world: newWorld(t), dir: t.TempDir(), submitted: map[access.RequestID]*access.Record{}, last: map[access.RequestID]*access.Record{},
		fate: map[string]access.RequestID{}}
	stop := l.run()
	l.asks("ben", "db-admin", "lapsed")
	denied, cancelled := l.asks("ana", "db-owner", "denied"), l.asks("ben", "db-admin-oncall", "cancelled")
	if err := l.decide("lea", denied, access.Deny); err != nil {
		t.Fatal(err)
	}
	if _, err := l.service.Cancel(t.Context(), by("ben"), cancelled); err != nil {
		t.Fatal(err)
	}
	ended, extended, stuck := l.granted("ana", "web-admin", "ended"), l.granted("ana", "db-admin-oncall", "extended"), l.granted("ben", "web-admin", "overdue")
	if _, err := l.service.End(t.Context(), by("ana"), ended, "done"); err != nil {
		t.Fatal(err)
	}
	l.reaches(ended, access.Ended)
	if _, err := l.service.Extend(t.Context(), by("ana"), extended, 2*time.Hour, access.Secret{}); err != nil {
		t.Fatal(err)
	}
	l.clock.Advance(31 * time.Minute)
	l.comes("lapse")
	l.clock.Advance(20 * time.Minute)
	l.comes("notice")
	l.web.SetFaults(demo.Faults{UnavailableUntil: noon.Add(100 * time.Hour)})
	l.clock.Advance(10 * time.Minute)
	l.reaches(stuck, access.Deactivating)
	l.clock.Advance(3 * time.Minute)
	l.comes("overdue")
	l.asks("ana", "db-admin", "reminded")
	l.clock.Advance(16 * time.Minute)
	l.comes("remind")
	l.approve("lea", l.asks("ben", "db-owner", "voted"))
	stop()
	l.with("db", &scripted{connector: l.connector(l.db), activate: func(context.Context) error {
		return &connectors.Error{Kind: connectors.Denied, Op: "grant", Err: errors.New("not allowed to grant that")}
	}})
	stop = l.run()
	l.reaches(l.asks("ana", "db-reader", "failed"), access.Failed)
	stop()
	l.approve("lea", l.asks("ben", "web-admin", "approved"))
	for id := range l.submitted {
		l.last[id] = l.get(id)
	}
	l.journal(l.dir)
	return l
}

// asks submits a request that is to come to something.
func (l *lives) asks(who access.PersonID, role access.RoleID, fate string) access.RequestID {
	l.t.Helper()
	rec := l.submit(who, role)
	l.submitted[rec.ID] = rec
	l.fate[fate] = rec.ID
	return rec.ID
}

// granted is a request that has become active.
func (l *lives) granted(who access.PersonID, role access.RoleID, fate string) access.RequestID {
	l.t.Helper()
	id := l.asks(who, role, fate)
	l.approve("lea", id)
	l.reaches(id, access.Active)
	return id
}

// comes waits for an event of a kind.
func (l *lives) comes(kind string) {
	l.t.Helper()
	l.eventually("there is an event "+kind, func() bool { return slices.Contains(kinds(l.events("")), kind) })
}

// text is a record as it is written, without what only some arrows keep and nothing reads once the request is over.
func text(t *testing.T, r *access.Record) string {
	t.Helper()
	same := *r
	if same.State.Terminal() {
		same.NextTry, same.RemindAt, same.NoticeAt, same.OverdueAt, same.LastError = time.Time{}, time.Time{}, time.Time{}, time.Time{}, ""
	}
	raw, err := json.MarshalIndent(&same, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestWhatAnEmptiedStoreLostIsRebuiltAsItWas(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	empty := newShelf()
	done := recovered(t, recovery(t, empty, l.dir), audit.Head{})
	open := 0
	for fate, id := range l.fate {
		want, got := l.last[id], empty.records[id]
		if want.State.Terminal() {
			if got != nil {
				t.Errorf("what was %s is back as %s", fate, got.State)
			}
			continue
		}
		if open++; got == nil || text(t, got) != text(t, want) {
			t.Errorf("%s: restored as\n%v\nwant\n%s", fate, got, text(t, want))
		}
	}
	if open != 5 || done.Restored != open || done.Live != 2 || len(done.Log.Problems) > 0 || len(done.Unknown) > 0 {
		t.Errorf("%d open; %+v", open, done)
	}
	for _, w := range empty.written {
		e := w.Event
		if live := w.Record.State.MayHold(); live != (len(w.Notes) == 1) || e.Kind != audit.Restored || e.Version != w.Record.Version || e.Record != w.Record {
			t.Errorf("%s is told by %+v and %+v", w.Record.State, w.Notes, e)
		}
	}
	if again := recovered(t, recovery(t, empty, l.dir), audit.Head{}); again.Restored != 0 {
		t.Errorf("the second time: %+v", again)
	}
}

func TestWhatIsOverStaysOverInAnOlderCopy(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	older := newShelf(slices.Collect(maps.Values(l.submitted))...)
	done := recovered(t, recovery(t, older, l.dir), audit.Head{})
	for fate, id := range l.fate {
		if want, got := l.last[id], older.records[id]; text(t, got) != text(t, want) {
			t.Errorf("%s: restored as\n%s\nwant\n%s", fate, text(t, got), text(t, want))
		}
	}
	if done.Restored != len(l.fate) {
		t.Errorf("%+v of %d", done, len(l.fate))
	}
	for _, w := range older.written {
		if w.Record.State.Terminal() && (len(w.Notes) > 0 || w.Event.Record != nil) {
			t.Errorf("%s is told by %+v and %+v", w.Record.State, w.Notes, w.Event)
		}
	}
}

// What was restored is on record, and the store may go back again.
func TestSecondLossIsRebuiltAsTheFirst(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	log, err := audit.Open(l.dir, audit.Config{Now: l.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		older := newShelf(slices.Collect(maps.Values(l.submitted))...)
		recovered(t, recovery(t, older, l.dir), audit.Head{})
		for i, w := range older.written {
			w.Event.ID = fmt.Sprint("restored-", i)
			if err := log.Append([]audit.Event{w.Event}); err != nil {
				t.Fatal(err)
			}
		}
		for fate, id := range l.fate {
			if want, got := l.last[id], older.records[id]; text(t, got) != text(t, want) {
				t.Errorf("%s: restored as\n%s\nwant\n%s", fate, text(t, got), text(t, want))
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

func TestStoreThatKnowsBetterIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	newer := newShelf(slices.Collect(maps.Values(l.last))...)
	for fate, change := range map[string]access.State{"approved": access.Activating, "overdue": access.Ended} {
		r := *l.last[l.fate[fate]]
		r.Version, r.State = r.Version+1, change
		newer.records[r.ID] = &r
	}
	if done := recovered(t, recovery(t, newer, l.dir), audit.Head{}); done.Restored != 0 || len(newer.written) != 0 {
		t.Errorf("%+v", done)
	}
}

// Between the return of an older copy and the recovery somebody may have moved on what was over.
func TestWhatWasOverIsNotBroughtBackByAnybody(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	approved, active := *l.submitted[l.fate["denied"]], *l.last[l.fate["extended"]]
	approved.Version, approved.State = 2, access.Approved
	active.Request, active.Version = l.last[l.fate["cancelled"]].Request, 4
	store := newShelf(&approved, &active)
	recovered(t, recovery(t, store, l.dir), audit.Head{})
	if got := store.records[approved.ID]; got.State != access.Denied || got.Version != 3 {
		t.Errorf("what was denied, and approved again, is %s in version %d", got.State, got.Version)
	}
	if got := store.records[active.ID]; got.State != access.Deactivating || got.Version != 5 || got.Due()[access.TimerDeactivate].IsZero() {
		t.Errorf("what was cancelled, and became active, is %s in version %d, due %v", got.State, got.Version, got.Due())
	}
}

func TestNewerRecordsAreNotTouched(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	l.rewrite(func(line string) string {
		return strings.ReplaceAll(line, `"record":{"schema":1,`, `"record":{"schema":9,`)
	})
	empty := newShelf()
	_, err := recovery(t, empty, l.dir).Run(t.Context(), audit.Head{})
	if err == nil || !strings.Contains(err.Error(), "schema 9") || len(empty.written) > 0 {
		t.Errorf("%v, and %d were written", err, len(empty.written))
	}
}

func TestBrokenLogGivesWhatCanBeRead(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	n := 0
	l.rewrite(func(line string) string {
		if n++; n == 5 {
			return "not a line\n"
		}
		return line
	})
	empty := newShelf()
	if done := recovered(t, recovery(t, empty, l.dir), audit.Head{}); done.Restored < 4 || len(done.Log.Problems) == 0 {
		t.Errorf("%+v", done)
	}
}

// rewrite changes the lines of the log, and leaves the chain broken.
func (l *lives) rewrite(change func(string) string) {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, "*.jsonl"))
	if err != nil || len(files) < 2 {
		l.t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			l.t.Fatal(err)
		}
		var out strings.Builder
		for line := range strings.Lines(string(raw)) {
			out.WriteString(change(line))
		}
		if err := os.WriteFile(f, []byte(out.String()), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
}

// Logs of early versions have no records; what they tell of is named, not guessed.
func TestRequestsWithoutRecordAreNamed(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	l.rewrite(func(line string) string {
		if before, _, ok := strings.Cut(line, `,"record":`); ok {
			return before + "}\n"
		}
		return line
	})
	empty := newShelf()
	if done := recovered(t, recovery(t, empty, l.dir), audit.Head{}); done.Restored != 0 || len(done.Unknown) != 5 {
		t.Errorf("%+v", done)
	}
	older := newShelf(slices.Collect(maps.Values(l.submitted))...)
	recovered(t, recovery(t, older, l.dir), audit.Head{})
	for _, fate := range []string{"denied", "cancelled", "lapsed", "ended", "failed"} {
		if got := older.records[l.fate[fate]].State; !got.Terminal() {
			t.Errorf("what was %s is %s", fate, got)
		}
	}
}

// A process that was killed between writing lines and saying so is no reason to read all of the log.
func TestLinesThatTheStoreOnlyDoesNotKnowTheNumberOf(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	report, err := audit.Verify([]string{l.dir}, audit.Expect{})
	if err != nil {
		t.Fatal(err)
	}
	before, since := slices.Collect(maps.Values(l.last)), report.Head
	id := l.asks("ana", "web-admin", "late")
	l.journal(l.dir)
	whole := newShelf(append(slices.Clone(before), l.get(id))...)
	if done := recovered(t, recovery(t, whole, l.dir), since); done.Log.Lines != 0 || done.Restored != 0 {
		t.Errorf("a store that has everything: %+v", done)
	}
	if done := recovered(t, recovery(t, newShelf(before...), l.dir), since); done.Log.Lines == 0 || done.Restored != 1 {
		t.Errorf("a store that has not: %+v", done)
	}
	since.Hash[0]++
	if done := recovered(t, recovery(t, whole, l.dir), since); done.Log.Lines == 0 {
		t.Errorf("a store that knows another chain: %+v", done)
	}
}

func TestStoreThatFailsIsRecoveredTheNextTime(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	store := newShelf()
	store.down = errors.New("down")
	if _, err := recovery(t, store, l.dir).Run(t.Context(), audit.Head{}); !errors.Is(err, store.down) {
		t.Errorf("%v", err)
	}
	store.down = nil
	if done := recovered(t, recovery(t, store, l.dir), audit.Head{}); len(store.records) != 5 {
		t.Errorf("%+v", done)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	l := liveLives(t)
	store, told := newShelf(), 0
	done := recovered(t, recovery(t, store, l.dir, func(c *workflows.RecoveryConfig) {
		c.DryRun, c.Tell = true, func(workflows.Restoration) { told++ }
	}), audit.Head{})
	if len(store.records) > 0 || done.Restored != 5 || told != 5 {
		t.Errorf("%+v, %d told, %d written", done, told, len(store.records))
	}
}

func TestFolderThatIsNotThereYetHasNothingToTell(t *testing.T) {
	t.Parallel()
	if done := recovered(t, recovery(t, newShelf(), filepath.Join(t.TempDir(), "none")), audit.Head{}); done.Restored != 0 {
		t.Errorf("%+v", done)
	}
}
