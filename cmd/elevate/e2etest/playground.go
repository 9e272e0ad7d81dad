package e2etest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"elevate/bot/teams/teamsfake"
)

// Playground is the Microsoft 365 Agents Playground: a Teams that somebody else wrote, with one tenant, one team and one
// bot. It signs nothing and checks no tokens; the Framework before it does. Its page is the first member's.
type Playground struct {
	*Framework
	t       testing.TB
	url     string
	members []Member
	page    *Page
	clicks  chan click
	last    string // the click that went out last; written before its sending is told
}

// Member is somebody in the tenant. The object id is teamsfake.ObjectID of the id.
type Member struct{ ID, Name string }

func (m Member) account() string { return teamsfake.MRI(teamsfake.ObjectID(m.ID)) }

// The team, and its channel with the id teamsfake.Access.
const (
	teamName    = "Platform"
	channelName = "Access requests"
)

// StartPlayground starts a tenant with at least six members, and with a bot that listens, or will listen, at an address
// (host:port). Where the Playground is not installed the test fails in CI and is left out elsewhere.
func StartPlayground(t testing.TB, bot string, members ...Member) *Playground {
	t.Helper()
	program := NodeModule(t, "@microsoft", "m365agentsplayground", "cli.js")
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "no node: install Node.js")
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		".m365agentsplayground.yml": tenant(t, members),
		"xdg-open":                  []byte("#!/bin/sh\n"), // it opens a window, and ends where it cannot
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(dir, "devTools", "m365agentsplayground.log")); err == nil && t.Failed() {
			t.Logf("the log of the Playground:\n%s", log)
		}
	})
	p := &Playground{Framework: startFramework(t, bot), t: t, members: members}
	// It chooses its port, as it would also if the one that it was given were taken.
	cmd := exec.Command(node, program, "--app-endpoint", p.Framework.url+messagesPath, "--service-url", p.ServiceURL(),
		"--channel-id", "msteams", "--port", "0", "--disable-telemetry")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APPLICATION_INSIGHTS_NO_STATSBEAT=1", // it would call home all the same
		"PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	host := "127.0.0.1:" + Announced(t, cmd, "Listening on ")
	p.connect(&url.URL{Scheme: "http", Host: host})
	p.url = "http://" + host
	Eventually(t, patience, func() error { // it ends after its announcement if it does not like the configuration
		answer, err := http.Get(p.url)
		if err != nil {
			return fmt.Errorf("the Playground does not serve: %w", err)
		}
		return answer.Body.Close()
	})
	return p
}

// tenant is the configuration. JSON is YAML.
func tenant(t testing.TB, members []Member) []byte {
	t.Helper()
	var users []any
	for _, m := range members {
		address := m.ID + "@example.com"
		users = append(users, map[string]any{
			"id": m.account(), "name": m.Name, "aadObjectId": teamsfake.ObjectID(m.ID), "email": address,
			"givenName": m.ID, "surname": m.Name, "userPrincipleName": address, // spelled so
		})
	}
	config, err := json.Marshal(map[string]any{
		"version": "0.1.1", "tenantId": teamsfake.TenantID, "bot": map[string]any{"id": teamsfake.Bot, "name": "Elevate"},
		"currentUser": users[0], "users": users[1:], // five or more
		"personalChat": map[string]any{"id": "a:personal"}, "groupChat": map[string]any{"id": "19:group@thread.v2", "name": "Group"},
		"team": map[string]any{"id": teamsfake.Team, "name": teamName, "aadGroupId": teamsfake.ObjectID(teamName),
			"channels": []any{map[string]any{"id": teamsfake.Access, "name": channelName}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}
