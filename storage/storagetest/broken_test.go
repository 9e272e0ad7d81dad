package storagetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// Each type is a store that breaks one promise and keeps the others.

type ignoresStale struct{ workflows.Store }

func (s ignoresStale) Take(ctx context.Context, t workflows.Transition) error {
	if err := s.Store.Take(ctx, t); !errors.Is(err, workflows.ErrStale) {
		return err
	}
	return nil
}

type ignoresTable struct{ workflows.Store }

func (s ignoresTable) Take(ctx context.Context, t workflows.Transition) error {
	err := s.Store.Take(ctx, t)
	var move *access.MoveError
	if errors.As(err, &move) {
		return nil
	}
	return err
}

type ignoresTaken struct{ workflows.Store }

func (s ignoresTaken) Take(ctx context.Context, t workflows.Transition) error {
	if err := s.Store.Take(ctx, t); !errors.Is(err, workflows.ErrTaken) {
		return err
	}
	return nil
}

type sameID struct {
	workflows.Store
	id access.RequestID
}

func (s *sameID) NewID(now time.Time, right string) access.RequestID {
	if s.id == "" {
		s.id = s.Store.NewID(now, right)
	}
	return s.id
}

type dropsFields struct{ workflows.Store }

func (s dropsFields) Take(ctx context.Context, t workflows.Transition) error {
	r := *t.Record
	r.Attempts, r.Reason, r.VerifiedAt = 0, "", time.Time{}
	t.Record = &r
	return s.Store.Take(ctx, t)
}

type dropsTimer struct{ workflows.Store }

func (s dropsTimer) Take(ctx context.Context, t workflows.Transition) error {
	r := *t.Record
	r.NoticeAt = time.Time{}
	t.Record = &r
	return s.Store.Take(ctx, t)
}

type wrongDue struct{ workflows.Store }

func (s wrongDue) Claim(ctx context.Context, l workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	claims, next, err := s.Store.Claim(ctx, l, limit, lease)
	for i := range claims {
		claims[i].Due = claims[i].Due.Add(time.Duration(claims[i].Fence) * lease)
	}
	return claims, next, err
}

type claimsTwice struct {
	workflows.Store
	mu    sync.Mutex
	given map[access.RequestID]int
}

func newClaimsTwice(s workflows.Store) *claimsTwice {
	return &claimsTwice{Store: s, given: map[access.RequestID]int{}}
}

func (s *claimsTwice) Claim(ctx context.Context, l workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	claims, next, err := s.Store.Claim(ctx, l, limit, lease)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range claims {
		if s.given[c.Request]++; i%2 == 0 && s.given[c.Request] < 3 {
			err = errors.Join(err, s.Release(ctx, c))
		}
	}
	return claims, next, err
}

type endlessLease struct{ workflows.Store }

func (s endlessLease) Claim(ctx context.Context, l workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	return s.Store.Claim(ctx, l, limit, 1000*lease)
}

type ignoresClaims struct{ workflows.Store }

func (s ignoresClaims) Take(ctx context.Context, t workflows.Transition) error {
	t.Claim = nil
	return s.Store.Take(ctx, t)
}

type renewsAll struct{ workflows.Store }

func (s renewsAll) Renew(ctx context.Context, c workflows.Claim, lease time.Duration) error {
	if err := s.Store.Renew(ctx, c, lease); !errors.Is(err, workflows.ErrStale) {
		return err
	}
	return nil
}

type renewsNone struct{ workflows.Store }

func (renewsNone) Renew(context.Context, workflows.Claim, time.Duration) error { return nil }

type releasesNone struct{ workflows.Store }

func (releasesNone) Release(context.Context, workflows.Claim) error { return nil }

type noNext struct{ workflows.Store }

func (s noNext) Claim(ctx context.Context, l workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	claims, _, err := s.Store.Claim(ctx, l, limit, lease)
	return claims, time.Time{}, err
}

// splitsRights tells the store that every request is for a right of its own.
type splitsRights struct{ workflows.Store }

func (s splitsRights) Take(ctx context.Context, t workflows.Transition) error {
	r := *t.Record
	r.Account = string(r.ID)
	t.Record = &r
	return s.Store.Take(ctx, t)
}

type sharesNone struct{ workflows.Store }

func (sharesNone) Sharing(context.Context, string) ([]*access.Record, error) { return nil, nil }

type mute struct{ workflows.Store }

func (mute) Nudges(ctx context.Context) <-chan workflows.Lane {
	none := make(chan workflows.Lane)
	context.AfterFunc(ctx, func() { close(none) })
	return none
}

type losesNote struct{ workflows.Store }

