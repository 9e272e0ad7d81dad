package e2etest_test

import (
	"fmt"
	"os"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

func TestMain(m *testing.M) { os.Exit(e2etest.Run(m)) }

func TestBotComesUpAgainAfterKillAndAfterStop(t *testing.T) {
	t.Parallel()
	config := fmt.Sprintf(`
store: {url: %q}
http: {listen: 127.0.0.1:0}
people: [{id: ana, name: Ana}, {id: bob, name: Bob}]
connectors: {demo: {type: demo}}
roles: [{id: r, title: R, connector: demo, target: {role: x}}]
policies: [{name: p, match: "true", eligible: "true", duration: {max: 1h}, approve: [{by: "true"}]}]
`, e2etest.StartRedis(t).URL())
	b := e2etest.StartBot(t, config)
	b.WaitReady()
	b.Kill9()
	b.Start()
	b.WaitReady()
	b.Stop()
	b.Start()
	b.WaitReady()
}
