package workflows

import (
	"context"

	"elevate/workflows/access"
)

// Directory knows people. Errors: access.ErrNotFound (wrapped) where there is none or more than one; an *access.Refusal
// where somebody is known and may do nothing, such as who has left; anything else means that it could not be asked, and
// the answer is no.
type Directory interface {
	// Person finds somebody by id, with the groups as they are now.
	Person(ctx context.Context, id access.PersonID) (access.Person, error)
	// ByAccount finds the one person that a chat account is linked to. Ask Person for their groups.
	ByAccount(ctx context.Context, chat, account string) (access.Person, error)
	// AccountOf is the person's account in a chat; access.ErrNotFound where none is linked.
	AccountOf(ctx context.Context, id access.PersonID, chat string) (string, error)
	// People lists everybody who may hold or approve anything, by id.
	People(ctx context.Context) ([]access.Person, error)
}

// Roll is a directory that can also say who people are without asking others for their groups. What ends access, and what
// only shows names, waits for no group.
type Roll interface {
	// Known finds somebody by id; AllKnown lists everybody, by id. Their groups may be incomplete.
	Known(ctx context.Context, id access.PersonID) (access.Person, error)
	AllKnown(ctx context.Context) ([]access.Person, error)
}

// Managers is a directory that knows who manages whom.
type Managers interface {
	// Manager is the person that somebody reports to. An *access.Refusal of the kind access.ErrNotAllowed says why there is
	// none who could decide anything; other errors are those of Directory.
	Manager(ctx context.Context, id access.PersonID) (access.PersonID, error)
}

// Known finds somebody by id, without their groups where those are kept elsewhere.
func Known(ctx context.Context, d Directory, id access.PersonID) (access.Person, error) {
	if r, ok := d.(Roll); ok {
		return r.Known(ctx, id)
	}
	return d.Person(ctx, id)
}

func allKnown(ctx context.Context, d Directory) ([]access.Person, error) {
	if r, ok := d.(Roll); ok {
		return r.AllKnown(ctx)
	}
	return d.People(ctx)
}
