// Package attack attacks Elevate from outside: the built binary, with a real Redis, before fakes of Slack, Teams, an
// identity provider and a target. Every attack is tried a number of times, none of which may be accepted; and then against
// a build whose defence was taken out, where each kind of try must succeed, or be named with what else stands in its way: so
// each is known to be able to. What came of it is the table in SECURITY.md, which no hand writes.
//
//	make attack                                     # the long form: all tries, and the table
//	go test ./cmd/elevate/attack                    # the short form: fewer tries, and the table is checked
//	go test ./cmd/elevate/attack -run Attacks/T24   # one attack
//
// The build without defences is one binary in which each of them can be switched off by itself, made by go build -overlay
// from the cuts of this package: a cut names a piece of the source, and what stands in its place. A piece that is not there
// any more fails the build.
package attack
