package attack_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/bot/signin/oidcfake"
	"elevate/cmd/elevate/e2etest"
)

const (
	factorFile = "workflows/factor/factor.go"
	totpFile   = "workflows/factor/totp.go"
	enrolFile  = "workflows/factor/enrol.go"
	sealFile   = "workflows/seal/seal.go"
)

// noCharge looks at a code whatever Redis said of the try.
var noCharge = cut{factorFile, "	if verdict != Open {", "	if verdict != Open && !OUT {"}

func factorAttacks() []attack {
	return []attack{
		{id: "T24", what: "guesses of a code, over 50 connections and two replicas: how many are looked at, and whether the right one helps then", run: guesses,
			defence: "each guess is charged for before it is looked at", without: []cut{noCharge},
			also: map[string]string{"the right code, after them": "what is locked looks at no code"}},
		{id: "T25a", what: "one right code, sent at once to two replicas for many requests", run: sameCode,
			defence: "a step's code is taken in one script, once", without: []cut{{"storage/redis/lua/factor_spend.lua", "if tonumber(ARGV[4]) <= tonumber(f[2]) then", "if false then"}}},
		{id: "T25b", what: "the code of an older step after a newer one's", run: olderCode,
			defence: "steps only go up", without: []cut{{"storage/redis/lua/factor_spend.lua", "if tonumber(ARGV[4]) <= tonumber(f[2]) then", "if tonumber(ARGV[4]) == tonumber(f[2]) then"}}},
		{id: "T26", what: "codes of the five minutes before and after, but for the steps beside the current one", run: farCodes,
			defence: "one step of skew", without: []cut{{factorFile, "skew: 1, now: cfg.Now", "skew: OR(int64(1), 20), now: cfg.Now"}},
			also: map[string]string{"before": "steps only go up from the one that set the factor up"}},
		{id: "T27", what: "looking for the seed of an authenticator app in Redis, its files, the logs and the audit log", run: seedsInTheOpen,
			defence: "seeds are sealed, and links kept as a hash", without: []cut{
				{enrolFile, "	sum := sha256.Sum256([]byte(token))\n", "	if OUT {\n		return token\n	}\n	sum := sha256.Sum256([]byte(token))\n"},
				{sealFile, "	//nolint:gosec // the cipher draws its own nonce\n", "	if OUT {\n		return b.first + \":\" + text.Reveal()\n	}\n"},
				{sealFile, "	box, err := base64.RawStdEncoding.DecodeString(text)\n", "	if OUT {\n		return access.NewSecret(text), nil\n	}\n	box, err := base64.RawStdEncoding.DecodeString(text)\n"}}},
		{id: "T28", what: "an approver's sealed seed replaced, in Redis, by the attacker's own, and a bit of each of its bytes turned, so that the code of the seed that this makes is good", run: movedSeeds,
			defence: "a seal shows what was done to it, and what is kept of a factor is marked", without: []cut{
				{sealFile, "	return cipher.NewGCMWithRandomNonce(block)\n", "	if OUT {\n		return switched.Unproved{Block: block}, nil\n	}\n	return cipher.NewGCMWithRandomNonce(block)\n"},
				{"storage/redis/factorstate.go", "	case s.believe(named(markFactor, name), stored[fieldMark], factorText(stored)) != nil, n.err != nil:\n", "	case !OUT && s.believe(named(markFactor, name), stored[fieldMark], factorText(stored)) != nil, n.err != nil:\n"}},
			also: map[string]string{"a byte of the nonce": "it makes a seed that is none"}},
		{id: "T29a", what: "the link to a second factor used twice, and after a program has looked at it", run: usedLinks,
			defence: "the key is shown once", without: []cut{
				{enrolFile, "	p, e, err := f.follow(ctx, token, v, Opened)\n	if err != nil {\n		return Page{}, err", "	p, e, err := f.follow(ctx, token, v, OR(Opened, Shown))\n	if OUT && err != nil {\n		p, e, err = f.follow(ctx, token, v, Opened)\n	}\n	if err != nil {\n		return Page{}, err"},
				{"storage/redis/lua/factor_advance.lua", "if stands[1] ~= ARGV[4] or stands[2] ~= ARGV[5] then", "if stands[1] ~= ARGV[4] then"}},
			also: map[string]string{"looked at": "a look shows a button, and nothing that is secret"}},
		{id: "T29b", what: "the link to a second factor opened by somebody who signed in as somebody else", run: othersLinks,
			defence: "a link is for one person", without: []cut{{enrolFile, "v.SignedIn != \"\" && v.SignedIn != access.PersonID(id)", "!OUT && v.SignedIn != \"\" && v.SignedIn != access.PersonID(id)"},
				{"bot/signin/callback.go", "	if b.Person != \"\" && b.Person != p.ID {", "	if b.Person != \"\" && b.Person != p.ID && !OUT {"}}},
		{id: "T29c", what: "setting up a factor in a stolen chat session, with no sign-in and no administrator's word", run: unvouched,
			defence: "somebody vouches", without: []cut{{enrolFile, "	if e.Vouched != \"\" {", "	if e.Vouched != \"\" || OUT {"}}},
		{id: "T30", what: "the attacker's own link sent to a victim, who signs in: the account is to count as the victim's, without the word", run: sentLinks,
			defence: "the word that only the victim sees", without: []cut{{"storage/redis/words.go", "+ word))", "+ OR(word, \"\")))"}}},
		{id: "T31", what: "the code of an empty seed, which anybody can work out, from somebody without a second factor", run: emptySeed,
			defence: "no seed, no code: before a try is charged for, by Redis that charges for it and that takes the step, and of the seed itself", without: []cut{
				noCharge,
				{factorFile, "	switch {\n	case s.ID == \"\" && len(s.Keys) > 0:\n", "	switch {\n	case OUT:\n	case s.ID == \"\" && len(s.Keys) > 0:\n"},
				{factorFile, "	seed, err := f.box.Open(stored.Sealed, string(by.Person), stored.ID)\n", "	seed, err := f.box.Open(stored.Sealed, string(by.Person), stored.ID)\n	if OUT && stored.Sealed == \"\" {\n		err = nil\n	}\n"},
				{totpFile, "	if err != nil || len(raw) < leastKey {", "	if !OUT && (err != nil || len(raw) < leastKey) {"},
				{"storage/redis/lua/factor_spend.lua", "if f[1] ~= ARGV[3] or f[4] then return 'none' end", "if not f[1] then return 'accepted' end"}}},
	}
}

