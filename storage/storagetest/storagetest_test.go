package storagetest_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sound is a store that keeps the promise, on a clock of its own where now is given.
func sound(t storagetest.TB, server, caller func() time.Time) workflows.Store {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: server})
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.Open(t.Context(), s.Connect(redis.Config{Now: caller, Chats: storagetest.Chats()}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Close(), s.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

func options(breakIt func(workflows.Store) workflows.Store) storagetest.Options {
	return storagetest.Options{
		Open: func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
			return breakIt(sound(t, clock.Now, clock.Now))
		},
		Pass: func(clock *storagetest.Clock, d time.Duration) { clock.Advance(d) },
	}
}

// Each of these stores breaks one promise, and the named checks must see it.
func TestSuiteFailsBrokenStores(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breakIt func(workflows.Store) workflows.Store
		seenBy  []string
	}{
		"acknowledges stale arrows": {func(s workflows.Store) workflows.Store { return ignoresStale{s} },
			[]string{"TakeRefusesAStaleVersion", "TakeRefusesAStaleState", "OneOfAThousandTakesWins"}},
		"takes arrows that are not in the table": {func(s workflows.Store) workflows.Store { return ignoresTable{s} },
			[]string{"TakeAcceptsExactlyTheTable"}},
		"writes over an id in use": {func(s workflows.Store) workflows.Store { return ignoresTaken{s} },
			[]string{"SubmitRefusesAnIDInUse"}},
		"draws one id for ever": {func(s workflows.Store) workflows.Store { return &sameID{Store: s} },
			[]string{"IDsAreUnique"}},
		"forgets what a person cannot see": {func(s workflows.Store) workflows.Store { return dropsFields{s} },
			[]string{"TakeAcceptsExactlyTheTable", "ListIsKeptTrue"}},
		"leaves a timer out": {func(s workflows.Store) workflows.Store { return dropsTimer{s} },
			[]string{"TimersAreExactlyDue"}},
		"loses a claim's due time": {func(s workflows.Store) workflows.Store { return wrongDue{s} },
			[]string{"TimersAreExactlyDue", "LeaseEnds"}},
		"hands timers out twice": {func(s workflows.Store) workflows.Store { return newClaimsTwice(s) },
			[]string{"ClaimIsExclusive", "ManyWorkersShareTheWork", "ClaimLimits"}},
		"never ends a lease": {func(s workflows.Store) workflows.Store { return endlessLease{s} },
			[]string{"LeaseEnds", "RightIsFreeWhenTheLeaseEnds"}},
		"believes every claim": {func(s workflows.Store) workflows.Store { return ignoresClaims{s} },
			[]string{"LeaseEnds", "StaleClaimIsRefused", "ReleaseGivesBackAtOnce", "ArrowsThatMoveATimerEndItsClaim"}},
		"renews what is lost": {func(s workflows.Store) workflows.Store { return renewsAll{s} },
			[]string{"LeaseEnds", "FinishedTimerIsGone", "StaleClaimIsRefused"}},
		"renews nothing": {func(s workflows.Store) workflows.Store { return renewsNone{s} },
			[]string{"RenewProlongs", "RightStaysHeldWhileRenewed"}},
		"releases nothing": {func(s workflows.Store) workflows.Store { return releasesNone{s} },
			[]string{"ReleaseGivesBackAtOnce", "LostClaimKeepsItsRightUntilReleased"}},
		"does not tell what is next": {func(s workflows.Store) workflows.Store { return noNext{s} },
			[]string{"ClaimTellsWhatIsNext"}},
		"hands a right out twice": {func(s workflows.Store) workflows.Store { return splitsRights{s} },
			[]string{"RightIsWorkedByOneAtATime", "RightIsOneForBothLanes"}},
		"shares nothing": {func(s workflows.Store) workflows.Store { return sharesNone{s} },
			[]string{"SharingGivesWhatMayHold"}},
		"is mute": {func(s workflows.Store) workflows.Store { return mute{s} },
			[]string{"NudgeTellsOfAnEarlierTimer", "NudgesBeginWithAnyLane"}},
		"loses a note": {func(s workflows.Store) workflows.Store { return losesNote{s} },
			[]string{"ArrowsQueueTheirNotes", "NotesAreToldInOrder"}},
		"tells notes backwards": {func(s workflows.Store) workflows.Store { return backwards{s} },
			[]string{"NotesAreToldInOrder", "ArrowsQueueTheirNotes"}},
		"tells at once what was put off": {func(s workflows.Store) workflows.Store { return impatient{s} },
			[]string{"PutOffWaits"}},
		"forgets refs": {func(s workflows.Store) workflows.Store { return forgetsRefs{s} },
			[]string{"RefsAreKept"}},
		"lets anybody report an errand": {func(s workflows.Store) workflows.Store { return believesTold{s} },
			[]string{"LostErrandIsRefused"}},
		"queues the digest again": {func(s workflows.Store) workflows.Store { return &forgetsKeys{Store: s} },
			[]string{"EnqueueOncePerKey"}},
		"takes every delivery for fresh": {func(s workflows.Store) workflows.Store { return alwaysFresh{s} },
			[]string{"DeliveryIsFreshOnce", "DeliveryIsRememberedForADay"}},
		"never ends a delivery": {func(s workflows.Store) workflows.Store { return neverWorked{s} },
			[]string{"WorkedDeliveryIsGone"}},
		"loses an event": {func(s workflows.Store) workflows.Store { return losesEvent{s} },
			[]string{"EveryArrowLeavesItsEvent", "OneOfAThousandTakesWins", "DrainedEventsAreGone"}},
		"mixes events up": {func(s workflows.Store) workflows.Store { return mixesEvents{s} },
			[]string{"EventsAreInOrder"}},
		"drains nothing": {func(s workflows.Store) workflows.Store { return neverDrained{s} },
			[]string{"DrainedEventsAreGone", "EventsAreInOrder"}},
		"drops refusals": {func(s workflows.Store) workflows.Store { return dropsRefusals{s} },
			[]string{"RefusalsAreRecorded"}},
		"takes everybody for the first": {func(s workflows.Store) workflows.Store { return alwaysFirst{s} },
			[]string{"OnceKeepsTheFirst", "OnceHasOneFirst"}},
		"remembers for ever": {func(s workflows.Store) workflows.Store { return neverForgets{s} },
			[]string{"MemoryEnds", "HoldEnds", "PutReplaces"}},
		"lets everybody hold": {func(s workflows.Store) workflows.Store { return alwaysHeld{s} },
			[]string{"HoldHasOneHolder", "DropIsForTheHolder"}},
		"lets everybody in": {func(s workflows.Store) workflows.Store { return letsAllIn{s} },
			[]string{"AdmitCountsWithinTheWindow", "AdmitLetsThroughAsManyAsMayBe", "AdmitHasNoEdgeToSlipThrough"}},
		"tells of each refusal": {func(s workflows.Store) workflows.Store { return tellsEachRefusal{s} },
			[]string{"AdmitCountsWithinTheWindow", "AdmitLetsThroughAsManyAsMayBe"}},
		"finds one more place": {func(s workflows.Store) workflows.Store { return findsMorePlaces{s} },
			[]string{"PlacesAreTakenOnce", "PlacesAreNeverMoreThanThereAre"}},
		"skips one on each page": {func(s workflows.Store) workflows.Store { return skipsOne{s} },
			[]string{"ListPages", "ListSelects", "ListPagesWithinAMoment"}},
		"finds what is not there": {func(s workflows.Store) workflows.Store { return findsAll{s} },
			[]string{"GetTellsWhatIsNotThere"}},
	} {
		for _, check := range c.seenBy {
			t.Run(name+"/"+check, func(t *testing.T) {
				t.Parallel()
				complaints := storagetest.Failures(t, options(c.breakIt), check)
				if len(complaints) == 0 {
					t.Errorf("%s has no complaint about a store that %s", check, name)
				}
			})
		}
	}
}

