// Package chaos holds Elevate to its first promise while everything around it breaks: access always ends, never early,
// never twice, and never without evidence. Its tests run the real binary, three replicas on a real redis-server, against
// a target outside of them that keeps a ledger of every call with its own clock. Bots are killed and paused and Redis is
// killed at random times from a printed seed while many people act at once; afterwards the ledger, the audit log and what
// the people saw are compared with each other and with the table of arrows.
//
//	go test ./cmd/elevate/chaos                                # the short form
//	go test ./cmd/elevate/chaos -timeout 90m -v -long          # the long form: figures for the README
//	go test ./cmd/elevate/chaos -run TestChaos -v -seed 42     # the same plan of faults and acts again
//	go test ./cmd/elevate/chaos -run TestChaos -timeout 90m -v -long -grants 2000 -runs 5   # five seeds, each a fifth as long
//
// A seed repeats the plan. Which step a kill hits is for the machine to say, so that one seed is worth running often.
package chaos
