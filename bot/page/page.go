// Package page is the look of the few pages that Elevate itself shows in a browser: signing in, linking an account. They
// are plain documents with forms. They run no script, load nothing and are kept nowhere.
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
	Word  string
	Facts []Fact   // what the page is about
	Text  []string // paragraphs
	Form  *Form
	// Onward leads the browser elsewhere. An answer to a form that redirected there would be held to the form's own policy
	// (form-action), and so would every redirect after it, on sites of others that nobody here knows.
	Onward *Onward
	Foot   string // the small print
}

// Fact is a labelled value.
type Fact struct{ Label, Value string }

// Form is a button that posts.
type Form struct {
	Action string // path of ours
	Submit string // the button's label
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
	target := "'self'"
	if p.Form == nil {
		target = "'none'"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+styleHash+"; base-uri 'none'; frame-ancestors 'none'; form-action "+target)
	if p.Onward != nil {
		h.Set("Refresh", "0; url="+p.Onward.To)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	var out bytes.Buffer
	err := parsed.Execute(&out, struct {
		Page
		Style template.CSS
	}{p, template.CSS(style)}) //nolint:gosec // our own file
	if err != nil { // cannot happen: the template is ours, and buffers take everything
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // whoever hung up needs no page
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
