package workflows_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// young is a target that takes nothing away before a time, as Entra and Azure do.
type young struct {
	connectors.Connector
	until time.Time
}

func (y young) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	if left := time.Until(y.until); left > 0 {
		return access.Removal{}, &connectors.Error{Kind: connectors.TooEarly, Op: "take", RetryAfter: left, Err: errors.New("the target takes nothing away yet")}
	}
	return y.Connector.Deactivate(ctx, g, r)
}

// While the others are taken back, again and again, people are told of the part that was not given, and of its own reason.
func TestABundleWhoseTakingBackLastsTellsWhatWasNotGiven(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		third  func(b *bundled, young time.Time) // is made so that it is not given
		lose   func(b *bundled, part access.RequestID) error
		behind time.Duration // is the clock of the replica that takes the others back
		why    string
	}{
		"it was refused": {
			third: func(b *bundled, _ time.Time) { b.denies.Store(true) }, behind: time.Second, why: "the directory says no"},
		"it was refused, and could not be read back": {
			third: func(b *bundled, until time.Time) {
				b.denies.Store(true)
				b.world.with("dir", young{b.config.Connectors["dir"], until})
			}, why: "the directory says no"},
		"somebody ended it": {
			third: func(b *bundled, until time.Time) { b.third.SetFaults(demo.Faults{UnavailableUntil: until}) },
			lose: func(b *bundled, part access.RequestID) error {
				_, err := b.service.End(b.t.Context(), by("ana"), part, "I only need two")
				return err
			}, behind: time.Second, why: "I only need two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := bundledAt(t, &clock{})
				b.runner = workflows.RunnerConfig{MaxSleep: time.Minute}
				until := time.Now().Add(5 * time.Minute)
				var behind atomic.Int64
				b.config.Now = func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
				c.third(b, until)
				b.world.with("db", young{b.connector(b.db), until})
				b.world.with("web", young{b.connector(b.web), until})
				b.run()
				rec := b.submit("ana", "oncall")
				b.approve("lea", rec.ID)
				time.Sleep(20 * time.Millisecond) // before the bundle looks at its parts again
				if c.lose != nil {
					if err := c.lose(b, b.get(rec.ID).Parts[2].ID); err != nil {
						t.Fatal(err)
					}
				}
				behind.Store(int64(c.behind))

				time.Sleep(time.Minute)
				if now := b.get(rec.ID); now.State != access.Activating || now.Attempts < 3 || !strings.Contains(now.LastError, "give dir-admin") ||
					!strings.Contains(now.LastError, c.why) || !strings.Contains(now.LastError, "db-admin (request") {
					t.Errorf("after %d tries it is %s, and the last error is %q", now.Attempts, now.State, now.LastError)
				}
				time.Sleep(7 * time.Minute)
				if now := b.get(rec.ID); now.State != access.Failed || !strings.Contains(now.Reason, "give dir-admin") || !strings.Contains(now.Reason, c.why) {
					t.Errorf("it is %s because %q, which is not what was not given", now.State, now.Reason)
				}
				for i, p := range b.parts(rec)[:2] {
					if p.State != access.Ended || !strings.HasPrefix(p.Reason, "dir-admin, a part") {
						t.Errorf("part %d is %s because %q", i, p.State, p.Reason)
					}
				}
				b.nothing(rec)
			})
		})
	}
}
