package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"elevate/connectors"
	"elevate/workflows/access"
)

// A plain group's membership has no place to write down who made it. So whoever is put into the group becomes a member of
// a second group first, and stays there until the membership is gone: that is the mark.

// membership is how a person stands to the two groups.
type membership struct{ in, marked bool }

func (s *session) membership(ctx context.Context, r right, principal string) (membership, error) {
	in, err := s.members(ctx, r.group)
	if err != nil {
		return membership{}, fmt.Errorf("read the group's members: %w", err)
	}
	marks, err := s.members(ctx, r.marks)
	if err != nil {
		return membership{}, fmt.Errorf("read the members of the group of marks: %w", err)
	}
	return membership{slices.Contains(in, principal), slices.Contains(marks, principal)}, nil
}

// join marks the person, puts them into the group, and looks again.
func (s *session) join(ctx context.Context, r right, principal string) (access.Receipt, error) {
	m, err := s.membership(ctx, r, principal)
	if err != nil {
		return access.Receipt{}, err
	}
	if m.in && !m.marked {
		return access.Receipt{Already: true}, nil
	}
	marked := m.marked
	if !marked {
		existed, err := s.add(ctx, r.marks, principal)
		if err != nil {
			return access.Receipt{}, fmt.Errorf("mark the person: %w", err)
		}
		marked = existed
	}
	if !m.in {
		existed, err := s.add(ctx, r.group, principal)
		if err != nil {
			return access.Receipt{}, fmt.Errorf("add the person: %w", err)
		}
		if existed && !marked { // somebody else was quicker: the mark of just now would be a lie
			if _, err := s.drop(ctx, r.marks, principal); err != nil {
				return access.Receipt{}, fmt.Errorf("take the mark back: %w", err)
			}
			return access.Receipt{Already: true}, nil
		}
	}
	if m, err = s.membership(ctx, r, principal); err != nil {
		return access.Receipt{}, err
	}
	if !m.in || !m.marked {
		return access.Receipt{}, later(listedWait, "Entra does not list it yet")
	}
	return access.Receipt{Ref: r.group + "/" + r.marks}, nil
}

// leave takes the person out of the group, and the mark away once that was read back.
func (s *session) leave(ctx context.Context, r right, principal string, told access.Receipt) (ending, error) {
	m, err := s.membership(ctx, r, principal)
	if err != nil {
		return ending{}, err
	}
	e := ending{given: given(told) || m.marked}
	if lost := told == (access.Receipt{}); !e.given && (m.in || !lost) {
		e.stays = m.in
		return e, nil
	}
	// Also where the lists do not show it: they may be older than the membership.
	was, err := s.drop(ctx, r.group, principal)
	if err != nil {
		return e, fmt.Errorf("take the person out: %w", err)
	}
	now, err := s.membership(ctx, r, principal)
	if err != nil {
		return e, err
	}
	if now.in {
		return e, later(listedWait, "Entra confirmed the removal and lists the member still")
	}
	if _, err := s.drop(ctx, r.marks, principal); err != nil {
		return e, fmt.Errorf("the membership is gone, but not the mark: %w", err)
	}
	e.removed = m.in || was
	e.given = e.given || was
	return e, nil
}

// add makes somebody a member, and tells whether they were one already.
func (s *session) add(ctx context.Context, group, principal string) (bool, error) {
	at := s.graph + "/directoryObjects/" + principal
	body := models.NewReferenceCreate()
	body.SetOdataId(&at)
	err := s.groups.ByGroupId(group).Members().Ref().Post(ctx, body, nil)
	var a *answer
	if errors.As(err, &a) && a.status == http.StatusBadRequest && strings.Contains(a.text, "already exist") {
		return true, nil // Graph has no code of its own for this
	}
	return false, err
}

// drop takes somebody out, and tells whether they were in. Who is no member has left already.
func (s *session) drop(ctx context.Context, group, principal string) (bool, error) {
	err := s.groups.ByGroupId(group).Members().ByDirectoryObjectId(principal).Ref().Delete(ctx, nil)
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// plainHolders lists the members of a plain group.
func (s *session) plainHolders(ctx context.Context, r right) ([]connectors.Holder, error) {
	in, err := s.members(ctx, r.group)
	if err != nil {
		return nil, fmt.Errorf("read the group's members: %w", err)
	}
	marks, err := s.members(ctx, r.marks)
	if err != nil {
		return nil, fmt.Errorf("read the members of the group of marks: %w", err)
	}
	var out []connectors.Holder
	for _, id := range in {
		ours := slices.Contains(marks, id)
		how := forGood
		if ours {
			how = forATime
		}
		out = append(out, connectors.Holder{Account: id, Ours: ours, How: how})
	}
	return out, nil
}
