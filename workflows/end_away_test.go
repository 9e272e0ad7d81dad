package workflows_test

import (
	"errors"
	"testing"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows/access"
)

// TestWhatIsBeingEndedIsNotCalledOver: neither to whoever ends it nor to whoever cancels it.
func TestWhatIsBeingEndedIsNotCalledOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	w.db.SetFaults(demo.Faults{UnavailableUntil: noon.Add(24 * time.Hour)})
	if _, err := w.service.End(t.Context(), by("ana"), rec.ID, "done"); err != nil {
		t.Fatal(err)
	}
	_, end := w.service.End(t.Context(), by("ana"), rec.ID, "done")
	_, cancel := w.service.Cancel(t.Context(), by("ana"), rec.ID)
	for verb, err := range map[string]error{"end": end, "cancel": cancel} {
		var refused *access.Refusal
		if !errors.As(err, &refused) || refused.Code != "already_ending" {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

// TestAHolderGivesBackWhileTheDirectoryIsAway: giving one's own access back waits for nobody's groups; ending another's does.
func TestAHolderGivesBackWhileTheDirectoryIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	w.people.fail(errors.New("connection refused"))
	if _, err := w.service.End(t.Context(), by("lea"), rec.ID, "over"); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("an approver, without their groups: %v", err)
	}
	if _, err := w.service.End(t.Context(), by("ana"), rec.ID, "done"); err != nil {
		t.Errorf("the holder: %v", err)
	}
	w.reaches(rec.ID, access.Ended)
}
