package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"elevate/workflows/audit"
)

// settles are the steps after which what was lost or doubted is so no more. Nothing is made where there is something doubted.
var settles = map[string]bool{"factor_confirm": true, "factor_key": true, "factor_remove": true}

// factorRun takes a step of factors: it is tried on copies, what it would leave is marked, and that is written where nobody
// came in between.
func (s *Store) factorRun(ctx context.Context, script string, keys []string, events []audit.Event, args ...any) (string, error) {
	turn := s.factors.turn(keys[0])
	turn.Lock()
	defer turn.Unlock()
	for range mostTurns {
		word, done, err := s.factorTurn(ctx, script, keys, events, args)
		if err != nil || done {
			return word, err
		}
	}
	return "", fmt.Errorf("redis: %s: others came in between, again and again", script)
}

// factorTurn tries once; false where somebody came in between, or something had to be settled first.
func (s *Store) factorTurn(ctx context.Context, script string, keys []string, events []audit.Event, args []any) (string, bool, error) {
	known := map[string]Known{}
	for _, k := range keys {
		known[k] = s.factors.of(nameOf(k))
	}
	reply, err := s.run(ctx, call{script: script + tried, keys: keys, args: args})
	if err != nil {
		return "", false, fmt.Errorf("redis: %w", err)
	}
	t, err := readTried(reply)
	if err != nil {
		return "", false, fmt.Errorf("redis: %s: %w", script, err)
	}
	var changes []change
	changed := 0
	for _, is := range t.hashes {
		h := s.look(is.key, is.before, known[is.key])
		if h.how != "" {
			return "", false, s.settle(ctx, h)
		}
		if maps.Equal(is.before, is.after) {
			changes = append(changes, change{hash: h, kept: true})
			continue
		}
		changed++
		if settles[script] {
			delete(is.after, fieldDoubted)
			delete(is.after, fieldLost)
		}
		changes = append(changes, change{hash: h, fields: s.next(h, is.after, is.ttl), ttl: is.ttl})
	}
	if gone := s.gone(keys, t.hashes, known); gone != nil {
		return "", false, s.settle(ctx, *gone)
	}
	if why, failed := strings.CutPrefix(t.word, "failed: "); failed { // over something that is ours
		return "", false, fmt.Errorf("redis: %s: %s", script, why)
	}
	if changed == 0 && len(t.events) == 0 {
		return t.word, true, nil
	}
	docs, err := s.factorEvents(events, t.events, changes)
	if err != nil {
		return "", false, err
	}
	word, err := s.swap(ctx, keys[0], t.word, docs, changes...)
	return word, word == t.word, err
}

// gone finds a factor that should be there and is not, where the step did not make it either.
func (s *Store) gone(keys []string, hashes []triedHash, known map[string]Known) *hash {
	for _, k := range keys {
		if slices.ContainsFunc(hashes, func(t triedHash) bool { return t.key == k }) {
			continue
		}
		if h := s.look(k, nil, known[k]); h.how != "" {
			return &h
		}
	}
	return nil
}

// factorEvents marks the events that a step has made, with the version of the factor that it left, or that it left none.
func (s *Store) factorEvents(events []audit.Event, made []int, changes []change) ([][]byte, error) {
	var docs [][]byte
	for _, i := range made {
		if i < 0 || i >= len(events) {
			return nil, fmt.Errorf("redis: a step made event %d of %d", i, len(events))
		}
		e := events[i]
		for _, c := range changes {
			if isFactor(nameOf(c.key)) && !c.kept {
				e.Detail = maps.Clone(e.Detail)
				if e.Detail == nil {
					e.Detail = map[string]string{}
				}
				e.Detail["version"] = c.fields[fieldVersion]
				if proofless(c.fields) {
					e.Detail["none"] = "1"
					if c.fields[fieldRemoved] != "" {
						e.Detail["none"] = noneRemoved
					}
				}
			}
		}
		doc, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("redis: encode an event: %w", err)
		}
		docs = append(docs, s.markDoc(markEvent, doc))
	}
	return docs, nil
}

// triedStep is what a step would do.
type triedStep struct {
	word   string
	events []int // by number
	hashes []triedHash
}

type triedHash struct {
	key           string
	before, after map[string]string
	ttl           time.Duration // zero: for ever
}

func readTried(reply any) (t triedStep, err error) {
	all, err := list(reply)
	if err != nil || len(all) < 2 {
		return t, errors.Join(err, errors.New("not a word and events"))
	}
	word, ok := all[0].(string)
	events, err := texts(all[1])
	if !ok || err != nil {
		return t, errors.Join(err, errors.New("not a word and events"))
	}
	t.word = word
	for _, e := range events {
		i, err := strconv.Atoi(e)
		if err != nil {
			return t, fmt.Errorf("an event is none of ours: %w", err)
		}
		t.events = append(t.events, i)
	}
	for _, each := range all[2:] {
		h, err := readTriedHash(each)
		if err != nil {
			return t, err
		}
		t.hashes = append(t.hashes, h)
	}
	return t, nil
}

func readTriedHash(reply any) (h triedHash, err error) {
	f, err := list(reply)
	if err != nil || len(f) != 4 {
		return h, errors.Join(err, errors.New("not a key, two hashes and a time"))
	}
	key, ok := f[0].(string)
	left, isText := f[3].(string)
	if !ok || !isText {
		return h, errors.New("not a key, two hashes and a time")
	}
	ttl, err := strconv.ParseInt(left, 10, 64)
	if err != nil {
		return h, fmt.Errorf("time to live: %w", err)
	}
	h.key, h.ttl = key, time.Duration(max(0, ttl))*time.Millisecond
	if h.before, err = pairs(f[1]); err == nil {
		h.after, err = pairs(f[2])
	}
	return h, err
}

// pairs reads fields and values, one after the other.
func pairs(reply any) (map[string]string, error) {
	flat, err := texts(reply)
	if err != nil || len(flat)%2 != 0 {
		return nil, errors.Join(err, errors.New("not fields and values"))
	}
	out := map[string]string{}
	for i := 0; i < len(flat); i += 2 {
		out[flat[i]] = flat[i+1]
	}
	return out, nil
}
