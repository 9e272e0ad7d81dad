package embedded

import (
	"fmt"
	"slices"
	"strconv"
)

// batch is how many words of a collection one command of a snapshot holds.
const batch = 256

// compact puts commands that make the present state in the place of the journal. It runs under mu.
func (p *inProcess) compact() error {
	now := p.clock()
	var records []byte
	for _, key := range p.mini.Keys() {
		err := p.dump(key, func(command ...string) { records = appendRecord(records, now, command) })
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return p.journal.replace(records)
}

// dump gives the commands that make a key as it is.
func (p *inProcess) dump(key string, add func(command ...string)) error {
	if p.mini.Type(key) == "stream" {
		entries, err := p.mini.Stream(key)
		for _, e := range entries {
			add(append([]string{"XADD", key, e.ID}, e.Values...)...)
		}
		return err
	}
	words, cmd, err := p.content(key)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(words, batch) {
		add(append([]string{cmd, key}, chunk...)...)
	}
	if ttl := p.mini.TTL(key); ttl > 0 {
		add("PEXPIRE", key, strconv.FormatInt(max(1, ttl.Milliseconds()), 10))
	}
	return nil
}

// content gives what a key holds, as the words of the command that adds it. Words that belong together are an even
// number, as is batch.
func (p *inProcess) content(key string) (words []string, cmd string, err error) {
	switch kind := p.mini.Type(key); kind {
	case "string":
		value, err := p.mini.Get(key)
		return []string{value}, "SET", err
	case "hash":
		fields, err := p.mini.HKeys(key)
		for _, field := range fields {
			words = append(words, field, p.mini.HGet(key, field))
		}
		return words, "HSET", err
	case "list":
		words, err = p.mini.List(key)
		return words, "RPUSH", err
	case "set":
		words, err = p.mini.Members(key)
		return words, "SADD", err
	case "zset":
		scores, err := p.mini.SortedSet(key)
		for member, score := range scores {
			words = append(words, strconv.FormatFloat(score, 'f', -1, 64), member)
		}
		return words, "ZADD", err
	default:
		return nil, "", fmt.Errorf("a key of kind %q", kind)
	}
}
