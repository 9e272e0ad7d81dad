package attack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

const (
	marksFile  = "storage/redis/marks.go"
	verifyLog  = "workflows/audit/verify.go"
	guardFile  = "workflows/guard.go"
	anchorFile = "workflows/anchors.go"
)

// Cuts that more than one attack has.
var (
	noMarks = cut{marksFile, "	case s.cfg.Marks == nil, mark", "	case OUT, s.cfg.Marks == nil, mark"}
	noSweep = cut{"workflows/sweep.go", "func (w *Sweeper) Run(ctx context.Context) error {\n", "func (w *Sweeper) Run(ctx context.Context) error {\n	if OUT {\n		<-ctx.Done()\n		return nil\n	}\n"}
)

func storeAttacks() []attack {
	return []attack{
		{id: "T32a", what: "an approval written into Redis by somebody who can write there", run: writtenApproval,
			defence: "records are marked with a key that is not in Redis", without: []cut{noMarks}},
		{id: "T32b", what: "the timers of live access moved ten years ahead, in Redis", run: movedTimers,
			defence: "timers are compared with records each minute", without: []cut{{guardFile, "	mended, err := g.cfg.Store.Mend(ctx, now)\n", "	if OUT {\n		return nil\n	}\n	mended, err := g.cfg.Store.Mend(ctx, now)\n"}}},
		{id: "T36", what: "a role outside the catalogue: asked for, and written into a request in Redis that is approved then", run: otherRoles,
			defence: "records are marked, and roles come from the configuration", without: []cut{noMarks},
			also: map[string]string{"asked for": "no such role is in the configuration"}},
		{id: "T33", what: "an older record of a request, with its good mark, put back into Redis", run: olderRecord,
			defence: "the newest versions are known from the audit log", without: []cut{
				{anchorFile, "	now, err := s.anchors.current(ctx, s.Store, r)\n", "	if OUT {\n		return r, nil\n	}\n	now, err := s.anchors.current(ctx, s.Store, r)\n"},
				{guardFile, "	case now == nil:\n		return \"version\", nil\n", "	case now == nil && OUT:\n		return \"\", nil\n	case now == nil:\n		return \"version\", nil\n"}}},
		{id: "T34", what: "FLUSHALL while many hold roles: access that is still there a minute after its end", run: flushed,
			defence: "the audit log gives the store back what it lost, and the sweep takes what nothing explains", without: []cut{
				{"cmd/elevate/recover_serve.go", "Behind: a.recovery.Behind,", "Behind: OR(a.recovery.Behind, nil),"},
				noSweep,
				{guardFile, "func (g *Guard) Run(ctx context.Context) error {\n", "func (g *Guard) Run(ctx context.Context) error {\n	if OUT {\n		<-ctx.Done()\n		return nil\n	}\n"}}},
		{id: "T35", what: "activation on a Redis that may evict what it is told, or keeps no append-only file", run: unsafeStore,
			defence: "nothing is activated on a store that can lose state", without: []cut{{"storage/redis/safe.go", "	if len(status.Problems) > 0 && !s.cfg.AllowUnsafe {", "	if len(status.Problems) > 0 && !s.cfg.AllowUnsafe && !OUT {"}}},
		{id: "T38", what: "lines of the audit log edited, deleted, swapped, repeated and cut off, at random", run: editedLog,
			defence: "each line has the hash of the one before, and a head was noted", without: []cut{
				{verifyLog, "	case l.seq == want && l.prev.Hash == v.last.Hash:\n", "	case OUT:\n	case l.seq == want && l.prev.Hash == v.last.Hash:\n"}},
			also: map[string]string{"cut off": "the head that was noted must be there", "cut in a line": "half a line is none"}},
		{id: "T39", what: "an older copy of the audit log, good in itself, in the place of the newest", run: olderLog,
			defence: "a head that was noted must be there", without: []cut{{verifyLog, "if _, missing := v.heads[h.Seq]; missing && ", "if _, missing := v.heads[h.Seq]; missing && !OUT && "}}},
		{id: "T63", what: "an approval's event deleted from Redis before it is in the audit log, which is verified then", run: deletedEvents,
			defence: "the versions of a request have no gap", without: []cut{{verifyLog, "	if v.follow(l) {\n", "	if v.follow(l) && !OUT {\n"}}},
		{id: "T42", what: "reading the audit log without a token, with a token of nobody's, and by people who are no auditors, each of whose tries must be on record", run: exports,
			defence: "only auditors and administrators read it", without: []cut{{"workflows/read.go", "	if !s.oversees(p) {\n		return &access.Refusal{Kind: access.ErrNotAllowed, Code: \"not_auditor\",", "	if !s.oversees(p) && !OUT {\n		return &access.Refusal{Kind: access.ErrNotAllowed, Code: \"not_auditor\","}},
			also: map[string]string{"without a token": "the API asks for a token", "with a token of nobody's": "the API knows no such token"}},
	}
}

