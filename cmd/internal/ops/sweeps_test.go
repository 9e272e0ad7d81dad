package ops

import (
	"strings"
	"testing"
	"time"
)

func TestSweepsAreMeasuredByTheReplicaThatMakesThem(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	m := s.cfg.Metrics
	m.ages.now = func() time.Time { return noon.Add(90 * time.Second) }
	m.SweepBegins("pg-prod", noon.Add(-time.Hour))
	m.SweepBegins("hooks", noon)
	m.Swept("pg-prod", noon)
	m.SweepFailed("hooks")
	m.SweepFound("pg-prod", false)
	m.SweepMissed("pg-prod")
	m.SweepPrompted("pg-prod")
	m.Watching("pg-prod", true)
	m.Watching("hooks", false)
	m.Standing("pg-prod", "prod-db-admin", 3)
	m.Standing("hooks", "deploy", 2)
	lines := []string{
		`elevate_sweep_age_seconds{connector="pg-prod"} 90`,
		`elevate_sweep_age_seconds{connector="hooks"} 90`,
		`elevate_sweep_errors_total{connector="hooks"} 1`,
		`elevate_sweep_found_total{again="false",connector="pg-prod"} 1`,
		`elevate_sweep_missing_total{connector="pg-prod"} 1`,
		`elevate_standing_access{connector="pg-prod",role="prod-db-admin"} 3`,
		`elevate_standing_access{connector="hooks",role="deploy"} 2`,
		`elevate_sweep_prompted_total{connector="pg-prod"} 1`,
		`elevate_sweep_watching{connector="pg-prod"} 1`,
		`elevate_sweep_watching{connector="hooks"} 0`,
	}
	shown := get(t, s, "/metrics").Body.String()
	for _, line := range lines {
		if !strings.Contains(shown, line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	m.SweptElsewhere("pg-prod")
	shown = get(t, s, "/metrics").Body.String()
	for _, gone := range []string{lines[0], lines[5], lines[8]} {
		if strings.Contains(shown, gone) {
			t.Errorf("/metrics has %q although another replica sweeps", gone)
		}
	}
	for _, kept := range []string{lines[1], lines[4], lines[6], lines[7], lines[9]} {
		if !strings.Contains(shown, kept+"\n") {
			t.Errorf("/metrics lacks %q", kept)
		}
	}
}
