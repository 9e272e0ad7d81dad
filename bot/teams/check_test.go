package teams

import (
	"net/http"
	"strings"
	"testing"

	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

// TestCheckSaysWhatIsWrong asks a fake Microsoft whose answers are those of a tenant that is set up wrong.
func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(k *kit, cfg *Config) (channel string)
		problem string // empty: there is none
	}{
		"all well": {arrange: func(*kit, *Config) string { return teamsfake.Access }},
		"wrong secret": {problem: "teams.client_secret", arrange: func(_ *kit, cfg *Config) string {
			cfg.ClientSecret = access.NewSecret("another")
			return teamsfake.Access
		}},
		"no keys": {problem: "the keys of the Bot Framework cannot be had", arrange: func(k *kit, _ *Config) string {
			k.fake.Identity.Misbehave("metadata", teamsfake.Fault{Times: -1, Status: http.StatusNotFound})
			return teamsfake.Access
		}},
		"a channel without the app": {problem: "the app is not in its team", arrange: func(k *kit, _ *Config) string {
			k.fake.AddChannel(teamsfake.Channel{ID: "19:elsewhere@thread.tacv2", Out: true})
			return "19:elsewhere@thread.tacv2"
		}},
		"a channel that is not there": {problem: "there is no such channel", arrange: func(*kit, *Config) string { return "19:nowhere@thread.tacv2" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			cfg := k.cfg
			channel := c.arrange(k, &cfg)
			report, err := Check(t.Context(), cfg, []string{channel})
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(report.Problems, "\n")
			if c.problem == "" && (len(report.Problems) > 0 || len(report.Remarks) > 0) || !strings.Contains(all, c.problem) {
				t.Errorf("problems %q, remarks %q, want %q", report.Problems, report.Remarks, c.problem)
			}
			if strings.Contains(all, teamsfake.ClientSecret) {
				t.Error("the secret is told")
			}
		})
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("nothing is taken for a configuration")
	} else {
		for _, key := range []string{"app_id", "tenant_id", "client_secret", "Bot, Store and Directory"} {
			if !strings.Contains(err.Error(), key) {
				t.Errorf("%s is not missed in: %v", key, err)
			}
		}
	}
	k := setup(t)
	for name, change := range map[string]func(*Config){
		"cloud": func(c *Config) { c.Cloud = "moon" }, "service_urls": func(c *Config) { c.ServiceURLs = []string{"http://teams.example.com"} },
	} {
		cfg := k.cfg
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
