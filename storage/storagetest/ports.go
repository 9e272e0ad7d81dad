package storagetest

import (
	"net"
	"strconv"
	"testing"
)

// The ports that tests share: below those that systems give to outgoing connections, so that none is taken in between.
const (
	firstPort = 20000
	lastPort  = 29999
	blockSize = 20
)

// Ports are ports of the loopback address that no other test uses, also of another process, until the test ends.
type Ports struct {
	t    testing.TB
	next int
	end  int
}

// ReservePorts takes a block of ports that nobody listens at. The first of a block is listened at as long as the test
// runs, which is what keeps others away from the rest.
func ReservePorts(t testing.TB) *Ports {
	t.Helper()
	for first := firstPort; first+blockSize <= lastPort+1; first += blockSize {
		guard, err := net.Listen("tcp", address(first))
		if err != nil {
			continue
		}
		if !free(first+1, first+blockSize) {
			_ = guard.Close() // nobody called it
			continue
		}
		t.Cleanup(func() { _ = guard.Close() }) // nobody called it
		return &Ports{t: t, next: first + 1, end: first + blockSize}
	}
	t.Fatalf("no ports are free from %d to %d", firstPort, lastPort)
	return nil
}

// free tells whether nobody listens at the ports up to end.
func free(first, end int) bool {
	for port := first; port < end; port++ {
		l, err := net.Listen("tcp", address(port))
		if err != nil || l.Close() != nil {
			return false
		}
	}
	return true
}

// Next gives a port of the block that was not given before.
func (p *Ports) Next() int {
	p.t.Helper()
	if p.next == p.end {
		p.t.Fatalf("the block of %d ports is used up", blockSize)
	}
	p.next++
	return p.next - 1
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
