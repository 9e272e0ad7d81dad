// Package api is the chat of programs: it serves /api/v1/, where scripts and services do by HTTP what people do in a
// chat. It authenticates bearer tokens, parses, hands over to the verbs of workflows, and renders; what a caller may
// do is decided there, as it is for every chat.
//
// The contract is openapi.json, served at /api/v1/openapi.json. Durations are Go durations ("90m"), times RFC 3339 in
// UTC, and errors problem documents (RFC 9457). A POST may carry an Idempotency-Key; see once.go.
package api
