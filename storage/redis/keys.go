package redis

import (
	"hash/crc32"
	"strconv"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// keyspace names keys. All keys that one script touches carry the same hash tag and so lie in one slot of a cluster.
type keyspace struct {
	prefix string
	shards int
}

// shard is the number of the tag that a request's id, a topic or any other name falls to.
func (k keyspace) shard(name string) int {
	return int(crc32.ChecksumIEEE([]byte(name)) % uint32(k.shards))
}

// base begins the keys of a shard.
func (k keyspace) base(shard int) string {
	return k.prefix + "{" + strconv.Itoa(shard) + "}:"
}

// of begins the keys of the shard that a name falls to.
func (k keyspace) of(name string) string { return k.base(k.shard(name)) }

func (k keyspace) meta() string { return k.prefix + "meta" }

// nudges is the channel that tells of timers that became the earliest of their lane.
func (k keyspace) nudges() string { return k.prefix + "nudge" }

func (k keyspace) record(id access.RequestID) string { return k.of(string(id)) + "r:" + string(id) }

func lane(base string, l workflows.Lane) string { return base + "due:" + string(l) }

func outbox(base, chat string) string { return base + "out:" + chat }

func inbox(base, chat string) string { return base + "in:" + chat }

// early is a time as a whole Unix millisecond that is not after it.
func early(t time.Time) int64 { return t.UnixMilli() }

// late is a time as a whole Unix millisecond that is not before it.
func late(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

// millis is a duration as whole milliseconds, at least one.
func millis(d time.Duration) int64 { return max(1, d.Milliseconds()) }
