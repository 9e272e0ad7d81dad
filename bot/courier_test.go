package bot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// wall is a chat that keeps what is posted, and fails on demand.
type wall struct {
	mu    sync.Mutex
	log   []string          // "post request C-production", "update m1" …, in order
	cards map[string]Card   // by ref
	names map[string]string // ref → name of the card
	n     int
	tries int
	// fault is asked before each call; an error is what the chat answers. Lost makes the chat do it all the same.
	fault func(op string, c Card) error
	lost  bool
	slow  time.Duration
}

func newWall() *wall { return &wall{cards: map[string]Card{}, names: map[string]string{}} }

func (w *wall) Name() string { return "web" }

func (w *wall) Post(ctx context.Context, to Address, c Card) (string, error) {
	if err := w.wait(ctx); err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.failing("post", c)
	if err != nil && !w.lost {
		return "", err
	}
	w.n++
	ref := fmt.Sprintf("m%d", w.n)
	w.cards[ref], w.names[ref] = c, c.Name
	where := to.Channel
	if to.Thread != "" {
		where += "/" + to.Thread
	}
	if to.Person != "" {
		where = "@" + string(to.Person)
	}
	w.log = append(w.log, "post "+c.Name+" "+where)
	if err != nil {
		return "", err
	}
	return ref, nil
}

func (w *wall) Update(ctx context.Context, ref string, c Card) error {
	if err := w.wait(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.failing("update", c); err != nil {
		return err
	}
	if _, ok := w.cards[ref]; !ok {
		return &ChatError{Op: "update", Final: true, Err: errors.New("message_not_found")}
	}
	w.cards[ref] = c
	w.log = append(w.log, "update "+ref)
	return nil
}

func (w *wall) wait(ctx context.Context) error {
	if w.slow == 0 {
		return nil
	}
	select {
	case <-time.After(w.slow):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tried is how often the chat was called.
func (w *wall) tried() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tries
}

func (w *wall) failing(op string, c Card) error {
	w.tries++
	if w.fault == nil {
		return nil
	}
	return w.fault(op, c)
}

// told is what was done so far, a line each.
func (w *wall) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, "\n")
}

// status is the first line of a message as it stands.
func (w *wall) status(ref string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	card, ok := w.cards[ref]
	if !ok {
		return ""
	}
	return partText(card.Parts[0])
}

// round is a courier at work in a bubble of its own time.
type round struct {
	desk  *desk
	queue *queue
	wall  *wall
	log   *notebook
	bot   *Bot
}

// notebook is a log that several may write to.
type notebook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

func newRound(t *testing.T) *round {
	t.Helper()
	r := &round{desk: newDesk(), queue: newQueue(), wall: newWall(), log: &notebook{}}
	r.desk.accounts = map[string]access.PersonID{"web/ana": "ana", "web/bob": "bob"}
	r.bot = r.desk.bot(t)
	return r
}

func (r *round) courier(t *testing.T, change ...func(*CourierConfig)) *Courier {
	t.Helper()
	cfg := CourierConfig{Bot: r.bot, Store: r.queue, Chat: r.wall, Logger: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, f := range change {
		f(&cfg)
	}
	c, err := NewCourier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// during runs couriers while f does.
func (r *round) during(t *testing.T, f func(), couriers ...*Courier) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, c := range couriers {
		running.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	f()
	cancel()
	running.Wait()
}

func lines(s ...string) string { return strings.Join(s, "\n") }

// version gives a record another version.
func version(r *access.Record, v int64) *access.Record {
	r.Version = v
	return r
}

func TestARequestIsToldFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.during(t, func() {
			for i, step := range []struct {
				kind workflows.NoteKind
				r    *access.Record
			}{
				{workflows.NoteSubmitted, request()}, {workflows.NoteReminder, request()}, {workflows.NoteApproved, in(access.Approved)},
				{workflows.NoteActive, in(access.Active)}, {workflows.NoteNearEnd, in(access.Active)},
				{workflows.NoteEnding, in(access.Deactivating)}, {workflows.NoteEnded, in(access.Ended)},
			} {
				r.queue.put("web", version(step.r, int64(i+1)), step.kind)
				time.Sleep(5 * time.Second)
			}
		}, r.courier(t))
		want := lines(
			"post request C-production",
			"update m1", "post reminder C-production/m1",
			"update m1", "post thread-approved C-production/m1", "post told-approved @ana",
			"update m1", "post thread-active C-production/m1", "post told-active @ana",
			"update m1", "post told-near_end @ana",
			"update m1",
			"update m1", "post thread-ended C-production/m1", "post told-ended @ana",
		)
		if got := r.wall.told(); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if got := r.wall.status("m1"); !strings.Contains(got, "**Ended**") {
			t.Errorf("the message says %s", got)
		}
		if r.queue.left() != 0 {
			t.Errorf("%d notes are left", r.queue.left())
		}
	})
}

func TestNotesThatWaitedUpdateTheMessageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.queue.put("web", version(request(), 1), workflows.NoteSubmitted)
		r.queue.put("web", version(in(access.Approved), 2), workflows.NoteApproved)
		r.queue.put("web", version(in(access.Active), 3), workflows.NoteActive)
		r.queue.put("web", version(in(access.Deactivating), 4), workflows.NoteEnding)
		r.queue.put("web", version(in(access.Ended), 5), workflows.NoteEnded)
		r.during(t, func() { time.Sleep(time.Minute) }, r.courier(t))
		want := lines("post request C-production", "post thread-approved C-production/m1", "post told-approved @ana",
			"post thread-ended C-production/m1", "post told-ended @ana")
		if got := r.wall.told(); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
	})
}

func TestACrashPostsNothingTwice(t *testing.T) {
	t.Parallel()
	// The store goes away after each number of reports; another courier finishes when the lease has run out.
	for reports := range 6 {
		synctest.Test(t, func(t *testing.T) {
			r := newRound(t)
			r.queue.put("web", version(request(), 1), workflows.NoteSubmitted)
			r.queue.put("web", version(in(access.Active), 2), workflows.NoteActive)
			dying := &dyingStore{queue: r.queue, left: reports}
			r.during(t, func() { time.Sleep(10 * time.Second) }, r.courier(t, func(c *CourierConfig) { c.Store = dying }))
			r.during(t, func() { time.Sleep(2 * time.Minute) }, r.courier(t))
			counts := map[string]int{}
			for _, line := range strings.Split(r.wall.told(), "\n") {
				counts[line]++
			}
			for line, n := range counts {
				if n > 1 && strings.HasPrefix(line, "post") {
					t.Errorf("after %d reports %q happened %d times", reports, line, n)
				}
			}
			if len(counts) < 3 || r.queue.left() != 0 {
				t.Errorf("after %d reports the end was\n%s\nwith %d notes left", reports, r.wall.told(), r.queue.left())
			}
		})
	}
}

// dyingStore is a process that is killed between two messages: after some reports it claims nothing more.
type dyingStore struct {
	*queue
	mu   sync.Mutex
	left int
}

func (d *dyingStore) alive(spend int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left -= spend
	return d.left >= 0
}

func (d *dyingStore) ClaimErrands(ctx context.Context, chat string, limit int, lease time.Duration) ([]workflows.Errand, time.Time, error) {
	if !d.alive(0) {
		return nil, time.Time{}, errors.New("killed")
	}
	return d.queue.ClaimErrands(ctx, chat, limit, lease)
}

func (d *dyingStore) Told(ctx context.Context, e workflows.Errand, refs map[string]string) error {
	err := d.queue.Told(ctx, e, refs)
	if !d.alive(1) {
		return errors.Join(err, errors.New("killed"))
	}
	return err
}

func (d *dyingStore) PutOff(ctx context.Context, e workflows.Errand, until time.Time, refs map[string]string) error {
	err := d.queue.PutOff(ctx, e, until, refs)
	if !d.alive(1) {
		return errors.Join(err, errors.New("killed"))
	}
	return err
}

