package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
)

func TestCheckFindsNothingWrong(t *testing.T) {
	t.Parallel()
	k := setup(t)
	r, err := Check(context.Background(), k.cfg, []string{"C0ACCESS"})
	if err != nil || len(r.Problems)+len(r.Remarks) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*Config)
		arrange func(*slackfake.Server)
		want    string
		remark  bool
	}{
		"bot token":       {change: func(c *Config) { c.BotToken = secret("xoxb-other") }, want: "Bot User OAuth Token"},
		"app token":       {change: func(c *Config) { c.AppToken = secret("xapp-other") }, want: "connections:write"},
		"tokens swapped":  {change: func(c *Config) { c.AppToken = secret(slackfake.BotToken) }, want: "starts with xapp-"},
		"bot is app":      {change: func(c *Config) { c.BotToken = secret(slackfake.AppToken) }, want: "must start with xoxb-"},
		"team":            {change: func(c *Config) { c.TeamID = "T999" }, want: "slack.team_id is T999, but the bot token belongs to T111"},
		"lacking scope":   {arrange: func(f *slackfake.Server) { f.Scopes = []string{"chat:write", "commands"} }, want: "lacks the scope im:write"},
		"needless scope":  {arrange: func(f *slackfake.Server) { f.Scopes = append(f.Scopes, "files:write") }, want: "files:write, which Elevate does not use", remark: true},
		"no such channel": {arrange: func(*slackfake.Server) {}, want: "channel C0NONE: Slack knows no such channel"},
		"proxy":           {arrange: func(f *slackfake.Server) { f.Misbehave("auth.test", slackfake.Fault{Body: "{}"}) }, want: "answering in its place"},
		"unreachable":     {arrange: func(f *slackfake.Server) { f.Misbehave("auth.test", slackfake.Fault{Reset: true}) }, want: "auth.test"},
		"blocks": {arrange: func(f *slackfake.Server) {
			f.Misbehave("blocks.validate", slackfake.Fault{Body: `{"ok":false,"error":"invalid_blocks","errors":[{"pointer":"/blocks/3"}]}`})
		}, want: "does not take messages as Elevate writes them"},
		"blocks unknown": {arrange: func(f *slackfake.Server) { f.Misbehave("blocks.validate", slackfake.Fault{Status: 500}) },
			want: "did not say whether it takes", remark: true},
		"no scopes told": {arrange: func(f *slackfake.Server) { f.Scopes = nil }, want: "did not say which scopes", remark: true},
		"out of channel": {arrange: func(f *slackfake.Server) { f.AddChannel(slackfake.Channel{ID: "C0NONE", Name: "x", Out: true}) },
			want: "/invite @Elevate"},
		"archived": {arrange: func(f *slackfake.Server) { f.AddChannel(slackfake.Channel{ID: "C0NONE", Name: "x", Archived: true}) }, want: "is archived"},
		"shared": {arrange: func(f *slackfake.Server) { f.AddChannel(slackfake.Channel{ID: "C0NONE", Name: "x", Shared: true}) },
			want: "another organisation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, func(cfg *Config) {
				if test.change != nil {
					test.change(cfg)
				}
			})
			if test.arrange != nil {
				test.arrange(k.fake)
			}
			r, err := Check(context.Background(), k.cfg, []string{"C0ACCESS", "C0NONE"})
			if err != nil {
				t.Fatal(err)
			}
			lines := r.Problems
			if test.remark {
				lines = r.Remarks
			}
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, test.want) }) {
				t.Errorf("%+v does not say %q", r, test.want)
			}
		})
	}
}