// record is the key of a request's record, and what begins the keys of its slot.
func (r *rig) record(db *goredis.Client, id string) (key, base string) {
	r.Helper()
	keys := db.Keys(r.Context(), "*}:r:"+id).Val()
	if len(keys) != 1 {
		r.Fatalf("the record of %s: %v", id, keys)
	}
	return keys[0], strings.TrimSuffix(keys[0], "r:"+id)
}

func (r *rig) must(errs ...error) {
	r.Helper()
	if err := errors.Join(errs...); err != nil {
		r.Fatal(err)
	}
}

func writtenApproval(s *assault) {
	r := s.open()
	db, ctx := r.db(), s.Context()
	marked := regexp.MustCompile(`^\{"mark":"[^"]*",`)
	for i := range s.many(20, 3) {
		id := r.ask("bea", "vpn", "1h")
		r.logged(id, "submit") // what the log does not know of is removed, and not put right
		key, base := r.record(db, id)
		now := time.Now().UTC()
		doc := strings.Replace(db.HGet(ctx, key, "doc").Val(), `"state":"pending"`, fmt.Sprintf(
			`"state":"approved","approved_at":%q,"start_by":%q,"decisions":[{"verdict":"approve","by":{"person":"ben","via":"api"},"at":%q,"stage":0,"method":"token"}]`,
			now.Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339), now.Format(time.RFC3339)), 1)
		if i%3 == 1 {
			doc = "{" + marked.ReplaceAllString(doc, "") // with no mark
		}
		r.must(db.HSet(ctx, key, "doc", doc, "state", "approved", "timers", fmt.Sprintf("start=%d lapse=%d", now.UnixMilli(), now.Add(time.Hour).UnixMilli())).Err(),
			db.ZAdd(ctx, base+"due:clock", goredis.Z{Score: float64(now.UnixMilli()), Member: "start|" + id}).Err())
		given := false
		r.within(20*time.Second, func() bool {
			given = r.target.gave(id) > 0
			return given || r.shown(id).State == access.Pending
		})
		s.triedAs([]string{"with the mark of before", "with no mark"}[i%3%2], given, "%s was given", id)
		noted := func() bool { return count(r.events()[access.RequestID(id)], audit.Forged) > 0 }
		if !given && !r.within(r.upTo(patience), noted) {
			s.tried(true, "the forgery of %s is not on record", id)
		}
		r.over(id)
	}
}

// otherRoles has people ask for what there is not, and somebody who can write to Redis put another target into a request.
func otherRoles(s *assault) {
	r := s.open()
	db, ctx := r.db(), s.Context()
	for i, role := range []string{"domain-admin", "vpn/../root", "*", "vpn,root", "VPN", ""} {
		got := r.call(0, tokenOf("bea", i), "POST", "/requests", map[string]string{"role": role, "duration": "1h", "justification": "because I want it"})
		s.triedAs("asked for", got.id != "", "%q", role)
	}
	for range s.many(20, 2) {
		id := r.ask("bea", "vpn", "1h")
		r.logged(id, "submit")
		key, _ := r.record(db, id)
		doc := strings.Replace(db.HGet(ctx, key, "doc").Val(), `"target":{"role":"vpn"}`, `"target":{"role":"domain-admin"}`, 1)
		right := sha256.Sum256([]byte("target\x00{\"role\":\"domain-admin\"}\x00bea")) // the name of the right in the store
		r.must(db.HSet(ctx, key, "doc", doc, "right", hex.EncodeToString(right[:12])).Err())
		given := func() bool { return r.target.holds("bea domain-admin") }
		r.within(15*time.Second, func() bool {
			r.call(0, r.turnOf("cat"), "POST", "/requests/"+id+"/approve", nil)
			return given() || r.shown(id).State == access.Active
		})
		s.triedAs("written into a request", given(), "bea was given domain-admin")
		if given() {
			return
		}
		r.over(id)
	}
}

// movedTimers waits for what puts them back, which looks once a minute.
func movedTimers(s *assault) {
	r := s.open()
	db, ctx := r.db(), s.Context()
	far := time.Now().AddDate(10, 0, 0).UnixMilli()
	var ids []string
	for i, role := range []string{"vpn", "twin", "vpn", "twin"}[:s.many(4, 2)] {
		id := r.ask([]string{"bea", "bea", "ana", "ana"}[i], role, "5s")
		r.approves("ben", id)
		if role == "twin" {
			r.approves("cat", id)
		}
		r.reach(id, access.Active)
		key, base := r.record(db, id)
		r.must(db.ZAdd(ctx, base+"due:off:target", goredis.Z{Score: float64(far), Member: "end|" + id}).Err(),
			db.ZRem(ctx, base+"due:clock", "overdue|"+id).Err(), db.HSet(ctx, key, "timers", fmt.Sprintf("end=%d", far), "ends", far).Err())
		ids = append(ids, id)
	}
	r.within(r.upTo(80*time.Second), func() bool { return r.target.holding() == 0 })
	for range ids {
		s.tried(r.target.holding() > 0, "%d hold what should have ended long ago", r.target.holding())
	}
}

