package chaos_test

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
)

// mostAfterLoss bounds how long it takes until what the store lost is given back to it, or ended.
const mostAfterLoss = time.Minute

// TestFlushedStore empties Redis under live grants: each is given back by the audit log and ends in its time, or ends at
// once.
func TestFlushedStore(t *testing.T) {
	together(t)
	grants := either(50, 1000)
	g := startTarget(t, calm{})
	s := openSite(t, rolesFor(grants), map[string]*target{"hooks": g})
	ends := time.Now().Add(either(25*time.Second, 4*time.Minute))
	s.give("hooks", g, grants, untilTime(ends))
	var before map[access.RequestID]api.Request
	s.eventually(patience, func() (err error) { // what the target has given is confirmed a moment later
		if before, err = s.list(s.replicas[0], "state=active"); err == nil && len(before) != grants {
			err = fmt.Errorf("%d of %d grants are active", len(before), grants)
		}
		return err
	})
	s.written(before)
	s.flush()
	flushed := time.Now()
	restored := 0
	s.eventually(mostAfterLoss, func() error {
		now, err := s.list(s.replicas[0], "state=active")
		if err != nil {
			return err
		}
		held := map[access.RequestID]bool{}
		for _, is := range g.holds() {
			held[is.grant] = true
		}
		restored = 0
		for id, was := range before {
			is, known := now[id]
			switch {
			case known && is.EndsAt.Equal(*was.EndsAt) && held[id]:
				restored++
			case held[id]:
				return fmt.Errorf("%s is held, and the store does not say until when: %+v", id, is)
			}
		}
		return nil
	})
	took := time.Since(flushed).Round(10 * time.Millisecond)
	s.pass(time.Until(ends))
	e := s.quiet(patience, g)
	e.emptied = true
	e.report(t)
	t.Logf("%d of %d grants were given back %s after the store was emptied, and %d were ended; lateness %s",
		restored, grants, took, grants-restored, e.lateness().fromEnd)
}

// flush empties Redis.
func (s *site) flush() {
	s.Helper()
	at, err := url.Parse(s.store.URL())
	if err != nil {
		s.Fatal(err)
	}
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // one command was all
	if _, err := fmt.Fprint(conn, "FLUSHALL\r\n"); err != nil {
		s.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(answer, "+OK") {
		s.Fatalf("FLUSHALL: %q %v", answer, err)
	}
}
