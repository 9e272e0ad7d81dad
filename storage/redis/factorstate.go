package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

// Known is the newest version of a factor that somebody knows of. None says that there is no factor in it, and Removed that
// its owner took the last one away.
type Known struct {
	Version       int64
	None, Removed bool
	fields        map[string]string // nil: only the version is known
}

// left are the fields of what an owner's removal has left, or none.
func (k Known) left() map[string]string {
	if !k.Removed {
		return map[string]string{}
	}
	return map[string]string{fieldRemoved: "1"}
}

// KnownBy is what an event of the audit log tells of a factor; false where it tells nothing.
func KnownBy(e audit.Event) (Known, bool) {
	version, err := strconv.ParseInt(e.Detail["version"], 10, 64)
	none := e.Detail["none"]
	return Known{Version: version, None: none != "", Removed: none == noneRemoved}, err == nil
}

// The fields beside those of the scripts. A version is the Unix millisecond at which it was written, and more than that of
// the one before it: so versions go on rising also where the store has lost all.
const (
	fieldVersion = "ver"
	fieldMark    = "mark"
	fieldEnds    = "ends"    // when it is over (Unix ms), where it has a time to live
	fieldDoubted = "doubted" // it stands for a factor that was altered
	fieldLost    = "lost"    // it stands for a factor that is gone
	fieldRemoved = "removed" // its owner took the last one away
	noneRemoved  = "removed" // what an event says of that
)

const (
	// slack is how long after its end something is still believed: clocks differ.
	slack = time.Minute
	// mostTurns bounds how often a step that others come in between is tried.
	mostTurns = 500
)

// factorStates is what a store knows of factors beside what it has stored.
type factorStates struct {
	mu    sync.Mutex
	known map[string]Known // by name
	// turns has the steps of one person wait for each other here, rather than race.
	turns [64]sync.Mutex
	seed  maphash.Seed
}

func newFactorStates() *factorStates {
	return &factorStates{known: map[string]Known{}, seed: maphash.MakeSeed()}
}

// KnowFactor has the store know a version of a person's factor that the audit log tells of: one that is older, or gone, is
// not believed from then on. What this store itself reads and writes is known beside it.
func (s *Store) KnowFactor(p access.PersonID, k Known) {
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	if name := factorName(p); k.Version > s.factors.known[name].Version {
		s.factors.known[name] = k
	}
}

func (f *factorStates) turn(key string) *sync.Mutex {
	return &f.turns[maphash.String(f.seed, key)%uint64(len(f.turns))]
}

func (f *factorStates) of(name string) Known {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[name]
}

// note knows what an Elevate has written of a factor or an enrolment, or that there is nothing any more.
func (f *factorStates) note(name string, version int64, fields map[string]string) {
	if !isFactor(name) && !strings.HasPrefix(name, "fe:") {
		return
	}
	k := Known{Version: version, None: proofless(fields), Removed: fields[fieldRemoved] != "", fields: fields}
	f.mu.Lock()
	defer f.mu.Unlock()
	if k.Version >= f.known[name].Version {
		f.known[name] = k
	}
}

func factorName(p access.PersonID) string { return "f:" + string(p) }

// nameOf is a key without what begins all keys of its shard.
func nameOf(key string) string {
	_, name, _ := strings.Cut(key, "}:")
	return name
}

// isFactor tells the name of a factor from that of an enrolment, which ends by itself.
func isFactor(name string) bool { return strings.HasPrefix(name, "f:") }

// bare are the fields without those that scripts neither read nor write.
func bare(fields map[string]string) map[string]string {
	out := maps.Clone(fields)
	for _, f := range []string{fieldVersion, fieldMark, fieldEnds} {
		delete(out, f)
	}
	return out
}

// proofless tells whether there is nothing in a factor that anything is proved by.
func proofless(fields map[string]string) bool {
	for f := range fields {
		if f == "id" || strings.HasPrefix(f, "k:") || f == fieldLost {
			return false
		}
	}
	return true
}

