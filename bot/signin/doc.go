// Package signin finds out who sits at a browser, by OpenID Connect: authorization code with PKCE, state and nonce, and an
// ID token that is checked to the letter. A sign-in is good for one purpose and a few minutes, and in the browser that it
// was made in; whoever wants one says so with Begin, and asks for it with Visit once the browser is back.
//
// The browser keeps the one secret of a sign-in, in a cookie: nonce and verifier are made of it, so that neither somebody
// who reads the store nor another browser can finish what this one began.
package signin
