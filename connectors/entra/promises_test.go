package entra_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

func setup(t *testing.T, change func(*entra.Config)) (*entra.Connector, *site) {
	t.Helper()
	t.Parallel()
	s := newSite(t, change)
	return s.connect(t), s
}

func plainly(*entra.Config) {}

// grant makes a person, a role, and an hour of it.
func (s *site) grant() access.Grant { return s.grantOf(s.role()) }

func (s *site) grantOf(r access.Role) access.Grant {
	n := s.roles.Add(1)
	return access.Grant{ID: access.RequestID(fmt.Sprintf("00000-%05d", n)), Person: s.person(fmt.Sprintf("ana%d", n)), Role: r,
		End: s.Now().Add(time.Hour).Truncate(time.Second), Justification: "fix\u202e replication\nnow", Ticket: "INC-4711"}
}

func (s *site) wantHolds(t *testing.T, g access.Grant, want bool) {
	t.Helper()
	if got := s.holds(g.Person, g.Role); got != want {
		t.Errorf("the tenant says that %s holds the role: %t, want %t", g.Person.ID, got, want)
	}
}

func (s *site) give(t *testing.T, c *entra.Connector, g access.Grant) access.Receipt {
	t.Helper()
	r, err := c.Activate(t.Context(), g)
	if err != nil {
		t.Fatalf("Activate: %v", err)
	}
	s.wantHolds(t, g, true)
	return r
}

// old makes an assignment old enough to be taken away.
func (s *site) old(g access.Grant) {
	s.Age(g.Person.Account("entra"), rightOf(g.Role), 5*time.Minute)
}

func (s *site) end(t *testing.T, c *entra.Connector, g access.Grant, r access.Receipt, want access.Was) access.Removal {
	t.Helper()
	removal, err := c.Deactivate(t.Context(), g, r)
	if err != nil {
		t.Fatalf("Deactivate: %v", err)
	}
	if removal.Was != want {
		t.Errorf("Deactivate found %q, want %q", removal.Was, want)
	}
	return removal
}

func wantError(t *testing.T, err error, kind connectors.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there is no error, want one of kind %q", kind)
	}
	if got := connectors.KindOf(err); got != kind {
		t.Fatalf("the kind is %q, want %q: %v", got, kind, err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("the error does not say %q: %v", text, err)
	}
}

func retryAfter(err error) time.Duration {
	var e *connectors.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.RetryAfter
}

// posts counts the requests for assignments that came in.
func posts(seen []string, action string) int {
	n := 0
	for _, s := range seen {
		if strings.HasPrefix(s, "POST") && strings.Contains(s, `"`+action+`"`) {
			n++
		}
	}
	return n
}

// TestEntraEndsItWithTheBotGone: whatever becomes of Elevate, access is over at its end and the grace.
func TestEntraEndsItWithTheBotGone(t *testing.T) {
	for _, gives := range []string{"roles", "groups"} {
		t.Run(gives, func(t *testing.T) {
			c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = gives })
			g := s.grant()
			r := s.give(t, c, g)
			if late := r.NativeEnd.Sub(g.End); late < 2*time.Minute || late > 2*time.Minute+time.Second {
				t.Errorf("Entra ends it %v after Elevate, want 2m", late)
			}
			s.Advance(r.NativeEnd.Sub(s.Now()) - time.Second)
			s.wantHolds(t, g, true)
			s.Advance(2 * time.Second)
			s.wantHolds(t, g, false)
			s.end(t, s.connect(t), g, r, access.Absent) // the bot comes back
		})
	}
}

// TestNothingIsTakenAwayInItsFirstFiveMinutes and the runner is told when to come again.
func TestNothingIsTakenAwayInItsFirstFiveMinutes(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	r := s.give(t, c, g)
	s.Advance(2 * time.Minute)
	_, err := c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.TooEarly, "first 5m")
	if wait := retryAfter(err); wait < 2*time.Minute+50*time.Second || wait > 3*time.Minute {
		t.Errorf("it is to be tried again after %v, want 3m", wait)
	}
	s.Advance(retryAfter(err) + time.Second)
	s.end(t, c, g, r, access.Removed)
	s.wantHolds(t, g, false)
}

