package workflows

import (
	"iter"
	"maps"

	"elevate/workflows/access"
)

// byID holds something small for each of what may be millions of requests: ids as Elevate makes them are kept as numbers,
// which takes a third of the memory of texts, and leaves the garbage collector nothing to follow.
type byID[V any] struct {
	short map[uint64]V
	odd   map[access.RequestID]V // by ids that nobody here has made
}

func newByID[V any]() byID[V] {
	return byID[V]{short: map[uint64]V{}, odd: map[access.RequestID]V{}}
}

func (m byID[V]) clone() byID[V] {
	return byID[V]{short: maps.Clone(m.short), odd: maps.Clone(m.odd)}
}

func (m byID[V]) get(id access.RequestID) V {
	if n, ok := id.Number(); ok {
		return m.short[n]
	}
	return m.odd[id]
}

func (m byID[V]) put(id access.RequestID, v V) {
	if n, ok := id.Number(); ok {
		m.short[n] = v
		return
	}
	m.odd[id] = v
}

func (m byID[V]) drop(id access.RequestID) {
	if n, ok := id.Number(); ok {
		delete(m.short, n)
		return
	}
	delete(m.odd, id)
}

func (m byID[V]) dropIf(gone func(V) bool) {
	maps.DeleteFunc(m.short, func(_ uint64, v V) bool { return gone(v) })
	maps.DeleteFunc(m.odd, func(_ access.RequestID, v V) bool { return gone(v) })
}

func (m byID[V]) all() iter.Seq2[access.RequestID, V] {
	return func(yield func(access.RequestID, V) bool) {
		for n, v := range m.short {
			if !yield(access.NumberedID(n), v) {
				return
			}
		}
		for id, v := range m.odd {
			if !yield(id, v) {
				return
			}
		}
	}
}
