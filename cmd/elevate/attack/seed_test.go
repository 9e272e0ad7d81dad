package attack_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/bot/api"
	"elevate/workflows/audit"
)

// triesEach is how many codes are tried with a factor: the fifth wrong one locks it, and then nothing is looked at.
const triesEach = 4

// approvers are n more people who approve, x0 and so on.
func approvers(n int) func(*setting) {
	return func(c *setting) {
		for i := range n {
			who := fmt.Sprintf("x%d", i)
			c.people += fmt.Sprintf("  - {id: %s, name: %s, slack: %s, groups: [leads]}\n", who, who, member(who))
			c.tokens += fmt.Sprintf("    - {name: %s, person: %s, hash: %q}\n", who, who, api.HashToken(tokenOf(who, 0)))
			c.accounts = append(c.accounts, member(who))
		}
	}
}

// A seal is a nonce, what was sealed, and what proves both.
const (
	nonceBytes = 12
	seedBytes  = 32
	sealBytes  = nonceBytes + seedBytes + 16
)

// movedSeeds is somebody who can write to Redis: cat, who has a second factor of her own, and then somebody who knows
// what is sealed and turns bits of it, as they can where a cipher has nothing that proves what it sealed.
func movedSeeds(s *assault) {
	n := s.many(sealBytes, 9)
	r := s.open(approvers(1 + (n+triesEach-1)/triesEach))
	mine, db := r.enrols("cat"), r.db()
	hers := r.factorKey(db, "cat")
	r.enrols("x0")
	his := r.factorKey(db, "x0")
	r.sealed(db, "her seed", "x0", mine.seed, db.HGet(s.Context(), hers, "seed").Val(), db.HGet(s.Context(), hers, "id").Val())
	r.sealed(db, "her seed under his id", "x0", mine.seed, db.HGet(s.Context(), hers, "seed").Val(), db.HGet(s.Context(), his, "id").Val())
	var a *app
	var who string
	for i := range n {
		if i%triesEach == 0 {
			who = fmt.Sprintf("x%d", 1+i/triesEach)
			a = r.enrols(who)
		}
		record := db.HGetAll(s.Context(), r.factorKey(db, who)).Val()
		at := i * sealBytes / n // spread over all of it in the short form
		kind, seed, sealed := turned(s, record["seed"], a.seed, at)
		r.sealed(db, kind, who, seed, sealed, record["id"])
	}
}

// turned turns the lowest bit of one byte of a seal that is not lost by it, and gives the seed that this makes where nothing
// proves it.
func turned(s *assault, sealed, seed string, at int) (kind, makes, changed string) {
	key, text, _ := strings.Cut(sealed, ":")
	box, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(box) != sealBytes || len(seed) != seedBytes {
		s.Fatalf("a seal of %d bytes, and a seed of %d: %v", len(box), len(seed), err)
	}
	kind, bit := "a byte of the proof", byte(1)
	switch in := at - nonceBytes; {
	case in < 0:
		kind = "a byte of the nonce"
	case in < seedBytes:
		kind = "a byte of the seed"
		for !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", rune(seed[in]^bit)) {
			bit <<= 1 // so that what it makes is a seed
		}
		seed = seed[:in] + string(seed[in]^bit) + seed[in+1:]
	}
	box[at] ^= bit
	return kind, seed, key + ":" + base64.RawStdEncoding.EncodeToString(box)
}

// factorKey is the key of somebody's second factor in Redis.
func (r *rig) factorKey(db *goredis.Client, who string) string {
	r.Helper()
	keys := db.Keys(r.Context(), "*}:f:"+who).Val()
	if len(keys) != 1 {
		r.Fatalf("the factor of %s: %v", who, keys)
	}
	return keys[0]
}

// sealed writes a seal into somebody's record, and approves as them with a code of the seed that is to be in it. It is accepted
// where that code approves and nothing is on record: what the product finds changed it puts back, and then a right code
// is right again.
func (r *rig) sealed(db *goredis.Client, kind, who, seed, sealed, factor string) {
	r.Helper()
	key := r.factorKey(db, who)
	found := r.doubts(who)
	id := r.ask("ana", "vault", "1h")
	// Whoever writes there can also start every count anew.
	r.must(db.HSet(r.Context(), key, "seed", sealed, "id", factor, "charged", 0, "row", 0, "counter", 0).Err(),
		db.HDel(r.Context(), key, "until", "failed", "disabled").Err())
	got := r.call(0, tokenOf(who, 0), "POST", "/requests/"+id+"/approve", map[string]string{"code": (&app{seed: seed}).at(time.Now())})
	if got.code == "factor_locked" {
		r.Fatalf("%s: the factor is locked, so that nothing is looked at: %s", kind, got.body)
	}
	known := !r.out && r.within(patience, func() bool { return r.doubts(who) > found })
	r.triedAs(kind, got.status == 200 && !known, "%d %s", got.status, got.code)
	if !known && !r.out {
		r.Errorf("%s: that somebody changed the factor of %s is not on record", kind, who)
	}
	for _, verb := range []string{"cancel", "end"} {
		r.does("ana", "/requests/"+id+"/"+verb, nil)
	}
	r.within(patience, func() bool { return r.shown(id).State.Terminal() })
}

// doubts is how often it is on record that somebody's factor was changed.
func (r *rig) doubts(who string) (n int) {
	for _, events := range r.events() {
		for _, e := range events {
			if e.Kind == audit.Forged && string(e.Person) == who {
				n++
			}
		}
	}
	return n
}
