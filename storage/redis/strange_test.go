package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// estrange has every key of the store be of another type than it was, as somebody can who writes there.
func (g *guarded) estrange(t *testing.T, keep func(key string) bool) (changed []string) {
	t.Helper()
	keys, err := g.Client().Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if keep(k) || strings.HasSuffix(k, ":strange") {
			continue
		}
		kind := g.Client().Type(t.Context(), k).Val()
		err := g.Client().Del(t.Context(), k).Err()
		if kind == "list" {
			err = errors.Join(err, g.Client().Set(t.Context(), k, "x", 0).Err())
		} else {
			err = errors.Join(err, g.Client().LPush(t.Context(), k, "x").Err())
		}
		if err != nil {
			t.Fatal(err)
		}
		changed = append(changed, k)
	}
	return changed
}

// Keys of another type than ours keep nobody from working the others, and are gone from their places.
func TestKeysOfAnotherTypeStopNothing(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	lost, kept := approved(t, g.Store), approved(t, g.Store)
	record := key(t, g.Store, "r:"+string(lost.ID))
	g.estrange(t, func(k string) bool { return k != record })

	claims, _, err := g.Claim(t.Context(), workflows.Clock, 10, time.Minute)
	if err != nil || len(claims) != 1 || claims[0].Record.ID != kept.ID {
		t.Fatalf("claimed %+v, %v", claims, err)
	}
	if _, err := g.Get(t.Context(), lost.ID); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if kind := g.Client().Type(t.Context(), record+":strange").Val(); kind != "list" {
		t.Errorf("what was there is kept as a %s", kind)
	}
}

// With every key of another type, each question is answered as from an empty store, by commands and by scripts.
func TestAStoreOfStrangeKeysIsAnEmptyOne(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	for name, ask := range map[string]func(r *access.Record) error{
		"get": func(r *access.Record) error {
			_, err := g.Get(t.Context(), r.ID)
			if errors.Is(err, access.ErrNotFound) {
				return nil
			}
			return errors.Join(errors.New("it is there"), err)
		},
		"list": func(*access.Record) error {
			_, _, err := g.List(t.Context(), workflows.Query{Open: true, Limit: 10})
			return err
		},
		"claim": func(*access.Record) error {
			_, _, err := g.Claim(t.Context(), workflows.Clock, 10, time.Minute)
			return err
		},
		"events":  func(*access.Record) error { _, err := g.Undrained(t.Context(), 10); return err },
		"stats":   func(*access.Record) error { _, err := g.Stats(t.Context()); return err },
		"sharing": func(r *access.Record) error { _, err := g.Sharing(t.Context(), r.Right()); return err },
		"links":   func(*access.Record) error { _, err := g.Links(t.Context()); return err },
		"recall":  func(*access.Record) error { _, err := g.Recall(t.Context(), "a"); return err },
		"submit":  func(*access.Record) error { approved(t, g.Store); return nil },
		"messages": func(*access.Record) error {
			_, _, err := g.ClaimErrands(t.Context(), storagetest.Chats()[0], 10, time.Minute)
			return err
		},
		"overdue": func(*access.Record) error { _, err := g.Overdue(t.Context()); return err },
		"tokens":  func(*access.Record) error { _, err := g.Tokens(t.Context()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			r := approved(t, g.Store)
			if err := g.Put(t.Context(), "a", []byte("1"), time.Minute); err != nil {
				t.Fatal(err)
			}
			if changed := g.estrange(t, func(k string) bool { return strings.HasSuffix(k, "meta") }); len(changed) < 5 {
				t.Fatalf("changed %q", changed)
			}
			if err := ask(r); err != nil {
				t.Error(err)
			}
		})
	}
}