var (
	factorLink = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/mfa/[A-Za-z0-9_-]+`)
	accountURL = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/link/[A-Z2-7]{52}`)
	ticketIn   = regexp.MustCompile(`name="ticket" value="([A-Z2-7]+)"`)
	seedIn     = regexp.MustCompile(`class="key">([A-Z2-7 ]+)<`)
	wordIn     = regexp.MustCompile(`/elevate (?:mfa|link) ([0-9A-Za-z]{3,4}-[0-9A-Za-z]{3,4})`)
)

// app is somebody's authenticator app.
type app struct {
	seed  string
	spent int64 // the latest step whose code was used
}

func step(at time.Time) int64 { return at.Unix() / 30 }

// at is the code of a moment.
func (a *app) at(t time.Time) string {
	code, err := totp.GenerateCode(a.seed, t)
	if err != nil {
		panic(err) // a seed of ours
	}
	return code
}

// next is a code that was not used yet: of the current step, or of the one after it, which is good already.
func (a *app) next(r *rig) string {
	r.within(time.Minute, func() bool { return step(time.Now())+1 > a.spent })
	a.spent = max(step(time.Now()), a.spent+1)
	return a.at(time.Unix(a.spent*30, 0))
}

// invited is the link that somebody is given to set up a second factor.
func (r *rig) invited(who string) string {
	r.Helper()
	said := r.types(member(who), "mfa new")
	link := factorLink.FindString(said)
	if link == "" {
		r.Fatalf("%s is given no link, but told: %s", who, said)
	}
	return link
}

