package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/bot/web"
	"elevate/cmd/internal/config"
	"elevate/workflows"
	"elevate/workflows/access"
)

// play sets a world going until the end of the test.
func play(t *testing.T) *world {
	t.Helper()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(t.Context(), at, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	w.start(ctx, g)
	if err := w.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(w.evidence); err == nil {
			t.Errorf("%s is left behind", w.evidence)
		}
	})
	return w
}

// soon waits until something is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not seen: %s", what)
		}
	}
}

// order gives an order to the panel and gives what it answers.
func (w *world) order(t *testing.T, path, body string) (int, string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	w.orders.ServeHTTP(out, req)
	return out.Code, out.Body.String()
}

// panelNow is the panel as a page would read it.
func (w *world) panelNow(t *testing.T) *document {
	t.Helper()
	d, err := w.panel.document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *document) holder(role access.RoleID, account string) *holderView {
	for _, r := range d.Target.Roles {
		for i, h := range r.Holders {
			if r.ID == role && h.Account == account {
				return &r.Holders[i]
			}
		}
	}
	return nil
}

func TestOrdersAreChecked(t *testing.T) {
	t.Parallel()
	w := play(t)
	for _, tt := range []struct {
		path, body string
		want       int
	}{
		{"/rate", `{"rate":60}`, 200}, {"/rate", `{"rate":1}`, 200}, {"/rate", `{"rate":0}`, 422}, {"/rate", `{"rate":-60}`, 422},
		{"/rate", `{"rate":"60"}`, 400}, {"/rate", `{}`, 422}, {"/skip", `{}`, 409}, {"/skip", `{"to":"2090-01-01"}`, 400},
		{"/fault", `{"mode":"hang"}`, 200}, {"/fault", `{"mode":"well"}`, 200}, {"/fault", `{"mode":"explode"}`, 422}, {"/fault", ``, 400},
		{"/verify", `{}`, 200}, {"/digest", `{"x":1}`, 400}, {"/none", `{}`, 404},
	} {
		if got, answer := w.order(t, tt.path, tt.body); got != tt.want {
			t.Errorf("%s %s: %d, want %d: %s", tt.path, tt.body, got, tt.want, answer)
		}
	}
}

// TestPanelFollowsAGrantToItsEnd tells the whole life of a grant by what the panel shows, without a browser.
func TestPanelFollowsAGrantToItsEnd(t *testing.T) {
	t.Parallel()
	w := play(t)
	ctx := t.Context()
	if d := w.panelNow(t); d.holder("prod-db-admin", "greta") == nil || len(d.Timers) > 0 || d.Chain.Lines > 0 {
		t.Errorf("at first the panel shows %+v", d)
	}
	rec, err := w.service.Submit(ctx, access.Actor{Person: "ana", Via: web.Name}, workflows.Ask{
		Role: "prod-db-admin", Duration: 30 * time.Minute, Justification: "replication has stopped", Ticket: "INC-4711",
	})
	if err != nil {
		t.Fatal(err)
	}
	d := w.panelNow(t)
	if len(d.Requests) != 1 || len(d.Requests[0].Deciders) != 2 || len(d.Timers) != 2 || !strings.Contains(d.Timers[1].What, "lapses undecided") {
		t.Errorf("asked for, the panel shows %+v %+v", d.Requests, d.Timers)
	}
	if _, err := w.service.Decide(ctx, access.Actor{Person: "bob", Via: web.Name}, rec.ID, workflows.Decision{Verdict: access.Approve}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the target gives the role", func() bool {
		h := w.panelNow(t).holder("prod-db-admin", "ana")
		return h != nil && h.State == access.Active && h.Ends.After(h.Begins)
	})
	for _, next := range []string{"notice on prod-db-admin", "prod-db-admin ends"} {
		soon(t, next, func() bool { d := w.panelNow(t); return len(d.Timers) > 0 && d.Timers[0].What == next })
		if got, answer := w.order(t, "/skip", "{}"); got != http.StatusOK || !strings.Contains(answer, next) {
			t.Fatalf("skip to %s: %d %s", next, got, answer)
		}
	}
	soon(t, "the target took it away", func() bool {
		d := w.panelNow(t)
		return d.holder("prod-db-admin", "ana") == nil && d.Ended == 1 && len(d.Timers) == 0
	})
	soon(t, "the end is on record", func() bool {
		trail := w.panelNow(t).Trail
		return len(trail) > 0 && trail[0].Verb == "proved the end of"
	})
	if d := w.panelNow(t); len(d.Trail) != tail || d.Chain.Lines < tail || d.Trail[0].Seq != d.Chain.Lines {
		t.Errorf("the trail is %+v, the chain %+v", d.Trail, d.Chain)
	}
	if code, answer := w.order(t, "/verify", "{}"); code != http.StatusOK || !strings.Contains(answer, "the chain is whole") {
		t.Errorf("verify: %d %s", code, answer)
	}
	if code, _ := w.order(t, "/digest", "{}"); code != http.StatusOK || w.panelNow(t).Digests != 1 {
		t.Errorf("digest: %d", code)
	}
	spoil(t, w.evidence)
	if _, answer := w.order(t, "/verify", "{}"); strings.Contains(answer, "the chain is whole") {
		t.Error("a changed line was not found")
	}
}

