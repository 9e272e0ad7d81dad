// Package web is a small chat in a browser: channels, threads, personal messages and answers that one person alone
// sees, all kept in memory. It renders what bot builds and hands over what people do; what that means, bot and workflows
// say.
//
// Whoever opens the page may be anybody in it. It is made for the playground and therefore serves the machine it runs
// on and nothing else: see Guard.
package web
