package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elevate/cmd/elevate/e2etest"
)

// soon is how long anything may take that is to happen at once, on a busy machine.
const soon = time.Minute

const (
	accessChannel = "C0ACCESS"
	signingSecret = "signing-secret-canary"
)

// workspace is a Slack that somebody else wrote, the emulator local-slack, with the people of a test in it.
type workspace struct {
	*testing.T
	url string
}

// startWorkspace starts an emulator that delivers to an address over HTTP, or, where that is empty, by Socket Mode.
func startWorkspace(t *testing.T, requestURL string) *workspace {
	t.Helper()
	path := e2etest.NodeModule(t, "local-slack-linux-x64", "bin", "local-slack")
	dir := t.TempDir()
	config := filepath.Join(dir, "workspace.json")
	if err := os.WriteFile(config, workspaceConfig(t, requestURL), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config", config, "--port", "0", "--base-host", "127.0.0.1", "--files-dir", dir)
	return &workspace{T: t, url: e2etest.Announced(t, cmd, "Web UI:")}
}

func workspaceConfig(t *testing.T, requestURL string) []byte {
	t.Helper()
	app := map[string]any{"appId": "A0ELEVATE", "botUserId": "U0ELEVATE", "botName": "Elevate", "botToken": "xoxb-canary",
		"appToken": "xapp-canary", "signingSecret": signingSecret, "mode": "socket"}
	if requestURL != "" {
		app["mode"], app["requestUrl"] = "events", requestURL
	}
	var users []any
	var members []string
	for _, p := range []struct{ id, name string }{{"ana", "Ana Lima"}, {"bob", "Bob Keller"}, {"mei", "Mei Tanaka"}, {"dan", "Dan Osei"}, {"eve", "Eve Stranger"}} {
		users = append(users, map[string]any{"id": slackID(p.id), "name": p.id, "real_name": p.name, "email": p.id + "@example.com", "tz": "Europe/Lisbon"})
		members = append(members, slackID(p.id))
	}
	config, err := json.Marshal(map[string]any{
		"workspace": map[string]any{"teamId": "T0001", "name": "Acme", "domain": "acme"}, "apps": []any{app}, "users": users,
		"channels": []any{map[string]any{"id": accessChannel, "name": "access-requests", "members": members}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// slackID is a person's account.
func slackID(person string) string { return "U0" + strings.ToUpper(person) }

// control calls the emulator's own API.
func (w *workspace) control(path string, body, answer any) {
	w.Helper()
	method, content := http.MethodGet, []byte(nil)
	if body != nil {
		var err error
		method = http.MethodPost
		if content, err = json.Marshal(body); err != nil {
			w.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+"/_control/"+path, bytes.NewReader(content))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		w.Fatalf("the emulator answers %s to %s", res.Status, path)
	}
	if answer == nil {
		answer = &struct{}{}
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		w.Fatal(err)
	}
}

// types types a command into the channel, and returns when it is acknowledged.
func (w *workspace) types(person, text string) {
	w.Helper()
	w.control("command", map[string]any{"channel": accessChannel, "user": slackID(person), "command": "/elevate", "text": text}, nil)
}

// clicks presses the button of a message that has this label.
func (w *workspace) clicks(person string, m message, label string) {
	w.Helper()
	b, found := buttonOf(m.Blocks, label)
	if !found {
		w.Fatalf("no button %q on: %s", label, m.says())
	}
	w.control("interact", map[string]any{"channel": m.Channel, "messageTs": m.TS, "user": slackID(person), "action": b}, nil)
}
