package activedirectory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/connectors/activedirectory/sambatest"
	"elevate/workflows/access"
)

// listener is a watch under way.
type listener struct {
	d     *domain
	stop  func() error
	ended chan error
	mu    sync.Mutex
	told  map[any]int // by group
}

// listen begins a watch, and waits until it has told of every role once.
func (d *domain) listen(t *testing.T, c *activedirectory.Connector, roles ...access.Role) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{d: d, ended: make(chan error, 1), told: map[any]int{}}
	l.stop = sync.OnceValue(func() error {
		cancel()
		return <-l.ended
	})
	t.Cleanup(func() { _ = l.stop() })
	go func() {
		l.ended <- c.Watch(ctx, roles, func(r access.Role) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.told[r.Target["group"]]++
		})
	}()
	for _, r := range roles {
		d.Eventually(t, "it listens", func() bool {
			l.goesOn(t, "it listens")
			return l.times(r) > 0
		})
	}
	return l
}

// goesOn fails a test whose watch has ended.
func (l *listener) goesOn(t *testing.T, what string) {
	t.Helper()
	select {
	case err := <-l.ended:
		l.ended <- err // for stop
		t.Fatalf("%s: the watch has ended: %v", what, err)
	default:
	}
}

func (l *listener) times(r access.Role) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told[r.Target["group"]]
}

// wantTold changes a group until the listener hears of it.
func (l *listener) wantTold(t *testing.T, what string, r access.Role) {
	t.Helper()
	before := l.times(r)
	l.d.Eventually(t, what, func() bool {
		l.goesOn(t, what)
		l.d.touch(t, l.d.byGUID(r))
		return l.times(r) > before
	})
}

// touch changes a group, and no membership.
func (d *domain) touch(t *testing.T, group sambatest.Object) {
	t.Helper()
	d.Change(t, group.DN, func(m *ldap.ModifyRequest) { m.Replace("description", []string{fmt.Sprint(d.n.Add(1))}) })
}

// A controller tells one connection of a few groups alone: these take three.
func everyGroupIsListenedTo(t *testing.T, d *domain) {
	var roles []access.Role
	for range 12 {
		r, _ := d.role(t)
		roles = append(roles, r)
	}
	l := d.listen(t, d.plain(t), roles...)
	for _, r := range roles {
		l.wantTold(t, fmt.Sprintf("a change of %v is told of", r.Target["group"]), r)
	}
	quiet := l.times(roles[0])
	l.wantTold(t, "another one", roles[11])
	if l.times(roles[0]) != quiet {
		t.Error("changes of one group are told of as another's")
	}
	err := l.stop()
	if wantError(t, "Watch whose context has ended", err, connectors.Unavailable); !errors.Is(err, context.Canceled) {
		t.Errorf("the error does not say that the context has ended: %v", err)
	}
}

func deletedGroupSilencesNoOther(t *testing.T, d *domain) {
	goes, group := d.role(t)
	stays, _ := d.role(t)
	l := d.listen(t, d.plain(t), goes, stays)
	l.wantTold(t, "a change is told of", goes)
	before := l.times(goes)
	d.Delete(t, group.DN)
	d.Eventually(t, "the deletion is told of", func() bool { return l.times(goes) > before })
	l.wantTold(t, "a change of the other group is told of", stays)

	missing := roleOf(sambatest.Object{GUID: "00000000-0000-0000-0000-000000000001"})
	l = d.listen(t, d.plain(t), stays, missing)
	l.wantTold(t, "a change of a group beside one that is not there is told of", stays)
}

func lostConnectionEndsAWatch(t *testing.T, d *domain) {
	f := d.Front(t)
	r, _ := d.role(t)
	l := d.listen(t, d.at(t, f.URL), r)
	l.wantTold(t, "a change is told of", r)
	f.Close()
	wantError(t, "Watch at a controller that went down", <-l.ended, connectors.Unavailable, strings.TrimPrefix(f.URL, "ldaps://"))
	l.ended <- nil // for stop

	l = d.listen(t, d.at(t, f.URL, d.URL()), r)
	l.wantTold(t, "a change is told of by the next controller", r)
}

func hangingControllerIsGivenUp(t *testing.T, d *domain) {
	f := d.Front(t)
	f.Hang()
	r, _ := d.role(t)
	c := d.connector(t, func(cfg *activedirectory.Config) {
		cfg.Controllers, cfg.Timeout = []string{f.URL}, 300*time.Millisecond
	})
	err := c.Watch(t.Context(), []access.Role{r}, func(access.Role) { t.Error("a controller that hangs told of something") })
	wantError(t, "Watch at a controller that hangs", err, connectors.Unavailable)
}

func controllerThatTellsNothingIsLeftAlone(t *testing.T, d *domain) {
	f := d.Front(t)
	f.Silent()
	r, _ := d.role(t)
	err := d.at(t, f.URL).Watch(t.Context(), []access.Role{r}, func(access.Role) { t.Error("it told of something") })
	if wantError(t, "Watch", err, connectors.Invalid, "1.2.840.113556.1.4.528"); !errors.Is(err, connectors.ErrNeverTells) {
		t.Errorf("the error is not of ErrNeverTells: %v", err)
	}
	for url, tells := range map[string]bool{d.URL(): true, f.URL: false} {
		advice, err := d.at(t, url).Advice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(advice, func(s string) bool { return strings.Contains(s, "does not tell of changes") })
		if warned == tells {
			t.Errorf("%s tells of changes: %t; advice %q", url, tells, advice)
		}
		bounded := slices.ContainsFunc(advice, func(s string) bool { return strings.Contains(s, fmt.Sprintf("groups lists %d", enough)) })
		if bounded != tells {
			t.Errorf("%s: of %d groups not all can be listened to; advice %q", url, enough, advice)
		}
	}
}
