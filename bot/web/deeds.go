package web

import "sync"

// rememberDeeds is how many of the latest deeds are remembered. A page repeats one within seconds.
const rememberDeeds = 1000

// deeds remembers what was done, so that what a page sends again, because it did not hear the answer, is done once and
// answered alike.
type deeds struct {
	mu    sync.Mutex
	done  map[string]func() answer
	order []string
}

// once does something unless it was done, or is being done, under the same key; then it gives that answer. An empty key
// is no key.
func (d *deeds) once(key string, do func() answer) answer {
	if key == "" {
		return do()
	}
	d.mu.Lock()
	first, known := d.done[key]
	if !known {
		if d.done == nil {
			d.done = map[string]func() answer{}
		}
		first = sync.OnceValue(do)
		d.done[key] = first
		d.order = append(d.order, key)
		if len(d.order) > rememberDeeds {
			delete(d.done, d.order[0])
			d.order = d.order[1:]
		}
	}
	d.mu.Unlock()
	return first()
}
