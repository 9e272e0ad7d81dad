// Package page is the look of the few pages that Elevate itself shows in a browser: signing in, linking an account, setting
// up a second factor, using a security key. They are plain documents with forms, load nothing from elsewhere and are kept
// nowhere. They run no script, but for one of ours where a browser must speak to a security key.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

// Tone says how a page is meant.
type Tone string

// The tones.
const (
	Plain Tone = ""
	Good  Tone = "good"
	Bad   Tone = "bad"
)

// Page is one document. All text is plain.
type Page struct {
	Title string
	Tone  Tone
	Lead  string // the one sentence that everybody reads
	// Word is something to type elsewhere, shown large and on a line of its own.
	Word    string
	Facts   []Fact   // what the page is about
	Text    []string // paragraphs
	Picture *Picture
	Form    *Form
	Other   *Form // another way, less usual
	// Onward leads the browser elsewhere. An answer to a form that redirected there would be held to the form's own policy
	// (form-action), and so would every redirect after it, on sites of others that nobody here knows.
	Onward *Onward
	Foot   string // the small print
}

// Picture is an image, and what it says for those who cannot use it.
type Picture struct {
	PNG     []byte
	Alt     string
	Summary string // of what unfolds below it
	Letters string // the same to type
	Note    string
}

// Fact is a labelled value.
type Fact struct{ Label, Value string }

// Form is a button that posts.
type Form struct {
	Action string // path of ours; empty: where the page is
	Submit string // the button's label
	Hidden []Fact // fields that nobody sees, by name
	Input  *Input
	Wrong  string // what is wrong with what was sent
	Key    *Key
}

// Input is a line to type into.
type Input struct {
	Name, Label, Hint string
	// Code is for the six digits of an app; otherwise it is any text that may be left out.
	Code bool
}

// Key has a security key answer before the form is sent. Its answer is the field of the name AnswerField, as JSON.
type Key struct {
	New bool // make one; otherwise one of those that are there signs
	// Options are PublicKeyCredentialCreationOptionsJSON, or PublicKeyCredentialRequestOptionsJSON.
	Options []byte
}

// AnswerField carries what a security key answered.
const AnswerField = "answer"

// ScriptPath is where the script that speaks to security keys is served. See Script.
const ScriptPath = "/key/key.js"

// scriptFrom leads there from every page of ours, also where a proxy serves them below a path of its own.
const scriptFrom = ".." + ScriptPath

//go:embed key.js
var script []byte

// Script serves the script.
func Script(w http.ResponseWriter, _ *http.Request) {
	Seal(w.Header())
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write(script) // whoever hung up needs no script
}

// Onward is a link that is followed by itself.
type Onward struct{ To, Label string }

//go:embed page.html
var document string

//go:embed page.css
var style string

var parsed = template.Must(template.New("page").Parse(document))

// styleHash lets the one style of ours in, and no other.
var styleHash = func() string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// Write answers with a page.
func Write(w http.ResponseWriter, status int, p Page) {
	h := w.Header()
	Seal(h)
	h.Set("Content-Security-Policy", p.policy())
	if p.Onward != nil {
		h.Set("Refresh", "0; url="+p.Onward.To)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	shown := struct {
		Page
		Style   template.CSS
		Image   template.URL
		Script  string
		Options string
		Answer  string
	}{Page: p, Style: template.CSS(style), Script: scriptFrom, Answer: AnswerField} //nolint:gosec // our own file
	if p.Picture != nil {
		shown.Image = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(p.Picture.PNG)) //nolint:gosec // our own picture
	}
	if p.keyed() {
		shown.Options = string(p.Form.Key.Options)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, shown); err != nil { // cannot happen: the template is ours, and buffers take everything
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // whoever hung up needs no page
}

// NotNow answers where what is needed cannot be had. why is the beginning of a sentence, as in “Elevate cannot reach its store just
// now”.
func NotNow(w http.ResponseWriter, why string) {
	Write(w, http.StatusServiceUnavailable, Page{Title: "Not now", Tone: Bad, Lead: why + ", so nothing was done. Try again in a minute."})
}

func (p Page) keyed() bool { return p.Form != nil && p.Form.Key != nil }

// policy lets in what the page has and nothing else.
func (p Page) policy() string {
	target := "'self'"
	if p.Form == nil {
		target = "'none'"
	}
	policy := "default-src 'none'; style-src " + styleHash + "; base-uri 'none'; frame-ancestors 'none'; form-action " + target
	if p.Picture != nil {
		policy += "; img-src data:"
	}
	if p.keyed() {
		policy += "; script-src 'self'"
	}
	return policy
}

// Seal keeps an answer out of caches, frames, search engines and the addresses that a browser tells others of.
func Seal(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// Redirect sends the browser on, as after a form.
func Redirect(w http.ResponseWriter, to string) {
	Seal(w.Header())
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// Guard refuses what another site's page made a browser send.
func Guard(next http.Handler) http.Handler {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		Write(w, http.StatusForbidden, Page{Title: "Not from here", Tone: Bad, Lead: "Another site's page asked for this, so nothing was done. Open the link itself."})
	}))
	return own.Handler(next)
}