// TestApproversAreToldOnceTheDirectoryAnswers: where no channel is told, they alone can decide.
func TestApproversAreToldOnceTheDirectoryAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		channel               string
		away, meanwhile, then string
	}{
		"no channel": {"", "directory: timeout", "", "post request @bob"},
		"a channel":  {"C1", "directory: timeout", "post request C1", "post request C1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRound(t)
			r.bot.cfg.Channel = func(string, string) string { return c.channel }
			r.desk.away(errors.New(c.away))
			r.queue.put("web", version(request(), 1), workflows.NoteSubmitted)
			r.during(t, func() {
				time.Sleep(time.Minute)
				if got := r.wall.told(); got != c.meanwhile {
					t.Errorf("%s: while the directory is away, told %q, want %q", name, got, c.meanwhile)
				}
				r.desk.away(nil)
				time.Sleep(10 * time.Minute)
			}, r.courier(t))
			if got := r.wall.told(); got != c.then || r.queue.left() != 0 {
				t.Errorf("%s: told %q, want %q; %d notes are left", name, got, c.then, r.queue.left())
			}
		})
	}
	// What waiting does not cure is not waited for: it would hold back what is told later.
	r := newRound(t)
	r.bot.cfg.Channel = func(string, string) string { return "" }
	r.desk.away(&access.Refusal{Kind: access.ErrConflict, Code: "policy_changed"})
	if _, err := r.bot.Plan(t.Context(), "web", noteOf(workflows.NoteSubmitted, request()), request(), nil); err != nil {
		t.Errorf("a changed policy: %v", err)
	}
}

func TestAChatThatFailsIsTriedAgainAndConverges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		until := time.Now().Add(10 * time.Minute)
		r.wall.fault = func(string, Card) error {
			if time.Now().Before(until) {
				return errors.New("502 bad gateway")
			}
			return nil
		}
		r.queue.put("web", version(in(access.Active), 2), workflows.NoteActive)
		r.during(t, func() {
			time.Sleep(10 * time.Minute)
			if n := r.wall.tried(); n < 8 || n > 12 {
				t.Errorf("%d tries in ten minutes; the wait should double up to five minutes", n)
			}
			time.Sleep(6 * time.Minute)
		}, r.courier(t))
		want := lines("post request C-production", "post thread-active C-production/m1", "post told-active @ana")
		if got := r.wall.told(); got != want || r.queue.left() != 0 {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		var asked []time.Time
		r.wall.fault = func(string, Card) error {
			if asked = append(asked, time.Now()); len(asked) == 1 {
				return &ChatError{Op: "post", RetryAfter: 40 * time.Second, Err: errors.New("ratelimited")}
			}
			return nil
		}
		r.queue.put("web", request(), workflows.NoteSubmitted)
		r.during(t, func() { time.Sleep(2 * time.Minute) }, r.courier(t))
		if len(asked) != 2 || asked[1].Sub(asked[0]) < 40*time.Second || asked[1].Sub(asked[0]) > 50*time.Second {
			t.Errorf("the chat was asked at %v", asked)
		}
	})
}

func TestWhatTheChatRefusesForGoodIsPassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.wall.fault = func(op string, c Card) error {
			if c.Name == "thread-active" {
				return &ChatError{Op: op, Final: true, Err: errors.New("restricted_action_thread_only")}
			}
			return nil
		}
		r.queue.put("web", version(in(access.Active), 2), workflows.NoteActive)
		r.during(t, func() { time.Sleep(time.Minute) }, r.courier(t))
		want := lines("post request C-production", "post told-active @ana")
		if got := r.wall.told(); got != want || r.queue.left() != 0 {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if n := strings.Count(r.log.String(), "level=ERROR"); n != 1 || !strings.Contains(r.log.String(), "restricted_action") {
			t.Errorf("the log: %s", r.log)
		}
	})
}

func TestAChannelThatRefusesIsReplacedByPersonalMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		asked := 0
		r.wall.fault = func(op string, c Card) error {
			if asked++; asked == 1 {
				return &ChatError{Op: op, Final: true, Err: errors.New("is_archived")}
			}
			return nil
		}
		r.during(t, func() {
			r.queue.put("web", version(request(), 1), workflows.NoteSubmitted)
			time.Sleep(5 * time.Second)
			r.queue.put("web", version(request(), 2), workflows.NoteReminder)
			time.Sleep(5 * time.Second)
			r.queue.put("web", version(in(access.Denied), 3), workflows.NoteDenied)
			time.Sleep(5 * time.Second)
		}, r.courier(t))
		// Carol has no account in this chat.
		want := lines("post request @bob", "update m1", "post reminder @bob", "update m1", "post told-denied @ana")
		if got := r.wall.told(); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if got := r.wall.status("m1"); !strings.Contains(got, "**Denied**") {
			t.Errorf("the copy says %s", got)
		}
	})
}

func TestADeletedMessageDoesNotStopTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.during(t, func() {
			r.queue.put("web", version(request(), 1), workflows.NoteSubmitted)
			time.Sleep(5 * time.Second)
			r.wall.mu.Lock()
			delete(r.wall.cards, "m1")
			r.wall.mu.Unlock()
			r.queue.put("web", version(in(access.Active), 2), workflows.NoteActive)
			time.Sleep(5 * time.Second)
		}, r.courier(t))
		want := lines("post request C-production", "post thread-active C-production/m1", "post told-active @ana")
		if got := r.wall.told(); got != want || r.queue.left() != 0 {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
	})
}

func TestSeveralCouriersTellEachTopicInOrderAndOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.wall.slow = 300 * time.Millisecond
		const topics = 12
		r.during(t, func() {
			for v, step := range []struct {
				kind  workflows.NoteKind
				state access.State
			}{{workflows.NoteSubmitted, access.Pending}, {workflows.NoteApproved, access.Approved}, {workflows.NoteActive, access.Active}} {
				for i := range topics {
					rec := version(in(step.state), int64(v+1))
					rec.ID = access.RequestID(fmt.Sprintf("07kq4-000%02d", i))
					r.queue.put("web", rec, step.kind)
				}
				time.Sleep(time.Second)
			}
			time.Sleep(time.Minute)
		}, r.courier(t), r.courier(t), r.courier(t, func(c *CourierConfig) { c.Workers = 1 }))
		counts := map[string]int{}
		for _, line := range strings.Split(r.wall.told(), "\n") {
			counts[strings.Join(strings.Fields(line)[:2], " ")]++
		}
		for _, name := range []string{"post request", "post thread-approved", "post thread-active", "post told-approved", "post told-active"} {
			if counts[name] != topics {
				t.Errorf("%s happened %d times for %d requests", name, counts[name], topics)
			}
		}
		for ref, card := range r.wall.cards {
			if card.Name == "request" && !strings.Contains(r.wall.status(ref), "**Active**") {
				t.Errorf("message %s says %s", ref, r.wall.status(ref))
			}
		}
	})
}

func TestASlowTopicDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.wall.fault = func(_ string, c Card) error {
			if strings.Contains(c.Title, "07kq4-00000") {
				return errors.New("timeout")
			}
			return nil
		}
		for i := range 3 {
			rec := version(in(access.Active), 1)
			rec.ID = access.RequestID(fmt.Sprintf("07kq4-0000%d", i))
			r.queue.put("web", rec, workflows.NoteActive)
		}
		began := time.Now()
		r.during(t, func() {
			for r.queue.left() > 1 {
				time.Sleep(10 * time.Millisecond)
			}
		}, r.courier(t))
		if took := time.Since(began); took > time.Second {
			t.Errorf("the others waited %v", took)
		}
	})
}

func TestACourierWakesForANudgeAndSleepsOtherwise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		c := r.courier(t, func(cfg *CourierConfig) { cfg.Poll = time.Hour })
		r.during(t, func() {
			time.Sleep(30 * time.Minute)
			if n := r.queue.looks(); n > 2 {
				t.Errorf("the queue was looked at %d times in half an hour of nothing", n)
			}
			r.queue.put("web", request(), workflows.NoteSubmitted)
			c.Nudge()
			c.Nudge()
			synctest.Wait()
			if r.wall.told() != "post request C-production" {
				t.Errorf("told %q", r.wall.told())
			}
		}, c)
	})
}

func TestAStoreThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.queue.fail = errors.New("redis: connection refused")
		c := r.courier(t)
		r.during(t, func() {
			c.Nudge()
			time.Sleep(10*time.Second + time.Millisecond)
			r.queue.mu.Lock()
			asked := r.queue.asked
			r.queue.fail = nil
			r.queue.mu.Unlock()
			if asked > 12 {
				t.Errorf("a store that is away was asked %d times in ten seconds", asked)
			}
			r.queue.put("web", request(), workflows.NoteSubmitted)
			time.Sleep(2 * time.Second)
		}, c)
		if r.wall.told() != "post request C-production" || strings.Count(r.log.String(), "level=ERROR") != 1 {
			t.Errorf("told %q, log %s", r.wall.told(), r.log)
		}
	})
}

