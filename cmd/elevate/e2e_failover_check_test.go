package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/storagetest"
)

// TestCheckKnowsReplicatedStores asks a Sentinel trio and a cluster, each with settings that fit and that do not.
func TestCheckKnowsReplicatedStores(t *testing.T) {
	t.Parallel()
	sentinel, cluster, target := storagetest.StartSentinel(t, "--min-replicas-to-write", "2"), storagetest.StartCluster(t, 3, 1), startJudge(t).url
	hosts, _, _ := strings.Cut(strings.TrimPrefix(sentinel.URL(), "redis+sentinel://"), "/")
	oneHost, _, _ := strings.Cut(hosts, ",")
	node := cluster.Master("{0}").Addr()
	for name, c := range map[string]struct {
		url  string
		wait int
		good bool
		says []string
	}{
		"Sentinel": {sentinel.URL(), 2, true, []string{
			"warning  store: min-replicas-to-write is 2 and replicas connected are 2", "ok       store: Redis 7", "durable (replicated)"}},
		"Sentinel with too few replicas": {sentinel.URL(), 3, false, []string{
			"problem  store: replicas connected: 2, and store.wait_replicas asks for 3"}},
		"Sentinel that watches another": {"redis+sentinel://" + hosts + "/0?master_name=other", 1, false, []string{
			"problem  store: store.url: the Sentinels know no master of the name that master_name gives\n"}},
		"Sentinel without a name": {"redis+sentinel://" + hosts + "/0", 1, false, []string{
			"problem  store: store.url: master_name is missing; write redis+sentinel://"}},
		"Sentinel taken for a server": {"redis://" + oneHost + "/0", 0, false, []string{
			"problem  store: this is a Sentinel, not the server that it watches; write store.url as redis+sentinel://"}},
		"no Sentinel": {"redis+sentinel://" + sentinel.Master().Addr() + "/0?master_name=main", 1, false, []string{"problem  store: redis: "}},
		"cluster": {cluster.URL(), 1, true, []string{
			"warning  store: " + node + ": appendfsync is everysec", "ok       store: Redis 7", "durable (replicated)"}},
		"cluster with too few replicas": {cluster.URL(), 2, false, []string{
			"problem  store: " + node + ": replicas connected: 1, and store.wait_replicas asks for 2"}},
		"node of a cluster taken for a server": {"redis://" + node + "/0", 1, false, []string{
			"problem  store: this is a node of a Redis Cluster; write store.url as redis+cluster://"}},
		"no cluster": {"redis+cluster://" + sentinel.Master().Addr(), 1, false, []string{"cluster support disabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			config := siteConfig(fmt.Sprintf("store: {url: %q, wait_replicas: %d}", c.url, c.wait), target)
			if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			out := e2etest.Elevate(t, dir, "check", "--online")
			if (out.Code == 0) != c.good {
				t.Errorf("the exit code is %d", out.Code)
			}
			for _, want := range c.says {
				if !strings.Contains(out.Stdout, want) {
					t.Errorf("nothing says %q:\n%s%s", want, out.Stdout, out.Stderr)
				}
			}
			if !c.good && strings.Contains(out.Stdout, "ok       store") {
				t.Errorf("it is called good too:\n%s", out.Stdout)
			}
		})
	}
}
