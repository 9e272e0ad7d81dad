package storagetest

import (
	"strconv"
	"syscall"
)

// Node is a server that listens at a port of the loopback address besides its socket.
type Node struct {
	*Redis
	Port int
	// away tells that it was killed or paused.
	away bool
}

// StartListening starts a server that listens at a port of the block too.
func (p *Ports) StartListening(args ...string) *Node {
	p.t.Helper()
	port := p.Next()
	own := []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1"}
	return &Node{Redis: StartRedis(p.t, append(own, args...)...), Port: port}
}

// Addr is the address that the node listens at.
func (n *Node) Addr() string { return address(n.Port) }

// kill ends the node as kill -9 does.
func (n *Node) kill() {
	n.away = true
	n.Kill()
}

// pause stops the node as a machine that freezes does: its connections stay, and nothing answers.
func (n *Node) pause() {
	n.away = true
	n.signal(syscall.SIGSTOP)
}

// comeBack starts a node that was killed, and lets one that was paused go on.
func (n *Node) comeBack() {
	n.t.Helper()
	switch {
	case n.cmd == nil:
		n.Start()
	case n.away:
		n.signal(syscall.SIGCONT)
	}
	n.away = false
}

func (n *Node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("send %s to redis-server: %v", s, err)
	}
}
