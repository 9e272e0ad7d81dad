package activedirectory_test

import "testing"

// promises are kept by one domain, with accounts and groups of their own.
var promises = []struct {
	name string
	test func(*testing.T, *domain)
}{
	{"standing access of any kind is left alone", standingAccessOfAnyKindIsLeftAlone},
	{"a membership held through another grant stays with it", heldThroughAnotherGrantStaysWithIt},
	{"standing access given meanwhile stays", standingAccessGivenMeanwhileStays},
	{"what somebody else took away is gone", whatSomebodyElseTookAwayIsGone},
	{"an answer that it was so before is believed after a look", settledBeforeIsBelievedAfterALook},
	{"renames are followed", renamesAreFollowed},
	{"what was deleted is gone", whatWasDeletedIsGone},
	{"another domain's grant is not called gone", anotherDomainsGrantIsNotGone},
	{"groups outside the list are never given, and still taken away", groupsOutsideTheListAreNeverGiven},
	{"accounts and groups that cannot do are refused", unfitAccountsAndGroupsAreRefused},
	{"Holders lists who really holds", holdersListsWhoReallyHolds},
	{"what is ours and has no account is found and taken away", nameless},
	{"a long list of members is read to its end", longListsAreReadToTheirEnd},

	{"every group is listened to", everyGroupIsListenedTo},
	{"a group that is deleted, or not there, silences no other", deletedGroupSilencesNoOther},
	{"a connection that is lost ends a watch, and another controller takes over", lostConnectionEndsAWatch},
	{"a controller that hangs is given up", hangingControllerIsGivenUp},
	{"a controller that does not tell of changes is left alone, and check says so", controllerThatTellsNothingIsLeftAlone},

	{"a wrong certificate is refused before the password is sent", wrongCertificateIsRefused},
	{"StartTLS comes before the password", startTLSComesBeforeThePassword},
	{"a controller that is down is passed over", downControllerIsPassedOver},
	{"nothing is called gone that another controller may have", nothingIsGoneThatAnotherControllerMayHave},

	{"the directory ends what Elevate cannot", directoryEndsWhatElevateCannot},
	{"a later grant moves the directory's end, an earlier one does not", laterGrantMovesTheEnd},
	{"an end that the directory forgets is Elevate's to keep", forgottenEndIsElevatesToKeep},
	{"the tail is no longer than the membership would have lasted", tailIsNoLongerThanTheMembership},

	{"the page's rights are enough and not too much", pageRights},
	{"missing rights are listed with the way to give them", missingRights},
	{"surplus rights are listed with the way to take them", surplusRights},
	{"the feature's presence is told", featureIsTold},
	{"protected groups are told", protectedGroupsAreTold},
}

func TestPromises(t *testing.T) {
	t.Parallel()
	d := setup(t)
	t.Run("kept", func(t *testing.T) { // ends before the domain does
		for _, p := range promises {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				p.test(t, d)
			})
		}
	})
}