// hash is one hash of factors as it lies in the store, and as it is believed.
type hash struct {
	key    string
	stored map[string]string
	fields map[string]string // without those of this file that scripts do not read; empty: there is nothing
	how    string            // why it is not believed; empty: it is
}

// factorText is what a mark is made of. Its JSON is the same for equal fields: keys are sorted.
func factorText(fields map[string]string) []byte {
	rest := maps.Clone(fields)
	delete(rest, fieldMark)
	text, err := json.Marshal(rest)
	if err != nil {
		panic("texts cannot be written as JSON: " + err.Error())
	}
	return text
}

// look tells whether a hash is what Elevate wrote last. Known is from before it was read. What has an end is nothing from
// then on, whoever wrote it; factors have none.
func (s *Store) look(key string, stored map[string]string, known Known) hash {
	h := hash{key: key, stored: stored, fields: map[string]string{}}
	name, n := nameOf(key), numbers{of: stored}
	version, ends := n.number(fieldVersion), n.number(fieldEnds)
	switch {
	case len(stored) == 0 && isFactor(name) && known.Version > 0 && !known.None:
		h.how = factor.Gone
	case len(stored) == 0 && isFactor(name):
		h.fields = known.left() // the store may lose that too
	case len(stored) == 0, !isFactor(name) && ends > 0 && s.cfg.Now().UnixMilli() > ends+slack.Milliseconds():
	case s.believe(named(markFactor, name), stored[fieldMark], factorText(stored)) != nil, n.err != nil:
		h.how = factor.Altered
	case version < known.Version:
		h.how = factor.Older
	default:
		h.fields = bare(stored)
		s.factors.note(name, version, stored)
	}
	return h
}

