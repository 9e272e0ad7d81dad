package postgres_test

import (
	"fmt"
	"testing"

	"elevate/connectors/postgres/postgrestest"
)

// promises are kept on every version. They share a server for each, with accounts and roles of their own.
var promises = []struct {
	name string
	test func(*testing.T, *server)
}{
	{"access lasts from activation to end", accessLastsFromActivationToEnd},
	{"SET ROLE is forbidden unless asked for", setRoleIsForbiddenUnlessAskedFor},
	{"standing access of any kind is left alone", standingAccessOfAnyKindIsLeftAlone},
	{"standing access given meanwhile stays", standingAccessGivenMeanwhileStays},
	{"an admin option alone is no access", adminOptionAloneIsNoAccess},
	{"what was passed on goes too", whatWasPassedOnGoesToo},
	{"a role held through another grant stays with it", roleHeldThroughAnotherGrantStaysWithIt},
	{"accounts that would share the role are refused", accountsThatWouldShareTheRoleAreRefused},
	{"Holders lists who really holds", holdersListsWhoReallyHolds},

	{"a retry ends sessions that the first try left", retryEndsSessions},
	{"undoing what was never given ends no sessions", undoingNothingEndsNoSessions},
	{"renames are followed", renamesAreFollowed},
	{"a session that does not end is noticed", aSessionThatDoesNotEndIsNoticed},
	{"another server's grant is not called gone", anotherServersGrantIsNotGone},
	{"an earlier login's grant is ended or reported", earlierLoginsGrant},
	{"a deactivation waits for an activation under way", deactivationWaitsForActivation},
	{"a cancelled call leaves nothing at the server", cancelledCallLeavesNothing},
	{"odd defaults of the login do no harm", oddDefaultsDoNoHarm},
	{"a missing database proves nothing", missingDatabaseProvesNothing},

	{"the README's rights are enough and not too much", readmeRights},
	{"missing rights are listed with the way to give them", missingRights},
	{"surplus rights are listed with the way to take them", surplusRights},
	{"losing the right to end sessions is no silent end", losingTheRightToEndSessions},
	{"a superuser begins nothing and ends what is ours", superuserEndsOnly},
}

func TestPromises(t *testing.T) {
	t.Parallel()
	for _, major := range postgrestest.Versions() {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			t.Parallel()
			s := setup(t, major)
			for _, p := range promises {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					p.test(t, s)
				})
			}
		})
	}
}
