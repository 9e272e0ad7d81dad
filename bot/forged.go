package bot

import (
	"log/slog"
	"sync"
	"time"
)

// Forged logs requests that did not come from the chat that they name, once a minute at most: whoever finds the address
// can send millions. The zero value is ready.
type Forged struct {
	mu   sync.Mutex
	last time.Time // when one was logged
	more int       // how many since
}

// Note counts one, and logs it where none was logged in the last minute.
func (f *Forged) Note(now time.Time, log *slog.Logger, chat string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more++
	if now.Sub(f.last) < time.Minute {
		return
	}
	log.Warn("refused a request that does not come from the chat", "chat", chat, "err", err, "refused", f.more)
	f.last, f.more = now, 0
}
