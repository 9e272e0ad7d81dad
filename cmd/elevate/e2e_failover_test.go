package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
)

// replicated is a store of several servers, of which one takes the place of another.
type replicated interface {
	URL() string
	// killMaster kills the master that holds a request, and returns when there is another.
	killMaster(t *testing.T, id access.RequestID)
	// Mend starts what was killed, as an operator's supervisor does.
	Mend()
}

type behindSentinel struct{ *storagetest.Sentinel }

func (b behindSentinel) killMaster(t *testing.T, _ access.RequestID) {
	t.Helper()
	b.KillMaster()
}

type onCluster struct{ *storagetest.Cluster }

func (c onCluster) killMaster(t *testing.T, id access.RequestID) {
	t.Helper()
	c.KillMaster(keyOf(t, c.URL(), id))
}

// keyOf finds the key of a request on a cluster.
func keyOf(t *testing.T, url string, id access.RequestID) string {
	t.Helper()
	client, err := redis.Connect(redis.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }() // it was asked one thing
	found := make(chan string, 3)
	err = client.(*goredis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, master *goredis.Client) error {
		keys, err := master.Keys(ctx, "*}:r:"+string(id)).Result()
		for _, key := range keys {
			found <- key
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("the key of %s: %d, %v", id, len(found), err)
	}
	return <-found
}

// failover is when in the lives of three grants a master is killed.
type failover struct {
	name string
	// length of the grants.
	length time.Duration
	// moment is the call to the target within which the master is killed; or it is while all are active.
	moment moment
}

func (f failover) String() string { return f.name }

var failoversOfAStory = []failover{
	{name: "the target was asked to activate", length: 12 * time.Second, moment: moment{"activate", false}},
	{name: "the target has activated", length: 12 * time.Second, moment: moment{"activate", true}},
	{name: "active", length: 6 * time.Second},
	{name: "the target was asked to deactivate", length: 4 * time.Second, moment: moment{"deactivate", false}},
	{name: "the target has deactivated", length: 4 * time.Second, moment: moment{"deactivate", true}},
}

func TestAccessEndsOnceThroughAFailoverOfSentinel(t *testing.T) {
	t.Parallel()
	together(t, failoversOfAStory, func(t *testing.T, f failover) { f.play(t, behindSentinel{storagetest.StartSentinel(t)}) })
}

func TestAccessEndsOnceThroughAFailoverOfACluster(t *testing.T) {
	t.Parallel()
	together(t, failoversOfAStory, func(t *testing.T, f failover) { f.play(t, onCluster{storagetest.StartCluster(t, 3, 1)}) })
}

// play tells the story of three grants with two replicas of the bot, kills a master in the middle, and judges.
func (f failover) play(t *testing.T, servers replicated) {
	s := &site{T: t, judge: startJudge(t)}
	for _, name := range []string{"a", "b"} {
		b := e2etest.StartBot(t, siteConfig(fmt.Sprintf("store: {url: %q, wait_replicas: 1}", servers.URL()), s.judge.url+name))
		b.WaitReady()
		s.bots = append(s.bots, b)
	}
	came, resume := make(chan access.RequestID, 1), make(chan struct{})
	if f.moment.verb != "" {
		s.judge.once(f.moment, func(c judged) bool {
			came <- access.RequestID(c.Grant)
			select {
			case <-resume:
			case <-t.Context().Done():
			}
			return false
		})
	}
	ids := s.asks(f.length)
	if err := s.approves(s.bots[0], ids); err != nil {
		t.Fatal(err)
	}
	if f.moment.verb == "" {
		s.reach(s.bots[0], access.Active, ids)
		came <- ids[0]
	}
	id := <-came
	killed := time.Now()
	servers.killMaster(t, id)
	elected := time.Now()
	close(resume)
	eventually(t, func() error {
		_, err := s.shown(s.bots[0])
		return err
	})
	up := time.Now()
	servers.Mend()
	t.Logf("another master after %s, the bot answers after %s", elected.Sub(killed), up.Sub(killed))
	s.finish(ids, up)
}
