// Package ops serves what operators and their machines look at: GET /healthz (the process lives), /readyz (it can do
// its work) and /metrics (Prometheus). It measures and reports; it mends nothing, and nothing waits for it.
package ops
