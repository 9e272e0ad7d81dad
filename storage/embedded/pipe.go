package embedded

import (
	"net"
	"sync"
)

// unblocked is a pipe in memory whose writes never wait for the reader. Without it a client that writes a long
// pipeline and a server that writes its first replies would wait for each other for ever.
type unblocked struct {
	net.Conn
	mu     sync.Mutex
	more   sync.Cond
	queue  []byte
	closed bool
	err    error
}

func newUnblocked(conn net.Conn) *unblocked {
	u := &unblocked{Conn: conn}
	u.more.L = &u.mu
	go u.forward()
	return u
}

func (u *unblocked) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return 0, net.ErrClosed
	}
	if u.err != nil {
		return 0, u.err
	}
	u.queue = append(u.queue, b...)
	u.more.Signal()
	return len(b), nil
}

// forward writes what is queued until the pipe is closed at either end.
func (u *unblocked) forward() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		for len(u.queue) == 0 && !u.closed {
			u.more.Wait()
		}
		if u.closed {
			return
		}
		chunk := u.queue
		u.queue = nil
		u.mu.Unlock()
		_, err := u.Conn.Write(chunk)
		u.mu.Lock()
		if err != nil {
			u.err = err
			return
		}
	}
}

func (u *unblocked) Close() error {
	u.mu.Lock()
	u.closed = true
	u.more.Signal()
	u.mu.Unlock()
	return u.Conn.Close()
}