func (s losesNote) Take(ctx context.Context, t workflows.Transition) error {
	if len(t.Notes) > 0 {
		t.Notes = t.Notes[1:]
	}
	return s.Store.Take(ctx, t)
}

type backwards struct{ workflows.Store }

func (s backwards) ClaimErrands(ctx context.Context, chat string, limit int, lease time.Duration) ([]workflows.Errand, time.Time, error) {
	errands, next, err := s.Store.ClaimErrands(ctx, chat, limit, lease)
	for _, e := range errands {
		slices.Reverse(e.Notes)
	}
	return errands, next, err
}

type impatient struct{ workflows.Store }

func (s impatient) PutOff(ctx context.Context, e workflows.Errand, _ time.Time, refs map[string]string) error {
	return s.Store.PutOff(ctx, e, time.Unix(0, 0), refs)
}

type forgetsRefs struct{ workflows.Store }

func (s forgetsRefs) PutOff(ctx context.Context, e workflows.Errand, until time.Time, _ map[string]string) error {
	return s.Store.PutOff(ctx, e, until, nil)
}

type believesTold struct{ workflows.Store }

func (s believesTold) Told(ctx context.Context, e workflows.Errand, refs map[string]string) error {
	if err := s.Store.Told(ctx, e, refs); !errors.Is(err, workflows.ErrStale) {
		return err
	}
	return nil
}

type forgetsKeys struct {
	workflows.Store
	n int
}

func (s *forgetsKeys) Enqueue(ctx context.Context, chats []string, topic, key string, n workflows.Note) (bool, error) {
	s.n++
	return s.Store.Enqueue(ctx, chats, topic, key+string(rune('a'+s.n)), n)
}

type alwaysFresh struct{ workflows.Store }

func (s alwaysFresh) Deliver(ctx context.Context, d workflows.Delivery) (bool, error) {
	_, err := s.Store.Deliver(ctx, d)
	return true, err
}

type neverWorked struct{ workflows.Store }

func (neverWorked) Worked(context.Context, workflows.Delivery) error { return nil }

type losesEvent struct{ workflows.Store }

func (s losesEvent) Undrained(ctx context.Context, limit int) ([]audit.Event, error) {
	events, err := s.Store.Undrained(ctx, limit)
	return events[:max(0, len(events)-1)], err
}

type mixesEvents struct{ workflows.Store }

func (s mixesEvents) Undrained(ctx context.Context, limit int) ([]audit.Event, error) {
	events, err := s.Store.Undrained(ctx, limit)
	slices.Reverse(events)
	return events, err
}

type neverDrained struct{ workflows.Store }

func (neverDrained) Drained(context.Context, []string) error { return nil }

type dropsRefusals struct{ workflows.Store }

func (dropsRefusals) Append(context.Context, audit.Event) error { return nil }

type alwaysFirst struct{ workflows.Store }

func (s alwaysFirst) Once(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	stored, _, err := s.Store.Once(ctx, key, value, ttl)
	return stored, true, err
}

type neverForgets struct{ workflows.Store }

func (s neverForgets) Once(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	return s.Store.Once(ctx, key, value, 1000*ttl)
}

func (s neverForgets) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.Store.Put(ctx, key, value, 1000*ttl)
}

func (s neverForgets) Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	return s.Store.Hold(ctx, name, holder, 1000*lease)
}

type alwaysHeld struct{ workflows.Store }

func (s alwaysHeld) Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	_, err := s.Store.Hold(ctx, name, holder, lease)
	return true, err
}

type skipsOne struct{ workflows.Store }

func (s skipsOne) List(ctx context.Context, q workflows.Query) ([]*access.Record, string, error) {
	records, next, err := s.Store.List(ctx, q)
	return records[:max(0, len(records)-1)], next, err
}

type findsAll struct{ workflows.Store }

func (s findsAll) Get(ctx context.Context, id access.RequestID) (*access.Record, error) {
	r, err := s.Store.Get(ctx, id)
	if errors.Is(err, access.ErrNotFound) {
		return &access.Record{}, nil
	}
	return r, err
}

type letsAllIn struct{ workflows.Store }

func (letsAllIn) Admit(context.Context, string, int, time.Duration) (time.Duration, bool, error) {
	return 0, false, nil
}

type tellsEachRefusal struct{ workflows.Store }

func (s tellsEachRefusal) Admit(ctx context.Context, key string, limit int, window time.Duration) (time.Duration, bool, error) {
	wait, _, err := s.Store.Admit(ctx, key, limit, window)
	return wait, wait > 0, err
}

type findsMorePlaces struct{ workflows.Store }

func (s findsMorePlaces) Reserve(ctx context.Context, key, who string, limit int, keep time.Duration) (map[string]time.Time, error) {
	return s.Store.Reserve(ctx, key, who, limit+1, keep)
}
