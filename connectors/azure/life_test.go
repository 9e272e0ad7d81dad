package azure_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/workflows/access"
)

func TestAzureEndsByItselfWhenTheBotIsKilled(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	g := grant(s)
	r := give(t, connect(t, s), g) // and nobody ever calls again
	s.Advance(time.Hour)
	wantHolds(t, s, g, true) // the dead man's switch is no earlier than our own end
	if grace := r.NativeEnd.Sub(g.End); grace <= 0 || grace > 2*time.Minute {
		t.Errorf("Azure ends it %s after the grant's end", grace)
	}
	s.Advance(2 * time.Minute)
	wantHolds(t, s, g, false)
	removal, err := connect(t, s).Deactivate(t.Context(), g, r)
	if err != nil || removal.Was != access.Absent {
		t.Errorf("after a restart the end finds %+v, %v", removal, err)
	}
}

func TestEveryKindOfScope(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	c := connect(t, s)
	for _, scope := range []string{armfake.Management, subscription, group, vault} {
		g := grant(s)
		g.Role = role(scope, armfake.KeyOfficer)
		if scope == vault {
			g.Person = person(ben) // ana has it there by now, from above
		}
		r := give(t, c, g)
		if r.Already {
			t.Errorf("%s: the role was there before", scope)
		}
		wantHolds(t, s, g, true)
		s.Advance(10 * time.Minute)
		if _, err := c.Deactivate(t.Context(), g, r); err != nil {
			t.Errorf("%s: %v", scope, err)
		}
		wantHolds(t, s, g, false)
	}
}

func TestRemovalWaitsForTheFiveMinutes(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	r := give(t, c, g)
	s.Advance(time.Minute)
	_, err := c.Deactivate(t.Context(), g, r)
	wantKind(t, err, connectors.TooEarly, "five minutes", "UTC")
	var e *connectors.Error
	if !asError(err, &e) || e.RetryAfter < 3*time.Minute || e.RetryAfter > 4*time.Minute+10*time.Second {
		t.Fatalf("a minute after the beginning the next try is in %s", e.RetryAfter)
	}
	s.Advance(e.RetryAfter)
	removal, err := c.Deactivate(t.Context(), g, r)
	if err != nil || removal.Was != access.Removed || removal.Tail != 10*time.Minute {
		t.Errorf("the end found %+v, %v", removal, err)
	}
	wantHolds(t, s, g, false)
}

func TestCreatedIsNotYetGiven(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string][2]time.Duration{
		"provisioning takes a while": {20 * time.Second, 0}, "lists are behind": {0, 20 * time.Second}, "both": {20 * time.Second, 20 * time.Second},
	} {
		s, c, g := setup(t)
		s.Slow(slow[0], slow[1])
		for range 2 {
			_, err := c.Activate(t.Context(), g)
			wantKind(t, err, connectors.TooEarly)
		}
		s.Advance(slow[0] + slow[1] + time.Second)
		if r := give(t, c, g); r.Already || r.NativeEnd.Before(g.End) {
			t.Errorf("%s: the receipt is %+v", name, r)
		}
		if n := count(s, "PUT "); n != 1 {
			t.Errorf("%s: the assignment was asked for %d times", name, n)
		}
	}
}

func TestRemovalIsNotBelievedBeforeListsShowIt(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	r := give(t, c, g)
	s.Slow(0, 20*time.Second)
	s.Advance(time.Hour - time.Minute)
	_, err := c.Deactivate(t.Context(), g, r)
	wantKind(t, err, connectors.TooEarly, "lists it still")
	wantHolds(t, s, g, true)
	s.Advance(21 * time.Second)
	removal, err := c.Deactivate(t.Context(), g, r)
	if err != nil || removal.Was != access.Absent {
		t.Errorf("when lists show it, the end finds %+v, %v", removal, err)
	}
}

// TestEndWaitsForWhatIsStillToCome: an activation that was asked for and shows nothing yet must not be called gone.
func TestEndWaitsForWhatIsStillToCome(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	s.Slow(30*time.Second, 0)
	_, err := c.Activate(t.Context(), g)
	wantKind(t, err, connectors.TooEarly)
	_, err = c.Deactivate(t.Context(), g, access.Receipt{})
	wantKind(t, err, connectors.TooEarly, "cancelled")
	s.Advance(time.Minute)
	wantHolds(t, s, g, false)
	if removal, err := c.Deactivate(t.Context(), g, access.Receipt{}); err != nil || removal.Was != access.Absent {
		t.Errorf("when it was cancelled, the end finds %+v, %v", removal, err)
	}

	s, c, g = setup(t)
	s.Slow(0, 30*time.Second)
	_, err = c.Activate(t.Context(), g)
	wantKind(t, err, connectors.TooEarly)
	_, err = c.Deactivate(t.Context(), g, access.Receipt{})
	wantKind(t, err, connectors.TooEarly)
	s.Advance(6 * time.Minute)
	s.Slow(0, 0)
	if removal, err := c.Deactivate(t.Context(), g, access.Receipt{}); err != nil || removal.Was != access.Removed {
		t.Errorf("when lists show it, the end finds %+v, %v", removal, err)
	}
	wantHolds(t, s, g, false)
}

