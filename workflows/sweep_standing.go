package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
)

// Standing is the last picture that a sweep made of who holds a role by nothing that Elevate gave.
type Standing struct {
	At    time.Time `json:"at,omitzero"` // zero: there is none yet
	Count int       `json:"count"`
	// Holders are by account, at most keptStanding of them; where there are more, changes are not followed.
	Holders []StandingHolder `json:"holders,omitempty"`
	// Gone held the role not long ago and do not any more.
	Gone []StandingHolder `json:"gone,omitempty"`
}

// StandingHolder is somebody with standing access.
type StandingHolder struct {
	Account string `json:"account"`
	// Since is when a sweep saw it first; zero: at the very first look.
	Since time.Time `json:"since,omitzero"`
	// Until is when a sweep missed it first; zero: it is there.
	Until time.Time `json:"until,omitzero"`
}

const (
	// keptStanding bounds a picture: it is read whenever somebody opens a form.
	keptStanding = 2000
	// standingKept is how long a picture outlives the last sweep that could be made.
	standingKept = 7 * 24 * time.Hour
	// goneKept is how long a picture remembers who is gone: longer than from one digest to the next.
	goneKept = 48 * time.Hour
)

func standingKey(role access.RoleID) string { return "standing:" + string(role) }

// standing reads the last picture of a role.
func (s *Service) standing(ctx context.Context, role access.RoleID) (Standing, error) {
	var p Standing
	stored, err := s.cfg.Store.Recall(ctx, standingKey(role))
	if err == nil && stored != nil {
		err = json.Unmarshal(stored, &p)
	}
	if err != nil {
		return Standing{}, fmt.Errorf("read who holds %s besides: %w", role, err)
	}
	return p, nil
}

// heldBesides is when a sweep last saw that a person holds a role by nothing that Elevate gave; zero where it did not. It
// goes by the picture alone: nobody who fills in a form waits for a target.
func (s *Service) heldBesides(ctx context.Context, p access.Person, role access.Role) time.Time {
	picture, err := s.standing(ctx, role.ID)
	if err != nil {
		s.log.Warn("standing access could not be looked up", "person", p.ID, "role", role.ID, "err", err)
		return time.Time{}
	}
	_, holds := find(picture.Holders, p.Account(role.Connector))
	if !holds {
		return time.Time{}
	}
	return picture.At
}

func find(holders []StandingHolder, account string) (int, bool) {
	return slices.BinarySearchFunc(holders, account, func(h StandingHolder, a string) int { return strings.Compare(h.Account, a) })
}

// picture keeps who holds a target's roles by nothing of ours, for digest, forms and figures.
func (w *Sweeper) picture(ctx context.Context, t sweepTarget, accounts []string, at time.Time) error {
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	before, err := w.s.standing(ctx, t.roles[0])
	if err != nil {
		return err
	}
	p := redrawn(before, accounts, at.UTC())
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write down who holds %s besides: %w", t.role.ID, err)
	}
	for _, h := range p.Holders {
		if h.Since.Equal(p.At) {
			w.s.log.Warn("somebody has come to hold a role by nothing that Elevate gave; it is left alone", "role", t.role.ID,
				"connector", t.role.Connector, "account", h.Account)
		}
	}
	for _, role := range t.roles {
		w.cfg.Metrics.Standing(t.role.Connector, role, len(accounts))
		if err := w.s.cfg.Store.Put(ctx, standingKey(role), text, standingKept); err != nil {
			return fmt.Errorf("keep who holds %s besides: %w", role, err)
		}
	}
	return nil
}

// redrawn is the picture after a look, with what has changed since the one before.
func redrawn(before Standing, accounts []string, at time.Time) Standing {
	p := Standing{At: at, Count: len(accounts)}
	follow := !before.At.IsZero() && before.Count <= keptStanding && p.Count <= keptStanding
	for _, a := range accounts[:min(len(accounts), keptStanding)] {
		h := StandingHolder{Account: a}
		if i, known := find(before.Holders, a); known {
			h.Since = before.Holders[i].Since
		} else if follow {
			h.Since = at
		}
		p.Holders = append(p.Holders, h)
	}
	if !follow {
		return p
	}
	for _, h := range before.Gone {
		if at.Sub(h.Until) < goneKept && len(p.Gone) < keptStanding {
			p.Gone = append(p.Gone, h)
		}
	}
	for _, h := range before.Holders {
		if _, stays := find(p.Holders, h.Account); !stays && len(p.Gone) < keptStanding {
			h.Until = at
			p.Gone = append(p.Gone, h)
		}
	}
	return p
}

// standingLines sums up the pictures of all roles that have something to tell of a span.
func (s *Service) standingLines(ctx context.Context, within func(time.Time) bool) ([]DigestStanding, error) {
	var lines []DigestStanding
	for _, row := range s.catalogue.rows {
		p, err := s.standing(ctx, row.role.ID)
		if err != nil {
			return nil, err
		}
		line := DigestStanding{Role: row.role.ID, At: p.At, Holders: p.Count}
		for _, h := range p.Holders {
			if within(h.Since) {
				line.New = append(line.New, h.Account)
			}
		}
		for _, h := range p.Gone {
			if within(h.Until) {
				line.Gone = append(line.Gone, h.Account)
			}
		}
		if line.Holders+len(line.Gone) > 0 {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