func olderRecord(s *assault) {
	r := s.open()
	db, ctx := r.db(), s.Context()
	for i := range s.many(20, 2) {
		id := r.granted("bea", "cat", "vpn", "1h")
		key, _ := r.record(db, id)
		older := db.HGetAll(ctx, key).Val()
		r.does("bea", "/requests/"+id+"/end", nil)
		r.reach(id, access.Ended)
		r.logged(id, "close")
		r.must(db.HSet(ctx, key, older).Err())
		back := false
		r.within(10*time.Second, func() bool {
			is := r.call(0, tokenOf("aud", i), "GET", "/requests/"+id, nil)
			back = back || is.state == access.Active
			return back || is.state == access.Ended
		})
		s.tried(back, "%s is active again", id)
	}
}

func flushed(s *assault) {
	n := s.many(100, 10)
	r := s.open(func(c *setting) {
		for i := range n {
			c.roles += fmt.Sprintf("  - {id: many%d, title: Many %d, connector: target, target: {role: many%d}}\n", i, i, i)
		}
	})
	length := time.Duration(s.many(60, 25)) * time.Second
	s.each(n, 4, func(i int) {
		made := r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", map[string]string{"role": fmt.Sprintf("many%d", i), "duration": length.String(), "justification": "before the flood"})
		r.call(0, tokenOf("cat", i%tokensEach), "POST", "/requests/"+made.id+"/approve", nil)
	})
	e2etest.Eventually(s, patience, func() error {
		if r.target.holding() < n {
			return fmt.Errorf("%d of %d hold something", r.target.holding(), n)
		}
		return nil
	})
	r.within(10*time.Second, func() bool { // what is not on disk yet is known to nobody afterwards
		confirmed := 0
		for _, events := range r.events() {
			confirmed += count(events, "confirm")
		}
		return confirmed >= n
	})
	r.must(r.db().FlushAll(s.Context()).Err())
	r.within(length+r.upTo(time.Minute), func() bool { return r.target.holding() == 0 })
	for i := range n {
		s.tried(i < r.target.holding(), "%d of %d hold it still, a minute after the end", r.target.holding(), n)
	}
}

// disbelieved waits until what the bot knows of Redis' settings is out of date: it believes an answer for a second.
func (r *rig) disbelieved() { r.pass(1500 * time.Millisecond) }

func unsafeStore(s *assault) {
	r := s.open()
	db, ctx := r.db(), s.Context()
	for _, bad := range [][3]string{{"maxmemory-policy", "allkeys-lru", "noeviction"}, {"maxmemory-policy", "volatile-ttl", "noeviction"}, {"appendonly", "no", "yes"}} {
		r.must(db.ConfigSet(ctx, bad[0], bad[1]).Err())
		r.disbelieved()
		for range s.many(5, 1) {
			id := r.ask("bea", "vpn", "1h")
			r.approves("cat", id)
			given := r.soon(func() bool { return r.target.gave(id) > 0 })
			s.triedAs(bad[0]+" "+bad[1], given, "it was given")
			r.over(id)
		}
		r.must(db.ConfigSet(ctx, bad[0], bad[2]).Err())
	}
}

