package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elevate/workflows"
)

// summer sums up nothing, and keeps what it was asked.
type summer struct {
	mu    sync.Mutex
	spans []string
	fail  error
}

func (s *summer) Digest(_ context.Context, from, to time.Time) (*workflows.Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	s.spans = append(s.spans, fmt.Sprintf("%s to %s, %v", from.Format("2 Jan 15:04"), to.Format("2 Jan 15:04"), to.Sub(from)))
	return &workflows.Digest{From: from, To: to}, nil
}

func (s *summer) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (q *queue) topicNames() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var names []string
	for _, t := range q.topics {
		names = append(names, fmt.Sprintf("%s %s ×%d", t.chat, t.name, len(t.notes)))
	}
	slices.Sort(names)
	return names
}

// Time in a bubble begins at midnight UTC of 1 January 2000.
func digester(t *testing.T, q *queue, s *summer, change ...func(*DigestConfig)) *Digester {
	t.Helper()
	cfg := DigestConfig{At: "09:00", Channels: map[string]string{"slack": "C1", "web": "access"}, Service: s, Store: q}
	for _, f := range change {
		f(&cfg)
	}
	d, err := NewDigester(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func runFor(t *testing.T, d time.Duration, digesters ...*Digester) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, one := range digesters {
		running.Go(func() {
			if err := one.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(d)
	cancel()
	running.Wait()
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheDigestComesOnceADayHoweverManyRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newQueue(), &summer{}
		time.Sleep(8 * time.Hour)
		runFor(t, 26*time.Hour, digester(t, q, s), digester(t, q, s), digester(t, q, s))
		same(t, "topics", q.topicNames(), []string{
			"slack digest/2000-01-01/C1 ×1", "slack digest/2000-01-02/C1 ×1",
			"web digest/2000-01-01/access ×1", "web digest/2000-01-02/access ×1",
		})
		same(t, "spans", slices.Compact(slices.Sorted(slices.Values(s.spans))), []string{
			"1 Jan 09:00 to 2 Jan 09:00, 24h0m0s", "31 Dec 09:00 to 1 Jan 09:00, 24h0m0s",
		})
		if len(s.spans) != 6 {
			t.Errorf("three digesters summed up %d times in two days", len(s.spans))
		}
	})
}

func TestADigestThatWasMissedIsSentLaterTheSameDay(t *testing.T) {
	t.Parallel()
	for start, want := range map[time.Duration]int{8 * time.Hour: 0, 9 * time.Hour: 2, 14*time.Hour + 59*time.Minute: 2, 15*time.Hour + time.Minute: 0} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			time.Sleep(start)
			runFor(t, 10*time.Minute, digester(t, q, &summer{}))
			runFor(t, 10*time.Minute, digester(t, q, &summer{})) // restarted
			if got := len(q.topicNames()); got != want {
				t.Errorf("started %v after midnight: %v", start, q.topicNames())
			}
		})
	}
}

func TestADigestIsTriedAgainWhenItCannotBeMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newQueue(), &summer{fail: errors.New("redis: down")}
		time.Sleep(9 * time.Hour)
		go func() {
			time.Sleep(5 * time.Minute)
			s.setFail(nil)
		}()
		runFor(t, 7*time.Minute, digester(t, q, s))
		if len(q.topicNames()) != 2 || len(s.spans) != 1 {
			t.Errorf("topics %v, spans %v", q.topicNames(), s.spans)
		}
	})
}

func TestTheDigestKeepsItsHourWhenTheClocksChange(t *testing.T) {
	t.Parallel()
	lisbon, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		// Clocks went forward on 26 March 2000 and back on 29 October 2000.
		q, s := newQueue(), &summer{}
		d := digester(t, q, s, func(c *DigestConfig) { c.Location = lisbon; c.Channels = map[string]string{"web": "access"} })
		time.Sleep(time.Until(time.Date(2000, 3, 25, 8, 0, 0, 0, lisbon)))
		runFor(t, 50*time.Hour, d)
		time.Sleep(time.Until(time.Date(2000, 10, 28, 8, 0, 0, 0, lisbon)))
		runFor(t, 49*time.Hour, d)
		same(t, "spans", s.spans, []string{
			"24 Mar 09:00 to 25 Mar 09:00, 24h0m0s", "25 Mar 09:00 to 26 Mar 09:00, 23h0m0s", "26 Mar 09:00 to 27 Mar 09:00, 24h0m0s",
			"27 Oct 09:00 to 28 Oct 09:00, 24h0m0s", "28 Oct 09:00 to 29 Oct 09:00, 25h0m0s",
		})
	})
	// An hour that a day does not have comes all the same, once.
	synctest.Test(t, func(t *testing.T) {
		q, s := newQueue(), &summer{}
		d := digester(t, q, s, func(c *DigestConfig) {
			c.At, c.Location, c.Channels = "01:30", lisbon, map[string]string{"web": "access"}
		})
		time.Sleep(time.Until(time.Date(2000, 3, 25, 12, 0, 0, 0, lisbon)))
		runFor(t, 24*time.Hour, d)
		same(t, "topics", q.topicNames(), []string{"web digest/2000-03-26/access ×1"})
	})
}

func TestADigestOnDemandStandsBesideTheDailyOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newQueue(), &summer{}
		d := digester(t, q, s, func(c *DigestConfig) { c.Channels = map[string]string{"web": "access"} })
		time.Sleep(10 * time.Hour)
		for range 2 {
			if err := d.Now(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		runFor(t, time.Minute, d)
		if got := q.topicNames(); len(got) != 3 {
			t.Errorf("topics %v", got)
		}
	})
}

func TestTheDigestReachesItsChannelThroughTheCourier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		d := digester(t, r.queue, &summer{}, func(c *DigestConfig) { c.Channels = map[string]string{"web": "access"} })
		r.bot.now = time.Now
		r.during(t, func() {
			if err := d.Now(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}, r.courier(t))
		if got := r.wall.told(); got != "post digest access" {
			t.Errorf("told %q", got)
		}
		// A day later it is no news.
		if err := d.Now(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(21 * time.Hour)
		r.during(t, func() { time.Sleep(2 * time.Second) }, r.courier(t))
		if got := r.wall.told(); got != "post digest access" || r.queue.left() != 0 {
			t.Errorf("told %q", got)
		}
	})
}

func TestADigestThatCannotBeReadIsKeptAndReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(t)
		r.bot.now = time.Now
		n := workflows.Note{Kind: workflows.NoteDigest, At: time.Now(), Body: []byte("{")}
		if _, err := r.queue.Enqueue(t.Context(), []string{"web"}, "digest/x", "web", n); err != nil {
			t.Fatal(err)
		}
		r.during(t, func() { time.Sleep(10 * time.Second) }, r.courier(t))
		if r.wall.told() != "" || !strings.Contains(r.log.String(), "could not be made into messages") {
			t.Errorf("told %q, log %s", r.wall.told(), r.log)
		}
	})
}

func TestADigesterSaysWhatIsWrongWithItsConfiguration(t *testing.T) {
	t.Parallel()
	s, q := &summer{}, newQueue()
	for _, c := range []DigestConfig{{At: "09:00"}, {At: "9 o'clock", Service: s, Store: q}, {At: "25:00", Service: s, Store: q}, {At: "09:00", Service: s}} {
		if _, err := NewDigester(c); err == nil {
			t.Errorf("a digester was made of %+v", c)
		}
	}
}
