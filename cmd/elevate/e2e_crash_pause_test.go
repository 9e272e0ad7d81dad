package main

import (
	"syscall"
	"testing"
	"time"

	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

func TestPause(t *testing.T) {
	t.Parallel()
	together(t, []scenario{
		{"past the end", pausedPastTheEnd},
		{"within an activation", lateActivationIsUndone},
		{"within a deactivation", pausedWithinADeactivation},
	}, func(t *testing.T, s scenario) { s.run(t) })
}

// pausedPastTheEnd stops the one bot there is, as a laptop that is closed does, and continues it late.
func pausedPastTheEnd(t *testing.T) {
	s := openSite(t, "a")
	ids := s.asks(2 * time.Second)
	if err := s.approves(s.bots[0], ids); err != nil {
		t.Fatal(err)
	}
	s.reach(s.bots[0], access.Active, ids)
	s.bots[0].Signal(syscall.SIGSTOP)
	given, _ := s.judge.effects(string(ids[0]))
	s.past(given[0].EndsAt.Add(2 * time.Second))
	if s.judge.holders() == 0 {
		t.Error("the access has ended although the bot is paused: the judge judges nothing")
	}
	up := time.Now()
	s.bots[0].Signal(syscall.SIGCONT)
	s.finish(ids, up)
}

// within pauses the replica that comes to a moment, and holds its call up. Paused gives the replica; what is held goes
// on when resume is closed.
func (s *site) within(m moment) (paused <-chan *e2etest.Bot, resume chan struct{}) {
	came, resume := make(chan *e2etest.Bot, 1), make(chan struct{})
	s.judge.once(m, func(c judged) bool {
		bot := s.bots[0]
		if c.Replica == "b" {
			bot = s.bots[1]
		}
		bot.Signal(syscall.SIGSTOP)
		came <- bot
		select {
		case <-resume:
		case <-s.Context().Done():
		}
		return false
	})
	return came, resume
}

// other is the replica that goes on.
func (s *site) other(paused *e2etest.Bot) *e2etest.Bot {
	if paused == s.bots[0] {
		return s.bots[1]
	}
	return s.bots[0]
}

// lateActivationIsUndone pauses a replica while its call to the target is on the way. The other one takes over and
// ends the grant; only then does the first call arrive, and the replica go on.
func lateActivationIsUndone(t *testing.T) {
	s := openSite(t, "a", "b")
	came, resume := s.within(moment{verb: "activate"})
	ids := s.asks(7 * time.Second)
	approved := make(chan error, 1)
	go func() { approved <- s.approves(s.bots[1], ids) }()
	paused := <-came
	live := s.other(paused)
	if paused == s.bots[1] {
		_ = s.approves(live, ids)
	} else if err := <-approved; err != nil {
		t.Fatal(err)
	}
	s.reach(live, access.Ended, ids)
	close(resume)
	s.judge.await(t, "the late call gives the access", func() bool { return s.judge.holders() == 1 })
	went := time.Now()
	paused.Signal(syscall.SIGCONT)
	s.judge.await(t, "it is taken back", func() bool { return s.judge.holders() == 0 })
	t.Logf("the late access was taken back %s after the replica went on", time.Since(went))
	log := s.evidence(ids)
	for _, id := range ids {
		told(t, log[id])
	}
}

// pausedWithinADeactivation pauses a replica in the same way while it takes access away.
func pausedWithinADeactivation(t *testing.T) {
	s := openSite(t, "a", "b")
	came, resume := s.within(moment{verb: "deactivate"})
	ids := s.asks(lease - time.Second) // so that an activation that waits for a lease comes too late
	if err := s.approves(s.bots[1], ids); err != nil {
		t.Fatal(err)
	}
	paused := <-came
	for _, id := range ids {
		if given, _ := s.judge.effects(string(id)); len(given) != 1 {
			t.Errorf("%s was given %d times before its end came: two replicas that are well should give at once", id, len(given))
		}
	}
	s.reach(s.other(paused), access.Ended, ids)
	close(resume)
	paused.Signal(syscall.SIGCONT)
	s.finish(ids, time.Time{})
}
