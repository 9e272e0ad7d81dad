package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// TestAccessEndsThoughTheNewMasterNeverHeardOfIt puts a replica in the master's place that has nothing of three grants,
// as asynchronous replication allows where nobody asks for more. What the bot kept in its log ends them.
func TestAccessEndsThoughTheNewMasterNeverHeardOfIt(t *testing.T) {
	t.Parallel()
	servers := storagetest.StartSentinel(t)
	s := &site{T: t, judge: startJudge(t)}
	b := e2etest.StartBot(t, siteConfig(fmt.Sprintf("store: {url: %q}", servers.URL()), s.judge.url+"a"))
	b.WaitReady()
	s.bots = append(s.bots, b)
	servers.KillReplicas()
	ids := s.asks(15 * time.Second)
	if err := s.approves(b, ids); err != nil {
		t.Fatal(err)
	}
	s.reach(b, access.Active, ids)
	eventually(t, func() error {
		log := s.events()
		for _, id := range ids {
			if !slices.ContainsFunc(log[id], func(e audit.Event) bool { return e.To == access.Active }) {
				return fmt.Errorf("the log does not tell that %s is active", id)
			}
		}
		return nil
	})
	servers.KillMaster()
	shown := s.reach(b, access.Active, ids)
	up := time.Now()
	for _, id := range ids {
		if shown[id].Justification == "" {
			t.Errorf("%s came back as %+v", id, shown[id])
		}
	}
	servers.Mend()
	s.finish(ids, up)
}
