package e2etest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// sight is how long a page may take to show what it should, on a busy machine.
const sight = time.Minute

// Page is a page in a browser, used as a person uses it.
type Page struct {
	t   testing.TB
	ctx context.Context
	dir string // of its pictures; empty where nobody wants any
}

// OpenPage opens an address in a browser of its own, which is so many pixels wide and high. Without Chromium the test
// is left out; it fails in CI, and where pictures are wanted.
func OpenPage(t testing.TB, address string, width, height int64) *Page {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "no chromium: install Debian's package chromium")
	}
	p := &Page{t: t, ctx: Browser(t, path), dir: Pictures(t)}
	// The browser lives as long as the context of the first action, so that one has no end of its own.
	if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	p.Visit(address)
	return p
}

// Pictures is the folder for a test's pictures, below the one that $ELEVATE_SCREENSHOTS names; empty where nobody wants
// any.
func Pictures(t testing.TB) string {
	dir := os.Getenv("ELEVATE_SCREENSHOTS")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-"))
}

// Resize makes the page so many pixels wide and high.
func (p *Page) Resize(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// Prefer sets what the desktop asks of pages: "light" or "dark".
func (p *Page) Prefer(scheme string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		p.t.Fatal(err)
	}
}

// Context is of the page, for what else the browser can do.
func (p *Page) Context() context.Context { return p.ctx }

// Visit goes to an address.
func (p *Page) Visit(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
}

func (p *Page) do(a chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, sight)
	defer cancel()
	if err := chromedp.Do(ctx, a); err != nil {
		p.t.Fatal(err)
	}
}

// Get evaluates an expression in the page, waiting for it where it is a promise.
func Get[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*sight)
	defer cancel()
	for {
		v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
		if err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "navigated or closed") {
			continue // a form was sent off, and the next page comes
		}
		if err != nil {
			p.t.Fatalf("%v, evaluating %s", err, expression)
		}
		return v
	}
}

// See waits until an expression is true in the page, which it looks at every 50 milliseconds. What says what that means.
func (p *Page) See(expression, what string) {
	p.t.Helper()
	seen := Get[bool](p, fmt.Sprintf(`new Promise((done) => {
		const end = performance.now() + %d;
		const look = () => {
			let yes = false;
			try { yes = Boolean(%s); } catch {} // not there yet
			if (yes || performance.now() > end) done(yes);
			else setTimeout(look, 50);
		};
		look();
	})`, sight.Milliseconds(), expression))
	if !seen {
		p.Shot("failed")
		p.t.Fatalf("not seen: %s\n%s", what, Get[string](p, "document.body.innerText"))
	}
}

// Click presses the mouse on the element that an expression gives, once it is there, at rest and not covered by another.
func (p *Page) Click(element, what string) {
	p.t.Helper()
	const spot = `(() => {
		const el = %s;
		if (!el || el.disabled) return;
		const b = el.getBoundingClientRect();
		const [x, y] = [b.x + b.width / 2, b.y + b.height / 2];
		const top = document.elementFromPoint(x, y);
		const [before, now] = [globalThis.spot, globalThis.spot = JSON.stringify([x, y])];
		if (!top || !el.contains(top) && !top.contains(el)) el.scrollIntoView({ block: "center" });
		else return before === now;
	})()`
	p.See(fmt.Sprintf(spot, element), what+", to click")
	at := Get[[]float64](p, "JSON.parse(globalThis.spot)")
	p.do(chromedp.MouseClickXY(at[0], at[1]))
}

// Type types into what has the focus.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(text))
}

// Reveal scrolls to an element.
func (p *Page) Reveal(element string) {
	p.t.Helper()
	Get[bool](p, "("+element+`.scrollIntoView({ block: "center" }), true)`)
}

// Shot keeps a picture of the page for people to look at, where pictures are wanted.
func (p *Page) Shot(name string) {
	p.t.Helper()
	if p.dir == "" {
		return
	}
	p.See(`!document.getAnimations().some((a) => a.playState === "running" && Number.isFinite(a.effect.getComputedTiming().endTime))`, "rest")
	ctx, cancel := context.WithTimeout(p.ctx, sight)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
