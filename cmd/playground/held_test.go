package main

import "testing"

// Omar reads the audit log by somebody else's gift: the form says so before he asks.
func TestTheFormSaysThatARoleIsHeldAlready(t *testing.T) {
	t.Parallel()
	x := open(t, program(t), 1280, 860)
	x.become("omar")
	x.See(`document.getElementById("line")`, "where to type")
	x.click("#line")
	x.Type("/elevate audit-log-reader 1h\r")
	x.reads("dialog", "You held this role already", "You will still have it")
	x.Shot("held")
}
