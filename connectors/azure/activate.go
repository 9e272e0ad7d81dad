package azure

import (
	"context"
	"net/http"
	"time"

	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/connectors"
	"elevate/workflows/access"
)

// mostTurns is how many tries of one grant are told apart.
const mostTurns = 16

// Activate has Azure assign the role until a little after the grant's end, unless the person has it already by nothing
// of ours. What is ours and ends too early has its end moved.
func (c *Connector) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	var receipt access.Receipt
	err := c.run(ctx, "give the role", func(ctx context.Context, s *session) error {
		e, err := entryOf(g)
		if err != nil {
			return err
		}
		receipt, err = s.give(ctx, e, g)
		return err
	})
	if err != nil {
		return access.Receipt{}, err
	}
	return receipt, nil
}

// give looks, writes, and looks again.
func (s *session) give(ctx context.Context, e entry, g access.Grant) (access.Receipt, error) {
	v, err := s.look(ctx, e)
	if err != nil {
		return access.Receipt{}, err
	}
	if r, ok := v.receipt(g); ok {
		return r, nil
	}
	until, err := s.allowed(ctx, e, g)
	if err != nil {
		return access.Receipt{}, err
	}
	if v.own != nil {
		err = s.move(ctx, e, g, until, v.own.schedule)
	} else {
		err = s.assign(ctx, e, g, until)
	}
	if err != nil && !hasCode(err, codeExists) {
		return access.Receipt{}, err
	}
	// Azure says that it is done, is at work on it, or that the assignment is there: only a look tells.
	if v, err = s.look(ctx, e); err != nil {
		return access.Receipt{}, err
	}
	if r, ok := v.receipt(g); ok {
		return r, nil
	}
	if v.own != nil && v.own.ours {
		return access.Receipt{}, notYet(soon, "Azure has the assignment, and not yet with the end that it was told")
	}
	return access.Receipt{}, notYet(soon, "Azure took the request and does not list the assignment yet")
}

// receipt is what a look says of a grant; false where something is to be done first.
func (v sight) receipt(g access.Grant) (access.Receipt, bool) {
	switch {
	case v.own != nil && v.own.ours:
		lasts := !v.own.end.IsZero() && !v.own.end.Before(g.End)
		return access.Receipt{Ref: v.own.schedule, NativeEnd: v.own.end.UTC()}, lasts
	case v.own != nil, v.lasting():
		return access.Receipt{Already: true}, true
	}
	return access.Receipt{}, false
}

// assign sends the request that makes the assignment. One that an earlier try has sent is not sent again while it may
// still come true.
func (s *session) assign(ctx context.Context, e entry, g access.Grant, until time.Time) error {
	m, before, err := s.lastTry(ctx, e, g)
	if err != nil {
		return err
	}
	if before != nil {
		return s.stillUnderWay(*before)
	}
	return s.put(ctx, e, m, g, arm2.RoleAssignmentScheduleRequestProperties{
		RequestType: ptr(arm2.RequestTypeAdminAssign), ScheduleInfo: s.schedule(until),
	})
}

// move sends the request that moves the end of an assignment of ours.
func (s *session) move(ctx context.Context, e entry, g access.Grant, until time.Time, schedule string) error {
	return s.put(ctx, e, mark{g.ID, update, until.Unix()}, g, arm2.RoleAssignmentScheduleRequestProperties{
		RequestType: ptr(arm2.RequestTypeAdminUpdate), ScheduleInfo: s.schedule(until), TargetRoleAssignmentScheduleID: &schedule,
	})
}

func (s *session) schedule(until time.Time) *arm2.RoleAssignmentScheduleRequestPropertiesScheduleInfo {
	return &arm2.RoleAssignmentScheduleRequestPropertiesScheduleInfo{
		StartDateTime: &s.now,
		Expiration: &arm2.RoleAssignmentScheduleRequestPropertiesScheduleInfoExpiration{
			Type: ptr(arm2.TypeAfterDateTime), EndDateTime: &until,
		},
	}
}

