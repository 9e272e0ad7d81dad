package entra

import (
	"context"
	"fmt"

	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"elevate/connectors"
)

// person refuses object ids that are no user's: what a group or an application is given, others have too.
func (s *session) person(ctx context.Context, id string) error {
	user, err := s.users.ByUserId(id).Get(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: []string{"id", "accountEnabled"}}})
	switch {
	case missing(err):
		return refuse(connectors.NotFound, "the tenant has no user with object ID %s; correct the person's account in the directory", id)
	case err != nil:
		return fmt.Errorf("look the user up: %w", err)
	case user == nil || text(user.GetId()) != id:
		return refuse(connectors.Unavailable, "Graph answered with another user than the one that was asked for")
	}
	if enabled := user.GetAccountEnabled(); enabled != nil && !*enabled {
		return refuse(connectors.Denied, "the user's account is disabled in Entra")
	}
	return nil
}

// signOut ends all sign-ins of a user. Entra does not say how many there were; they count as one.
func (s *session) signOut(ctx context.Context, id string) (int, error) {
	_, err := s.users.ByUserId(id).RevokeSignInSessions().PostAsRevokeSignInSessionsPostResponse(ctx, nil)
	switch {
	case missing(err):
		return 0, nil // the user is gone, and the sign-ins with it
	case err != nil:
		return 0, fmt.Errorf("the role is gone, but not the sign-ins: %w", err)
	}
	return 1, nil
}