// TestAShortRestIsGivenForFiveMinutes: an activation that came late asks for no less than Entra gives.
func TestAShortRestIsGivenForFiveMinutes(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	g.End = s.Now().Add(time.Minute)
	r := s.give(t, c, g)
	if lasts := r.NativeEnd.Sub(s.Now()); lasts < 5*time.Minute || lasts > 8*time.Minute {
		t.Errorf("Entra ends it in %v", lasts)
	}
}

// TestPendingIsNoSuccess: what Entra has accepted and not done is asked about until it is there.
func TestPendingIsNoSuccess(t *testing.T) {
	c, s := setup(t, plainly)
	s.Slow = 3
	g := s.grant()
	for try := 1; ; try++ {
		r, err := c.Activate(t.Context(), g)
		if err == nil {
			s.wantHolds(t, g, true)
			if try == 1 || r.Ref == "" {
				t.Errorf("try %d gave %+v", try, r)
			}
			break
		}
		wantError(t, err, connectors.TooEarly, "still at work")
		s.wantHolds(t, g, false)
		if try > 5 {
			t.Fatal("it does not become true")
		}
	}
	if n := posts(s.Seen(), "adminAssign"); n != 1 {
		t.Errorf("it was asked for %d times, want 1", n)
	}
}

// TestWhatIsPendingAtTheEndIsCancelled, so that it does not come true afterwards.
func TestWhatIsPendingAtTheEndIsCancelled(t *testing.T) {
	c, s := setup(t, plainly)
	s.Slow = 1000
	g := s.grant()
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.TooEarly, "PendingProvisioning")
	_, err = c.Deactivate(t.Context(), g, access.Receipt{})
	wantError(t, err, connectors.TooEarly, "cancelled")
	s.end(t, c, g, access.Receipt{}, access.Absent)
	s.wantHolds(t, g, false)
}

// TestCreatedButDeniedIsARefusal: Graph says 201, and the request's status that it will not be done.
func TestCreatedButDeniedIsARefusal(t *testing.T) {
	c, s := setup(t, plainly)
	s.Denies = "Failed"
	g := s.grant()
	for range 2 {
		_, err := c.Activate(t.Context(), g)
		wantError(t, err, connectors.Denied, "Failed")
	}
	s.wantHolds(t, g, false)
}

// TestWhatA503HadDoneIsFoundAndNotDoneAgain: no answer says nothing about the effect.
func TestWhatA503HadDoneIsFoundAndNotDoneAgain(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c, s := setup(t, plainly)
			g := s.grant()
			done := graphfake.After(graphfake.Says(status, "", "Retry-After: 3"))
			s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, done))
			_, err := c.Activate(t.Context(), g)
			wantError(t, err, connectors.Unavailable, fmt.Sprint(status))
			r := s.give(t, c, g)
			if n := posts(s.Seen(), "adminAssign"); n != 1 {
				t.Errorf("it was asked for %d times, want 1", n)
			}
			s.old(g)
			s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, done))
			_, err = c.Deactivate(t.Context(), g, r)
			wantError(t, err, connectors.Unavailable, fmt.Sprint(status))
			s.end(t, c, g, r, access.Absent)
			s.wantHolds(t, g, false)
		})
	}
}

// givenAtLast activates until the lists, which lag, show what is given.
func givenAtLast(t *testing.T, c *entra.Connector, g access.Grant) access.Receipt {
	t.Helper()
	for range 9 {
		r, err := c.Activate(t.Context(), g)
		if err == nil {
			return r
		}
		wantError(t, err, connectors.TooEarly, "list it yet")
	}
	t.Fatal("it does not become true")
	return access.Receipt{}
}

