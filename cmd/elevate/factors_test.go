package main

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"elevate/bot/enrol"
	"elevate/cmd/internal/config"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

func TestTheCommandHasTheNameThatEachChatKnowsItBy(t *testing.T) {
	t.Parallel()
	jit := &app{cfg: &config.Config{Slack: &config.Slack{Command: "/jit"}, Teams: &config.Teams{}}}
	for chat, want := range map[string]string{"": "/jit", "slack": "/jit", "teams": "/elevate"} {
		if got := jit.command(chat); got != want {
			t.Errorf("in %q: %s, want %s", chat, got, want)
		}
	}
	if got := (&app{cfg: &config.Config{}}).command(""); got != "/elevate" {
		t.Errorf("without Slack: %s", got)
	}
}

// The pages in front of the sign-in, too, tell people to type what the app has.
func TestThePageBeforeTheSignInCallsTheCommandByItsName(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	store, err := redis.Open(t.Context(), server.Connect(redis.Config{AllowUnsafe: true}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	factors, err := factor.New(factor.Config{
		Store: store, Directory: directory.New([]directory.Entry{{Person: access.Person{ID: "ana"}}}), PageURL: "http://localhost" + enrol.Path,
		Administrator: func(access.Person) bool { return false },
		Keys:          []seal.Key{{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	link, err := factors.Begin(t.Context(), access.Actor{Person: "ana"}, access.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{cfg: &config.Config{Slack: &config.Slack{Command: "/jit"}, OIDC: &config.OIDC{Name: "Example"}}, factors: factors}
	for address, want := range map[string]string{
		link.Reveal(): "typed “/jit mfa”", "http://localhost" + enrol.Path + "MADEUP": "Type “/jit mfa” in your chat",
	} {
		w := httptest.NewRecorder()
		a.sendToSignIn(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil), "mfa:test")
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q is not in %s", want, w.Body)
		}
	}
}
