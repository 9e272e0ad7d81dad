// Package slack is the adapter to Slack: it verifies what Slack sends, reads it into structures of its own, asks package
// bot what to answer, and renders the answer as Block Kit. It decides nothing about access.
//
// Slack reaches it over HTTP (Handler) or through a WebSocket that it opens itself (RunSocket); both lead to the same
// code. Every request is answered in less than a second, whatever the Slack API, the store or a target does: clicks
// that change something are recorded in the store before they are acknowledged and worked off by Run; forms are opened
// and pages are published after the acknowledgement.
//
// It is the only package that imports slack-go, which changes its API often and has edges that this package covers:
// answers without an "ok", HTTP clients without a time limit, payloads refused as a whole for one unknown element.
package slack