func TestAStopFinishesTheMessageInHandAndGivesTheRestBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.wall.slow = 3 * time.Second
		r.queue.put("web", version(in(access.Active), 2), workflows.NoteActive)
		r.during(t, func() { time.Sleep(time.Second) }, r.courier(t))
		if got := r.wall.told(); got != "post request C-production" {
			t.Errorf("told %q when stopped", got)
		}
		began := time.Now()
		r.wall.slow = 0
		r.during(t, func() { time.Sleep(2 * time.Second) }, r.courier(t))
		want := lines("post request C-production", "post thread-active C-production/m1", "post told-active @ana")
		if got := r.wall.told(); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if time.Since(began) > 3*time.Second {
			t.Error("what was given back waited for its lease")
		}
	})
}

func TestANoteWithoutARecordIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		if _, err := r.queue.Enqueue(t.Context(), []string{"web"}, "07kq4-gone0", "k", workflows.Note{Kind: workflows.NoteActive}); err != nil {
			t.Fatal(err)
		}
		r.during(t, func() { time.Sleep(time.Second) }, r.courier(t))
		if r.queue.left() != 0 || !strings.Contains(r.log.String(), "07kq4-gone0") {
			t.Errorf("%d notes are left; log %s", r.queue.left(), r.log)
		}
	})
}

func TestADirectoryThatIsAwayDelaysPersonalMessagesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.desk.away(errors.New("ldap: timeout"))
		r.queue.put("web", version(in(access.Active), 2), workflows.NoteActive)
		r.during(t, func() {
			time.Sleep(30 * time.Second)
			if got, want := r.wall.told(), lines("post request C-production", "post thread-active C-production/m1"); got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
			r.desk.away(nil)
			time.Sleep(2 * time.Minute)
		}, r.courier(t))
		if got := r.wall.told(); !strings.HasSuffix(got, "post told-active @ana") {
			t.Errorf("told\n%s", got)
		}
	})
}

func TestOnlyAReferenceThatIsLostIsSentTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.queue.failTold = errors.New("redis: connection refused")
		r.queue.put("web", request(), workflows.NoteSubmitted)
		r.during(t, func() {
			time.Sleep(10 * time.Second)
			r.queue.mu.Lock()
			r.queue.failTold = nil
			r.queue.mu.Unlock()
			time.Sleep(time.Minute)
		}, r.courier(t))
		if got, want := r.wall.told(), lines("post request C-production", "post request C-production"); got != want || r.queue.left() != 0 {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if !strings.Contains(r.log.String(), "may be sent once more") {
			t.Errorf("the operators are not told: %s", r.log)
		}
	})
}

func TestAChatThatPanicsHarmsOneTopicOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		panicked := false
		r.wall.fault = func(_ string, c Card) error {
			if strings.Contains(c.Title, "07kq4-00000") && !panicked {
				panicked = true
				panic("nil map")
			}
			return nil
		}
		for i := range 2 {
			rec := request()
			rec.ID = access.RequestID(fmt.Sprintf("07kq4-0000%d", i))
			r.queue.put("web", rec, workflows.NoteSubmitted)
		}
		r.during(t, func() { time.Sleep(2 * time.Minute) }, r.courier(t))
		if n := strings.Count(r.wall.told(), "post request"); n != 2 || r.queue.left() != 0 {
			t.Errorf("told\n%s", r.wall.told())
		}
		if !strings.Contains(r.log.String(), "nil map") {
			t.Errorf("the log knows nothing of the panic: %s", r.log)
		}
	})
}

func TestACourierNeedsItsParts(t *testing.T) {
	t.Parallel()
	r := newRound(t)
	for _, cfg := range []CourierConfig{{}, {Bot: r.bot, Store: r.queue}, {Bot: r.bot, Chat: r.wall}, {Store: r.queue, Chat: r.wall}} {
		if _, err := NewCourier(cfg); err == nil {
			t.Error("a courier was made of too little")
		}
	}
}
