package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/workflows/audit"
)

// growth is how often the log on disk grows before a kill.
type growth int

func (n growth) String() string { return fmt.Sprintf("grown %d times", int(n)) }

// TestEvidenceSurvivesKillsWhileItIsDrained makes refusals, which are on record when they are answered, and kills the
// bot when the log on disk has just grown for the first, second, … time. Every answered refusal is in the log once.
func TestEvidenceSurvivesKillsWhileItIsDrained(t *testing.T) {
	t.Parallel()
	together(t, []growth{1, 2, 3, 4}, func(t *testing.T, n growth) {
		s := openSite(t, "a")
		var sent, answered int64
		for range 2 {
			more, known := s.refusedUntilGrown(n)
			sent, answered = sent+more, answered+known
			restart(t, s.bots[0])
		}
		logged := int64(0)
		eventually(t, func() error {
			logged = 0
			for _, e := range s.events()[""] {
				if e.Kind == audit.Refused {
					logged++
				}
			}
			if logged < answered {
				return fmt.Errorf("%d refusals were answered, and %d are in the log", answered, logged)
			}
			return nil
		})
		s.evidence(nil)
		if logged > sent {
			t.Errorf("%d refusals are in the log of %d calls", logged, sent)
		}
		t.Logf("%d refusals were sent, %d answered, %d logged", sent, answered, logged)
	})
}

// refusedUntilGrown has calls refused, by everybody at once, until the log has grown n times, and kills the bot then.
func (s *site) refusedUntilGrown(n growth) (sent, answered int64) {
	s.Helper()
	var calls, known atomic.Int64
	var all sync.WaitGroup
	for _, who := range append([]string{"ben", "aud"}, requesters...) {
		all.Go(func() {
			for {
				calls.Add(1)
				status, err := call(s.bots[0], who, http.MethodPost, "/requests/07kq4-m2xp9/cancel", nil, nil)
				switch {
				case err != nil: // it is dead
					return
				case status == http.StatusNotFound:
					known.Add(1)
				}
			}
		})
	}
	look, late := time.NewTicker(time.Millisecond), time.Now().Add(patient)
	defer look.Stop()
	for size := s.logged(); n > 0; {
		now := <-look.C
		if grown := s.logged(); grown > size {
			size, n = grown, n-1
		}
		if now.After(late) {
			s.Fatal("the log does not grow")
		}
	}
	s.bots[0].Kill9()
	all.Wait()
	return calls.Load(), known.Load()
}

// logged is how long the files of the audit log are, in bytes.
func (s *site) logged() (size int64) {
	files, err := filepath.Glob(filepath.Join(s.bots[0].Dir, "audit", "*"))
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	return size
}