// put sends a request of ours and reads what Azure made of it. An answer of success may still be a refusal.
func (s *session) put(ctx context.Context, e entry, m mark, g access.Grant, p arm2.RoleAssignmentScheduleRequestProperties) error {
	p.PrincipalID, p.RoleDefinitionID = &e.account, ptr(e.definition())
	p.Justification = ptr(m.justification(g.Justification))
	if g.Ticket != "" {
		p.TicketInfo = &arm2.RoleAssignmentScheduleRequestPropertiesTicketInfo{TicketNumber: &g.Ticket, TicketSystem: ptr("Elevate")}
	}
	made, err := s.requests.Create(ctx, written(e.scope), m.name(s.me, e), arm2.RoleAssignmentScheduleRequest{Properties: &p}, nil)
	if err != nil {
		return s.told("ask to "+string(m.deed), err)
	}
	if st := stage(made.RoleAssignmentScheduleRequest); st == refused || st == waiting {
		return refusedRequest(made.RoleAssignmentScheduleRequest)
	}
	return nil
}

// lastTry finds the mark for the next request of a grant, and the one before it, if that may still come true or has just
// done so.
func (s *session) lastTry(ctx context.Context, e entry, g access.Grant) (mark, *arm2.RoleAssignmentScheduleRequest, error) {
	for turn := range int64(mostTurns) {
		m := mark{g.ID, assign, turn}
		r, err := s.requests.Get(ctx, written(e.scope), m.name(s.me, e), nil)
		err = s.told("look for an earlier try", err)
		switch {
		case isStatus(err, http.StatusNotFound):
			return m, nil, nil
		case err != nil:
			return m, nil, err
		case s.open(r.RoleAssignmentScheduleRequest):
			return m, &r.RoleAssignmentScheduleRequest, nil
		}
	}
	return mark{}, nil, refuse(connectors.Denied, "Azure has refused or lost this grant %d times; make a new request", mostTurns)
}

// open tells whether a request may still come true. Azure removes nothing in the first five minutes, so what is done and
// that young is on its way into the lists, and what is older was there and is gone.
func (s *session) open(r arm2.RoleAssignmentScheduleRequest) bool {
	switch stage(r) {
	case pending, waiting:
		return true
	case done:
		young := r.Properties.CreatedOn == nil || s.now.Sub(*r.Properties.CreatedOn) < floor
		return young && str(r.Properties.Status) != string(arm2.StatusRevoked)
	}
	return false
}

// stillUnderWay says why an earlier try is waited for.
func (s *session) stillUnderWay(r arm2.RoleAssignmentScheduleRequest) error {
	switch stage(r) {
	case waiting:
		return refusedRequest(r)
	case pending:
		return notYet(soon, "Azure is still at work on it (%s)", str(r.Properties.Status))
	}
	return notYet(soon, "Azure says that it is done (%s) and does not list the assignment yet", str(r.Properties.Status))
}

// progress is how far a request is.
type progress int

const (
	pending progress = iota // Azure is at work on it
	waiting                 // somebody has to decide about it
	done
	refused
)

// stage reads how far a request is. A status that is not known is taken for work: nothing is concluded from it.
func stage(r arm2.RoleAssignmentScheduleRequest) progress {
	if r.Properties == nil {
		return pending
	}
	switch arm2.Status(str(r.Properties.Status)) {
	case arm2.StatusProvisioned, arm2.StatusRevoked:
		return done
	case arm2.StatusPendingApproval, arm2.StatusPendingAdminDecision:
		return waiting
	case arm2.StatusDenied, arm2.StatusAdminDenied, arm2.StatusFailed, arm2.StatusFailedAsResourceIsLocked, arm2.StatusCanceled,
		arm2.StatusTimedOut, arm2.StatusInvalid:
		return refused
	}
	return pending
}

// refusedRequest says in words what became of a request.
func refusedRequest(r arm2.RoleAssignmentScheduleRequest) error {
	status := str(r.Properties.Status)
	switch arm2.Status(status) {
	case arm2.StatusPendingApproval, arm2.StatusPendingAdminDecision:
		return refuse(connectors.Denied, "Azure waits for somebody to decide about the request in PIM (%s), which would be a second approval; look at the role's settings there", status)
	case arm2.StatusFailedAsResourceIsLocked:
		return refuse(connectors.Denied, "a lock keeps Azure from doing it (%s); take the lock at the scope or above it away", status)
	}
	return refuse(connectors.Denied, "Azure took the request and refused it then (%s); look at it in PIM, under the resource's audit history", status)
}

func ptr[T any](v T) *T { return &v }
