package directory

import (
	"context"
	"maps"
	"sync"
	"time"
)

// askTime bounds one question to somebody outside.
const askTime = 5 * time.Second

// kept holds answers for a while. Those who want the same answer at once wait for one question; failures are not held.
type kept[V any] struct {
	fresh time.Duration // from when the question was asked
	most  int           // beyond it, what is out of date is forgotten, and nothing more is held
	now   func() time.Time

	mu      sync.Mutex
	answers map[string]answer[V]
	asking  map[string]*question[V]
}

type answer[V any] struct {
	value V
	until time.Time
}

type question[V any] struct {
	done  chan struct{} // closed when value and err are there
	value V
	err   error
}

func keep[V any](fresh time.Duration, most int, now func() time.Time) *kept[V] {
	return &kept[V]{fresh: fresh, most: most, now: now, answers: map[string]answer[V]{}, asking: map[string]*question[V]{}}
}

// get gives the answer to a question, asked now or not long ago.
func (k *kept[V]) get(ctx context.Context, key string, ask func(ctx context.Context) (V, error)) (V, error) {
	k.mu.Lock()
	asked := k.now()
	if a, ok := k.answers[key]; ok && asked.Before(a.until) {
		k.mu.Unlock()
		return a.value, nil
	}
	if q, running := k.asking[key]; running {
		k.mu.Unlock()
		select {
		case <-q.done:
			return q.value, q.err
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
	}
	q := &question[V]{done: make(chan struct{})}
	k.asking[key] = q
	k.mu.Unlock()

	// Whoever asks may hang up; those who wait for the same answer have not.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	q.value, q.err = ask(asking)

	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.asking, key)
	close(q.done)
	if q.err == nil {
		k.hold(key, answer[V]{q.value, asked.Add(k.fresh)})
	}
	return q.value, q.err
}

func (k *kept[V]) hold(key string, a answer[V]) {
	if len(k.answers) >= k.most {
		maps.DeleteFunc(k.answers, func(_ string, old answer[V]) bool { return !k.now().Before(old.until) })
	}
	if len(k.answers) < k.most {
		k.answers[key] = a
	}
}
