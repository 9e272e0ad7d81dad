package azure

import (
	"context"
	"net/http"
	"time"

	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/workflows/access"
)

// Deactivate has Azure remove our assignment, and looks whether it is gone. Azure removes by account, role and scope, so
// it is asked for that only while the assignment that stands there is ours.
func (c *Connector) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	var removal access.Removal
	err := c.run(ctx, "take the role away", func(ctx context.Context, s *session) error {
		e, err := entryOf(g)
		if err != nil {
			return err
		}
		removal, err = s.take(ctx, e, g, r)
		return err
	})
	if err != nil {
		return access.Removal{}, err
	}
	return removal, nil
}

func (s *session) take(ctx context.Context, e entry, g access.Grant, r access.Receipt) (access.Removal, error) {
	v, err := s.look(ctx, e)
	if err != nil {
		return access.Removal{}, err
	}
	if v.own == nil {
		if err := s.callBack(ctx, e, g); err != nil {
			return access.Removal{}, err
		}
		return s.removal(ctx, e, v, access.Absent)
	}
	if !v.own.ours && !remembered(*v.own, r) {
		return access.Removal{Was: access.Standing}, nil
	}
	if err := s.remove(ctx, e, g, *v.own); err != nil {
		return access.Removal{}, err
	}
	after, err := s.look(ctx, e)
	if err != nil {
		return access.Removal{}, err
	}
	if after.own != nil && after.own.schedule == v.own.schedule {
		return access.Removal{}, notYet(soon, "Azure took the request to remove the assignment and lists it still")
	}
	return s.removal(ctx, e, after, access.Removed)
}

// remembered tells whether the receipt knows an assignment as ours whose request Azure has forgotten.
func remembered(h holding, r access.Receipt) bool {
	return !r.Already && r.Ref != "" && r.Ref == h.schedule && !h.end.IsZero() && h.end.Equal(r.NativeEnd)
}

// remove asks Azure to remove the assignment that stands at the entry.
func (s *session) remove(ctx context.Context, e entry, g access.Grant, h holding) error {
	g.Justification, g.Ticket = "the access is taken away", ""
	err := s.put(ctx, e, mark{g.ID, remove, s.now.Unix() / 60}, g, arm2.RoleAssignmentScheduleRequestProperties{
		RequestType: ptr(arm2.RequestTypeAdminRemove),
	})
	switch {
	case hasCode(err, codeAbsent): // also the answer to a removal that Azure did carry out; the look tells
		return nil
	case hasCode(err, codeTooShort):
		at := h.start.Add(floor)
		wait := max(soon, at.Sub(s.now)+time.Second)
		return notYet(wait, "Azure removes no assignment within five minutes of making it; this one can go at %s", at.UTC().Format("15:04:05 UTC"))
	}
	return err
}

// callBack makes sure that nothing of a grant is still to come: what is under way is cancelled, and waited for.
func (s *session) callBack(ctx context.Context, e entry, g access.Grant) error {
	m, before, err := s.lastTry(ctx, e, g)
	if err != nil || before == nil {
		return err
	}
	if stage(*before) == done {
		return s.stillUnderWay(*before)
	}
	_, err = s.requests.Cancel(ctx, written(e.scope), m.name(s.me, e), nil)
	err = s.told("cancel the request", err)
	if err != nil && !isStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict) { // it has come true meanwhile
		return err
	}
	return notYet(soon, "Azure was at work on the request, which is being cancelled")
}

// removal says what is left to an account that nothing of ours gives the role at this scope.
func (s *session) removal(ctx context.Context, e entry, v sight, was access.Was) (access.Removal, error) {
	out := access.Removal{Was: was}
	if was == access.Removed {
		out.Tail = s.tail
	}
	if v.own != nil || v.lasting() {
		out.Was = access.Standing
		return out, nil
	}
	for _, h := range v.others {
		if h.narrowed {
			continue
		}
		if err := s.trace(ctx, e.place, &h); err != nil && !isStatus(err, http.StatusForbidden) {
			return access.Removal{}, err // above the scope we may have no rights, and so nothing of ours
		}
		if h.ours {
			out.Was = access.Shared // another grant of ours, above: it ends with that one
			return out, nil
		}
		out.Was = access.Standing
	}
	return out, nil
}