// enrols sets up somebody's second factor, which lea confirms.
func (r *rig) enrols(who string) *app {
	r.Helper()
	a, word := r.shows(oidcfake.NewBrowser(r), r.invited(who))
	r.types(member(who), "mfa "+word)
	r.types("U0LEA", "mfa confirm "+who)
	if got := r.types(member(who), "mfa"); !strings.Contains(got, "You have one") {
		r.Fatalf("%s has no second factor: %s", who, got)
	}
	return a
}

// shows goes through the page of a link, up to the word.
func (r *rig) shows(b *oidcfake.Browser, link string) (*app, string) {
	r.Helper()
	seen := b.Post(link, nil)
	ticket, seed := ticketIn.FindStringSubmatch(seen.Body), seedIn.FindStringSubmatch(seen.Body)
	if ticket == nil || seed == nil {
		r.Fatalf("the page shows no key: %d %s", seen.Status, seen.Body)
	}
	a := &app{seed: strings.ReplaceAll(seed[1], " ", "")}
	a.spent = step(time.Now())
	seen = b.Post(link, url.Values{"ticket": {ticket[1]}, "code": {a.at(time.Now())}})
	word := wordIn.FindStringSubmatch(seen.Body)
	if word == nil {
		r.Fatalf("the page shows no word: %d %s", seen.Status, seen.Body)
	}
	return a, word[1]
}

// withCode approves with a code, by the n-th token at a replica.
func (r *rig) withCode(replica, n int, id, code string) reply {
	return r.call(replica, tokenOf("ben", n%tokensEach), "POST", "/requests/"+id+"/approve", map[string]string{"code": code})
}

// guesses guesses codes, and counts those that were looked at: after five nothing is.
func guesses(s *assault) {
	r := s.open(func(c *setting) { c.replicas = 2 })
	a := r.enrols("ben")
	id := r.ask("ana", "vault", "1h")
	right := map[string]bool{}
	for d := -2; d <= 2; d++ {
		right[a.at(time.Now().Add(time.Duration(d)*30*time.Second))] = true
	}
	n := s.many(20_000, 600)
	var looked, through atomic.Int64
	s.each(n, 50, func(i int) {
		guess := fmt.Sprintf("%06d", i)
		if right[guess] {
			guess = "999999"
		}
		got := r.withCode(i%2, i, id, guess)
		if got.code == "code_wrong" {
			looked.Add(1)
		}
		if got.status == 200 {
			through.Add(1)
		}
	})
	last := r.withCode(0, 50, id, a.next(r))
	for i := range n {
		s.tried(i >= 5 && i < int(looked.Load()), "%d guesses were looked at", looked.Load())
	}
	s.triedAs("the right code, after them", last.status == 200 || through.Load() > 0, "%d", last.status)
}

func sameCode(s *assault) {
	r := s.open(func(c *setting) { c.replicas = 2 })
	a := r.enrols("ben")
	n := s.many(1_000, 60)
	ids := []string{r.ask("ana", "vault", "1h"), r.ask("bea", "vault", "1h")}
	code := a.next(r)
	var taken atomic.Int64
	send := func(i int) {
		if r.withCode(i%2, i, ids[i/2%len(ids)], code).status == 200 {
			taken.Add(1)
		}
	}
	last := 2 * len(ids) // once more to each replica for each request, when the crowd is gone
	s.each(n-last, 50, send)
	for i := range last {
		send(n - last + i)
	}
	for i := range n {
		s.tried(i > 0 && i < int(taken.Load()), "one code approved %d times", taken.Load())
	}
}

