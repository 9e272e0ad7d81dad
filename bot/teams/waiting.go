package teams

import (
	"slices"
	"sync"
)

// waiting are the invokes of this process whose act was recorded and that wait for its outcome, by the act's key.
type waiting struct {
	mu   sync.Mutex
	open map[string][]chan outcome
}

// begin waits for the outcome of an act. Who begins must end.
func (w *waiting) begin(key string) <-chan outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[string][]chan outcome{}
	}
	came := make(chan outcome, 1)
	w.open[key] = append(w.open[key], came)
	return came
}

// end stops waiting. What came in the last moment is in the channel.
func (w *waiting) end(key string, came <-chan outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := slices.DeleteFunc(w.open[key], func(c chan outcome) bool { return c == came })
	if len(left) == 0 {
		delete(w.open, key)
		return
	}
	w.open[key] = left
}

// came hands an outcome to all who wait for it; false where nobody does.
func (w *waiting) came(key string, o outcome) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.open[key]
	delete(w.open, key)
	for _, came := range all {
		came <- o
	}
	return len(all) > 0
}
