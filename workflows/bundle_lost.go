package workflows

import (
	"cmp"
	"context"
	"strings"

	"elevate/connectors"
	"elevate/workflows/access"
)

// lost finds the part that was not given, or is given no more, while the bundle is being given; nil where there is none.
// Taking the others back may last longer than one call, and then they are over too: the one that began it is told of.
func (b *Bundle) lost(ctx context.Context, parent *access.Record) (*access.Record, error) {
	if parent.State != access.Activating {
		return nil, nil // somebody may have given back a part of what they have
	}
	parts, err := b.s.Parts(ctx, parent)
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.Unavailable, Op: "look for the parts", Err: err}
	}
	var lost *access.Record
	for _, m := range parent.Parts {
		p := parts[m.Role.ID]
		if p == nil || p.State == access.Activating || p.State == access.Active {
			continue
		}
		if lost == nil || cmp.Or(cmp.Compare(innocence(p), innocence(lost)), p.ClosedAt.Compare(lost.ClosedAt)) < 0 {
			lost = p
		}
	}
	return lost, nil
}

// takenBack ends the reason of a part that is taken back because another one was not given.
const takenBack = ", a part of the same bundle, was not given"

// innocence is small for a part that is over by its own fault, and largest for one that was taken back with it: that may be
// at the same moment, by the clock. Of the others that the system ended only the time tells which was first.
func innocence(part *access.Record) int {
	switch {
	case part.State == access.Failed:
		return 0
	case part.Closed != nil && part.Closed.Person != access.System:
		return 1
	case strings.HasSuffix(part.Reason, takenBack):
		return 3
	}
	return 2
}

// fault says why a part is over. The last error of one that did not fail is of its ending.
func fault(part *access.Record) string {
	if part.State == access.Failed {
		return cmp.Or(part.LastError, part.Reason)
	}
	return cmp.Or(part.Reason, "it has ended")
}