func TestOverlapAndExtensionMoveTheEnd(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	first := give(t, c, g)
	longer := grant(s)
	longer.End = g.End.Add(3 * time.Hour)
	second := give(t, c, longer)
	if second.Ref != first.Ref || second.NativeEnd.Before(longer.End) || second.Already {
		t.Errorf("a longer grant has the receipt %+v, after %+v", second, first)
	}
	if again := give(t, c, longer); again != second {
		t.Errorf("asked again, the receipt is %+v, not %+v", again, second)
	}
	if shorter := give(t, c, g); !shorter.NativeEnd.Equal(second.NativeEnd) {
		t.Errorf("the shorter grant brought the end back to %s", shorter.NativeEnd)
	}
	longer.End = longer.End.Add(time.Hour) // extended
	if extended := give(t, c, longer); extended.NativeEnd.Before(longer.End) {
		t.Errorf("an extended grant ends at %s, before %s", extended.NativeEnd, longer.End)
	}
	s.Advance(4*time.Hour + 30*time.Minute)
	wantHolds(t, s, g, true)
	if removal, err := c.Deactivate(t.Context(), longer, second); err != nil || removal.Was != access.Removed {
		t.Errorf("the end of the last finds %+v, %v", removal, err)
	}
	wantHolds(t, s, g, false)
}

// TestGivenAgainAfterARemoval: a late removal for another grant took the access, and this one is given it again.
func TestGivenAgainAfterARemoval(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	r := give(t, c, g)
	s.Advance(10 * time.Minute)
	if _, err := c.Deactivate(t.Context(), g, r); err != nil {
		t.Fatal(err)
	}
	give(t, c, g)
	wantHolds(t, s, g, true)
}

func TestGrantThatBeganLateLastsFiveMinutes(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	g := grant(s)
	g.End = s.Now().Add(time.Minute)
	if r := give(t, connect(t, s), g); r.NativeEnd.Sub(s.Now()) < 5*time.Minute {
		t.Errorf("Azure was told to end it at %s, which it refuses", r.NativeEnd)
	}
}

// count counts what was sent that begins or ends so.
func count(s *armfake.Server, part string) int {
	n := 0
	for _, line := range s.Sent() {
		if strings.HasPrefix(line, part) || strings.HasSuffix(line, part) {
			n++
		}
	}
	return n
}

func TestRequestsAreNamedByTheGrant(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	g := grant(s)
	s.Misbehave(armfake.Fault{Method: http.MethodPut, Status: http.StatusServiceUnavailable, Times: 3})
	for range 3 {
		_, err := connect(t, s).Activate(t.Context(), g)
		wantKind(t, err, connectors.Unavailable)
	}
	give(t, connect(t, s), g)
	var names []string
	for _, line := range s.Sent() {
		if strings.HasPrefix(line, "PUT ") {
			names = append(names, line)
		}
	}
	if len(names) != 4 || len(slices.Compact(names)) != 1 {
		t.Errorf("one grant was asked for as %q", names)
	}
	if name := names[0][strings.LastIndexByte(names[0], '/')+1:]; name[14] != '5' {
		t.Errorf("%s is no version 5 UUID", name)
	}
}

// TestAnotherElevateIsNotUs: two installations with applications of their own keep apart what is whose.
func TestAnotherElevateIsNotUs(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	const client, object = "88888888-aaaa-4bbb-8ccc-000000000008", "88888888-aaaa-4bbb-8ccc-00000000000a"
	s.AddApplication(client, "another-secret-of-theirs", object)
	theirs := connect(t, s, func(cfg *azure.Config) {
		cfg.ClientID, cfg.ClientSecret = client, access.NewSecret("another-secret-of-theirs")
	})
	g := grant(s)
	give(t, theirs, g)
	ours := connect(t, s)
	if r := give(t, ours, g); !r.Already {
		t.Errorf("what another Elevate gave is taken for ours: %+v", r)
	}
	s.Advance(10 * time.Minute)
	if removal, err := ours.Deactivate(t.Context(), g, access.Receipt{}); err != nil || removal.Was != access.Standing {
		t.Errorf("its end finds %+v, %v", removal, err)
	}
	wantHolds(t, s, g, true)
}
