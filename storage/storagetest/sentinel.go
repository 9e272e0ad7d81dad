package storagetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// The size of a trio, and how many of its Sentinels must agree that the master is down.
const (
	trio   = 3
	quorum = 2
)

// masterName is what the Sentinels call the master.
const masterName = "main"

// Sentinel is a master with two replicas, and three Sentinels that put a replica in the master's place when it is gone.
// Down-after is 1.5 s, and the Sentinels look more often than they do by themselves, so that tests are quick.
type Sentinel struct {
	t         testing.TB
	nodes     []*Node
	sentinels []*goredis.SentinelClient
	addrs     []string
}

// StartSentinel starts the six servers, the master and the replicas with further arguments, and waits until all know
// each other. They stop with the test. Where no redis-server is found the test fails in CI and is left out elsewhere.
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	ports := ReservePorts(t)
	s := &Sentinel{t: t}
	for range trio {
		s.nodes = append(s.nodes, ports.StartListening(append(replicating(), args...)...))
	}
	for _, n := range s.nodes[1:] {
		if err := control(t, n).ReplicaOf(t.Context(), "127.0.0.1", fmt.Sprint(s.nodes[0].Port)).Err(); err != nil {
			t.Fatalf("make a replica: %v", err)
		}
	}
	for range trio {
		s.watch(ports.Next())
	}
	s.settle(s.nodes[0])
	return s
}

// replicating are the settings by which a replica is up to date at once, not after the seconds that a master waits for
// others to come.
func replicating() []string {
	return []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}
}

// control is a client of one server, closed with the test.
func control(t testing.TB, n *Node) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: n.Socket(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() }) // what it was used for is done
	return c
}

// watch starts a Sentinel.
func (s *Sentinel) watch(port int) {
	s.t.Helper()
	dir := s.t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf") // a Sentinel writes to it
	text := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %q
logfile %q
sentinel monitor %s 127.0.0.1 %d %d
sentinel down-after-milliseconds %[4]s 1500
sentinel failover-timeout %[4]s 5000
`, port, dir, filepath.Join(dir, "log"), masterName, s.nodes[0].Port, quorum)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		s.t.Fatalf("configure a Sentinel: %v", err)
	}
	cmd := exec.Command(s.nodes[0].binary, conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start a Sentinel: %v", err)
	}
	client := goredis.NewSentinelClient(&goredis.Options{Addr: address(port), Protocol: 2, DisableIdentity: true})
	s.t.Cleanup(func() {
		_ = client.Close()     // what it was used for is done
		_ = cmd.Process.Kill() // nothing hangs on how it ends
		_ = cmd.Wait()
		if s.t.Failed() {
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			s.t.Logf("the log of the Sentinel at port %d (%v):\n%s", port, err, log)
		}
	})
	s.sentinels, s.addrs = append(s.sentinels, client), append(s.addrs, address(port))
	Eventually(s.t, "the Sentinel answers", func() bool { return client.Ping(s.t.Context()).Err() == nil })
	s.hasten(port)
}

// hasten lets a Sentinel look more often than it does by itself. A replica is chosen only where it answered within five
// pings, and is asked each second, so that pings must not be much quicker.
func (s *Sentinel) hasten(port int) {
	s.t.Helper()
	plain := goredis.NewClient(&goredis.Options{Addr: address(port), Protocol: 2, DisableIdentity: true})
	defer func() { _ = plain.Close() }() // it was sent one thing
	err := plain.Do(s.t.Context(), "sentinel", "debug", "info-period", 500, "ping-period", 500, "ask-period", 200,
		"publish-period", 250, "tilt-period", 2000).Err()
	if err != nil {
		s.t.Fatalf("hasten a Sentinel: %v", err)
	}
}

// URL is the address for a store.
func (s *Sentinel) URL() string {
	return fmt.Sprintf("redis+sentinel://%s/0?master_name=%s", strings.Join(s.addrs, ","), masterName)
}

// Master is the master by the word of the Sentinels, and nil while they do not agree.
func (s *Sentinel) Master() *Node {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	var master *Node
	for _, client := range s.sentinels {
		at, err := client.GetMasterAddrByName(ctx, masterName).Result()
		if err != nil || len(at) != 2 {
			return nil
		}
		for _, n := range s.nodes {
			if fmt.Sprint(n.Port) != at[1] {
				continue
			}
			if master != nil && master != n {
				return nil
			}
			master = n
		}
	}
	return master
}

// KillReplicas ends the replicas as kill -9 does, so that they miss what is written from now on.
func (s *Sentinel) KillReplicas() {
	s.t.Helper()
	master := s.Master()
	for _, n := range s.nodes {
		if n != master {
			n.kill()
		}
	}
}

// KillMaster ends the master as kill -9 does, and waits until a replica took its place. Replicas that were killed are
// started first, with what they had then.
func (s *Sentinel) KillMaster() {
	s.t.Helper()
	s.depose((*Node).kill)
}

// PauseMaster stops the master as a machine that freezes does, and waits until a replica took its place.
func (s *Sentinel) PauseMaster() {
	s.t.Helper()
	s.depose((*Node).pause)
}

func (s *Sentinel) depose(how func(*Node)) {
	s.t.Helper()
	old := s.Master()
	if old == nil {
		s.t.Fatal("the Sentinels do not agree on a master")
	}
	how(old)
	for _, n := range s.nodes {
		if n != old {
			n.comeBack()
		}
	}
	Eventually(s.t, "the Sentinels elect another master", func() bool {
		now := s.Master()
		return now != nil && now != old && replication(s.t, now)["role"] == "master"
	})
}

// Mend starts what was killed, lets go on what was paused, and waits until it follows the master.
func (s *Sentinel) Mend() {
	s.t.Helper()
	for _, n := range s.nodes {
		n.comeBack()
	}
	master := s.Master()
	if master == nil {
		s.t.Fatal("the Sentinels do not agree on a master")
	}
	s.settle(master)
}

// settle waits until the other nodes follow the master, and the Sentinels know of all.
func (s *Sentinel) settle(master *Node) {
	s.t.Helper()
	for _, n := range s.nodes {
		if n != master {
			Eventually(s.t, "a replica follows the master", func() bool { return follows(s.t, n, master) })
		}
	}
	for _, client := range s.sentinels {
		Eventually(s.t, "the Sentinels know of all", func() bool {
			seen, err := client.Master(s.t.Context(), masterName).Result()
			return err == nil && seen["flags"] == "master" && seen["num-slaves"] == "2" && seen["num-other-sentinels"] == "2"
		})
	}
}

// follows tells whether a node has all that the master wrote, but for what is on the way.
func follows(t testing.TB, n, master *Node) bool {
	got := replication(t, n)
	return got["role"] == "slave" && got["master_port"] == fmt.Sprint(master.Port) && got["master_link_status"] == "up"
}

// replication is what a node says of its part; nothing while it does not answer.
func replication(t testing.TB, n *Node) map[string]string {
	var info map[string]map[string]string
	err := ask(n, func(client *goredis.Client) (err error) {
		info, err = client.InfoMap(t.Context(), "replication").Result()
		return err
	})
	if err != nil {
		return nil
	}
	return info["Replication"]
}

// ask puts a question to a node that may be dead or loading.
func ask(n *Node, question func(*goredis.Client) error) error {
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: n.Socket(), Protocol: 2, DisableIdentity: true,
		DialerRetries: 1, MaxRetries: -1})
	defer func() { _ = c.Close() }() // it was asked one thing
	return question(c)
}
