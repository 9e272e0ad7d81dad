package factor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// How a factor in the store is not what Elevate wrote last.
const (
	Altered = "altered" // Elevate has not written it
	Older   = "older"   // Elevate has written something since
	Gone    = "gone"    // it was there, and nobody has taken it away
)

// What the administrators are told of what somebody else did to factors in the store.
const (
	EventDoubted = "factor_doubted" // to one of them
	EventLost    = "factor_lost"    // to some: the store has them no more. Told once an hour, however many it is.
)

// Doubt is a factor in the store that is not what Elevate wrote last, and was settled.
type Doubt struct {
	Person    access.PersonID
	Enrolment bool   // it is of the making of a factor, or of an act that waits for a key: either has to begin anew
	How       string // Altered, Older or Gone
	// Restored says that what Elevate wrote last was put back. Otherwise the factor is switched off, or where it is gone, there
	// is none.
	Restored bool
}

// Report puts a doubt on record, and tells people.
func (d Doubt) Report(ctx context.Context, record func(context.Context, audit.Event) error, tell func(context.Context, Notice) error, at time.Time) error {
	at = at.UTC()
	what := "factor"
	if d.Enrolment {
		what = "enrolment"
	}
	err := record(ctx, audit.Event{At: at, Kind: audit.Forged, Actor: access.BySystem(), Person: d.Person,
		Reason: "a second factor in the store is not what Elevate wrote last: somebody else has changed it, or the store went back",
		Detail: map[string]string{"what": what, "how": d.How, "restored": strconv.FormatBool(d.Restored)}})
	if err != nil {
		return fmt.Errorf("put on record that a factor was changed: %w", err)
	}
	n := Notice{Event: EventDoubted, ID: d.How, Person: d.Person, By: access.BySystem(), At: at, Waits: !d.Restored && !d.Enrolment, Enrolment: d.Enrolment}
	if d.How == Gone && !d.Restored {
		n = Notice{Event: EventLost, By: access.BySystem(), At: at.Truncate(time.Hour)}
	}
	if err := tell(ctx, n); err != nil {
		return fmt.Errorf("tell that a factor was changed: %w", err)
	}
	return nil
}