// TestCheckAsksSlackToValidate everything that can be rendered, and is content with a server that does not know how.
func TestCheckAsksSlackToValidate(t *testing.T) {
	t.Parallel()
	k := setup(t)
	if _, err := Check(context.Background(), k.cfg, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(k.fake.Calls("blocks.validate")); n != 3 {
		t.Errorf("asked %d times, want for a message, a form and a page", n)
	}
	for name, fault := range map[string]slackfake.Fault{"unknown": {Error: "unknown_method", Times: 3}, "not there": {Status: 404, Times: 3}} {
		k.fake.Misbehave("blocks.validate", fault)
		if r, err := Check(context.Background(), k.cfg, nil); err != nil || len(r.Problems)+len(r.Remarks) > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func manifest(t *testing.T, name string) (raw []byte, scopes []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "manifests", "slack", name))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		OAuth struct {
			Scopes struct {
				Bot []string `json:"bot"`
			} `json:"scopes"`
		} `json:"oauth_config"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return raw, m.OAuth.Scopes.Bot
}

// TestManifestsAreValid by the schema that Slack publishes for them.
func TestManifestsAreValid(t *testing.T) {
	t.Parallel()
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		// Go's regular expressions have no look-ahead; the one there is keeps domains from beginning with a dot.
		return regexp.Compile(strings.Replace(pattern, `(?![\.\-])`, "", 1))
	})
	files := map[string]string{
		"https://github.com/slackapi/manifest-schema/blob/main/manifest.schema.json":                           "manifest.schema.json",
		"https://raw.githubusercontent.com/slackapi/manifest-schema/v0.5.0/schemas/manifest.schema.1.0.0.json": "schemas/manifest.schema.1.0.0.json",
		"https://raw.githubusercontent.com/slackapi/manifest-schema/v0.5.0/schemas/manifest.schema.2.0.0.json": "schemas/manifest.schema.2.0.0.json",
	}
	for url, file := range files {
		raw, err := os.ReadFile(slackfake.Testdata(t, "manifest-schema", file))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("https://github.com/slackapi/manifest-schema/blob/main/manifest.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.json", "manifest-socket.json"} {
		raw, scopes := manifest(t, name)
		validate := func(raw []byte) error {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil {
				return err
			}
			return schema.Validate(doc)
		}
		if err := validate(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := validate(bytes.Replace(raw, []byte("bot_events"), []byte("bot_eventz"), 1)); err == nil {
			t.Errorf("%s: the schema misses a misspelt key", name)
		}
		if !slices.Equal(scopes, Scopes()) {
			t.Errorf("%s asks for %v, the adapter needs %v", name, scopes, Scopes())
		}
	}
}

// TestManifestsFitTheProgram: the addresses, the command and the shortcut are those that are served.
func TestManifestsFitTheProgram(t *testing.T) {
	t.Parallel()
	http, _ := manifest(t, "manifest.json")
	socket, _ := manifest(t, "manifest-socket.json")
	for _, want := range []string{
		"/slack/commands\"", "/slack/interactions\"", "/slack/options\"", "/slack/events\"",
		`"/elevate"`, `"` + shortcutRequest + `"`, `"app_home_opened"`, `"socket_mode_enabled": false`,
	} {
		if !bytes.Contains(http, []byte(want)) {
			t.Errorf("manifest.json lacks %s", want)
		}
	}
	if bytes.Contains(socket, []byte("https://")) || !bytes.Contains(socket, []byte(`"socket_mode_enabled": true`)) {
		t.Error("manifest-socket.json has addresses, or does not switch Socket Mode on")
	}
}

// TestEveryScopeIsUsed takes each scope away and finds something that no longer works.
func TestEveryScopeIsUsed(t *testing.T) {
	t.Parallel()
	for _, scope := range Scopes() {
		if scope == "commands" || scope == "channels:read" || scope == "groups:read" {
			// Slack asks for commands when a slash command is made, and takes either of the others for the kind of
			// channel that it is for: no call shows that one is missing.
			continue
		}
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			k.fake.Scopes = slices.DeleteFunc(Scopes(), func(s string) bool { return s == scope })
			_, post := k.slack.Post(context.Background(), channel, bottest.RequestCard("x"))
			_, dm := k.slack.Post(context.Background(), bot.Address{Person: "ana"}, bottest.RequestCard("x"))
			_, who := k.slack.userInfo(context.Background(), "U0ANA")
			if post == nil && dm == nil && who == nil {
				t.Errorf("everything works without %s", scope)
			}
		})
	}
}