// TestListsThatLagDeceiveNobody: what a list does not show yet is neither given twice nor taken for gone.
func TestListsThatLagDeceiveNobody(t *testing.T) {
	c, s := setup(t, plainly)
	s.Lag = 3
	g := s.grant()
	r := givenAtLast(t, c, g)
	s.old(g)
	_, err := c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.TooEarly, "lists the assignment still")
	s.wantHolds(t, g, false)
	for try := 0; err != nil; try++ {
		if _, err = c.Deactivate(t.Context(), g, r); err != nil {
			wantError(t, err, connectors.TooEarly, "lists the assignment still")
		}
		if try > 8 {
			t.Fatal("it is never told to be gone")
		}
	}
}

// TestWhatTheListDoesNotShowIsTakenAwayAllTheSame: right after an activation the list may be older than it.
func TestWhatTheListDoesNotShowIsTakenAwayAllTheSame(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	r := s.give(t, c, g)
	s.old(g)
	s.Feel(graphfake.On(http.MethodGet, "Instances", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"value":[]}`))
		return true
	}))
	s.end(t, c, g, r, access.Removed)
	s.wantHolds(t, g, false)
}

// TestAnswersThatLieAboutExistingAreReadBack: "exists" to what is not listed, "does not exist" to a removal.
func TestAnswersThatLieAboutExistingAreReadBack(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, graphfake.Says(http.StatusBadRequest, "RoleAssignmentExists")))
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.TooEarly, "exists already")
	r := s.give(t, c, g)
	s.old(g)
	s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, graphfake.Says(http.StatusBadRequest, "RoleAssignmentDoesNotExist")))
	_, err = c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.TooEarly, "lists the assignment still")
	s.wantHolds(t, g, true)
	s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, graphfake.After(graphfake.Says(http.StatusBadRequest, "RoleAssignmentDoesNotExist"))))
	s.end(t, c, g, r, access.Removed)
	s.wantHolds(t, g, false)
}

// TestAnAdministratorsAssignmentIsNeverRemoved, also where it took the place of ours.
func TestAnAdministratorsAssignmentIsNeverRemoved(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	r := s.give(t, c, g)
	s.Drop(g.Person.Account("entra"), rightOf(g.Role))
	s.plant(g.Person, g.Role)
	s.Seen()
	s.end(t, c, g, r, access.Standing)
	s.wantHolds(t, g, true)
	if n := posts(s.Seen(), "adminRemove"); n != 0 {
		t.Errorf("a removal was sent, which would hit the administrator's assignment")
	}
}

// TestWhoActivatedItThemselvesIsToldSo: Entra keeps no second assignment beside an activation.
func TestWhoActivatedItThemselvesIsToldSo(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.Plant(g.Person.Account("entra"), rightOf(g.Role), graphfake.Plant{End: s.Now().Add(time.Hour), Activated: true})
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.Denied, "has activated it in PIM until")
}

// TestWhatAGroupGivesForAWhileIsNotEnough: it would end before the grant does.
func TestWhatAGroupGivesForAWhileIsNotEnough(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.Plant(g.Person.Account("entra"), rightOf(g.Role), graphfake.Plant{End: s.Now().Add(time.Minute), Through: true})
	if r := s.give(t, c, g); r.Already {
		t.Error("a membership that ends in a minute was taken for the whole hour")
	}
	other := s.grantOf(g.Role)
	s.Plant(other.Person.Account("entra"), rightOf(other.Role), graphfake.Plant{Through: true})
	if r := s.give(t, c, other); !r.Already {
		t.Error("what a group gives for good was not reported as standing access")
	}
}

func TestAnExtensionMovesEntrasEnd(t *testing.T) {
	for _, gives := range []string{"roles", "groups"} {
		t.Run(gives, func(t *testing.T) {
			c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = gives })
			g := s.grant()
			r := s.give(t, c, g)
			g.End, g.Extensions = g.End.Add(time.Hour), 1
			longer, err := c.Activate(t.Context(), g)
			if err != nil || longer.Ref != r.Ref || longer.NativeEnd.Before(g.End) {
				t.Fatalf("Activate with a later end: %+v, %v", longer, err)
			}
			s.Advance(90 * time.Minute)
			s.wantHolds(t, g, true)
			s.end(t, c, g, r, access.Removed)
			s.wantHolds(t, g, false)
		})
	}
}

// TestAnExtensionThatWasRefusedIsAskedForAgain: one refusal keeps neither this later end from coming nor the next.
func TestAnExtensionThatWasRefusedIsAskedForAgain(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.give(t, c, g)
	s.Denies = "Failed"
	g.End, g.Extensions = g.End.Add(time.Hour), 1
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.Denied, "Failed")
	s.Do(func() { s.Denies = "" })
	if r, err := c.Activate(t.Context(), g); err != nil || r.NativeEnd.Before(g.End) {
		t.Errorf("Activate with a later end, once more: %+v, %v", r, err)
	}
}

// TestALaterGrantOfOneRightMovesItsEnd: two grants share one assignment, which lasts as long as the longer.
func TestALaterGrantOfOneRightMovesItsEnd(t *testing.T) {
	c, s := setup(t, plainly)
	first := s.grant()
	s.give(t, c, first)
	second := first
	second.ID, second.End = "00000-second", first.End.Add(time.Hour)
	if r := s.give(t, c, second); r.NativeEnd.Before(second.End) || r.Already {
		t.Errorf("the second grant's receipt is %+v", r)
	}
}

func TestTheRolesOwnRulesAreToldInWords(t *testing.T) {
	for name, test := range map[string]struct {
		rules  graphfake.Rules
		change func(*access.Grant)
		want   string
	}{
		"MFA":          {graphfake.Rules{Enabled: []string{"Justification", "MultiFactorAuthentication"}}, nil, "no program can do"},
		"a ticket":     {graphfake.Rules{Enabled: []string{"Ticketing"}}, func(g *access.Grant) { g.Ticket = "" }, "ask for a ticket"},
		"the longest":  {graphfake.Rules{Longest: "PT30M"}, nil, "30m0s at most"},
		"a longest":    {graphfake.Rules{Longest: "P15D"}, func(g *access.Grant) { g.End = g.End.Add(16 * 24 * time.Hour) }, "15 days at most"},
		"all is well":  {graphfake.Rules{Enabled: []string{"Justification", "Ticketing"}, Longest: "PT1H"}, func(g *access.Grant) { g.End = g.End.Add(-time.Minute) }, ""},
		"just so much": {graphfake.Rules{Longest: "PT1H"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := setup(t, plainly)
			g := s.grant()
			s.Right(rightOf(g.Role), test.rules)
			if test.change != nil {
				test.change(&g)
			}
			s.Seen()
			r, err := c.Activate(t.Context(), g)
			if test.want == "" {
				if err != nil || r.NativeEnd.Before(g.End.Add(-time.Second)) {
					t.Errorf("Activate: %+v, %v", r, err)
				}
				return
			}
			wantError(t, err, connectors.Denied, test.want)
			if n := posts(s.Seen(), "adminAssign"); n != 0 {
				t.Errorf("what would be refused was sent all the same")
			}
		})
	}
}

// TestARefusalThatNobodyForesawIsToldInWords: the settings may change between our look and the order.
func TestARefusalThatNobodyForesawIsToldInWords(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.Feel(graphfake.On(http.MethodGet, "roleManagementPolicyAssignments", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		next.ServeHTTP(w, r)
		s.Right(rightOf(g.Role), graphfake.Rules{Enabled: []string{"MultiFactorAuthentication"}})
		return true
	}))
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.Denied, "no program can do")
}

func TestOnlyTheEligibleAreGivenWhatAsksForIt(t *testing.T) {
	for _, gives := range []string{"roles", "groups"} {
		t.Run(gives, func(t *testing.T) {
			c, s := setup(t, func(cfg *entra.Config) { cfg.Gives, cfg.RequireEligible = gives, true })
			g := s.grant()
			_, err := c.Activate(t.Context(), g)
			wantError(t, err, connectors.Denied, "does not list")
			s.MakeEligible(g.Person.Account("entra"), rightOf(g.Role))
			s.give(t, c, g)
		})
	}
}

func TestWhoIsNoUserIsGivenNothing(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.Disable(g.Person.Account("entra"))
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.Denied, "disabled")
	g.Person.Accounts["entra"] = "12345678-0000-4000-8000-000000000000"
	_, err = c.Activate(t.Context(), g)
	wantError(t, err, connectors.NotFound, "no user")
	g.Person.Accounts["entra"] = strings.ToUpper("abcdef12-0000-4000-8000-000000000000")
	_, err = c.Activate(t.Context(), g)
	wantError(t, err, connectors.Invalid, "small letters")
	if n := posts(s.Seen(), "adminAssign"); n != 0 {
		t.Errorf("something was asked for")
	}
}

// TestTheLastGlobalAdministratorIsSpokenOf: Entra neither ends nor removes that one.
func TestTheLastGlobalAdministratorIsSpokenOf(t *testing.T) {
	c, s := setup(t, plainly)
	role := s.role()
	role.Target = map[string]any{"role": graphfake.GlobalAdministrator, "scope": "/"}
	s.Right(rightOf(role), graphfake.Rules{})
	g := s.grantOf(role)
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.Denied, "nobody else is Global Administrator")

	glass := s.person("glass")
	s.plant(glass, role)
	r := s.give(t, c, g)
	s.Drop(glass.Account("entra"), rightOf(role))
	s.old(g)
	_, err = c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.TooEarly, "last active Global Administrator")
	s.Advance(3 * time.Hour) // nor does Entra end it
	_, err = c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.TooEarly, "last active Global Administrator")
	s.plant(glass, role)
	_, err = c.Deactivate(t.Context(), g, r)
	if err != nil {
		t.Fatalf("Deactivate: %v", err)
	}
	s.wantHolds(t, g, false)
}

// TestSignInsEndAlsoWhereEntraEndedTheRole, and where the first try did not get so far.
func TestSignInsEndAlsoWhereEntraEndedTheRole(t *testing.T) {
	c, s := setup(t, func(cfg *entra.Config) { cfg.RevokeSessions = true })
	g := s.grant()
	r := s.give(t, c, g)
	alive := s.SignIn(g.Person.Account("entra"))
	s.Advance(2 * time.Hour)
	s.Feel(graphfake.On(http.MethodPost, "revokeSignInSessions", 1, graphfake.Says(http.StatusServiceUnavailable, "")))
	_, err := c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.Unavailable, "not the sign-ins")
	if removal := s.end(t, c, g, r, access.Absent); removal.SessionsEnded != 1 || alive() {
		t.Errorf("sign-ins ended: %d, and they go on: %t", removal.SessionsEnded, alive())
	}
}

func TestHoldersAreToldApart(t *testing.T) {
	c, s := setup(t, plainly)
	role := s.role()
	right := rightOf(role)
	g := s.grantOf(role)
	s.give(t, c, g)
	ids := map[string]string{g.Person.Account("entra"): fmt.Sprintf("active %q true", g.ID)}
	for name, plant := range map[string]func(id string){
		`standing "" false`:    func(id string) { s.Plant(id, right, graphfake.Plant{}) },
		`active "" false`:      func(id string) { s.Plant(id, right, graphfake.Plant{End: s.Now().Add(time.Hour), Activated: true}) },
		`outside PIM "" false`: func(id string) { s.PlantPast(id, right) },
		`eligible "" false`:    func(id string) { s.MakeEligible(id, right) },
	} {
		id := s.person("x-" + strings.Fields(name)[0]).Account("entra")
		plant(id)
		ids[id] = name
	}
	holders, err := c.Holders(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holders {
		got := fmt.Sprintf("%s %q %t", h.How, h.Grant, h.Ours)
		if want := ids[h.Account]; got != want {
			t.Errorf("%s is listed as %q, want %q", h.Account, got, want)
		}
		delete(ids, h.Account)
	}
	if len(ids) > 0 {
		t.Errorf("not listed: %v", ids)
	}
}

// TestAnotherInstallationsAssignmentsAreNotOurs: its application is another one.
func TestAnotherInstallationsAssignmentsAreNotOurs(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.Feel(graphfake.On(http.MethodPost, "ScheduleRequests", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(string(body), graphfake.ClientID, "bbbbbbbb-0000-4000-8000-00000000ffff")))
		next.ServeHTTP(w, r)
		return true
	}))
	_, _ = c.Activate(t.Context(), g) // as if the other one had made it
	s.wantHolds(t, g, true)
	if r := s.give(t, c, g); !r.Already {
		t.Error("another installation's assignment is taken for ours")
	}
	s.end(t, c, g, access.Receipt{}, access.Standing)
	s.wantHolds(t, g, true)
}

// TestAPlainGroupsMarkIsTakenBackWhereSomebodyElseWasQuicker, so that it does not call standing access ours.
func TestAPlainGroupsMarkIsTakenBackWhereSomebodyElseWasQuicker(t *testing.T) {
	c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = "plain_groups" })
	g := s.grant()
	id, right := g.Person.Account("entra"), rightOf(g.Role)
	s.Feel(graphfake.On(http.MethodPost, right.Group+"/members", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		s.Put(id, right.Group)
		next.ServeHTTP(w, r)
		return true
	}))
	r, err := c.Activate(t.Context(), g)
	if err != nil || !r.Already {
		t.Fatalf("Activate: %+v, %v", r, err)
	}
	if s.In(id, g.Role.Target["marks"].(string)) {
		t.Error("the mark stayed")
	}
	s.end(t, c, g, r, access.Standing)
	s.wantHolds(t, g, true)
}

// TestAPlainGroupsEndGoesOnWhereItWasCutOff: each step may be the last before a crash.
func TestAPlainGroupsEndGoesOnWhereItWasCutOff(t *testing.T) {
	c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = "plain_groups" })
	g := s.grant()
	s.Feel(graphfake.On(http.MethodPost, rightOf(g.Role).Group+"/members", 1, graphfake.Says(http.StatusServiceUnavailable, "")))
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.Unavailable, "503")
	r := s.give(t, c, g)
	if r.Already {
		t.Error("what the first try began is taken for standing access")
	}
	s.Feel(graphfake.On(http.MethodDelete, rightOf(g.Role).Group+"/members", 1, graphfake.After(graphfake.Says(http.StatusServiceUnavailable, ""))))
	_, err = c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.Unavailable, "503")
	s.end(t, s.connect(t), g, access.Receipt{}, access.Absent)
	s.wantHolds(t, g, false)
	if s.In(g.Person.Account("entra"), g.Role.Target["marks"].(string)) {
		t.Error("the mark stayed")
	}
}

func TestWhatIsSentTellsPIMsReaders(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grant()
	s.give(t, c, g)
	want := fmt.Sprintf(`"justification":"Elevate %s (app %s): fix`, g.ID, graphfake.ClientID)
	if !slices.ContainsFunc(s.Seen(), func(line string) bool {
		return strings.Contains(line, want) && strings.Contains(line, `"ticketNumber":"INC-4711"`) && strings.Contains(line, `"type":"afterDateTime"`) && !strings.Contains(line, "PT")
	}) {
		t.Errorf("nothing that was sent has %s", want)
	}
}
