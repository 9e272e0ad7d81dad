package workflows_test

import (
	"errors"
	"testing"

	"elevate/workflows/access"
)

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