// A store whose clock runs ahead hands timers out early.
func TestSuiteFailsAStoreThatFiresEarly(t *testing.T) {
	t.Parallel()
	o := storagetest.Options{
		Open: func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
			ahead := func() time.Time { return clock.Now().Add(50 * time.Millisecond) }
			return sound(t, ahead, ahead)
		},
		Pass: func(clock *storagetest.Clock, d time.Duration) { clock.Advance(d) },
	}
	for _, check := range []string{"TimersAreNeverEarly", "PutOffWaits"} {
		if len(storagetest.Failures(t, o, check)) == 0 {
			t.Errorf("%s has no complaint about a store that fires early", check)
		}
	}
}

// The earlier of both clocks counts, whichever it is.
func TestSuitePassesWhileOneClockIsAhead(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t storagetest.TB, now, ahead func() time.Time) workflows.Store{
		"the server's": func(t storagetest.TB, now, ahead func() time.Time) workflows.Store { return sound(t, ahead, now) },
		"the caller's": func(t storagetest.TB, now, ahead func() time.Time) workflows.Store { return sound(t, now, ahead) },
	} {
		o := storagetest.Options{
			Open: func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
				return open(t, clock.Now, func() time.Time { return clock.Now().Add(time.Hour) })
			},
			Pass: func(clock *storagetest.Clock, d time.Duration) { clock.Advance(d) },
		}
		for _, check := range []string{"TimersAreNeverEarly", "TimersAreExactlyDue", "LeaseEnds", "RightIsWorkedByOneAtATime"} {
			if complaints := storagetest.Failures(t, o, check); len(complaints) > 0 {
				t.Errorf("%s with %s clock an hour ahead: %v", check, name, complaints)
			}
		}
	}
}
