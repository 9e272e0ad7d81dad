package storagetest

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// slots is how many a Redis Cluster has.
const slots = 16384

// Cluster is a Redis Cluster with a node-timeout of 1.5 s, so that a replica soon takes the place of its master.
type Cluster struct {
	t       testing.TB
	nodes   []*Node
	masters int
}

// StartCluster starts so many masters, each with so many replicas, all with further arguments, and waits until they are
// a cluster. They stop with the test. Where no redis-server is found the test fails in CI and is left out elsewhere.
func StartCluster(t testing.TB, masters, replicas int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, masters: masters}
	ports, size := ReservePorts(t), masters*(1+replicas)
	for i := range size {
		bus := ports.Next()
		own := append(replicating(), "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus),
			"--cluster-node-timeout", "1500", "--cluster-replica-validity-factor", "0")
		c.nodes = append(c.nodes, ports.StartListening(append(own, args...)...))
		c.join(i, bus)
	}
	c.reaches("the nodes know each other", "cluster_known_nodes:"+strconv.Itoa(size))
	for i, n := range c.nodes[masters:] {
		c.replicate(n, c.nodes[i%masters])
	}
	c.settle()
	return c
}

// join makes a node known to the first one, and gives it its part of the slots where it is to be a master.
func (c *Cluster) join(i, bus int) {
	c.t.Helper()
	ctx, node := c.t.Context(), control(c.t, c.nodes[i])
	err := node.Do(ctx, "cluster", "set-config-epoch", i+1).Err()
	if err == nil && i < c.masters {
		err = node.ClusterAddSlotsRange(ctx, i*slots/c.masters, (i+1)*slots/c.masters-1).Err()
	}
	if err == nil && i > 0 {
		err = control(c.t, c.nodes[0]).Do(ctx, "cluster", "meet", "127.0.0.1", c.nodes[i].Port, bus).Err()
	}
	if err != nil {
		c.t.Fatalf("node %d joins the cluster: %v", i, err)
	}
}

// replicate makes a node the replica of a master that it may not have heard of yet.
func (c *Cluster) replicate(n, master *Node) {
	c.t.Helper()
	id, err := control(c.t, master).Do(c.t.Context(), "cluster", "myid").Text()
	if err != nil {
		c.t.Fatalf("ask a master for its id: %v", err)
	}
	replica := control(c.t, n)
	Eventually(c.t, "a node becomes a replica", func() bool { return replica.ClusterReplicate(c.t.Context(), id).Err() == nil })
}

// URL is the address for a store.
func (c *Cluster) URL() string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.Addr()
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// Master is the master of a key's slot by the word of every node that runs, and nil while they do not agree.
func (c *Cluster) Master(key string) *Node {
	var master *Node
	for _, n := range c.nodes {
		if n.away {
			continue
		}
		owner := c.owner(n, key)
		if owner == nil || (master != nil && master != owner) {
			return nil
		}
		master = owner
	}
	return master
}

// owner is the master of a key's slot by the word of one node.
func (c *Cluster) owner(n *Node, key string) *Node {
	var all []goredis.ClusterShard
	slot := int64(0)
	err := ask(n, func(client *goredis.Client) (err error) {
		if slot, err = client.ClusterKeySlot(c.t.Context(), key).Result(); err == nil {
			all, err = client.ClusterShards(c.t.Context()).Result()
		}
		return err
	})
	if err != nil {
		return nil
	}
	for _, shard := range all {
		if !slices.ContainsFunc(shard.Slots, func(r goredis.SlotRange) bool { return r.Start <= slot && slot <= r.End }) {
			continue
		}
		for _, node := range shard.Nodes {
			for _, candidate := range c.nodes {
				if node.Role == "master" && node.Health == "online" && candidate.Addr() == net.JoinHostPort(node.IP, strconv.FormatInt(node.Port, 10)) {
					return candidate
				}
			}
		}
	}
	return nil
}

// KillMaster ends the master of a key's slot as kill -9 does, and waits until its replica took its place.
func (c *Cluster) KillMaster(key string) {
	c.t.Helper()
	c.depose(key, (*Node).kill)
}

// PauseMaster stops the master of a key's slot as a machine that freezes does, and waits until its replica took its
// place.
func (c *Cluster) PauseMaster(key string) {
	c.t.Helper()
	c.depose(key, (*Node).pause)
}

func (c *Cluster) depose(key string, how func(*Node)) {
	c.t.Helper()
	old := c.Master(key)
	if old == nil {
		c.t.Fatalf("the nodes do not agree on the master of %s", key)
	}
	how(old)
	Eventually(c.t, "a replica takes the place of its master", func() bool {
		now := c.Master(key)
		return now != nil && now != old
	})
	c.reaches("the cluster has recovered", "cluster_state:ok")
}

// Mend starts what was killed, lets go on what was paused, and waits until it follows its master.
func (c *Cluster) Mend() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.comeBack()
	}
	c.settle()
}

// settle waits until every node knows who is a master and who is not, and every replica follows its master.
func (c *Cluster) settle() {
	c.t.Helper()
	c.reaches("the cluster forms", "cluster_state:ok", "cluster_slots_ok:"+strconv.Itoa(slots))
	Eventually(c.t, "every node is well and at its place", func() bool {
		for _, n := range c.nodes {
			said, view := replication(c.t, n), c.view(n)
			if said["role"] != "master" && said["master_link_status"] != "up" {
				return false
			}
			if strings.Count(view, "master ") != c.masters || strings.Contains(view, "fail") {
				return false
			}
		}
		return true
	})
}

// view is what a node says of all nodes.
func (c *Cluster) view(n *Node) (text string) {
	_ = ask(n, func(client *goredis.Client) (err error) { // one that does not answer says nothing
		text, err = client.ClusterNodes(c.t.Context()).Result()
		return err
	})
	return text
}

// reaches waits until every node that runs says so.
func (c *Cluster) reaches(what string, words ...string) {
	c.t.Helper()
	Eventually(c.t, what, func() bool {
		for _, n := range c.nodes {
			if n.away {
				continue
			}
			info := ""
			err := ask(n, func(client *goredis.Client) (err error) {
				info, err = client.ClusterInfo(c.t.Context()).Result()
				return err
			})
			for _, word := range words {
				if err != nil || !strings.Contains(info, word+"\r\n") {
					return false
				}
			}
		}
		return true
	})
}