// kept is an audit log of some length, its lines, and the head that was noted.
func (r *rig) kept(n int) (lines []string, head string) {
	r.Helper()
	for i := range n {
		if id := r.asks(i, fmt.Sprintf("number %d of many", i)); id != "" {
			r.call(0, tokenOf("cat", i%tokensEach), "POST", "/requests/"+id+"/deny", map[string]string{"reason": "no"})
		}
	}
	r.bots[0].Stop()
	files, err := filepath.Glob(filepath.Join(r.bots[0].Dir, "audit", "*.jsonl"))
	if err != nil || len(files) != 1 {
		r.Fatalf("the audit log: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	r.must(err)
	out := r.program.Run(r, r.bots[0].Dir, "audit", "verify")
	found := regexp.MustCompile(`head (\d+:[0-9a-f]{64})`).FindStringSubmatch(out.Stdout)
	if found == nil || out.Code != 0 {
		r.Fatalf("the log is not proved: %d %s", out.Code, out.Stdout)
	}
	for line := range strings.Lines(string(text)) {
		lines = append(lines, line)
	}
	return lines, found[1]
}

// proved tells whether a log is taken for whole, against the noted head.
func (r *rig) proved(dir, text, head string) bool {
	r.must(os.WriteFile(filepath.Join(dir, "audit-2026-01-01-000000000001.jsonl"), []byte(text), 0o600))
	return r.program.Run(r, dir, "audit", "verify", "--dir", dir, "--head", head).Code == 0
}

func editedLog(s *assault) {
	r := s.open()
	lines, head := r.kept(s.many(40, 15))
	dirs := make([]string, 4)
	for i := range dirs {
		dirs[i] = s.TempDir()
	}
	free := make(chan string, len(dirs))
	for _, d := range dirs {
		free <- d
	}
	s.each(s.many(1_000, 60), len(dirs), func(i int) {
		rng := rand.New(rand.NewPCG(38, uint64(i)))
		now := append([]string{}, lines...)
		at, other := rng.IntN(len(now)), rng.IntN(len(now))
		how := []string{"a letter", "deleted", "swapped", "repeated", "cut off", "cut in a line"}[i%6]
		switch i % 6 {
		case 0:
			b := []byte(now[at])
			b[rng.IntN(len(b)-1)] ^= 1
			now[at] = string(b)
		case 1:
			now = append(now[:at:at], now[at+1:]...)
		case 2:
			if at == other {
				other = (at + 1) % len(now)
			}
			now[at], now[other] = now[other], now[at]
		case 3:
			now = append(now[:at:at], append([]string{now[other]}, now[at:]...)...)
			if at > 0 && now[at] == now[at-1] || at+1 < len(now) && now[at] == now[at+1] {
				now[at] = strings.Replace(now[at], `"`, ` "`, 1) // a copy beside its line says nothing new
			}
		case 4:
			now = now[:max(1, at)]
			if len(now) == len(lines) {
				now = now[:len(now)-1]
			}
		case 5:
			now[len(now)-1] = now[len(now)-1][:rng.IntN(len(now[len(now)-1])-2)+1]
		}
		dir := <-free
		defer func() { free <- dir }()
		s.triedAs(how, r.proved(dir, strings.Join(now, ""), head), "line %d: it is proved", at+1)
	})
}

func olderLog(s *assault) {
	r := s.open()
	lines, head := r.kept(s.many(20, 10))
	dir := s.TempDir()
	for n := 1; n < min(len(lines), s.many(60, 8)); n++ {
		s.tried(r.proved(dir, strings.Join(lines[:len(lines)-n], ""), head), "the log of %d lines before is proved", n)
	}
}

// deletedEvents takes the event of an approval out of Redis in the moment in which it was made, before it is written down.
func deletedEvents(s *assault) {
	r := s.open()
	db, ctx := r.db(), s.Context()
	for left := s.many(20, 3); left > 0; {
		id := r.ask("bea", "vpn", "1h")
		_, base := r.record(db, id)
		r.approves("cat", id)
		for _, e := range db.XRange(ctx, base+"events", "-", "+").Val() {
			if event := fmt.Sprint(e.Values); strings.Contains(event, id) && strings.Contains(event, `"kind":"approve"`) {
				r.must(db.XDel(ctx, base+"events", e.ID).Err())
			}
		}
		r.logged(id, "confirm")
		r.over(id)
		r.logged(id, "close")
		if count(r.events()[access.RequestID(id)], "approve") > 0 {
			continue // it was written down before
		}
		left--
		out := r.program.Run(r, r.bots[0].Dir, "audit", "verify")
		s.tried(out.Code == 0 || !strings.Contains(out.Stdout, "of request "+id+" is missing"), "%s", out.Stdout)
	}
}

func exports(s *assault) {
	r := s.open()
	r.ask("bea", "vpn", "1h")
	known := 0 // tries of people who are known
	for i := range s.many(100, 10) {
		who := []string{"", "token-of-nobody", tokenOf("bea", i%tokensEach), tokenOf("cat", i%tokensEach), tokenOf("dan", i%tokensEach)}[i%5]
		path := []string{"/audit", "/audit?format=csv", "/audit?from=2020-01-01T00:00:00Z"}[i%3]
		got := r.call(0, who, "GET", path, nil)
		s.triedAs([]string{"without a token", "with a token of nobody's", "by bea", "by cat", "by dan"}[i%5], got.status/100 == 2, "%s: %d", path, got.status)
		if i%5 >= 2 {
			known++
		}
	}
	noted := func() (n int) {
		for _, e := range slices.Concat(slices.Collect(maps.Values(r.events()))...) {
			if e.Kind == audit.Refused && e.Reason == "not_auditor" {
				n++
			}
		}
		return n
	}
	if !s.out && !r.within(patience, func() bool { return noted() == known }) {
		s.Errorf("%d of %d refusals are on record", noted(), known)
	}
}