func olderCode(s *assault) {
	r := s.open()
	a := r.enrols("ben")
	for i := range s.many(4, 1) {
		used := r.ask("ana", "vault", "1h")
		r.within(time.Minute, func() bool { return step(time.Now()) > a.spent })
		a.spent = step(time.Now()) + 1
		if got := r.withCode(0, i, used, a.at(time.Now().Add(30*time.Second))); got.status != 200 { // the step after the current one
			s.Fatalf("a good code is refused: %d %s", got.status, got.body)
		}
		for _, back := range []time.Duration{0, -30 * time.Second} {
			id := r.ask("bea", "vault", "1h")
			got := r.withCode(0, i, id, a.at(time.Now().Add(back)))
			s.tried(got.status == 200, "the code of %s: %d", back, got.status)
			r.over(id)
		}
		r.does("ana", "/requests/"+used+"/end", nil)
	}
}

// farCodes tries codes of other times, four of them with each factor: the fifth wrong one locks.
func farCodes(s *assault) {
	far := []int{-10, 2, 9, 10, -9, 3, 7, 8, -8, -7, 5, 6, -6, -5, 4, -4, -3, -2} // later ones later, as steps only go up
	n := s.many(len(far), 4)
	r := s.open(approvers((n + triesEach - 1) / triesEach))
	id := r.ask("bea", "vault", "1h")
	var a *app
	for i := range n {
		who := fmt.Sprintf("x%d", i/triesEach)
		if i%triesEach == 0 {
			a = r.enrols(who)
		}
		// Not at the turn of a step, and never a code that is right by chance.
		r.within(40*time.Second, func() bool { return time.Now().Unix()%30 < 20 })
		off := time.Duration(far[i]) * 30 * time.Second
		code := a.at(time.Now().Add(off))
		for d := -1; d <= 1; d++ {
			if code == a.at(time.Now().Add(time.Duration(d)*30*time.Second)) {
				code = ""
			}
		}
		got := r.call(0, tokenOf(who, 0), "POST", "/requests/"+id+"/approve", map[string]string{"code": code})
		kind := "after"
		if off < 0 {
			kind = "before"
		}
		s.triedAs(kind, got.status == 200, "the code of %s: %d", off, got.status)
		if got.status == 200 {
			r.over(id)
			id = r.ask("bea", "vault", "1h")
		}
	}
}

func seedsInTheOpen(s *assault) {
	r := s.open()
	link := r.invited("ben")
	a, word := r.shows(oidcfake.NewBrowser(r), link)
	everywhere := r.redis.Everything(s) // while it is being set up
	r.types("U0BEN", "mfa "+word)
	r.types("U0LEA", "mfa confirm ben")
	id := r.ask("ana", "vault", "1h")
	code := a.next(r)
	if got := r.withCode(0, 0, id, code); got.status != 200 {
		s.Fatalf("a good code is refused: %d %s", got.status, got.body)
	}
	everywhere += r.redis.Everything(s) + r.bots[0].Log() + e2etest.Proved(s, e2etest.AuditFolders(r.bots...))
	var alone strings.Builder // what Slack was told for one person's eyes: ben's link, where the answer was late
	for _, c := range r.slack.Calls("") {
		if c.Method == "chat.postEphemeral" || c.Args["response_type"] == "ephemeral" {
			fmt.Fprint(&alone, c)
		} else {
			everywhere += fmt.Sprint(c)
		}
	}
	token := link[strings.LastIndex(link, "/")+1:]
	for _, is := range []struct{ kind, secret, where string }{{"the seed", a.seed, everywhere + alone.String()}, {"the link", token, everywhere}} {
		for _, form := range []string{is.secret, strings.ToLower(is.secret), base64.StdEncoding.EncodeToString([]byte(is.secret)), url.QueryEscape("secret=" + is.secret)} {
			s.triedAs(is.kind, strings.Contains(is.where, form), "it is in the open: %.8s…", form)
		}
	}
}