// factorHash reads a hash of factors. What is not believed is settled first.
func (s *Store) factorHash(ctx context.Context, key string) (map[string]string, error) {
	for range mostTurns {
		known := s.factors.of(nameOf(key))
		stored, err := s.client.HGetAll(ctx, key).Result()
		if err != nil {
			return nil, err
		}
		h := s.look(key, stored, known)
		if h.how == "" {
			return h.fields, s.markAnew(ctx, h)
		}
		if err := s.settle(ctx, h); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("redis: %s changes all the time: %w", nameOf(key), workflows.ErrForged)
}

// markAnew marks with the first key what has no mark, or another's.
func (s *Store) markAnew(ctx context.Context, h hash) error {
	if s.cfg.Marks == nil || len(h.stored) == 0 || s.marked(h.key, h.stored)[fieldMark] == h.stored[fieldMark] {
		return nil
	}
	if !isFactor(nameOf(h.key)) { // over soon
		return nil
	}
	_, err := s.swap(ctx, h.key, "ok", nil, change{hash: h, fields: s.next(h, h.fields, 0)})
	return err
}

// next is what a hash becomes with these fields: with a version, an end and a mark. No fields leave nothing, but of a factor
// its version: so that an older one is told from none.
func (s *Store) next(h hash, fields map[string]string, ttl time.Duration) map[string]string {
	if len(fields) == 0 && !isFactor(nameOf(h.key)) {
		return nil
	}
	out := bare(fields)
	if out == nil {
		out = map[string]string{}
	}
	now := s.cfg.Now().UnixMilli()
	version := max(s.factors.of(nameOf(h.key)).Version+1, now)
	if n := (numbers{of: h.stored}); h.how == "" { // others may have written anything there
		version = max(version, n.number(fieldVersion)+1)
	}
	out[fieldVersion] = strconv.FormatInt(version, 10)
	if ttl > 0 {
		out[fieldEnds] = strconv.FormatInt(now+ttl.Milliseconds(), 10)
	}
	return s.marked(h.key, out)
}

func (s *Store) marked(key string, fields map[string]string) map[string]string {
	out := maps.Clone(fields)
	delete(out, fieldMark)
	if s.cfg.Marks != nil {
		out[fieldMark] = s.cfg.Marks.Mark(named(markFactor, nameOf(key)), factorText(out))
	}
	return out
}

// change is a hash and what it is to be; nil fields remove it. One that is kept must only be as it was when the step read it.
type change struct {
	hash
	fields map[string]string
	ttl    time.Duration
	kept   bool
}

// swap writes changes in the shard of a key where nobody came in between: otherwise the word is raced.
func (s *Store) swap(ctx context.Context, key, word string, events [][]byte, changes ...change) (string, error) {
	base, _, _ := strings.Cut(key, "}:")
	base += "}:"
	keys := []string{base + "events", base + "try:" + rand.Text()}
	args := []any{millis(keptAttempts), word, len(events)}
	for _, e := range events {
		args = append(args, e)
	}
	for _, c := range changes {
		keys = append(keys, c.key)
		count := 2 * len(c.fields)
		if c.kept {
			count = -1
		}
		args = append(args, c.stored[fieldVersion], c.stored[fieldMark], c.ttl.Milliseconds(), count)
		for _, f := range slices.Sorted(maps.Keys(c.fields)) {
			args = append(args, f, c.fields[f])
		}
	}
	ask := call{script: "factor_swap", keys: keys, args: args}
	said, err := s.word(ctx, ask)
	if err == nil && said != word && said != "raced" {
		err = unknown(ask, said)
	}
	if err != nil {
		return "", fmt.Errorf("redis: %w", err)
	}
	if said == word {
		for _, c := range changes {
			if !c.kept && (c.fields != nil || c.how == "") {
				s.factors.note(nameOf(c.key), c.version(), c.fields)
			}
		}
	}
	return said, nil
}

// version is that of what a change leaves; of nothing, one above what was there.
func (c change) version() int64 {
	if c.fields == nil {
		was := numbers{of: c.stored}
		return was.number(fieldVersion) + 1
	}
	is := numbers{of: c.fields}
	return is.number(fieldVersion)
}

// settle puts something in the place of what is not believed: what Elevate wrote last, where this replica knows it, and
// otherwise a factor that counts for nothing. An enrolment is begun anew. Whoever puts it there tells people.
func (s *Store) settle(ctx context.Context, h hash) error {
	name := nameOf(h.key)
	c, d := change{hash: h}, factor.Doubt{Enrolment: !isFactor(name), How: h.how}
	kind, person, _ := strings.Cut(name, ":")
	if kind == "fa" { // an act's own id is behind
		person = person[:max(0, strings.LastIndexByte(person, ':'))]
	}
	d.Person = access.PersonID(person)
	known := s.factors.of(name)
	switch {
	case d.Enrolment:
	case known.fields != nil:
		c.fields, d.Restored = known.fields, true
	case known.None && h.how == factor.Older: // what was put there is gone again, and nobody is locked out by it
		c.fields, d.Restored = s.next(h, known.left(), 0), true
	case h.how == factor.Gone:
		c.fields = s.next(h, map[string]string{fieldLost: "1"}, 0)
	default:
		c.fields = s.next(h, map[string]string{"id": "doubted-" + rand.Text(), "counter": "0", "disabled": "1", fieldDoubted: "1"}, 0)
	}
	word, err := s.swap(ctx, h.key, "ok", nil, c)
	if err != nil {
		return fmt.Errorf("settle %s, which is %s: %w", name, h.how, err)
	}
	if word != "ok" {
		return nil // another has settled it
	}
	s.cfg.Log.ErrorContext(ctx, "A SECOND FACTOR IN THE STORE WAS CHANGED, AND NOT BY ELEVATE. Find out who can write to Redis",
		"person", d.Person, "enrolment", d.Enrolment, "how", d.How, "restored", d.Restored)
	s.cfg.Doubted(ctx, d)
	return nil
}
