package workflows

import (
	"context"

	"elevate/workflows/access"
)

// Directory knows people. Errors: access.ErrNotFound (wrapped) where there is none or more than one; anything else
// means that it could not be asked, and the answer is no.
type Directory interface {
	// Person finds somebody by id, with the groups as they are now.
	Person(ctx context.Context, id access.PersonID) (access.Person, error)
	// ByAccount finds the one person that a chat account is linked to.
	ByAccount(ctx context.Context, chat, account string) (access.Person, error)
	// AccountOf is the person's account in a chat; access.ErrNotFound where none is linked.
	AccountOf(ctx context.Context, id access.PersonID, chat string) (string, error)
	// People lists everybody who may hold or approve anything, by id.
	People(ctx context.Context) ([]access.Person, error)
}