func TestALaterReminderOfWhatIsOverdueIsCalledOne(t *testing.T) {
	t.Parallel()
	for overdue, want := range map[bool]string{false: "root counts as overdue", true: "people are told again of root"} {
		r := &access.Record{Overdue: overdue}
		r.Role.ID = "root"
		if got := what(access.TimerOverdue, r); got != want {
			t.Errorf("overdue %t: %q, want %q", overdue, got, want)
		}
	}
}

// spoil changes a letter in the audit log.
func spoil(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(text, []byte("INC-4711"), []byte("INC-4712"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFeedSendsWhatChangedAlone(t *testing.T) {
	t.Parallel()
	w := play(t)
	ctx, stop := context.WithCancel(t.Context())
	feed := w.panel.feed(ctx)
	read := func() (d document) {
		t.Helper()
		select {
		case body := <-feed:
			if err := json.Unmarshal(body, &d); err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("nothing came")
		}
		return d
	}
	if d := read(); d.Clock.Rate != 1 || d.Target.Mode != wellBehaved || len(d.Target.Roles) != 5 {
		t.Errorf("first came %+v", d)
	}
	if _, answer := w.order(t, "/fault", `{"mode":"off"}`); answer != "{}" {
		t.Error(answer)
	}
	if d := read(); d.Target.Mode != "off" {
		t.Errorf("then came %+v", d.Target)
	}
	stop()
	for range feed { // until it is closed
	}
}

// TestFirstDigestIsStillToCome: there is no yesterday to sum up when the playground starts.
func TestFirstDigestIsStillToCome(t *testing.T) {
	t.Parallel()
	daily := &config.Digest{Hour: 9, Location: time.FixedZone("", 3600)}
	for now, want := range map[string]string{
		"2026-11-24T07:59:59Z": "2026-11-24T08:00:00Z", "2026-11-24T08:00:00Z": "2026-11-25T08:00:00Z", "2026-11-30T23:30:00Z": "2026-12-01T08:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := firstDigest(at, daily).UTC().Format(time.RFC3339); got != want {
			t.Errorf("after %s comes %s, want %s", now, got, want)
		}
	}
}

func TestFlagsAndExitCodes(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-help"}, 0, "-listen"},
		{[]string{"-nonsense"}, 2, "not defined: -nonsense"},
		{[]string{"serve"}, 2, "takes flags only"},
		{[]string{"-at", "noon"}, 2, "invalid value"},
		{[]string{"-listen", busy.Addr().String()}, 1, "is in use by another program"},
		{[]string{"-listen", "0.0.0.0:0"}, 1, "127.0.0.1"},
		{[]string{"-listen", "8080"}, 1, "write it like"},
	} {
		var said bytes.Buffer
		if code := run(t.Context(), tt.args, io.Discard, &said); code != tt.code || !strings.Contains(said.String(), tt.says) {
			t.Errorf("%q: exit code %d, want %d, saying %q, want %q", tt.args, code, tt.code, said.String(), tt.says)
		}
	}
}
