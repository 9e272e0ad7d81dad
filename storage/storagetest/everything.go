package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// Everything is all that the server has, keys and values, for a test to look for what must not be there.
func (r *Redis) Everything(t testing.TB) string {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: r.Socket(), Protocol: 2, DisableIdentity: true})
	defer func() { _ = c.Close() }() // nothing was written
	ctx := t.Context()
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatalf("list the keys: %v", err)
	}
	var all strings.Builder
	for _, k := range keys {
		var value any
		switch kind := c.Type(ctx, k).Val(); kind {
		case "string":
			value, err = c.Get(ctx, k).Result()
		case "hash":
			value, err = c.HGetAll(ctx, k).Result()
		case "list":
			value, err = c.LRange(ctx, k, 0, -1).Result()
		case "set":
			value, err = c.SMembers(ctx, k).Result()
		case "zset":
			value, err = c.ZRangeWithScores(ctx, k, 0, -1).Result()
		case "stream":
			value, err = c.XRange(ctx, k, "-", "+").Result()
		default: // it ended in between
			continue
		}
		if err != nil && !errors.Is(err, goredis.Nil) {
			t.Fatalf("read %s: %v", k, err)
		}
		fmt.Fprintf(&all, "%s %v\n", k, value)
	}
	return all.String()
}
