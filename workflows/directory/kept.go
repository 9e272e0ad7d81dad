package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sync"
	"time"
)

// AskTime bounds one question to somebody outside.
const AskTime = 5 * time.Second

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

// get gives the answer to a question, asked now or not long ago. It waits no longer than its caller does; the question goes
// on for those who want the same answer, and for what it has begun.
func (k *kept[V]) get(ctx context.Context, key string, ask func(ctx context.Context) (V, error)) (V, error) {
	k.mu.Lock()
	asked := k.now()
	if a, ok := k.answers[key]; ok && asked.Before(a.until) {
		k.mu.Unlock()
		return a.value, nil
	}
	q, running := k.asking[key]
	if !running {
		q = &question[V]{done: make(chan struct{})}
		k.asking[key] = q
		go k.put(context.WithoutCancel(ctx), q, key, asked, ask)
	}
	k.mu.Unlock()
	select {
	case <-q.done:
		return q.value, q.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// put puts a question and holds its answer.
func (k *kept[V]) put(ctx context.Context, q *question[V], key string, asked time.Time, ask func(ctx context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, AskTime)
	defer cancel()
	q.err = errUnanswered
	defer func() {
		if p := recover(); p != nil {
			q.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.asking[key] == q { // otherwise it was forgotten meanwhile
			delete(k.asking, key)
			if q.err == nil {
				k.hold(key, answer[V]{q.value, asked.Add(k.fresh)})
			}
		}
		close(q.done)
	}()
	q.value, q.err = ask(ctx)
}

// errUnanswered is the failure of a question that came back without an answer.
var errUnanswered = errors.New("the question was given up")

// held is an answer that is there already.
func (k *kept[V]) held(key string) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.answers[key]
	return a.value, ok && k.now().Before(a.until)
}

// forget has the next one ask anew: what is held, or is being answered, may be out of date.
func (k *kept[V]) forget(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.answers, key)
	delete(k.asking, key)
}

func (k *kept[V]) hold(key string, a answer[V]) {
	if len(k.answers) >= k.most {
		maps.DeleteFunc(k.answers, func(_ string, old answer[V]) bool { return !k.now().Before(old.until) })
	}
	if len(k.answers) < k.most {
		k.answers[key] = a
	}
}
